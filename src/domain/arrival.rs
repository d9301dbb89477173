//! An arrival: one object-created or -removed fact, as it stands in the INGEST log.

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

/// One fact about an object, told by the bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// What happened.
    pub kind: ArrivalKind,
    /// The bucket that tells it.
    pub bucket: String,
    /// The object, by its decoded key.
    pub key: String,
    /// Its length, where the bucket tells it.
    pub size_bytes: Option<u64>,
    /// Its `ETag`, without quotes, where the bucket tells it.
    pub etag: Option<String>,
    /// Orders the facts about one key; empty where the bucket tells none.
    pub sequencer: String,
    /// When it happened, by the bucket's clock.
    pub happened_at: Timestamp,
    /// When the bridge read it.
    pub seen_at: Timestamp,
}

impl Arrival {
    /// What tells this fact from every other; a repeat has the same, whoever reads it.
    ///
    /// The text `kind/bucket/key#sequencer`; where the bucket gives no sequencer, the `ETag` and time stand in.
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

    /// Where it stands in the log.
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
