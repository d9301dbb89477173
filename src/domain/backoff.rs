//! How long a loop waits after failures: one formula for all of them.

use std::time::Duration;

/// Doublings after which a pause certainly has its longest.
const DOUBLINGS_MAX: u32 = 24;

/// The pauses of one loop: the first, doubled with each failure in a row up to the longest, and spread by chance.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// A loop without failures.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Ends a row of failures.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether the last attempt failed.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Counts a failure; returns the pause after it. `chance` spreads loops that fail together.
    pub fn failed(&mut self, chance: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause(self.first, self.longest, self.failures, chance)
    }
}

/// The pause after the `failures`-th failure in a row, from 1: at least half of the doubled pause, and less than all of
/// it; by how much less depends on `chance`.
#[must_use]
pub fn pause(first: Duration, longest: Duration, failures: u32, chance: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(DOUBLINGS_MAX);
    let whole = first.saturating_mul(1 << doublings).min(longest);
    let half = whole / 2;
    let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(chance % spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_double_up_to_a_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        assert!(!backoff.is_failing());
        let mut failed = || backoff.failed(0).as_millis();
        assert_eq!([failed(), failed(), failed()], [50, 100, 200]);
        for _ in 0..100 {
            assert!(backoff.failed(u64::MAX) <= LONGEST);
        }
        assert_eq!(backoff.failed(0), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.failed(0).as_millis(), 50);
        assert!(backoff.is_failing());
    }

    #[test]
    fn chance_spreads_a_pause_over_its_second_half() {
        let pauses: Vec<Duration> = (0..100_000).map(|chance| pause(FIRST, LONGEST, 1, chance * 7)).collect();
        assert!(pauses.iter().all(|pause| *pause >= FIRST / 2 && *pause < FIRST));
        let late = pauses.iter().filter(|pause| **pause > FIRST * 3 / 4).count();
        assert!((40_000..60_000).contains(&late), "{late} of them are in the last quarter");
    }
}
