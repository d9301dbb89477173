//! A parcel: one delivery, and the records that the log must hold before the queue may forget it.
//!
//! Invariant 19 in one type: the receipt comes out only when nothing is left to publish.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use tokio::time::Instant;

use super::notification::{RejectReason, Rejection, Verdict};
use crate::domain::arrival::{Arrival, ArrivalKind};
use crate::domain::ids::ObjectKey;
use crate::domain::shard::ShardCount;
use crate::limits::NOTIFICATION_BYTES_MAX;
use crate::ports::{NewRecord, QueueDelivery, Receipt, Stream};

/// Where the DLQ keeps what the bridge did not understand.
const DLQ_SUBJECT: &str = "wharf.dlq.v1.bridge";
/// Rejected records that a header names one by one.
const REJECTIONS_NAMED_MAX: usize = 16;

/// One delivery on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The queue's name of the delivery, for logs.
    pub(super) delivery_id: String,
    /// What to keep it hidden with.
    pub(super) receipt: Receipt,
    /// When it was taken from the queue.
    pub(super) received_at: Instant,
    /// When its time of being hidden must be renewed, if it is still here.
    pub(super) renew_at: Instant,
    outbox: VecDeque<Outgoing>,
}

/// A record to publish, and what to say when it is there.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) stream: Stream,
    pub(super) record: NewRecord,
    pub(super) tale: Tale,
}

/// What a published record tells an operator.
#[derive(Debug)]
pub(super) enum Tale {
    /// A fact went on to its user's shard.
    Arrival { key: ObjectKey, kind: ArrivalKind, lag: Duration },
    /// Something was kept for a human.
    Rejected(Vec<RejectReason>),
}

impl Parcel {
    /// Packs what a delivery's verdict asks for: arrivals first, in their order, then one copy for the DLQ.
    pub(super) fn pack(
        delivery: QueueDelivery,
        verdict: Verdict,
        shards: ShardCount,
        received_at: Instant,
    ) -> Self {
        let mut outbox: VecDeque<Outgoing> =
            verdict.forward.iter().map(|(key, arrival)| forwarded(*key, arrival, shards)).collect();
        if !verdict.rejected.is_empty() {
            outbox.push_back(kept(&delivery, &verdict.rejected));
        }
        Self {
            delivery_id: delivery.id,
            receipt: delivery.receipt,
            received_at,
            renew_at: received_at,
            outbox,
        }
    }

    /// What must be published next; none: the log holds it all.
    pub(super) fn next(&self) -> Option<&Outgoing> {
        self.outbox.front()
    }

    /// Notes that the log holds the next record.
    pub(super) fn confirmed(&mut self) -> Option<Outgoing> {
        self.outbox.pop_front()
    }

    /// The receipt, once the log holds everything; else the parcel again.
    pub(super) fn into_receipt(self) -> Result<Receipt, Self> {
        if self.outbox.is_empty() { Ok(self.receipt) } else { Err(self) }
    }
}

fn forwarded(key: ObjectKey, arrival: &Arrival, shards: ShardCount) -> Outgoing {
    let payload = serde_json::to_vec(arrival).expect("an arrival is text and numbers");
    let record = NewRecord {
        subject: Arrival::subject(shards.shard_of(key.user), key),
        id: hex_digest(&arrival.identity()),
        headers: Vec::new(),
        payload: Bytes::from(payload),
    };
    let lag = arrival.seen_at.since(arrival.happened_at);
    Outgoing { stream: Stream::Ingest, record, tale: Tale::Arrival { key, kind: arrival.kind, lag } }
}

/// A copy of the whole notification: its bytes as they came, up to the most that a notification may have.
fn kept(delivery: &QueueDelivery, rejected: &[Rejection]) -> Outgoing {
    let body = &delivery.body;
    let end = body.floor_char_boundary(NOTIFICATION_BYTES_MAX);
    let reason = rejected.first().map_or("", |rejection| rejection.reason.as_str());
    let header = |name: &str, value: String| (name.to_owned(), value);
    let mut headers = vec![
        header("wharf-reason", reason.to_owned()),
        header("wharf-records", named(rejected)),
        header("wharf-deliveries", delivery.deliveries.to_string()),
        header("wharf-source", format!("queue/{}", printable(&delivery.id))),
    ];
    if end < body.len() {
        headers.push(header("wharf-truncated-from-bytes", body.len().to_string()));
    }
    let record = NewRecord {
        subject: DLQ_SUBJECT.to_owned(),
        id: hex_digest(&format!("bridge/{}", delivery.id)),
        headers,
        payload: Bytes::copy_from_slice(&body.as_bytes()[..end]),
    };
    let reasons = rejected.iter().map(|rejection| rejection.reason).collect();
    Outgoing { stream: Stream::Dlq, record, tale: Tale::Rejected(reasons) }
}

/// `1:foreign_key,3:malformed`, or `all:not_json`.
fn named(rejected: &[Rejection]) -> String {
    let name = |rejection: &Rejection| match rejection.record {
        Some(place) => format!("{place}:{}", rejection.reason.as_str()),
        None => format!("all:{}", rejection.reason.as_str()),
    };
    rejected.iter().take(REJECTIONS_NAMED_MAX).map(name).collect::<Vec<_>>().join(",")
}

/// A header takes no control characters.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(100).collect()
}

/// SHA-256 as 64 characters: an id of the same length whatever it stands for.
fn hex_digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        write!(hex, "{byte:02x}").expect("a string takes everything");
    }
    hex
}

#[cfg(test)]
mod tests;
