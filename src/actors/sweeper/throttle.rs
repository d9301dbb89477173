//! A bound on how fast a pass goes, so that a sweep never takes the backends from those who wait for them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What may be taken at once after a rest, in time.
const BURST: Duration = Duration::from_secs(1);

/// Lets so many things through in a second, after a second's worth at once.
#[derive(Debug)]
pub(super) struct Throttle {
    per_sec: u32,
    /// When everything taken so far is paid for.
    paid_at: Instant,
}

impl Throttle {
    /// So many in a second; none is taken as one.
    pub(super) fn new(per_sec: u32) -> Self {
        Self { per_sec: per_sec.max(1), paid_at: Instant::now() }
    }

    /// Waits until one more may be taken.
    pub(super) async fn take(&mut self) {
        let now = Instant::now();
        let rested = now.checked_sub(BURST).unwrap_or(now);
        self.paid_at = self.paid_at.max(rested) + Duration::from_secs(1) / self.per_sec;
        if self.paid_at > now {
            sleep_until(self.paid_at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(per_sec: u32, count: u32, expected: Duration) {
        let mut throttle = Throttle::new(per_sec);
        tokio::time::advance(Duration::from_secs(60)).await;
        let begun = Instant::now();
        for _ in 0..count {
            throttle.take().await;
        }
        let took = begun.elapsed();
        assert!(took.abs_diff(expected) <= Duration::from_millis(2), "{count} at {per_sec}/s: {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_s_worth_goes_at_once_and_the_rest_in_its_time() {
        check(100, 100, Duration::ZERO).await;
        check(100, 200, Duration::from_secs(1)).await;
        check(100, 1100, Duration::from_secs(10)).await;
        check(1, 3, Duration::from_secs(2)).await;
        check(0, 3, Duration::from_secs(2)).await;
    }
}
