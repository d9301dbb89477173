//! A ledger that fails on purpose.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use super::call::{Trouble, carry_out};
use super::fault::{Fault, Op, REASON};
use super::plan::Plan;
use wharfinger::adapters::embedded::EmbeddedLedger;
use wharfinger::domain::account::{Account, Remembered};
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::Entry;
use wharfinger::domain::file::File;
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Unreadable};

/// An embedded ledger that fails as planned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FaultyLedger {
    inner: EmbeddedLedger,
    plan: Plan,
    late: Arc<Mutex<Vec<Write>>>,
    damaged: Arc<Mutex<BTreeSet<UserId>>>,
    unreadable: Arc<Mutex<BTreeSet<UserId>>>,
}

impl FaultyLedger {
    /// This ledger under this plan.
    #[must_use]
    pub(crate) fn new(inner: EmbeddedLedger, plan: Plan) -> Self {
        Self { inner, plan, late: Arc::default(), damaged: Arc::default(), unreadable: Arc::default() }
    }

    /// From now on no read of this user's data is answered, whatever is planned, and no write is confirmed: as where
    /// a server cannot read one partition. A scan does not know whose account it is.
    pub(crate) fn make_unreadable(&self, user: UserId) {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    }

    fn is_unreadable(&self, user: UserId) -> bool {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).contains(&user)
    }

    /// From now on the account of this user cannot be understood, whatever is planned.
    pub(crate) fn damage(&self, user: UserId) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
    }

    fn is_damaged(&self, user: UserId) -> bool {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(&user)
    }

    /// Lets the writes land that are on their way ([`Fault::Late`]), in order. Returns the outcome of each.
    pub(crate) async fn land_late(&self) -> Vec<Result<(), CommitError>> {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        let mut landed = Vec::with_capacity(late.len());
        for write in late {
            landed.push(self.inner.commit(write).await);
        }
        landed
    }

    async fn read<T, F>(&self, op: Op, run: impl Fn() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        carry_out(self.plan.fault(op).await, None, read_error, run).await
    }

    /// The same of one user's data.
    async fn read_of<T, F>(&self, user: UserId, op: Op, run: impl Fn() -> F) -> Result<T, LedgerError>
    where
        F: Future<Output = Result<T, LedgerError>>,
    {
        let read = self.read(op, run).await;
        if self.is_unreadable(user) { Err(unreadable()) } else { read }
    }
}

impl LedgerPort for FaultyLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        let account = self.read_of(user, Op::Load, || self.inner.load(user)).await?;
        if self.is_damaged(user) { Err(read_error(Trouble::Corrupt)) } else { Ok(account) }
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        self.read_of(user, Op::File, || self.inner.file(user, file)).await
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        self.read_of(user, Op::Request, || self.inner.request(user, key)).await
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        self.read_of(user, Op::Files, || self.inner.files(user, page)).await
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        self.read_of(user, Op::Entry, || self.inner.entry(user, version)).await
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.read_of(user, Op::EntriesAfter, || self.inner.entries_after(user, after, limit)).await
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.read_of(user, Op::EntriesBefore, || self.inner.entries_before(user, between, limit)).await
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let fault = self.plan.fault(Op::Commit).await;
        if fault == Fault::Late {
            self.late.lock().unwrap_or_else(PoisonError::into_inner).push(write.clone());
        }
        if self.is_unreadable(write.account.user) {
            return Err(commit_error(Trouble::Unknown));
        }
        carry_out(fault, None, commit_error, || self.inner.commit(write.clone())).await
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        let mut page = self.read(Op::Scan, || self.inner.scan(after.clone(), limit)).await?;
        let damaged = page.accounts.extract_if(.., |account| self.is_damaged(account.user));
        let error = || read_error(Trouble::Corrupt);
        page.unreadable
            .extend(damaged.map(|account| Unreadable { user: Some(account.user), error: error() }));
        let unread = page.accounts.extract_if(.., |account| self.is_unreadable(account.user));
        page.unreadable.extend(unread.map(|_| Unreadable { user: None, error: unreadable() }));
        Ok(page)
    }
}

fn unreadable() -> LedgerError {
    LedgerError::Unreadable { reason: REASON.to_owned() }
}

fn read_error(trouble: Trouble) -> LedgerError {
    match trouble {
        Trouble::Unavailable | Trouble::Unknown => LedgerError::Unavailable { reason: REASON.to_owned() },
        Trouble::Corrupt => LedgerError::Corrupt { reason: REASON.to_owned() },
    }
}

fn commit_error(trouble: Trouble) -> CommitError {
    match trouble {
        Trouble::Unavailable => CommitError::Unavailable { reason: REASON.to_owned() },
        Trouble::Unknown | Trouble::Corrupt => CommitError::Unknown { reason: REASON.to_owned() },
    }
}
