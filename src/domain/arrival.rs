//! An arrival: one object-created or -removed fact, a record of the INGEST log.

use serde::{Deserialize, Serialize};

use super::ids::ObjectKey;
use super::shard::ShardId;
use super::time::Timestamp;

/// What happened to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalKind {
    /// It is there, complete.
    Created,
    /// It is not there any more.
    Removed,
}

/// One fact about an object, reported by the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// What happened.
    pub kind: ArrivalKind,
    /// The bucket that reported it.
    pub bucket: String,
    /// The object, by its decoded key.
    pub key: String,
    /// Its length, if the bucket reported it.
    pub size_bytes: Option<u64>,
    /// Its `ETag`, without quotes, if the bucket reported it.
    pub etag: Option<String>,
    /// Orders the facts about one key; empty if the bucket reported none.
    pub sequencer: String,
    /// When it happened, by the bucket's clock.
    pub happened_at: Timestamp,
    /// When the bridge read it.
    pub seen_at: Timestamp,
}

impl Arrival {
    /// The id of this fact; a repeat has the same one, whichever process reads it.
    ///
    /// The text `kind/bucket/key#sequencer`; without a sequencer, the `ETag` and time replace it.
    #[must_use]
    pub fn identity(&self) -> String {
        let kind = match self.kind {
            ArrivalKind::Created => "created",
            ArrivalKind::Removed => "removed",
        };
        let (bucket, key) = (&self.bucket, &self.key);
        if self.sequencer.is_empty() {
            let etag = self.etag.as_deref().unwrap_or_default();
            format!("{kind}/{bucket}/{key}#{etag}@{}", self.happened_at.as_millis())
        } else {
            format!("{kind}/{bucket}/{key}#{}", self.sequencer)
        }
    }

    /// Its subject in the log.
    #[must_use]
    pub fn subject(shard: ShardId, key: ObjectKey) -> String {
        format!("wharf.ingest.v1.{shard}.{}", key.user)
    }

    /// Every arrival of a shard.
    #[must_use]
    pub fn filter(shard: ShardId) -> String {
        format!("wharf.ingest.v1.{shard}.>")
    }
}

#[cfg(test)]
mod tests;
