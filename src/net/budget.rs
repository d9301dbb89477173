//! How many bytes of answers one connection may keep in memory while its client does not read them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::limits::UNSENT_BYTES_MAX;

/// The budget of one connection. Answers whose size is not known before may exceed it; the next then waits.
#[derive(Debug, Default)]
pub struct Budget {
    unsent: AtomicUsize,
    freed: Notify,
}

/// A part of a budget, until it is dropped.
#[derive(Debug)]
pub struct UnsentBytes {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Takes a part of it, once there is so much. Dropping the future takes nothing.
    pub async fn take(self: &Arc<Self>, bytes: usize) -> UnsentBytes {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Before looking, so that nothing is freed unseen in between.
            freed.as_mut().enable();
            if let Some(held) = self.try_take(bytes) {
                return held;
            }
            freed.await;
        }
    }

    fn try_take(self: &Arc<Self>, bytes: usize) -> Option<UnsentBytes> {
        let fits = |unsent: usize| {
            let after = unsent.saturating_add(bytes);
            (unsent == 0 || after <= UNSENT_BYTES_MAX).then_some(after)
        };
        let taken = self.unsent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.is_ok().then(|| UnsentBytes { budget: Arc::clone(self), bytes })
    }
}

impl UnsentBytes {
    /// The answer has this size, larger or smaller than was thought.
    pub fn resize(&mut self, bytes: usize) {
        if bytes >= self.bytes {
            self.budget.unsent.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            self.budget.unsent.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.budget.freed.notify_waiters();
        }
        self.bytes = bytes;
    }
}

impl Drop for UnsentBytes {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_budget_is_not_exceeded_but_by_what_turns_out_larger() {
        let budget = Arc::new(Budget::default());
        let mut first = budget.take(UNSENT_BYTES_MAX).await;
        assert!(budget.try_take(1).is_none());
        first.resize(UNSENT_BYTES_MAX - 1);
        let second = budget.try_take(1).expect("there is room for it");
        first.resize(UNSENT_BYTES_MAX * 2);
        drop(second);
        assert!(budget.try_take(1).is_none(), "what is over is paid back first");
        let waiting = Arc::clone(&budget);
        let waiting = tokio::spawn(async move { waiting.take(2).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        drop(waiting.await.expect("it is woken"));
        assert_eq!(budget.unsent.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn an_answer_that_is_larger_than_the_budget_goes_alone() {
        let budget = Arc::new(Budget::default());
        let large = budget.take(UNSENT_BYTES_MAX * 3).await;
        assert!(budget.try_take(1).is_none());
        drop(large);
        assert!(budget.try_take(1).is_some());
    }
}
