//! The life of a serving process: start, ready, stop on the first signal, exit on the second.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::failure::CommandFailure;
use crate::app::{self, Addresses, App, Engines, Ports, StartError};
use crate::config::{self, Config, Loaded};
use crate::limits::DRAIN_WITHIN;
use crate::telemetry::{MetricsHandle, logs};

/// How much longer than its own deadline a stop may take before the process leaves without it.
const STOP_SLACK: Duration = Duration::from_secs(2);

/// SIGTERM and SIGINT.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Runs with these settings until a signal. Calls `prepare` once the ports are its own and before anything else is made;
/// calls `ready` with the addresses, and with what `prepare` made, once it listens.
pub(super) fn run<T>(
    loaded: Loaded,
    prepare: impl FnOnce() -> Result<T, CommandFailure>,
    ready: impl FnOnce(&Addresses, T) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let Loaded { config, ignored, .. } = loaded;
    start_logs(&config)?;
    if let Some(line) = config::ignored_line(&ignored) {
        warn!("{line}");
    }
    app::keep_new_files_private();
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::other(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(config, prepare, ready));
    leave(runtime);
    outcome
}

fn start_logs(config: &Config) -> Result<(), CommandFailure> {
    let refused = |key: &str, error: &dyn std::fmt::Display| CommandFailure::usage(format!("{key}: {error}"));
    let format = logs::LogFormat::parse(&config.telemetry.format)
        .map_err(|error| refused("telemetry.format", &error))?;
    logs::start(&config.telemetry.filter, format).map_err(|error| refused("telemetry.filter", &error))
}

/// What still runs after a stop is left behind: it is safe to die at any line.
fn leave(runtime: Runtime) {
    runtime.shutdown_background();
}

async fn live<T>(
    config: Config,
    prepare: impl FnOnce() -> Result<T, CommandFailure>,
    ready: impl FnOnce(&Addresses, T) -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    let not_started =
        |error: StartError| CommandFailure::other(error.to_string()).with_code(error.exit_code());
    let mut stops = Stops::listen()
        .map_err(|error| CommandFailure::other(format!("cannot listen for signals: {error}")))?;
    let metrics = MetricsHandle::install();
    let engines = Engines::of(&config);
    let ports = Ports::bind(&config).map_err(not_started)?;
    let prepared = prepare()?;
    let app = tokio::select! {
        started = App::start(config, ports, metrics.clone()) => started.map_err(not_started)?,
        _ = stops.next() => return Ok(()),
    };
    let upkeep = tokio::spawn(metrics.keep_up());
    engines.log_ready(&app.addresses());
    let outcome = match ready(&app.addresses(), prepared) {
        Ok(()) => tokio::select! {
            signal = stops.next() => {
                info!(signal, "stopping on {signal}");
                Ok(())
            }
            reason = app.failed() => Err(CommandFailure::other(reason)),
        },
        Err(failure) => Err(failure),
    };
    let stopped = stop(app.stop(), DRAIN_WITHIN + STOP_SLACK, stops.next()).await;
    upkeep.abort();
    outcome.and(stopped)
}

/// Waits for the stop, but not longer than `within`, and not after a second signal.
///
/// The stop is a task of its own: leaving without it must not wait for what it holds.
async fn stop(
    stopping: impl Future<Output = ()> + Send + 'static,
    within: Duration,
    second_signal: impl Future<Output = &'static str>,
) -> Result<(), CommandFailure> {
    tokio::select! {
        stopped = tokio::time::timeout(within, tokio::spawn(stopping)) => match stopped {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(CommandFailure::other(format!("the stop failed: {error}"))),
            Err(_) => Err(CommandFailure::other(format!("did not stop within {within:?}; left as it was"))),
        },
        signal = second_signal => {
            info!(signal, "left at once on a second signal; what was still running is cut off");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    async fn check(
        stopping: impl Future<Output = ()> + Send + 'static,
        within: Duration,
        second_signal: impl Future<Output = &'static str>,
        expected: Result<(), &str>,
    ) {
        let outcome = stop(stopping, within, second_signal).await;
        assert_eq!(outcome, expected.map_err(CommandFailure::other));
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_stop_ends_well() {
        check(ready(()), LONG, pending(), Ok(())).await;
    }

    #[tokio::test]
    async fn a_stop_that_hangs_is_left() {
        check(pending(), SHORT, pending(), Err("did not stop within 1ms; left as it was")).await;
    }

    #[tokio::test]
    async fn a_second_signal_does_not_wait() {
        check(pending(), LONG, ready("SIGINT"), Ok(())).await;
    }
}
