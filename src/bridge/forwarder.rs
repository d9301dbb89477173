//! The forwarder: receives deliveries, publishes their records to the log, then deletes them from the queue.
//!
//! At most [`QUEUE_BATCH_MAX`] deliveries are here at a time, each with one publish under way. Only deliveries whose
//! arrivals INGEST did not take are held over a step, hidden from others; when all places hold such a one, nothing more is
//! received. A delivery that the DLQ does not take is left to the queue at once: it takes no place from arrivals.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use metrics::{counter, histogram};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::handle::BridgeParts;
use super::in_flight::{InFlightDelivery, PendingPublish, PublishReport};
use super::notification::{Ignored, parse_notification};
use super::pace::Progress;
use crate::adapters::{Log, Queue};
use crate::domain::arrival::ArrivalKind;
use crate::limits::{DRAIN_WITHIN, QUEUE_BATCH_MAX};
use crate::ports::{
    LogPort, NewRecord, PublishError, QueueDelivery, QueueError, QueuePort, Receipt, Stored, Stream,
};
use crate::telemetry::STORY;
use crate::telemetry::health::Part;
use crate::telemetry::names;

/// How long a receive waits for the first delivery. Short, because a stop waits for it.
const RECEIVE_WAIT: Duration = Duration::from_secs(1);
/// When a receive counts as hung. What it took comes again by itself.
const RECEIVE_WITHIN: Duration = Duration::from_secs(30);
/// How long the deliveries at hand may take to be published, in one step.
const FORWARD_WITHIN: Duration = Duration::from_secs(5);
/// How long asking for deletions, or for more time, may take.
const QUEUE_REPLY_WITHIN: Duration = Duration::from_secs(1);
/// Tries of one publish that ended unknown, in one step.
const PUBLISH_TRIES_MAX: u32 = 3;
/// The pause before the second try; the third waits twice as long.
const PUBLISH_PAUSE: Duration = Duration::from_millis(50);
/// Tries of one deletion before the delivery is left to come again.
const DELETE_TRIES_MAX: u32 = 5;
/// For how long a delivery that waits for the log is hidden at a time.
const HOLD_VISIBILITY: Duration = Duration::from_secs(60);
/// How long a delivery is held at all: SQS hides none for more than 12 hours.
const HOLD_WITHIN: Duration = Duration::from_secs(11 * 3600);
/// How long a delivery that is left to the queue stays hidden, so that an outage does not use its deliveries up.
const LEFT_HIDDEN: Duration = Duration::from_secs(300);
/// Steps in which INGEST takes other arrivals before one that it does not take is left to the queue.
const PASSED_OVER_MAX: u32 = 20;
/// How long the DLQ is not tried after it took nothing, so that waiting for it slows no arrival down.
const DLQ_REST: Duration = Duration::from_secs(10);

const _: () = assert!(
    RECEIVE_WAIT.as_secs() + FORWARD_WITHIN.as_secs() + 2 * QUEUE_REPLY_WITHIN.as_secs()
        < DRAIN_WITHIN.as_secs(),
    "a step and the last words fit into a stop"
);
const _: () = assert!(
    HOLD_VISIBILITY.as_secs() / 2 > super::pace::PAUSE_MAX.as_secs() + DRAIN_WITHIN.as_secs(),
    "a held delivery is renewed before it shows"
);

/// Moves the deliveries of one poller from the queue into the log.
#[derive(Debug)]
pub(super) struct Forwarder {
    parts: Arc<BridgeParts>,
    held: Vec<InFlightDelivery>,
    pending_deletes: Vec<PendingDelete>,
    /// The DLQ took nothing a moment ago.
    dlq_rests_until: Option<Instant>,
}

/// A delivery that the log holds and the queue must forget.
#[derive(Debug)]
struct PendingDelete {
    receipt: Receipt,
    tries: u32,
}

impl Forwarder {
    /// A forwarder without deliveries.
    pub(super) const fn new(parts: Arc<BridgeParts>) -> Self {
        Self { parts, held: Vec::new(), pending_deletes: Vec::new(), dlq_rests_until: None }
    }

