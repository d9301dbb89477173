//! The ledger, as a node sees it.

use crate::fault_injection::Op;
use wharfinger::domain::account::{Account, Remembered};
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::Entry;
use wharfinger::domain::file::File;
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::ports::{CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

use super::coming::Coming;
use super::fate::Crooked;
use super::port::{Port, Trouble};
use super::state::State;

impl Port {
    async fn read<T>(&self, op: Op, run: impl Fn(&State) -> T + Send) -> Result<T, LedgerError> {
        self.call(op, None, unread, move |state| Ok(run(state))).await
    }
}

impl LedgerPort for Port {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        self.read(Op::Load, |state| state.load(user)).await
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        self.read(Op::File, |state| state.file(user, file).cloned()).await
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        self.read(Op::Request, |state| state.request(user, key)).await
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        self.read(Op::Files, |state| state.files(user, page)).await
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        self.read(Op::Entry, |state| state.entry(user, version)).await
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        self.read(Op::EntriesAfter, |state| state.entries_after(user, after, limit)).await
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        self.read(Op::EntriesBefore, |state| state.entries_before(user, between, limit)).await
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let zombie = Some(Coming::Write(Box::new(write.clone())));
        self.call(Op::Commit, zombie, unwritten, |state| {
            if state.crooked == Crooked::SaysDoneTooEarly && state.rng.per_mille(150) {
                if state.rng.per_mille(500) {
                    state.later(5000, Coming::Write(Box::new(write.clone())));
                }
                return Ok(());
            }
            state.commit(&write)
        })
        .await
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        self.read(Op::Scan, |state| state.scan(after.as_ref(), limit)).await
    }
}

fn unread(trouble: Trouble) -> LedgerError {
    LedgerError::Unavailable { reason: format!("{trouble:?}") }
}

fn unwritten(trouble: Trouble) -> CommitError {
    let reason = format!("{trouble:?}");
    match trouble {
        Trouble::Refused => CommitError::Unavailable { reason },
        Trouble::Silent => CommitError::Unknown { reason },
    }
}
