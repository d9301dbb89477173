//! The requests of clients, and their answers.

use std::collections::{BTreeMap, BTreeSet};

use wharfinger::domain::arrival::Arrival;
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};

/// A client's wish to upload something, over all its tries.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) user: UserId,
    pub(crate) sizes: Vec<u64>,
    /// How large its chunks are, if it is sent in chunks.
    pub(crate) chunk_bytes: Option<u64>,
    /// Whether it has an idempotency key, and so may be tried again.
    pub(crate) has_key: bool,
    pub(crate) made_at: u64,
    /// What the first good answer said.
    pub(crate) answered: Option<Vec<FileId>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) requests: BTreeMap<u64, Request>,
    /// Files that an answer named, in that order.
    pub(crate) known: Vec<ObjectKey>,
    /// Files that a client asked to delete for good, whatever the outcome.
    pub(crate) unwanted: BTreeSet<ObjectKey>,
    /// Files whose permanent delete was acknowledged, and when.
    pub(crate) deleted: BTreeMap<ObjectKey, u64>,
    /// Uploads that the bucket has taken.
    pub(crate) uploaded: BTreeSet<ObjectKey>,
    /// What INGEST has ever taken, by the id of its record.
    pub(crate) arrivals: BTreeMap<String, Arrival>,
    /// Objects that came into the bucket without a row, and when.
    pub(crate) planted: BTreeMap<ObjectKey, u64>,
    /// What was sent to the queue and is no notification.
    pub(crate) poison: Vec<String>,
    /// How requests ended.
    pub(crate) answers: BTreeMap<&'static str, u64>,
}
