//! Every ledger we ship.

use std::sync::Arc;

use super::backends::backends;
use super::embedded::{CommitCallback, EmbeddedLedger};
#[cfg(feature = "cql")]
use super::scylla::LazyScyllaLedger;
use crate::domain::account::{Account, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

backends! {
    /// The ledger that the settings chose. Cheap to clone.
    #[derive(Clone)]
    pub enum Ledger: LedgerPort {
        /// In this process.
        Embedded(EmbeddedLedger) => inline,
        /// On ScyllaDB or Apache Cassandra.
        Scylla(LazyScyllaLedger) if "cql" => boxed,
    }
    custom Arc<dyn CustomLedger>;

    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError>;
    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError>;
    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError>;
    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError>;
    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError>;
    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError>;
    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError>;
    async fn commit(&self, write: Write) -> Result<(), CommitError>;
    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError>;
}

impl Ledger {
    /// Takes any other implementation of the port.
    #[must_use]
    pub fn custom(ledger: impl LedgerPort + 'static) -> Self {
        Self::Custom(Arc::new(ledger))
    }

    /// Starts a write, if this ledger can do so without a task and a timer of its own: for the many small writes of this
    /// process's own store. There is no deadline; the caller keeps one.
    ///
    /// # Errors
    /// Nothing was written, and `callback` comes back: use `commit`.
    pub(crate) fn start_commit(&self, write: &Write, callback: CommitCallback) -> Result<(), CommitCallback> {
        match self {
            Self::Embedded(ledger) => ledger.start_commit(write, callback),
            #[cfg(feature = "cql")]
            Self::Scylla(_) => Err(callback),
            Self::Custom(_) => Err(callback),
        }
    }

    /// The identity of this ledger, made with it: what a bucket or a queue is stamped with.
    ///
    /// # Errors
    /// The ledger does not answer.
    #[cfg(any(feature = "aws", feature = "cql"))]
    pub(crate) async fn identity(&self) -> Result<uuid::Uuid, LedgerError> {
        match self {
            Self::Embedded(ledger) => Ok(ledger.identity()),
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => ledger.identity().await,
            // A test that needs two of them brings two embedded ones.
            Self::Custom(_) => Ok(uuid::Uuid::nil()),
        }
    }
}
