//! The only door: starts the bridge and stops it.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef, SpawnErr};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::supervisor::{Supervisor, SupervisorArgs, SupervisorMsg};
use crate::adapters::{Log, Queue};
use crate::domain::shard::ShardCount;
use crate::limits::{DRAIN_WITHIN, PUBLISHES_IN_FLIGHT_MAX, QUEUE_BATCH_MAX};
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Pollers unless configured otherwise.
pub const POLLERS_DEFAULT: usize = 2;
/// The most pollers: each has a batch of publishes under way, and nothing else bounds those.
pub const POLLERS_MAX: usize = PUBLISHES_IN_FLIGHT_MAX / QUEUE_BATCH_MAX;

const _: () = assert!(POLLERS_DEFAULT <= POLLERS_MAX);

/// How long a killed bridge may take to end.
const KILL_WITHIN: Duration = Duration::from_millis(500);

/// What a bridge is made of.
#[derive(Debug)]
pub struct BridgeParts {
    /// Receives the notifications of the bucket.
    pub queue: Queue,
    /// Must hold every record before its notification is deleted.
    pub log: Log,
    /// When a notification was read.
    pub clock: Clock,
    /// Receives the state of queue and log.
    pub health: Health,
    /// The only bucket whose notifications count.
    pub bucket: String,
    /// Which shard a user's arrivals go to.
    pub shards: ShardCount,
    /// Loops side by side: 1 to [`POLLERS_MAX`].
    pub pollers: usize,
}

/// Why there is no bridge.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// See [`BridgeParts::pollers`].
    #[error("pollers must be 1 to {max}, not {asked}", max = POLLERS_MAX)]
    Pollers {
        /// What was asked for.
        asked: usize,
    },
    /// The actors did not start.
    #[error("the bridge did not start")]
    Start(#[source] SpawnErr),
}

/// A running bridge. Dropped without [`Bridge::stop`] it runs on.
#[derive(Debug)]
pub struct Bridge {
    supervisor: ActorRef<SupervisorMsg>,
    ended: JoinHandle<()>,
    given_up: CancellationToken,
}

impl Bridge {
    /// Starts moving deliveries. Returns before the first is received.
    ///
    /// # Errors
    /// See [`BridgeError`].
    pub async fn start(parts: BridgeParts) -> Result<Self, BridgeError> {
        if !(1..=POLLERS_MAX).contains(&parts.pollers) {
            return Err(BridgeError::Pollers { asked: parts.pollers });
        }
        let given_up = CancellationToken::new();
        let args = SupervisorArgs { parts: Arc::new(parts), given_up: given_up.clone() };
        let (supervisor, ended) = Actor::spawn(None, Supervisor, args).await.map_err(BridgeError::Start)?;
        Ok(Self { supervisor, ended, given_up })
    }

    /// Cancelled when a poller dies again and again, and is not started any more: the process should stop.
    ///
    /// An unreachable queue or log is not such a case; see [`Health`].
    #[must_use]
    pub fn given_up(&self) -> CancellationToken {
        self.given_up.clone()
    }

    /// Stops between two steps, within [`DRAIN_WITHIN`]; what takes longer is cut off.
    ///
    /// Whatever was not moved, or not deleted, comes again at the next start: nothing is lost.
    pub async fn stop(mut self) {
        let is_asked = self.supervisor.send_message(SupervisorMsg::Drain).is_ok();
        if is_asked && timeout(DRAIN_WITHIN, &mut self.ended).await.is_ok() {
            return;
        }
        warn!("the bridge did not stop in time, cutting it off");
        self.supervisor.kill();
        if timeout(KILL_WITHIN, self.ended).await.is_err() {
            warn!("the bridge does not end");
        }
    }
}

#[cfg(test)]
mod tests;
