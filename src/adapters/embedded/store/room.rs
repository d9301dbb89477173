//! Room on the disk of the store: new work stops before the disk is full, deletes go on, and all goes on by itself when
//! there is room again.
//!
//! A journal write that fails for want of room ends the store ([`super::open::Shared::poison`]), because the state of the
//! journal is unknown afterwards. The reserve prevents this unless another program takes the disk between a look and a
//! write; then the process ends once there is room again ([`super::watch`]).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::adapters::embedded::FreeSpace;
use crate::limits::DISK_RESERVE_BYTES;

/// How old an answer of the file system may be.
const ANSWER_AGE_MAX: Duration = Duration::from_millis(500);
/// Below this nothing new is reserved. Less than uploads leave free, so that those stop first.
const RESERVE_BYTES: u64 = DISK_RESERVE_BYTES / 2;
/// Below this only what a delete needs is written.
const LAST_BYTES: u64 = DISK_RESERVE_BYTES / 4;
/// Below this nothing is written: a refused write can be repeated, a failed one ends the store. Twice the largest batch.
const FLOOR_BYTES: u64 = DISK_RESERVE_BYTES / 16;

/// What a job means for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Part of a delete, or of necessary upkeep: small, and it frees room.
    Freeing,
    /// Finishes what was begun.
    Finishing,
    /// Begins something new.
    Beginning,
}

/// Room on the disk of the store.
#[derive(Debug)]
pub(crate) struct StoreRoom {
    free: FreeSpace,
    last: Mutex<Option<(Instant, u64)>>,
}

impl StoreRoom {
    pub(crate) const fn new(free: FreeSpace) -> Self {
        Self { free, last: Mutex::new(None) }
    }

    /// Why a job with this need is not written now; none: it is.
    pub(crate) fn refusal(&self, need: Need) -> Option<String> {
        let free = self.free_bytes();
        let is_refused = match need {
            Need::Freeing => free < FLOOR_BYTES,
            Need::Finishing => free < LAST_BYTES,
            Need::Beginning => free < RESERVE_BYTES,
        };
        is_refused.then(|| format!("the disk of data_dir has {free} bytes left; make room"))
    }

    /// Why nothing new is taken in; none: there is room.
    pub(crate) fn shortage(&self) -> Option<String> {
        self.refusal(Need::Beginning)
    }

    /// As of a moment ago. A file system that does not answer is not full: a write will tell.
    fn free_bytes(&self) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, bytes)) = *last
            && at.elapsed() < ANSWER_AGE_MAX
        {
            return bytes;
        }
        let bytes = self.free.bytes().unwrap_or(u64::MAX);
        *last = Some((Instant::now(), bytes));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn check(free: u64, expected: [bool; 3]) {
        let room = StoreRoom::new(FreeSpace::fixed(Arc::new(AtomicU64::new(free))));
        let is_taken =
            [Need::Freeing, Need::Finishing, Need::Beginning].map(|need| room.refusal(need).is_none());
        assert_eq!(is_taken, expected, "{free} bytes free");
        assert_eq!(room.shortage().is_none(), expected[2]);
    }

    #[test]
    fn what_is_new_stops_first_and_deletes_last() {
        check(RESERVE_BYTES, [true, true, true]);
        check(RESERVE_BYTES - 1, [true, true, false]);
        check(LAST_BYTES, [true, true, false]);
        check(LAST_BYTES - 1, [true, false, false]);
        check(FLOOR_BYTES, [true, false, false]);
        check(FLOOR_BYTES - 1, [false, false, false]);
        check(0, [false, false, false]);
    }
}
