//! How long a loop rests between two steps.

use std::time::Duration;

use crate::domain::backoff::Backoff;

/// The first pause after a success.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The next step may follow at once.
    Flowing,
    /// Something outside does not answer.
    Stuck,
}

/// The pauses of one loop: none after a success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace(Backoff);

impl Default for Pace {
    fn default() -> Self {
        Self(Backoff::new(PAUSE_MIN, PAUSE_MAX))
    }
}

impl Pace {
    /// The pause after a step.
    pub(super) fn next(&mut self, progress: Progress, chance: u64) -> Duration {
        match progress {
            Progress::Flowing => {
                self.0.reset();
                Duration::ZERO
            }
            Progress::Stuck => self.0.failed(chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_ends_the_pauses() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(Progress::Stuck, 0), PAUSE_MIN / 2);
        assert_eq!(pace.next(Progress::Stuck, 0), PAUSE_MIN);
        assert_eq!(pace.next(Progress::Flowing, 7), Duration::ZERO);
        assert_eq!(pace.next(Progress::Stuck, 0), PAUSE_MIN / 2);
    }
}
