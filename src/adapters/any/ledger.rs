//! Any ledger.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::account::{Account, Remembered};
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

/// A ledger that a test brings. Cheap to clone.
#[derive(Clone)]
pub struct AnyLedger(Arc<dyn Erased>);

impl AnyLedger {
    /// Takes a ledger.
    #[must_use]
    pub fn new(ledger: impl LedgerPort + 'static) -> Self {
        Self(Arc::new(ledger))
    }
}

impl fmt::Debug for AnyLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyLedger")
    }
}

type Read<'a, T> = BoxFuture<'a, Result<T, LedgerError>>;

/// The port without its types of futures.
trait Erased: Send + Sync {
    fn load(&self, user: UserId) -> Read<'_, Option<Account>>;
    fn file(&self, user: UserId, file: FileId) -> Read<'_, Option<File>>;
    fn request(&self, user: UserId, key: u64) -> Read<'_, Option<Remembered>>;
    fn files(&self, user: UserId, page: FilePage) -> Read<'_, Vec<File>>;
    fn entry(&self, user: UserId, version: u64) -> Read<'_, Option<Entry>>;
    fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Read<'_, Vec<Entry>>;
    fn entries_before(&self, user: UserId, between: (u64, u64), limit: usize) -> Read<'_, Vec<Entry>>;
    fn commit(&self, write: Write) -> BoxFuture<'_, Result<(), CommitError>>;
    fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Read<'_, ScanPage>;
}

impl<L: LedgerPort> Erased for L {
    fn load(&self, user: UserId) -> Read<'_, Option<Account>> {
        Box::pin(LedgerPort::load(self, user))
    }

    fn file(&self, user: UserId, file: FileId) -> Read<'_, Option<File>> {
        Box::pin(LedgerPort::file(self, user, file))
    }

    fn request(&self, user: UserId, key: u64) -> Read<'_, Option<Remembered>> {
        Box::pin(LedgerPort::request(self, user, key))
    }

    fn files(&self, user: UserId, page: FilePage) -> Read<'_, Vec<File>> {
        Box::pin(LedgerPort::files(self, user, page))
    }

    fn entry(&self, user: UserId, version: u64) -> Read<'_, Option<Entry>> {
        Box::pin(LedgerPort::entry(self, user, version))
    }

    fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Read<'_, Vec<Entry>> {
        Box::pin(LedgerPort::entries_after(self, user, after, limit))
    }

    fn entries_before(&self, user: UserId, between: (u64, u64), limit: usize) -> Read<'_, Vec<Entry>> {
        Box::pin(LedgerPort::entries_before(self, user, between, limit))
    }

    fn commit(&self, write: Write) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(LedgerPort::commit(self, write))
    }

    fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Read<'_, ScanPage> {
        Box::pin(LedgerPort::scan(self, after, limit))
    }
}

impl LedgerPort for AnyLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        self.0.load(user).await
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        self.0.file(user, file).await
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        self.0.request(user, key).await
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        self.0.files(user, page).await
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        self.0.entry(user, version).await
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.0.entries_after(user, after, limit).await
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.0.entries_before(user, between, limit).await
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        self.0.commit(write).await
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        self.0.scan(after, limit).await
    }
}
