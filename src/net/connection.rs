//! One connection, driven to its end: by its client, a stop, the watch, or the need of others.

use hyper_util::server::graceful::GracefulConnection;
use metrics::Counter;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use super::stop::Stop;
use super::watch::Watch;
use crate::limits;

/// Drives a connection to its end. `cut` counts connections that end because their client made no progress.
pub async fn serve<C>(connection: C, watch: &Watch, stop: Stop, cut: &Counter)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = std::pin::pin!(connection);
    let every = limits::CONNECTION_CHECK_EVERY;
    let mut check = tokio::time::interval_at(Instant::now() + every, every);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_ending = false;
    loop {
        let ends = tokio::select! {
            biased;
            outcome = connection.as_mut() => {
                if let Err(error) = outcome {
                    debug!(error = %error, "a connection broke");
                }
                return;
            }
            () = stop.now.cancelled() => return,
            () = stop.soon.cancelled(), if !is_ending => true,
            () = watch.is_asked_to_yield() => {
                // Asked before: what is left is a client that does not close its side.
                if is_ending || watch.is_lingering() || watch.served() == 0 {
                    return;
                }
                if !watch.is_idle() {
                    // An answer or a body that the client leaves alone has no better end to wait for.
                    if watch.waits_for().is_some_and(|rest| rest >= limits::CROWDED_WAIT_MAX) {
                        cut.increment(1);
                        return;
                    }
                    continue;
                }
                true
            }
            _ = check.tick() => {
                if watch.is_stuck() {
                    cut.increment(1);
                    return;
                }
                if is_ending && watch.is_lingering() {
                    return;
                }
                watch.served() > limits::REQUESTS_PER_CONNECTION_MAX && !is_ending
            }
        };
        if ends {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}
