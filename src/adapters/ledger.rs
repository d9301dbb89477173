//! Every ledger we ship.

use super::any::AnyLedger;
use super::embedded::{EmbeddedLedger, Heard};
use super::faulty::FaultyLedger;
#[cfg(feature = "cql")]
use super::scylla::LazyScyllaLedger;
use crate::domain::account::{Account, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

/// The ledger that the settings chose. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Ledger {
    /// In this process.
    Embedded(EmbeddedLedger),
    /// On ScyllaDB or Apache Cassandra.
    #[cfg(feature = "cql")]
    Scylla(LazyScyllaLedger),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyLedger),
    /// Whatever a test brings. No setting leads here.
    Any(AnyLedger),
}

impl Ledger {
    /// Starts a write, if this ledger can do so without anybody waiting for it: no task, no timer, for the many
    /// small writes of this process's own store. There is no deadline; whoever starts it keeps one.
    ///
    /// # Errors
    /// Nothing was written, and `heard` comes back: `commit` is the way.
    pub(crate) fn start_commit(&self, write: &Write, heard: Heard) -> Result<(), Heard> {
        match self {
            Self::Embedded(ledger) => ledger.start_commit(write, heard),
            #[cfg(feature = "cql")]
            Self::Scylla(_) => Err(heard),
            Self::Faulty(_) | Self::Any(_) => Err(heard),
        }
    }
}

impl Ledger {
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
            Self::Faulty(_) | Self::Any(_) => Ok(uuid::Uuid::nil()),
        }
    }
}

impl LedgerPort for Ledger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.load(user).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.load(user)).await,
            Self::Faulty(ledger) => ledger.load(user).await,
            Self::Any(ledger) => ledger.load(user).await,
        }
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.file(user, file).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.file(user, file)).await,
            Self::Faulty(ledger) => ledger.file(user, file).await,
            Self::Any(ledger) => ledger.file(user, file).await,
        }
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.request(user, key).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.request(user, key)).await,
            Self::Faulty(ledger) => ledger.request(user, key).await,
            Self::Any(ledger) => ledger.request(user, key).await,
        }
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.files(user, page).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.files(user, page)).await,
            Self::Faulty(ledger) => ledger.files(user, page).await,
            Self::Any(ledger) => ledger.files(user, page).await,
        }
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.entry(user, version).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.entry(user, version)).await,
            Self::Faulty(ledger) => ledger.entry(user, version).await,
            Self::Any(ledger) => ledger.entry(user, version).await,
        }
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.entries_after(user, after, limit).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.entries_after(user, after, limit)).await,
            Self::Faulty(ledger) => ledger.entries_after(user, after, limit).await,
            Self::Any(ledger) => ledger.entries_after(user, after, limit).await,
        }
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.entries_before(user, between, limit).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.entries_before(user, between, limit)).await,
            Self::Faulty(ledger) => ledger.entries_before(user, between, limit).await,
            Self::Any(ledger) => ledger.entries_before(user, between, limit).await,
        }
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        match self {
            Self::Embedded(ledger) => ledger.commit(write).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.commit(write)).await,
            Self::Faulty(ledger) => ledger.commit(write).await,
            Self::Any(ledger) => ledger.commit(write).await,
        }
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        match self {
            Self::Embedded(ledger) => ledger.scan(after, limit).await,
            #[cfg(feature = "cql")]
            Self::Scylla(ledger) => Box::pin(ledger.scan(after, limit)).await,
            Self::Faulty(ledger) => ledger.scan(after, limit).await,
            Self::Any(ledger) => ledger.scan(after, limit).await,
        }
    }
}
