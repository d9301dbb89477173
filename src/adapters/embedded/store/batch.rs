//! One batch: the rows of some jobs, what later jobs must know of earlier ones, and what to tell afterwards.

use std::collections::{HashMap, HashSet};

use fjall::{Keyspace, OwnedWriteBatch, PersistMode, Slice};

use super::tables::{ReadError, Tables};
use crate::adapters::embedded::log::StreamHead;
use crate::adapters::embedded::queue::QueueHead;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::ports::Stream;

/// Rows on their way to the disk together.
pub(crate) struct Batch {
    rows: OwnedWriteBatch,
    /// Bytes of keys and values so far.
    pub(crate) bytes: usize,
    /// When the batch began; the time of everything in it.
    pub(crate) now: Timestamp,
    /// Accounts written in this batch, with the version they have now.
    pub(crate) versions: HashMap<UserId, u64>,
    /// Publish ids stored in this batch, with the record's sequence.
    pub(crate) published: HashMap<(Stream, String), u64>,
    /// What was appended, by stream and the index's part of the subject.
    pub(crate) appended: Vec<(Stream, Option<String>)>,
    /// Streams whose old records were looked at.
    pub(crate) pruned: HashSet<Stream>,
    /// Notifications that left the queue in this batch.
    pub(crate) removed: HashSet<u64>,
}

impl Batch {
    pub(crate) fn new(tables: &Tables, now: Timestamp) -> Self {
        Self {
            rows: tables.db.batch().durability(Some(PersistMode::SyncData)),
            bytes: 0,
            now,
            versions: HashMap::new(),
            published: HashMap::new(),
            appended: Vec::new(),
            pruned: HashSet::new(),
            removed: HashSet::new(),
        }
    }

    /// Writes a row.
    pub(crate) fn put(&mut self, table: &Keyspace, key: impl Into<Slice>, value: impl Into<Slice>) {
        let (key, value) = (key.into(), value.into());
        self.bytes += key.len() + value.len();
        self.rows.insert(table, key, value);
    }

    /// Removes a row.
    pub(crate) fn remove(&mut self, table: &Keyspace, key: impl Into<Slice>) {
        let key = key.into();
        self.bytes += key.len();
        self.rows.remove(table, key);
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes the rows, to be written.
    pub(crate) fn into_rows(self) -> OwnedWriteBatch {
        self.rows
    }
}

/// Where the log's streams and the queue end. Owned by the committer; readers see copies, after the sync.
#[derive(Clone, Debug)]
pub(crate) struct Heads {
    /// In the order of [`Stream::ALL`].
    pub(crate) streams: [StreamHead; 3],
    /// The queue's.
    pub(crate) queue: QueueHead,
}

impl Heads {
    /// As they stand on disk.
    pub(crate) fn load(tables: &Tables) -> Result<Self, ReadError> {
        let [ingest, events, dlq] = Stream::ALL;
        Ok(Self {
            streams: [
                StreamHead::load(tables, ingest)?,
                StreamHead::load(tables, events)?,
                StreamHead::load(tables, dlq)?,
            ],
            queue: QueueHead::load(tables)?,
        })
    }
}