    /// Takes what there is, publishes it, and deletes what the step before published.
    ///
    /// Takes at most about 7 s unless the queue hangs. Cancelling it loses nothing: the queue delivers again.
    pub(super) async fn step(&mut self) -> Progress {
        self.renew_held(Instant::now()).await;
        let pending = std::mem::take(&mut self.pending_deletes);
        let (received, undeleted) = tokio::join!(self.receive(), delete(&self.parts.queue, pending));
        self.pending_deletes = undeleted;
        let has_received = received.is_ok();
        self.held.extend(received.unwrap_or_default());
        let takes_arrivals = self.publish_held().await;
        if has_received && takes_arrivals { Progress::Flowing } else { Progress::Stuck }
    }

    /// Deletes what may be deleted and gives the rest back to the queue at once.
    pub(super) async fn finish(&mut self) {
        let queue = &self.parts.queue;
        let held = std::mem::take(&mut self.held);
        let give_back =
            join_all(held.iter().map(|in_flight| queue.extend(&in_flight.receipt, Duration::ZERO)));
        let pending = std::mem::take(&mut self.pending_deletes);
        let (_, given_back) = tokio::join!(delete(queue, pending), timeout(QUEUE_REPLY_WITHIN, give_back));
        if given_back.is_err() {
            debug!("the queue did not take back what was held; it shows again in time");
        }
    }

    /// Keeps what waits for the log hidden from others.
    async fn renew_held(&mut self, now: Instant) {
        self.held.retain(|in_flight| {
            let is_kept = now.duration_since(in_flight.received_at) < HOLD_WITHIN;
            if !is_kept {
                warn!(delivery.id = %in_flight.delivery_id, "held a delivery for too long, it comes again");
            }
            is_kept
        });
        let queue = &self.parts.queue;
        join_all(self.held.iter_mut().filter(|in_flight| in_flight.renew_at <= now).map(async |in_flight| {
            let renewed =
                timeout(QUEUE_REPLY_WITHIN, queue.extend(&in_flight.receipt, HOLD_VISIBILITY)).await;
            match renewed {
                Ok(Ok(())) => in_flight.renew_at = now + HOLD_VISIBILITY / 2,
                Ok(Err(_)) | Err(_) => {
                    debug!(delivery.id = %in_flight.delivery_id, "could not keep it hidden")
                }
            }
        }))
        .await;
    }

    async fn receive(&self) -> Result<Vec<InFlightDelivery>, QueueError> {
        let parts = &self.parts;
        let room = QUEUE_BATCH_MAX.saturating_sub(self.held.len());
        if room == 0 {
            return Ok(Vec::new());
        }
        let received = timeout(RECEIVE_WITHIN, parts.queue.receive(room, RECEIVE_WAIT))
            .await
            .unwrap_or_else(|_| Err(QueueError { reason: "no answer in time".to_owned() }));
        parts.health.record(Part::Queue, &received, parts.clock.now());
        Ok(received?.into_iter().map(|delivery| self.pack(delivery)).collect())
    }

    fn pack(&self, delivery: QueueDelivery) -> InFlightDelivery {
        counter!(names::BRIDGE_DELIVERIES_TOTAL).increment(1);
        let parsed = parse_notification(&delivery.body, &self.parts.bucket, self.parts.clock.now());
        for (event, count) in &parsed.ignored {
            counter!(names::BRIDGE_IGNORED_TOTAL, "event" => event.as_str()).increment(*count);
            if *event == Ignored::TestEvent {
                info!(delivery.id = %delivery.id, "received the bucket's test message");
            }
        }
        InFlightDelivery::new(delivery, parsed, self.parts.shards, Instant::now())
    }

