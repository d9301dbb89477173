//! A feed: takes one shard's arrivals from the log, inspects their objects and settles their files.
//!
//! An arrival is acknowledged only after its transition is durable or proven a no-op (invariant 20). While the bucket or
//! the ledger is away it is put off, for as long as that takes; only what fails on its own account ends on the DLQ.

mod strikes;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinSet;
use tokio::time::timeout;

use strikes::Strikes;

use super::desks::Desks;
use super::inspector::Inspector;
use super::remover::Remover;
use super::requests::{Settle, Settled};
use crate::adapters::{Log, LogConsumer};
use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::ids::ObjectKey;
use crate::domain::shard::ShardId;
use crate::limits::{ACK_PENDING_MAX, ACK_WAIT, PULL_BATCH_MAX, UPSTREAM_WITHIN};
use crate::ports::{
    Clock, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError, Stream,
};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, millis, names};

/// How long one pull waits. Shorter than the drain deadline: a stop waits for the running handler.
const PULL_WAIT: Duration = Duration::from_secs(2);
/// How long a pull may take at all.
const PULL_WITHIN: Duration = Duration::from_secs(5);
/// How long keeping an arrival on the DLQ may take.
const KEEP_WITHIN: Duration = UPSTREAM_WITHIN;
/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(5);
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
    failures: u32,
    strikes: Strikes,
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
        Ok(FeedState { parts: Arc::new(parts), consumer: None, failures: 0, strikes: Strikes::default() })
    }

    async fn handle(
        &self,
        myself: ActorRef<Pull>,
        _: Pull,
        state: &mut FeedState,
    ) -> Result<(), ActorProcessingErr> {
        match state.move_batch(self.shard).await {
            Ok(()) => {
                state.failures = 0;
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
                state.failures += 1;
                let pause = Duration::from_millis(100 << state.failures.min(6)).min(PAUSE_MAX);
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
            let (parts, consumer) = (Arc::clone(&self.parts), Arc::clone(&consumer));
            let sequence = delivery.record.sequence;
            let is_out = self.strikes.is_out(sequence);
            // After the ack wait it comes again anyway.
            let worked = timeout(ACK_WAIT, async move {
                let verdict = judge(&parts, &delivery, is_out).await;
                let consumer = consumer.lock().await;
                let told = match verdict {
                    Verdict::Settled | Verdict::Done => consumer.ack(&delivery.token).await,
                    Verdict::Later | Verdict::Away => consumer.nak(&delivery.token, pause(&delivery)).await,
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

    fn note(&mut self, sequence: u64, verdict: Verdict) {
        match verdict {
            Verdict::Settled => self.strikes.settled(sequence),
            Verdict::Done => self.strikes.ended(sequence),
            Verdict::Away => self.strikes.away(sequence),
            Verdict::Later => {}
        }
    }

    async fn consumer(&mut self, shard: ShardId) -> Result<Arc<tokio::sync::Mutex<LogConsumer>>, LogError> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let spec = ConsumerSpec {
            stream: Stream::Ingest,
            name: format!("shard-{shard}"),
            filter: Arrival::filter(shard),
            ack_wait: ACK_WAIT,
            ack_pending_max: ACK_PENDING_MAX,
        };
        let consumer = Arc::new(tokio::sync::Mutex::new(self.parts.log.consumer(spec).await?));
        self.consumer = Some(Arc::clone(&consumer));
        Ok(consumer)
    }
}

/// What to tell the log about a delivery.
#[derive(Clone, Copy)]
enum Verdict {
    /// The bucket and the ledger have said what becomes of it.
    Settled,
    /// There is nothing more to do about it.
    Done,
    /// It is too early.
    Later,
    /// The bucket or the ledger is away, be it for this one only.
    Away,
}

async fn judge(parts: &FeedParts, delivery: &LogDelivery, is_out: bool) -> Verdict {
    if is_out {
        return keep_dead(parts, delivery, "failed too often").await;
    }
    let arrival: Arrival = match serde_json::from_slice(&delivery.record.payload) {
        Ok(arrival) => arrival,
        Err(error) => return keep_dead(parts, delivery, &format!("not an arrival: {error}")).await,
    };
    let key = match ObjectKey::parse(&arrival.key) {
        Ok(key) if arrival.bucket == parts.bucket => key,
        Ok(_) => return keep_dead(parts, delivery, "another bucket").await,
        Err(error) => return keep_dead(parts, delivery, &error.to_string()).await,
    };
    match arrival.kind {
        ArrivalKind::Created => settle(parts, key, &arrival, delivery.deliveries).await,
        // Whether an object is there is for the bucket to say, not for old news.
        ArrivalKind::Removed => counted("removed", Verdict::Done),
    }
}

async fn settle(parts: &FeedParts, key: ObjectKey, arrival: &Arrival, deliveries: u32) -> Verdict {
    let seen = match parts.inspector.inspect(key, arrival.seen_at).await {
        Ok(Some(seen)) => seen,
        Ok(None) => return counted("no_object", Verdict::Done),
        Err(_) => return counted("bucket_away", Verdict::Away),
    };
    let landed_at = seen.landed_at;
    match parts.desks.ask(key.user, Settle { file: key.file, seen }, None).await {
        Ok(Settled::File(file)) => {
            let delay = parts.clock.now().since(landed_at);
            metrics::histogram!(names::SETTLE_SECONDS).record(delay);
            let status = file.shown().as_str();
            tracing::info!(target: STORY, { user_id = %key.user, file_id = %key.file, trace_id = file.trace_id(), file.status = status, after_ms = millis(delay) }, "settled");
            counted("settled", Verdict::Settled)
        }
        Ok(Settled::Remove(_)) => {
            parts.remover.remove(key);
            counted("to_remove", Verdict::Settled)
        }
        Ok(Settled::Unknown) if deliveries < UNKNOWN_DELIVERIES_MAX => counted("unknown", Verdict::Later),
        Ok(Settled::Unknown) => counted("unknown", Verdict::Done),
        Err(_) => counted("ledger_away", Verdict::Away),
    }
}

/// Keeps what cannot be processed, with its reason, before it leaves INGEST.
async fn keep_dead(parts: &FeedParts, delivery: &LogDelivery, reason: &str) -> Verdict {
    let record = NewRecord {
        subject: "wharf.dlq.v1.feed".to_owned(),
        // A log that was cut off gives its sequences out again.
        id: format!("feed-{}-{}", delivery.record.sequence, delivery.record.id),
        headers: vec![
            ("Wharf-Reason".to_owned(), reason.to_owned()),
            ("Wharf-Deliveries".to_owned(), delivery.deliveries.to_string()),
            ("Wharf-Subject".to_owned(), delivery.record.subject.clone()),
        ],
        payload: delivery.record.payload.clone(),
    };
    let kept = timeout(KEEP_WITHIN, parts.log.publish(Stream::Dlq, record)).await.unwrap_or_else(|_| {
        Err(PublishError::Unknown { reason: format!("no answer within {KEEP_WITHIN:?}") })
    });
    parts.health.heard(Part::PublishDlq, &kept, parts.clock.now());
    match kept {
        Ok(_) => {
            tracing::warn!(sequence = delivery.record.sequence, "an arrival is kept on the DLQ: {reason}");
            counted("dead", Verdict::Done)
        }
        // What may be there already is kept again under the same id.
        Err(_) => counted("log_away", Verdict::Later),
    }
}

fn counted(outcome: &'static str, verdict: Verdict) -> Verdict {
    metrics::counter!(names::ARRIVALS_TOTAL, "outcome" => outcome).increment(1);
    verdict
}

/// Half a second, doubling to half a minute, less up to the half of it: what was put off together does not come back
/// together. By how much less depends on the record alone, so that the same run is the same again.
fn pause(delivery: &LogDelivery) -> Duration {
    let longest_ms = 500_u64 << delivery.deliveries.saturating_sub(1).min(6);
    // The first bits of a product with the golden ratio are as good as random.
    let mixed = delivery.record.sequence ^ (u64::from(delivery.deliveries) << 32);
    let spread = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    Duration::from_millis(longest_ms - longest_ms / 2 * spread / 256)
}
