//! Dead letters of a feed: what cannot be processed is kept on the DLQ before it leaves INGEST.
//!
//! A record that the DLQ does not take is delivered again after a growing pause, and holds an open place of its shard
//! meanwhile. A quarter of the places is all that such records get; what exceeds it is given up, counted and logged.
//! That loses no file: the bucket and the ledger hold the truth, and the sweep settles what no arrival settles.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tracing::field::display;

use super::{AckDecision, FeedParts, PUT_OFF_MAX, counted};
use crate::adapters::Log;
use crate::domain::arrival::Arrival;
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::limits::{ACK_PENDING_MAX, ACK_WAIT, UPSTREAM_WITHIN};
use crate::ports::dlq::{self, Undeliverable};
use crate::ports::{LogDelivery, LogPort, NewRecord, PublishError, Stored, Stream};
use crate::telemetry::health::Part;

/// How long keeping a record on the DLQ may take.
const KEEP_WITHIN: Duration = UPSTREAM_WITHIN;
/// Deliveries after which a record that is no arrival of ours is given up although it holds a place: no file depends on
/// it. An arrival keeps its place for as long as the DLQ refuses it.
const FOREIGN_DELIVERIES_MAX: u32 = 20;
/// Open places of a shard that records may hold for which the DLQ has no room.
const WAITING_MAX: usize = ACK_PENDING_MAX / 4;
/// How long the DLQ is not tried after it failed, so that no arrival waits for it.
const DLQ_REST: Duration = Duration::from_secs(10);
/// A place that was not taken again for so long is free: its record was delivered to another process, or is gone.
const PLACE_AGE_MAX: Duration = PUT_OFF_MAX.saturating_mul(2).saturating_add(ACK_WAIT);

/// What cannot be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dead {
    /// An arrival of a file of ours.
    Arrival,
    /// A record that is about no file of ours.
    Foreign,
}

/// One feed's way to the DLQ.
pub(super) struct DeadLetters {
    parts: Arc<FeedParts>,
    waiting: Mutex<WaitingLetter>,
}

/// The records that wait for the DLQ.
#[derive(Debug, Default)]
struct WaitingLetter {
    /// When each was refused last, by sequence.
    refused: BTreeMap<u64, Timestamp>,
    /// The DLQ is not tried before this time.
    rests_until: Option<Timestamp>,
}

impl WaitingLetter {
    /// Notes that the DLQ did not take a record; returns whether the record may hold a place.
    fn may_wait(&mut self, sequence: u64, now: Timestamp) -> bool {
        self.refused.retain(|_, at| now.since(*at) < PLACE_AGE_MAX);
        let may_wait = self.refused.len() < WAITING_MAX || self.refused.contains_key(&sequence);
        if may_wait {
            self.refused.insert(sequence, now);
        }
        may_wait
    }
}

impl DeadLetters {
    pub(super) fn new(parts: Arc<FeedParts>) -> Self {
        Self { parts, waiting: Mutex::default() }
    }

    pub(super) fn parts(&self) -> &FeedParts {
        &self.parts
    }

    /// Frees the place of a record that does not come again.
    pub(super) fn ended(&self, sequence: u64) {
        self.waiting().refused.remove(&sequence);
    }

    /// Keeps a record that cannot be processed on the DLQ, with the reason.
    pub(super) async fn keep(&self, delivery: &LogDelivery, dead: Dead, reason: &str) -> AckDecision {
        let sequence = delivery.record.sequence;
        let key = key_of(delivery);
        let (user_id, file_id) = (key.map(|key| display(key.user)), key.map(|key| display(key.file)));
        match self.publish(delivery, reason).await {
            Ok(_) => {
                tracing::warn!(user_id, file_id, sequence, "an arrival is kept on the DLQ: {reason}");
                counted("dead", AckDecision::Done)
            }
            // What may be there already is kept again under the same id.
            Err(_) if self.may_wait(delivery, dead) => counted("log_away", AckDecision::Later),
            Err(error) => {
                tracing::error!(
                    user_id,
                    file_id,
                    sequence,
                    "a record of INGEST is given up although the DLQ does not have it: {reason}; the DLQ: {error}"
                );
                counted("dead_unkept", AckDecision::Done)
            }
        }
    }

    fn may_wait(&self, delivery: &LogDelivery, dead: Dead) -> bool {
        let is_over = dead == Dead::Foreign && delivery.deliveries >= FOREIGN_DELIVERIES_MAX;
        !is_over && self.waiting().may_wait(delivery.record.sequence, self.parts.clock.now())
    }

    async fn publish(&self, delivery: &LogDelivery, reason: &str) -> Result<Stored, PublishError> {
        let clock = &self.parts.clock;
        if self.waiting().rests_until.is_some_and(|until| clock.now() < until) {
            return Err(PublishError::Unavailable { reason: "it failed a moment ago".to_owned() });
        }
        let sequence = delivery.record.sequence;
        let undeliverable = Undeliverable {
            writer: "feed",
            // A log that was cut off gives its sequences out again.
            id: format!("feed-{sequence}-{}", delivery.record.id),
            reason: reason.to_owned(),
            deliveries: delivery.deliveries,
            subject: Some(delivery.record.subject.clone()),
            source: format!("{}/{sequence}", Stream::Ingest.name()),
            records: None,
            payload: delivery.record.payload.clone(),
        };
        let kept = timeout(KEEP_WITHIN, publish(&self.parts.log, undeliverable.into_record())).await;
        let kept = kept.unwrap_or_else(|_| {
            Err(PublishError::Unknown { reason: format!("no answer within {KEEP_WITHIN:?}") })
        });
        self.parts.health.record(Part::PublishDlq, &kept, clock.now());
        self.waiting().rests_until = kept.is_err().then(|| clock.now().after(DLQ_REST));
        kept
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingLetter> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file that an arrival is about, if it can be read.
fn key_of(delivery: &LogDelivery) -> Option<ObjectKey> {
    let arrival: Arrival = serde_json::from_slice(&delivery.record.payload).ok()?;
    ObjectKey::parse(&arrival.key).ok()
}

/// Publishes a record to the DLQ; cut, if it is larger than the log takes.
async fn publish(log: &Log, record: NewRecord) -> Result<Stored, PublishError> {
    match log.publish(Stream::Dlq, record.clone()).await {
        Err(PublishError::TooLarge { bytes_max }) => match dlq::cut_to(record, bytes_max) {
            Some(cut) => log.publish(Stream::Dlq, cut).await,
            None => Err(PublishError::TooLarge { bytes_max }),
        },
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_169_642_161);

    // proves: I25
    #[test]
    fn records_that_wait_hold_a_quarter_of_the_places_and_those_that_went_elsewhere_none() {
        let mut waiting = WaitingLetter::default();
        let held = (0..1000).filter(|sequence| waiting.may_wait(*sequence, START)).count();
        assert_eq!(held, ACK_PENDING_MAX / 4);
        let later = START.after(PLACE_AGE_MAX / 2);
        assert!(waiting.may_wait(0, later), "it has its place");
        assert!(!waiting.may_wait(1000, later));
        let last = START.after(PLACE_AGE_MAX);
        let held = (1000..2000).filter(|sequence| waiting.may_wait(*sequence, last)).count();
        assert_eq!(held, ACK_PENDING_MAX / 4 - 1, "the first was refused again since");
    }
}