    /// Publishes all deliveries in flight at once, each record by record; what is done leaves, and so does what the DLQ does not take.
    /// Returns whether INGEST takes arrivals, as far as it was tried.
    async fn publish_held(&mut self) -> bool {
        let now = Instant::now();
        let dlq_rests = self.dlq_rests_until.is_some_and(|until| now < until);
        let log = &self.parts.log;
        let run =
            self.held.iter_mut().map(|in_flight| forward(log, in_flight, now + FORWARD_WITHIN, dlq_rests));
        let outcomes = join_all(run).await;
        self.note(&outcomes);
        let has_stored = outcomes.iter().any(|outcome| outcome.stored.contains(&Stream::Ingest));
        let mut has_failed = false;
        let mut left = Vec::new();
        for (in_flight, outcome) in std::mem::take(&mut self.held).into_iter().zip(outcomes) {
            let mut in_flight = match in_flight.into_receipt() {
                Ok(receipt) => {
                    self.pending_deletes.push(PendingDelete { receipt, tries: 0 });
                    continue;
                }
                Err(in_flight) => in_flight,
            };
            match outcome.failed {
                Some((Stream::Dlq, error)) => left.push((in_flight, Left::Dlq, error)),
                Some((Stream::Ingest | Stream::Events, error)) => {
                    has_failed = true;
                    in_flight.passed_over += u32::from(has_stored);
                    if in_flight.passed_over < PASSED_OVER_MAX {
                        self.held.push(in_flight);
                    } else {
                        left.push((in_flight, Left::Ingest, error));
                    }
                }
                None => self.held.push(in_flight),
            }
        }
        self.leave(left).await;
        has_stored || !has_failed
    }

    /// Leaves deliveries to the queue: each is delivered again after a while, and given up by the queue's own count.
    async fn leave(&mut self, left: Vec<(InFlightDelivery, Left, PublishError)>) {
        for (in_flight, stream, error) in &left {
            counter!(names::BRIDGE_LEFT_TOTAL, "stream" => stream.as_str()).increment(1);
            warn!(delivery.id = %in_flight.delivery_id, stream = stream.as_str(), "left a delivery to the queue: {error}");
        }
        if left.iter().any(|(_, stream, _)| *stream == Left::Dlq) {
            self.dlq_rests_until = Some(Instant::now() + DLQ_REST);
        }
        let queue = &self.parts.queue;
        let hide = left.iter().map(|(in_flight, ..)| queue.extend(&in_flight.receipt, LEFT_HIDDEN));
        if timeout(QUEUE_REPLY_WITHIN, join_all(hide)).await.is_err() {
            debug!("the queue did not hide what was left to it; it shows again sooner");
        }
    }

    /// Reports each stream by how it took its records: a failure counts more than a success beside it.
    fn note(&self, outcomes: &[PublishOutcome]) {
        let (health, now) = (&self.parts.health, self.parts.clock.now());
        for (stream, part) in [(Stream::Ingest, Part::PublishIngest), (Stream::Dlq, Part::PublishDlq)] {
            let failure = outcomes.iter().find_map(|outcome| {
                outcome.failed.as_ref().filter(|(of, _)| *of == stream && outcome.was_tried)
            });
            match failure {
                Some((_, error)) => health.down(part, error, now),
                None if outcomes.iter().any(|outcome| outcome.stored.contains(&stream)) => health.up(part),
                None => {}
            }
        }
    }
}

/// The stream for whose sake a delivery is left to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Dlq,
    Ingest,
}

impl Left {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Dlq => "dlq",
            Self::Ingest => "ingest",
        }
    }
}

/// How far the records of one delivery came.
#[derive(Debug, Default)]
struct PublishOutcome {
    /// Streams that took a record of it.
    stored: BTreeSet<Stream>,
    /// The stream that did not, and why.
    failed: Option<(Stream, PublishError)>,
    /// Whether that stream was asked at all.
    was_tried: bool,
}

/// Publishes what a delivery has pending, in order, up to the first record that is not stored.
async fn forward(
    log: &Log,
    in_flight: &mut InFlightDelivery,
    deadline: Instant,
    dlq_rests: bool,
) -> PublishOutcome {
    let mut outcome = PublishOutcome::default();
    while let Some(next) = in_flight.next() {
        let begun = Instant::now();
        let stream = next.stream;
        let published = if stream == Stream::Dlq && dlq_rests {
            Err(PublishError::Unavailable { reason: "it took nothing a moment ago".to_owned() })
        } else {
            publish(log, stream, &next.record, deadline).await
        };
        match published {
            Ok(stored) => {
                histogram!(names::BRIDGE_PUBLISH_SECONDS).record(begun.elapsed());
                outcome.stored.insert(stream);
                if let Some(sent) = in_flight.confirmed() {
                    report(&sent, stored, &in_flight.delivery_id);
                }
            }
            // Each cut makes it smaller, so this ends.
            Err(PublishError::TooLarge { bytes_max }) if in_flight.cut_next(bytes_max) => {}
            Err(error) => {
                counter!(names::BRIDGE_PUBLISH_FAILURES_TOTAL, "cause" => cause(&error)).increment(1);
                outcome.was_tried = !(stream == Stream::Dlq && dlq_rests);
                outcome.failed = Some((stream, error));
                break;
            }
        }
    }
    outcome
}

