//! The deadline of each HTTP/2 stream.
//!
//! A connection with one live stream is never stuck as a whole, so the watch over connections does not see that the
//! clients of its other streams take nothing. Each stream is therefore ended by itself, with a reset.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use metrics::counter;
use tokio::time::Instant;

use crate::limits;
use crate::telemetry::names;

tokio::task_local! {
    static PROGRESS: Arc<StreamProgress>;
}

/// Runs the streams of HTTP/2 connections: each to its end, or until its answer has not moved for
/// [`limits::ANSWER_STALL_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamExecutor;

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        // It ends by itself, or with the connection, which resets it.
        drop(tokio::spawn(until_stalled(stream)));
    }
}

async fn until_stalled(stream: impl Future) {
    let progress = Arc::new(StreamProgress::default());
    let stalled = stalled(Arc::clone(&progress));
    let is_stalled = PROGRESS.scope(progress, async {
        tokio::select! {
            biased;
            _ = stream => false,
            () = stalled => true,
        }
    });
    if is_stalled.await {
        counter!(names::HTTP_STREAMS_RESET_TOTAL).increment(1);
    }
}

async fn stalled(progress: Arc<StreamProgress>) {
    loop {
        let left = limits::ANSWER_STALL_MAX.saturating_sub(progress.rest());
        if left.is_zero() {
            // Before the stream is dropped, which asks for it.
            progress.is_given_up.store(true, Ordering::Relaxed);
            return;
        }
        tokio::time::sleep(left).await;
    }
}

/// When the answer of a stream moved last.
#[derive(Debug)]
pub struct StreamProgress {
    began: Instant,
    moved_ms: AtomicU64,
    is_given_up: AtomicBool,
}

impl Default for StreamProgress {
    fn default() -> Self {
        Self { began: Instant::now(), moved_ms: AtomicU64::new(0), is_given_up: AtomicBool::new(false) }
    }
}

impl StreamProgress {
    /// That of the stream which polls this; none outside HTTP/2.
    #[must_use]
    pub fn of_stream() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    /// The client took something of the answer.
    pub fn moved(&self) {
        self.moved_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether the stream ends because its client took nothing.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rest(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.moved_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_moves_goes_on_and_one_that_does_not_ends() {
        let began = Instant::now();
        until_stalled(async {
            for _ in 0..10 {
                tokio::time::sleep(STEP).await;
                StreamProgress::of_stream().unwrap().moved();
            }
        })
        .await;
        assert_eq!(began.elapsed(), STEP * 10);
        until_stalled(std::future::pending::<()>()).await;
        let rest = began.elapsed() - STEP * 10;
        assert!(rest >= limits::ANSWER_STALL_MAX && rest < limits::ANSWER_STALL_MAX + STEP, "{rest:?}");
        assert!(StreamProgress::of_stream().is_none());
    }
}
