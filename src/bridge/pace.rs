//! How long a loop rests between two steps.

use std::time::Duration;

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

/// The pauses of one loop: none after success, doubling after failure.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    failures: u32,
}

impl Pace {
    /// The pause after a step. `chance` spreads loops that fail together over the second half of it.
    pub(super) fn next(&mut self, progress: Progress, chance: u64) -> Duration {
        match progress {
            Progress::Flowing => {
                self.failures = 0;
                Duration::ZERO
            }
            Progress::Stuck => {
                let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
                self.failures = self.failures.saturating_add(1);
                let half = pause / 2;
                let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
                half + Duration::from_micros(chance % spread)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_end_with_the_first_success() {
        let mut pace = Pace::default();
        let mut stuck = || pace.next(Progress::Stuck, 0).as_millis();
        assert_eq!([stuck(), stuck(), stuck()], [50, 100, 200]);
        for _ in 0..100 {
            assert!(pace.next(Progress::Stuck, u64::MAX) <= PAUSE_MAX);
        }
        assert_eq!(pace.next(Progress::Flowing, 7), Duration::ZERO);
        assert_eq!(pace.next(Progress::Stuck, 0).as_millis(), 50, "a success starts over");
    }

    #[test]
    fn chance_spreads_a_pause_over_its_second_half() {
        for chance in 0..100_000 {
            let pause = Pace::default().next(Progress::Stuck, chance * 7);
            assert!(pause >= PAUSE_MIN / 2 && pause < PAUSE_MIN, "{pause:?}");
        }
    }
}
