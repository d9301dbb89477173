//! The tree as a whole: built from the ports, and drained in order.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::chunks::Chunks;
use super::desks::Desks;
use super::directory::ActorRegistry;
use super::feed::FeedParts;
use super::handle::{Handle, HandleParts};
use super::inspector::Inspector;
use super::meters::ActorMeters;
use super::publisher::{LaneParts, Publisher};
use super::remover::{Remover, RemoverParts};
use super::shard::ShardParts;
use super::supervisor::{SupervisorActor, SupervisorMsg, TreeParts};
use super::sweeper::{CensusBoard, SweepOptions, SweeperMsg, SweeperParts};
use super::trimmer::TrimmerParts;
use crate::adapters::{Ledger, Log, Objects};
use crate::domain::decide::Rules;
use crate::domain::event::EventSource;
use crate::domain::shard::ShardCount;
use crate::limits::ADMISSION_MAX;
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// What the tree needs of the world.
pub struct World {
    /// Accounts, files, entries.
    pub ledger: Ledger,
    /// INGEST, EVENTS, DLQ.
    pub log: Log,
    /// The bucket.
    pub objects: Objects,
    /// Time and ids.
    pub clock: Clock,
    /// Where the parts say how they are.
    pub health: Health,
    /// What an operator chose.
    pub rules: Rules,
    /// Slices of users.
    pub shards: ShardCount,
    /// What all events have in common; its bucket is the bucket.
    pub source: EventSource,
}

/// What hardly anybody chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeOptions {
    /// Requests inside the tree at the same time; more are refused at once.
    pub admission_max: u32,
    /// How the sweeper goes about it.
    pub sweep: SweepOptions,
}

impl Default for TreeOptions {
    fn default() -> Self {
        let admission_max = u32::try_from(ADMISSION_MAX).unwrap_or(u32::MAX);
        Self { admission_max, sweep: SweepOptions::default() }
    }
}

/// The tree could not be started: a bug.
#[derive(Debug, thiserror::Error)]
#[error("the actor tree does not start: {reason}")]
pub struct TreeError {
    reason: String,
}

/// The running tree.
pub struct Tree {
    handle: Handle,
    directory: ActorRegistry,
    supervisor: ActorRef<SupervisorMsg>,
    ended: JoinHandle<()>,
    gave_up: CancellationToken,
}

impl Tree {
    /// Starts everything.
    ///
    /// # Errors
    /// An actor does not start.
    pub async fn start(world: World) -> Result<Self, TreeError> {
        Self::start_with(world, TreeOptions::default()).await
    }

    /// Starts everything, with other options than usual.
    ///
    /// # Errors
    /// An actor does not start.
    pub async fn start_with(world: World, options: TreeOptions) -> Result<Self, TreeError> {
        let World { ledger, log, objects, clock, health, rules, shards, source } = world;
        let directory = ActorRegistry::new(shards);
        let desks = Desks::new(directory.clone(), clock.clone());
        let inspector = Inspector::new(objects.clone(), clock.clone(), health.clone());
        let (publisher, remover) = (Publisher(directory.clone()), Remover(directory.clone()));
        let (gave_up, meters) = (CancellationToken::new(), ActorMeters::new());
        let census = CensusBoard::default();
        let door = HandleParts {
            desks: desks.clone(),
            inspector: inspector.clone(),
            chunks: Chunks::new(objects.clone(), clock.clone(), health.clone()),
            remover: remover.clone(),
            clock: clock.clone(),
            census: census.clone(),
        };
        let handle = Handle::new(door, options.admission_max);
        let parts = TreeParts {
            shard: ShardParts {
                ledger: ledger.clone(),
                clock: clock.clone(),
                rules,
                health: health.clone(),
                publisher: publisher.clone(),
                remover: remover.clone(),
                meters: meters.clone(),
            },
            feed: FeedParts {
                log: log.clone(),
                desks: desks.clone(),
                inspector: inspector.clone(),
                remover: remover.clone(),
                clock: clock.clone(),
                health: health.clone(),
                bucket: source.bucket.clone(),
            },
            remover: RemoverParts {
                objects: objects.clone(),
                clock: clock.clone(),
                health: health.clone(),
                directory: directory.clone(),
            },
            sweeper: SweeperParts {
                ledger: ledger.clone(),
                objects,
                desks,
                inspector,
                publisher,
                remover,
                clock: clock.clone(),
                options: options.sweep,
                census,
            },
            trimmer: TrimmerParts { log: log.clone(), clock: clock.clone(), shards },
            lane: LaneParts {
                ledger,
                log,
                clock,
                health,
                source: Arc::new(source),
                directory: directory.clone(),
                meters,
            },
            gave_up: gave_up.clone(),
        };
        let started = Actor::spawn(None, SupervisorActor, parts).await;
        let (supervisor, ended) = started.map_err(|error| TreeError { reason: error.to_string() })?;
        Ok(Self { handle, directory, supervisor, ended, gave_up })
    }

    /// The door.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Cancelled when an actor keeps failing: the process should end.
    #[must_use]
    pub const fn gave_up(&self) -> &CancellationToken {
        &self.gave_up
    }

    /// Runs a whole sweep, beside the periodic ones. Returns at its end,
    /// however it ended; what it found to publish or to remove may still be under way.
    pub async fn sweep_now(&self) {
        let (done, ended) = oneshot::channel();
        if self.directory.to_sweeper(SweeperMsg::Everything { done }) {
            ended.await.ok();
        }
    }

    /// Stops: first what brings work in, then, when everybody inside has their answer, the rest.
    /// What is not published yet waits in the ledger.
    pub async fn stop(self, within: Duration) {
        drop(self.supervisor.cast(SupervisorMsg::StopIntake));
        self.handle.drain(within).await;
        self.supervisor.stop_children(Some("stopping".to_owned()));
        self.supervisor.stop(Some("stopping".to_owned()));
        if tokio::time::timeout(within, self.ended).await.is_err() {
            tracing::warn!("the actor tree did not stop in time");
        }
    }
}
