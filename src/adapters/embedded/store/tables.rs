//! The tables of the store, and why a read can fail.

use std::sync::Arc;

use fjall::compaction::filter::Factory;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use super::rows::RowError;

/// Rows of a hot table that are held in memory before they become a file.
const HOT_TABLE_BYTES: u64 = 32 << 20;
/// The same for a table that few rows go to.
const COLD_TABLE_BYTES: u64 = 4 << 20;
/// Journals on disk before their rows are forced into files. Bounds the time of a start.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Blocks of files held in memory.
const CACHE_BYTES: u64 = 64 << 20;

/// The table of remembered publish ids.
pub(crate) const IDS: &str = "log_ids";
/// The table of remembered requests.
pub(crate) const REQUESTS: &str = "requests";

/// All tables.
///
/// Readers see a batch only when it is on disk: the engine writes and syncs its journal before it applies a
/// batch to what readers see, and the committer asks for that sync with every batch. A reader may see a part
/// of a batch that is being applied, but rows are applied in the order of the batch.
pub(crate) struct Tables {
    pub(crate) db: Database,
    /// User to account.
    pub(crate) accounts: Keyspace,
    /// User and file to file row.
    pub(crate) files: Keyspace,
    /// User and version to entry.
    pub(crate) entries: Keyspace,
    /// User and hash of an idempotency key to the remembered request.
    pub(crate) requests: Keyspace,
    /// Stream and sequence to record.
    pub(crate) records: Keyspace,
    /// Stream, part of the subject and sequence, to nothing.
    pub(crate) index: Keyspace,
    /// Stream, time and sequence to the publish ids of the records from there on.
    pub(crate) ids: Keyspace,
    /// Stream and name to a consumer's place.
    pub(crate) consumers: Keyspace,
    /// Number to notification.
    pub(crate) messages: Keyspace,
    /// Number to a notification nobody could work on.
    pub(crate) dead: Keyspace,
    /// What must outlive the rows it counts.
    pub(crate) meta: Keyspace,
}

impl Tables {
    /// Opens all tables; `tidy` may give a table something that drops rows nobody can see any more.
    pub(crate) fn open<F>(dir: &std::path::Path, tidy: F) -> fjall::Result<Self>
    where
        F: Fn(&str) -> Option<Arc<dyn Factory>> + Send + Sync + 'static,
    {
        let db = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(2)
            .with_compaction_filter_factories(Arc::new(tidy))
            .open()?;
        let table = |name: &str, bytes: u64| {
            db.keyspace(name, || KeyspaceCreateOptions::default().max_memtable_size(bytes))
        };
        Ok(Self {
            accounts: table("accounts", HOT_TABLE_BYTES)?,
            files: table("files", HOT_TABLE_BYTES)?,
            entries: table("entries", HOT_TABLE_BYTES)?,
            requests: table(REQUESTS, COLD_TABLE_BYTES)?,
            records: table("log_records", HOT_TABLE_BYTES)?,
            index: table("log_index", HOT_TABLE_BYTES)?,
            ids: table(IDS, COLD_TABLE_BYTES)?,
            consumers: table("log_consumers", COLD_TABLE_BYTES)?,
            messages: table("queue_messages", HOT_TABLE_BYTES)?,
            dead: table("queue_dead", COLD_TABLE_BYTES)?,
            meta: table("meta", COLD_TABLE_BYTES)?,
            db,
        })
    }
}

/// Why a row was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The disk failed.
    #[error("the disk does not answer: {0}")]
    Disk(String),
    /// What stands there cannot be understood.
    #[error("{0}")]
    Corrupt(String),
}

impl From<fjall::Error> for ReadError {
    fn from(error: fjall::Error) -> Self {
        if let fjall::Error::Io(io) | fjall::Error::Storage(fjall::LsmError::Io(io)) = error {
            Self::Disk(io.to_string())
        } else {
            Self::Corrupt(error.to_string())
        }
    }
}

impl From<RowError> for ReadError {
    fn from(error: RowError) -> Self {
        Self::Corrupt(error.to_string())
    }
}
