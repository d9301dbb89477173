//! A feed: takes one shard's arrivals from the log, inspects their objects and settles their files.
//!
//! An arrival is acknowledged only after its transition is durable or proven a no-op (invariant 20). While the bucket or
//! the ledger is unreachable it is put off, for as long as that takes; only what fails on its own account ends on the DLQ.

mod dead;
mod strikes;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;
use tokio::time::timeout;

use dead::{Dead, DeadLetters};
use strikes::FailureCounter;

use super::desks::Desks;
use super::inspector::{Inspector, log_inspected};
use super::remover::Remover;
use super::requests::{Settle, Settled};
use crate::adapters::{Log, LogConsumer};
use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::backoff::{self, Backoff};
use crate::domain::ids::ObjectKey;
use crate::domain::shard::ShardId;
use crate::limits::{ACK_PENDING_MAX, ACK_WAIT, PULL_BATCH_MAX};
use crate::ports::{Clock, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, Stream};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, millis, names};

/// How long one pull waits. Shorter than the drain deadline: a stop waits for the running handler.
const PULL_WAIT: Duration = Duration::from_secs(2);
/// How long a pull may take at all.
const PULL_WITHIN: Duration = Duration::from_secs(5);
/// The first and the longest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The first and the longest pause of an arrival that is put off.
const PUT_OFF_MIN: Duration = Duration::from_millis(500);
const PUT_OFF_MAX: Duration = Duration::from_secs(32);
/// Deliveries of an arrival whose file nobody knows before it is left to the sweeper.
const UNKNOWN_DELIVERIES_MAX: u32 = 3;

/// Take the next arrivals.
pub(super) struct Pull;

/// What a feed works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct FeedParts {
    pub(super) log: Log,
    pub(super) desks: Desks,
    pub(super) inspector: Inspector,
    pub(super) remover: Remover,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) bucket: String,
}

/// One shard's feed.
pub(super) struct FeedActor {
    pub(super) shard: ShardId,
}

/// A feed's memory.
pub(super) struct FeedState {
    parts: Arc<FeedParts>,
    consumer: Option<Arc<tokio::sync::Mutex<LogConsumer>>>,
    backoff: Backoff,
    strikes: FailureCounter,
    dead: Arc<DeadLetters>,
}

impl Actor for FeedActor {
    type Msg = Pull;
    type State = FeedState;
    type Arguments = FeedParts;

    async fn pre_start(
        &self,
        myself: ActorRef<Pull>,
        parts: FeedParts,
    ) -> Result<FeedState, ActorProcessingErr> {
        drop(myself.cast(Pull));
        let backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
        let (parts, strikes) = (Arc::new(parts), FailureCounter::default());
        let dead = Arc::new(DeadLetters::new(Arc::clone(&parts)));
        Ok(FeedState { parts, consumer: None, backoff, strikes, dead })
    }

    async fn handle(
        &self,
        myself: ActorRef<Pull>,
        _: Pull,
        state: &mut FeedState,
    ) -> Result<(), ActorProcessingErr> {
        match state.move_batch(self.shard).await {
            Ok(()) => {
                state.backoff.reset();
                drop(myself.cast(Pull));
            }
            Err(error) => {
                let parts = &state.parts;
                parts.health.down_from(
                    Part::PullIngest,
                    self.shard.number().into(),
                    &error,
                    parts.clock.now(),
                );
                state.consumer = None;
                let pause = state.backoff.failed(parts.clock.chance());
                drop(myself.send_after(pause, || Pull));
            }
        }
        Ok(())
    }
}

