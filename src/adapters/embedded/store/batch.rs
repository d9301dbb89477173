//! One batch: the rows of some jobs, what later jobs must know of earlier ones, and what to tell afterwards.

use std::collections::HashSet;

use fjall::{Keyspace, OwnedWriteBatch, PersistMode, Slice};

use super::tables::{ReadError, Tables};
use crate::adapters::embedded::ledger::Versions;
use crate::adapters::embedded::log::{KnownIds, Part, StreamHead};
use crate::adapters::embedded::queue::QueueHead;
use crate::domain::time::Timestamp;
use crate::ports::Stream;

/// A record in the batch.
pub(crate) struct Appended {
    pub(crate) stream: Stream,
    pub(crate) sequence: u64,
    /// For the bells.
    pub(crate) part: Option<Part>,
    pub(crate) row: Slice,
}

/// Rows on their way to the disk together.
pub(crate) struct Batch {
    rows: OwnedWriteBatch,
    /// Bytes of keys and values so far.
    pub(crate) bytes: usize,
    /// When the batch began; the time of everything in it.
    pub(crate) now: Timestamp,
    /// The ids of each stream's new records: the first sequence, and what is known of the ids from there on.
    pub(crate) ids: [Option<(u64, Vec<u8>)>; 3],
    /// What was appended.
    pub(crate) appended: Vec<Appended>,
    /// Records that were to be appended to each stream.
    pub(crate) asked: [usize; 3],
    /// Acknowledged records of the log were removed in this batch.
    pub(crate) has_trimmed: bool,
    /// Notifications that left the queue in this batch.
    pub(crate) removed: HashSet<u64>,
}

impl Batch {
    pub(crate) fn new(tables: &Tables, now: Timestamp) -> Self {
        Self {
            rows: tables.db.batch().durability(Some(PersistMode::SyncData)),
            bytes: 0,
            now,
            ids: Default::default(),
            appended: Vec::new(),
            asked: [0; 3],
            has_trimmed: false,
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

/// Where the log's streams and the queue end, and what the committer remembers so that it need not read. Readers
/// see copies of the ends, after the sync.
#[derive(Debug)]
pub(crate) struct Heads {
    /// In the order of [`Stream::ALL`].
    pub(crate) streams: [StreamHead; 3],
    /// The queue's.
    pub(crate) queue: QueueHead,
    /// Versions of accounts.
    pub(crate) versions: Versions,
    /// Publish ids.
    pub(crate) ids: KnownIds,
}

impl Heads {
    /// As they stand on disk.
    pub(crate) fn load(tables: &Tables, now: Timestamp) -> Result<Self, ReadError> {
        let [ingest, events, dlq] = Stream::ALL;
        Ok(Self {
            streams: [
                StreamHead::load(tables, ingest)?,
                StreamHead::load(tables, events)?,
                StreamHead::load(tables, dlq)?,
            ],
            queue: QueueHead::load(tables)?,
            versions: Versions::default(),
            ids: KnownIds::load(tables, now)?,
        })
    }
}
