//! When something was asked, for questions of how fresh the answer is and whether anybody still waits for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::time::Timestamp;

/// A moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct DualClockInstant {
    /// Advances while the machine sleeps, and jumps when it is set.
    pub(super) wall: Timestamp,
    /// Never goes back, and may stand still while the machine sleeps.
    steady: Instant,
}

impl DualClockInstant {
    pub(super) fn at(wall: Timestamp) -> Self {
        Self { wall, steady: Instant::now() }
    }

    /// Whether it is less than this long ago, by both clocks.
    pub(super) fn is_within(self, span: Duration, now: Timestamp) -> bool {
        self.wall <= now && !self.is_past(span, now)
    }

    /// Whether it is at least this long ago, by either clock.
    pub(super) fn is_past(self, span: Duration, now: Timestamp) -> bool {
        now.since(self.wall) >= span || self.steady.elapsed() >= span
    }
}