impl FeedState {
    /// Takes a batch and works on all of it at once.
    async fn move_batch(&mut self, shard: ShardId) -> Result<(), LogError> {
        let consumer = self.consumer(shard).await?;
        // A pull that stalls is given up, and its consumer with it: what it took comes again.
        let pulled = timeout(PULL_WITHIN, consumer.lock().await.pull(PULL_BATCH_MAX, PULL_WAIT)).await;
        let deliveries = pulled.unwrap_or_else(|_| {
            Err(LogError { reason: format!("a pull gave no answer within {PULL_WITHIN:?}") })
        })?;
        self.parts.health.up_from(Part::PullIngest, shard.number().into());
        let mut work = JoinSet::new();
        for delivery in deliveries {
            let (dead, consumer) = (Arc::clone(&self.dead), Arc::clone(&consumer));
            let sequence = delivery.record.sequence;
            let is_exhausted = self.strikes.is_exhausted(sequence);
            // After the ack wait it comes again anyway.
            let worked = timeout(ACK_WAIT, async move {
                let verdict = judge(&dead, &delivery, is_exhausted).await;
                let consumer = consumer.lock().await;
                let told = match verdict {
                    AckDecision::Settled | AckDecision::Done => consumer.ack(&delivery.token).await,
                    AckDecision::Later | AckDecision::Away => {
                        consumer.nak(&delivery.token, pause(&delivery)).await
                    }
                };
                told.map(|()| verdict)
            });
            work.spawn(AssertUnwindSafe(worked).catch_unwind().map(move |ended| (sequence, ended)));
        }
        while let Some(ended) = work.join_next().await {
            // A panic does not come this far.
            let Ok((sequence, ended)) = ended else { continue };
            match ended {
                Ok(Ok(told)) => self.note(sequence, told?),
                Ok(Err(_)) => {
                    tracing::warn!(sequence, "working on an arrival took longer than {ACK_WAIT:?}");
                    self.strikes.failed(sequence);
                }
                Err(_) => {
                    tracing::error!(sequence, "working on an arrival panicked");
                    self.strikes.failed(sequence);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, sequence: u64, verdict: AckDecision) {
        if matches!(verdict, AckDecision::Settled | AckDecision::Done) {
            self.dead.ended(sequence);
        }
        match verdict {
            AckDecision::Settled => self.strikes.settled(sequence),
            AckDecision::Done => self.strikes.ended(sequence),
            AckDecision::Away => self.strikes.away(sequence),
            AckDecision::Later => {}
        }
    }

    async fn consumer(&mut self, shard: ShardId) -> Result<Arc<tokio::sync::Mutex<LogConsumer>>, LogError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let consumer = self.parts.log.consumer(consumer_of(shard)).await?;
        let consumer = Arc::new(tokio::sync::Mutex::new(consumer));
        self.consumer = Some(Arc::clone(&consumer));
        Ok(consumer)
    }
}

/// The consumer of a shard's arrivals.
pub(super) fn consumer_of(shard: ShardId) -> ConsumerSpec {
    ConsumerSpec {
        stream: Stream::Ingest,
        name: format!("shard-{shard}"),
        filter: Arrival::filter(shard),
        ack_wait: ACK_WAIT,
        ack_pending_max: ACK_PENDING_MAX,
    }
}

/// What to tell the log about a delivery.
#[derive(Clone, Copy)]
enum AckDecision {
    /// The bucket and the ledger have said what becomes of it.
    Settled,
    /// There is nothing more to do about it.
    Done,
    /// It is too early.
    Later,
    /// The bucket or the ledger is unreachable, perhaps for this one only.
    Away,
}

async fn judge(letters: &DeadLetters, delivery: &LogDelivery, is_exhausted: bool) -> AckDecision {
    let parts = letters.parts();
    if is_exhausted {
        return letters.keep(delivery, Dead::Arrival, "failed too often").await;
    }
    let arrival: Arrival = match serde_json::from_slice(&delivery.record.payload) {
        Ok(arrival) => arrival,
        Err(error) => {
            return letters.keep(delivery, Dead::Foreign, &format!("not an arrival: {error}")).await;
        }
    };
    let key = match ObjectKey::parse(&arrival.key) {
        Ok(key) if arrival.bucket == parts.bucket => key,
        Ok(_) => return letters.keep(delivery, Dead::Foreign, "another bucket").await,
        Err(error) => return letters.keep(delivery, Dead::Foreign, &error.to_string()).await,
    };
    match arrival.kind {
        ArrivalKind::Created => settle(parts, key, &arrival, delivery.deliveries).await,
        // Whether an object is there is for the bucket to say, not for old news.
        ArrivalKind::Removed => counted("removed", AckDecision::Done),
    }
}

async fn settle(parts: &FeedParts, key: ObjectKey, arrival: &Arrival, deliveries: u32) -> AckDecision {
    let seen = match parts.inspector.inspect(key, arrival.seen_at).await {
        Ok(Some(seen)) => seen,
        Ok(None) => {
            log_inspected(key, None, None);
            return counted("no_object", AckDecision::Done);
        }
        Err(_) => return counted("bucket_away", AckDecision::Away),
    };
    let (landed_at, size_bytes) = (seen.landed_at, seen.size_bytes);
    let settled = parts.desks.ask(key.user, Settle { file: key.file, seen }, None).await;
    log_inspected(key, Some(size_bytes), settled.as_ref().ok().and_then(Settled::row));
    match settled {
        Ok(Settled::File(file)) => {
            let delay = parts.clock.now().since(landed_at);
            metrics::histogram!(names::SETTLE_SECONDS).record(delay);
            let status = file.public_status().as_str();
            tracing::info!(target: STORY, { user_id = %key.user, file_id = %key.file, trace_id = file.trace_id(), file.status = status, after_ms = millis(delay) }, "settled");
            counted("settled", AckDecision::Settled)
        }
        Ok(Settled::Remove(_)) => {
            parts.remover.remove(key);
            counted("to_remove", AckDecision::Settled)
        }
        Ok(Settled::Unknown) if deliveries < UNKNOWN_DELIVERIES_MAX => counted("unknown", AckDecision::Later),
        Ok(Settled::Unknown) => counted("unknown", AckDecision::Done),
        Err(_) => counted("ledger_away", AckDecision::Away),
    }
}

fn counted(outcome: &'static str, verdict: AckDecision) -> AckDecision {
    metrics::counter!(names::ARRIVALS_TOTAL, "outcome" => outcome).increment(1);
    verdict
}

/// How long an arrival is put off. The spread depends on the record alone, so that the same run is the same again.
fn pause(delivery: &LogDelivery) -> Duration {
    // The first bits of a product with the golden ratio are as good as random.
    let mixed = delivery.record.sequence ^ (u64::from(delivery.deliveries) << 32);
    let chance = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    backoff::pause(PUT_OFF_MIN, PUT_OFF_MAX, delivery.deliveries, chance)
}
