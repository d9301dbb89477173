//! The trimmer: makes room in INGEST by removing arrivals that every shard has acknowledged, long before it is full.
//!
//! Every process does it; repeating it changes nothing. A shard that is behind keeps its own arrivals only.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::errand;
use super::feed;
use crate::adapters::Log;
use crate::domain::backoff;
use crate::domain::shard::ShardCount;
use crate::limits::TRIM_EVERY;
use crate::ports::{Clock, LogPort, Stream, TrimWhen};
use crate::telemetry::names;

/// How long one look may take: a question and a purge for each shard.
const TRIM_WITHIN: Duration = Duration::from_secs(300);

/// What the trimmer gets.
pub(super) enum TrimmerMsg {
    /// Look now.
    Look,
    /// A look has ended.
    Looked,
}

/// What the trimmer works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct TrimmerParts {
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) shards: ShardCount,
}

/// The trimmer's behaviour.
pub(super) struct TrimmerActor;

impl Actor for TrimmerActor {
    type Msg = TrimmerMsg;
    type State = Arc<TrimmerParts>;
    type Arguments = TrimmerParts;

    async fn pre_start(
        &self,
        myself: ActorRef<TrimmerMsg>,
        parts: TrimmerParts,
    ) -> Result<Arc<TrimmerParts>, ActorProcessingErr> {
        drop(myself.send_after(pause(&parts.clock), || TrimmerMsg::Look));
        Ok(Arc::new(parts))
    }

    async fn handle(
        &self,
        myself: ActorRef<TrimmerMsg>,
        msg: TrimmerMsg,
        parts: &mut Arc<TrimmerParts>,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            TrimmerMsg::Look => {
                let parts = Arc::clone(parts);
                errand::send(&myself, TRIM_WITHIN, TrimmerMsg::Looked, async move {
                    look(&parts).await;
                    TrimmerMsg::Looked
                });
            }
            TrimmerMsg::Looked => {
                drop(myself.send_after(pause(&parts.clock), || TrimmerMsg::Look));
            }
        }
        Ok(())
    }
}

/// Processes that started together do not look together.
fn pause(clock: &Clock) -> Duration {
    backoff::pause(TRIM_EVERY, TRIM_EVERY, 1, clock.chance())
}

async fn look(parts: &TrimmerParts) {
    let consumers = parts.shards.all().map(feed::consumer_of).collect();
    match parts.log.trim(Stream::Ingest, consumers, TrimWhen::Filling).await {
        Ok(0) => {}
        Ok(removed) => {
            metrics::counter!(names::INGEST_TRIMMED_TOTAL).increment(removed);
            tracing::info!(removed, "removed acknowledged arrivals from INGEST to make room");
        }
        Err(error) => tracing::warn!("cannot make room in INGEST: {error}"),
    }
}