/// Publishes a record; where the log does not say whether it did, again under the same id.
async fn publish(
    log: &Log,
    stream: Stream,
    record: &NewRecord,
    deadline: Instant,
) -> Result<Stored, PublishError> {
    let mut tries = 1;
    loop {
        let outcome = timeout_at(deadline, log.publish(stream, record.clone()))
            .await
            .unwrap_or_else(|_| Err(PublishError::Unknown { reason: "no answer in time".to_owned() }));
        let pause_ends = Instant::now() + PUBLISH_PAUSE * tries;
        match outcome {
            Err(PublishError::Unknown { .. }) if tries < PUBLISH_TRIES_MAX && pause_ends < deadline => {
                sleep_until(pause_ends).await;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Asks the queue to forget deliveries; returns those that are worth another try.
async fn delete(queue: &Queue, pending_deletes: Vec<PendingDelete>) -> Vec<PendingDelete> {
    let batches = pending_deletes.chunks(QUEUE_BATCH_MAX).map(async |batch: &[PendingDelete]| {
        let receipts = batch.iter().map(|pending| pending.receipt.clone()).collect();
        match timeout(QUEUE_REPLY_WITHIN, queue.delete(receipts)).await {
            Ok(Ok(failed)) => failed,
            Ok(Err(_)) | Err(_) => batch.iter().map(|pending| pending.receipt.clone()).collect(),
        }
    });
    let failed: Vec<Receipt> = join_all(batches).await.into_iter().flatten().collect();
    counter!(names::BRIDGE_DELETE_FAILURES_TOTAL).increment(u64::try_from(failed.len()).unwrap_or(u64::MAX));
    let again = pending_deletes.into_iter().filter(|pending| failed.contains(&pending.receipt));
    again
        .map(|pending| PendingDelete { tries: pending.tries + 1, ..pending })
        .filter(|pending| pending.tries < DELETE_TRIES_MAX)
        .collect()
}

/// Counts and logs a record that the log holds now.
fn report(sent: &PendingPublish, stored: Stored, delivery_id: &str) {
    match &sent.report {
        PublishReport::Arrival { key, kind, lag } => {
            let kind = match kind {
                ArrivalKind::Created => "created",
                ArrivalKind::Removed => "removed",
            };
            let repeat = if stored.duplicate { "yes" } else { "no" };
            counter!(names::BRIDGE_ARRIVALS_TOTAL, "kind" => kind, "repeat" => repeat).increment(1);
            histogram!(names::BRIDGE_ARRIVAL_LAG_SECONDS).record(*lag);
            let lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            info!(target: STORY, { user_id = %key.user, file_id = %key.file, arrival.kind = kind, arrival.repeat = repeat, event.lag_ms = lag_ms }, "arrival seen");
        }
        PublishReport::Rejected(reasons) => {
            for reason in reasons {
                counter!(names::BRIDGE_REJECTED_TOTAL, "reason" => reason.as_str()).increment(1);
            }
            let reason = reasons.first().map_or("", |reason| reason.as_str());
            warn!(delivery.id = %delivery_id, records = reasons.len(), reason, "kept on the dlq what was not understood");
        }
    }
}

const fn cause(error: &PublishError) -> &'static str {
    match error {
        PublishError::Full => "full",
        PublishError::TooLarge { .. } => "too_large",
        PublishError::Unavailable { .. } => "unavailable",
        PublishError::Unknown { .. } => "unknown",
    }
}

#[cfg(test)]
mod tests;
