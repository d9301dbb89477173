//! A delivery in flight: one notification from the queue, and the records that the log must hold before the queue may forget it.
//!
//! Invariant 19 in one type: the receipt comes out only when nothing is left to publish.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use tokio::time::Instant;

use super::notification::{ParsedNotification, RejectReason, Rejection};
use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::ids::ObjectKey;
use crate::domain::shard::ShardCount;
use crate::ports::dlq::{self, Undeliverable};
use crate::ports::{NewRecord, QueueDelivery, Receipt, Stream};

/// Rejected records that a header names one by one.
const REJECTIONS_NAMED_MAX: usize = 16;

/// One delivery on its way.
#[derive(Debug)]
pub(super) struct InFlightDelivery {
    /// The queue's name of the delivery, for logs.
    pub(super) delivery_id: String,
    /// What to keep it hidden with.
    pub(super) receipt: Receipt,
    /// When it was taken from the queue.
    pub(super) received_at: Instant,
    /// When its time of being hidden must be renewed, if it is still here.
    pub(super) renew_at: Instant,
    /// Steps in which INGEST took other arrivals and not the next one of this.
    pub(super) passed_over: u32,
    pending: VecDeque<PendingPublish>,
}

/// A record to publish, and what to say when it is there.
#[derive(Debug)]
pub(super) struct PendingPublish {
    pub(super) stream: Stream,
    pub(super) record: NewRecord,
    pub(super) report: PublishReport,
}

/// What is counted and logged once a record is published.
#[derive(Debug)]
pub(super) enum PublishReport {
    /// A fact went on to its user's shard.
    Arrival { key: ObjectKey, kind: ArrivalKind, lag: Duration },
    /// Something was kept for a human.
    Rejected(Vec<RejectReason>),
}

impl InFlightDelivery {
    /// Collects what a parsed notification asks for: arrivals first, in their order, then one copy for the DLQ.
    pub(super) fn new(
        delivery: QueueDelivery,
        parsed: ParsedNotification,
        shards: ShardCount,
        received_at: Instant,
    ) -> Self {
        let mut pending: VecDeque<PendingPublish> =
            parsed.forward.iter().map(|(key, arrival)| forwarded(*key, arrival, shards)).collect();
        if !parsed.rejected.is_empty() {
            pending.push_back(kept(&delivery, &parsed.rejected));
        }
        Self {
            delivery_id: delivery.id,
            receipt: delivery.receipt,
            received_at,
            renew_at: received_at,
            passed_over: 0,
            pending,
        }
    }

    /// What must be published next; none: the log holds it all.
    pub(super) fn next(&self) -> Option<&PendingPublish> {
        self.pending.front()
    }

    /// Notes that the log holds the next record.
    pub(super) fn confirmed(&mut self) -> Option<PendingPublish> {
        self.pending.pop_front()
    }

    /// Cuts the next record to what the log takes. False if that does not help, or if it is an arrival: half of one
    /// means nothing.
    pub(super) fn cut_next(&mut self, bytes_max: usize) -> bool {
        let Some(next) = self.pending.front_mut().filter(|next| next.stream == Stream::Dlq) else {
            return false;
        };
        let cut = dlq::cut_to(next.record.clone(), bytes_max);
        cut.map(|record| next.record = record).is_some()
    }

    /// The receipt, once the log holds everything; else the delivery again.
    pub(super) fn into_receipt(self) -> Result<Receipt, Self> {
        if self.pending.is_empty() { Ok(self.receipt) } else { Err(self) }
    }
}

fn forwarded(key: ObjectKey, arrival: &Arrival, shards: ShardCount) -> PendingPublish {
    let payload = serde_json::to_vec(arrival).expect("an arrival is text and numbers");
    let record = NewRecord {
        subject: Arrival::subject(shards.shard_of(key.user), key),
        id: hex_digest(&arrival.identity()),
        headers: Vec::new(),
        payload: Bytes::from(payload),
    };
    let lag = arrival.seen_at.since(arrival.happened_at);
    PendingPublish {
        stream: Stream::Ingest,
        record,
        report: PublishReport::Arrival { key, kind: arrival.kind, lag },
    }
}

/// A copy of the whole notification: its bytes as they came.
fn kept(delivery: &QueueDelivery, rejected: &[Rejection]) -> PendingPublish {
    let undeliverable = Undeliverable {
        writer: "bridge",
        id: hex_digest(&format!("bridge/{}", delivery.id)),
        reason: rejected.first().map_or("", |rejection| rejection.reason.as_str()).to_owned(),
        deliveries: delivery.deliveries,
        subject: None,
        source: format!("queue/{}", delivery.id),
        records: Some(named(rejected)),
        payload: Bytes::copy_from_slice(delivery.body.as_bytes()),
    };
    let reasons = rejected.iter().map(|rejection| rejection.reason).collect();
    PendingPublish {
        stream: Stream::Dlq,
        record: undeliverable.into_record(),
        report: PublishReport::Rejected(reasons),
    }
}

/// `1:foreign_key,3:malformed`, or `all:not_json`.
fn named(rejected: &[Rejection]) -> String {
    let name = |rejection: &Rejection| match rejection.record {
        Some(place) => format!("{place}:{}", rejection.reason.as_str()),
        None => format!("all:{}", rejection.reason.as_str()),
    };
    rejected.iter().take(REJECTIONS_NAMED_MAX).map(name).collect::<Vec<_>>().join(",")
}

/// SHA-256 as 64 characters: an id of the same length for any content.
fn hex_digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").expect("a string takes everything");
    }
    hex
}

#[cfg(test)]
mod tests;
