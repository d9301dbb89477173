//! The ledger on the store.

mod requests;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use fjall::{Keyspace, Slice};

use super::EmbeddedStore;
use super::store::{
    Batch, CommitCallback, Heads, Job, ReadError, Tables, Unsent, row, split, tell, u64_at, unrow,
};
use crate::domain::account::{Account, Remembered};
use crate::domain::draft::{RowRange, Write};
use crate::domain::entry::{Entry, EntryKind};
use crate::domain::file::File;
use crate::domain::ids::{FileId, OpId, UserId};
use crate::ports::{
    CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Summary, Unreadable,
};

pub(crate) use requests::old_requests;

/// Bytes in front of an account's row that a write compares: the version and the last attempt.
const HEAD_LEN: usize = 8 + 16;
/// Bytes of the time in front of a remembered request.
const TIME_LEN: usize = 8;

/// The ledger in an embedded store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EmbeddedLedger {
    store: EmbeddedStore,
}

/// A write as its rows. Encoded by the caller, so that the committer only compares and copies.
#[derive(Debug)]
pub(crate) struct EncodedWrite {
    user: UserId,
    expected: Option<Head>,
    head: Head,
    account: Slice,
    files: Vec<([u8; 32], Slice)>,
    forgotten: Vec<RowRange>,
    requests: Vec<([u8; 24], Slice)>,
    entries: Vec<([u8; 24], Slice)>,
    trimmed: Option<RangeInclusive<u64>>,
    is_beginning: bool,
}

/// What tells one write of an account from every other: the version after it, and the attempt that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    version: u64,
    op: OpId,
}

impl Head {
    fn bytes(self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        bytes[..8].copy_from_slice(&self.version.to_be_bytes());
        bytes[8..].copy_from_slice(self.op.uuid().as_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Self, ReadError> {
        let version = u64_at(bytes)?;
        let op = uuid::Uuid::from_slice(&bytes[8..]);
        let op = op.map_err(|_| ReadError::Corrupt("an account does not name its last write".to_owned()))?;
        Ok(Self { version, op: OpId::from_uuid(op) })
    }
}

impl EncodedWrite {
    /// Whether it makes files, for which more will be written.
    pub(crate) const fn begins_something(&self) -> bool {
        self.is_beginning
    }

    pub(crate) fn new(write: &Write) -> Self {
        let user = write.account.user;
        let head = Head { version: write.account.version, op: write.op };
        // Every account of this store names its last write, so an expectation without a name is never met.
        let expected_op = write.expected_op.unwrap_or(OpId::from_uuid(uuid::Uuid::nil()));
        let expected = write.expected.map(|version| Head { version, op: expected_op });
        let file = |file: &File| (file_key(user, file.file_id), Slice::from(row(&[], file)));
        let entry = |entry: &Entry| (entry_key(user, entry.version), Slice::from(row(&[], entry)));
        let request = |request: &Remembered| {
            let at = request.at.as_millis().to_be_bytes();
            (entry_key(user, request.key), Slice::from(row(&at, request)))
        };
        Self {
            user,
            expected,
            head,
            account: Slice::from(row(&head.bytes(), &write.account)),
            files: write.files.iter().map(file).collect(),
            forgotten: write.forgotten.clone(),
            requests: write.requests.iter().map(request).collect(),
            entries: write.entries.iter().map(entry).collect(),
            trimmed: write.trimmed.clone(),
            is_beginning: write.entries.iter().any(|entry| entry.kind == EntryKind::Reserved),
        }
    }
}

/// Why a write whose account cannot be read is not made.
fn unread_version(error: &LedgerError) -> CommitError {
    let reason = error.to_string();
    if error.is_outage() { CommitError::Unavailable { reason } } else { CommitError::Refused { reason } }
}

/// Adds a write to the batch, if the account is at the version it expects. Runs on the committer.
pub(crate) fn apply(
    write: EncodedWrite,
    tables: &Tables,
    heads: &mut Heads,
    batch: &mut Batch,
) -> Result<(), CommitError> {
    let unread = |error: ReadError| unread_version(&ledger_error(error));
    let found = match heads.versions.of(write.user) {
        Some(head) => Some(head),
        None => stored_head(tables, write.user).map_err(unread)?,
    };
    if found != write.expected {
        return Err(CommitError::Conflict);
    }
    let forgotten = forgotten_keys(tables, write.user, &write.forgotten).map_err(unread)?;
    forgotten.into_iter().for_each(|key| batch.remove(&tables.files, key));
    for (key, file) in write.files {
        batch.put(&tables.files, key, file);
    }
    for (key, request) in write.requests {
        batch.put(&tables.requests, key, request);
    }
    for version in write.trimmed.into_iter().flatten() {
        batch.remove(&tables.entries, entry_key(write.user, version));
    }
    for (key, entry) in write.entries {
        batch.put(&tables.entries, key, entry);
    }
    // Last: a reader that sees this account sees its files and entries.
    batch.put(&tables.accounts, write.user.uuid().as_bytes(), write.account);
    heads.versions.set(write.user, write.head);
    Ok(())
}

/// The rows that are on disk in these ranges. A row that an earlier write of the same batch made is not among them, and
/// need not be: who forgets a range has seen every row in it.
fn forgotten_keys(tables: &Tables, user: UserId, ranges: &[RowRange]) -> Result<Vec<Slice>, ReadError> {
    let mut keys = Vec::new();
    for range in ranges {
        if range.first == range.last {
            keys.push(Slice::from(file_key(user, range.first)));
            continue;
        }
        for guard in tables.files.range(file_key(user, range.first)..=file_key(user, range.last)) {
            keys.push(guard.key()?);
        }
    }
    Ok(keys)
}

/// The last write of accounts that were written recently, so that the next write need not read. A write that fails is
/// the store's last, so what is here is on disk, or will be.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    young: HashMap<UserId, Head>,
    old: HashMap<UserId, Head>,
}

impl Versions {
    /// Accounts in one generation; there are two, of some 5 MB each.
    const GENERATION_MAX: usize = 114_688;

    fn of(&self, user: UserId) -> Option<Head> {
        self.young.get(&user).or_else(|| self.old.get(&user)).copied()
    }

    fn set(&mut self, user: UserId, head: Head) {
        if self.young.len() >= Self::GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, head);
    }
}

fn stored_head(tables: &Tables, user: UserId) -> Result<Option<Head>, ReadError> {
    let Some(row) = tables.accounts.get(user.uuid().as_bytes())? else { return Ok(None) };
    let (head, _) = split(&row, HEAD_LEN)?;
    Head::read(head).map(Some)
}

impl EmbeddedLedger {
    /// The identity of this ledger, made with it.
    #[cfg(any(feature = "aws", feature = "cql"))]
    pub(in crate::adapters) fn identity(&self) -> uuid::Uuid {
        self.store.identity()
    }

    /// The ledger of a store.
    #[must_use]
    pub fn new(store: &EmbeddedStore) -> Self {
        Self { store: store.clone() }
    }

    /// Hands a write over without waiting; `callback` is called when it has ended. If there is no room at once nothing
    /// is written, and `callback` comes back.
    pub(in crate::adapters) fn start_commit(
        &self,
        write: &Write,
        callback: CommitCallback,
    ) -> Result<(), CommitCallback> {
        let Some(room) = self.store.room() else { return Err(callback) };
        room.send(Job::Commit(EncodedWrite::new(write), callback));
        Ok(())
    }

    fn tables(&self) -> &Tables {
        &self.store.shared().tables
    }
}

// Reads go straight to the engine: what it shows is on disk. They may read a file, which blocks the task
// for as long as the disk takes; most are answered from memory.
impl LedgerPort for EmbeddedLedger {
    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        get(&self.tables().accounts, user.uuid().as_bytes(), HEAD_LEN).map_err(ledger_error)
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        get(&self.tables().files, &file_key(user, file), 0).map_err(ledger_error)
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        get(&self.tables().requests, &entry_key(user, key), TIME_LEN).map_err(ledger_error)
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        let first = file_key(user, FileId::from_uuid(uuid::Uuid::nil()));
        let files = &self.tables().files;
        let rows = match page.before {
            Some(before) => files.range(first..file_key(user, before)),
            None => files.range(first..=file_key(user, FileId::from_uuid(uuid::Uuid::max()))),
        };
        rows.rev().take(page.limit).map(value).collect::<Result<_, _>>().map_err(ledger_error)
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        get(&self.tables().entries, &entry_key(user, version), 0).map_err(ledger_error)
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let rows = self.tables().entries.range(entry_key(user, first)..=entry_key(user, u64::MAX));
        rows.take(limit).map(value).collect::<Result<_, _>>().map_err(ledger_error)
    }

    async fn entries_before(
        &self,
        user: UserId,
        (floor, before): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let first = floor.saturating_add(1);
        if first >= before {
            return Ok(Vec::new());
        }
        let rows = self.tables().entries.range(entry_key(user, first)..entry_key(user, before));
        rows.rev().take(limit).map(value).collect::<Result<_, _>>().map_err(ledger_error)
    }

    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let encoded = EncodedWrite::new(&write);
        let job = |reply| Job::Commit(encoded, Box::new(move |outcome| tell(reply, outcome)));
        match self.store.submit(job).await {
            Ok(outcome) => outcome,
            Err(Unsent::Refused(reason)) => Err(CommitError::Unavailable { reason }),
            Err(Unsent::Lost(reason)) => Err(CommitError::Unknown { reason }),
        }
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        // The cursor is the last user's key; the shortest key above it has one more byte.
        let from = after.map_or_else(Vec::new, |ScanCursor(last)| [&last[..], &[0]].concat());
        let mut rows = self.tables().accounts.range(from..);
        let (mut page, mut last) = (ScanPage::default(), None);
        for guard in rows.by_ref().take(limit.max(1)) {
            let (key, row) = guard.into_inner().map_err(|error| ledger_error(error.into()))?;
            let user = user_at(&key).map_err(ledger_error)?;
            match unrow::<Account>(&row, HEAD_LEN) {
                Ok(account) => page.accounts.push(Summary::from(&account)),
                Err(error) => {
                    page.unreadable.push(Unreadable { user: Some(user), error: ledger_error(error.into()) })
                }
            }
            last = Some(ScanCursor(key.to_vec()));
        }
        page.next = last.filter(|_| rows.next().is_some());
        Ok(page)
    }
}

fn user_at(key: &[u8]) -> Result<UserId, ReadError> {
    let user = uuid::Uuid::from_slice(key);
    user.map(UserId::from_uuid).map_err(|_| ReadError::Corrupt("a key names no user".to_owned()))
}

fn file_key(user: UserId, file: FileId) -> [u8; 32] {
    let mut key = [0; 32];
    key[..16].copy_from_slice(user.uuid().as_bytes());
    key[16..].copy_from_slice(file.uuid().as_bytes());
    key
}

/// The key of an entry by its version, and of a remembered request by its key.
fn entry_key(user: UserId, version: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(user.uuid().as_bytes());
    key[16..].copy_from_slice(&version.to_be_bytes());
    key
}

fn get<T: serde::de::DeserializeOwned>(
    table: &Keyspace,
    key: &[u8],
    fixed_len: usize,
) -> Result<Option<T>, ReadError> {
    let row = table.get(key)?;
    Ok(row.map(|row| unrow(&row, fixed_len)).transpose()?)
}

fn value<T: serde::de::DeserializeOwned>(guard: fjall::Guard) -> Result<T, ReadError> {
    Ok(unrow(&guard.value()?, 0)?)
}

fn ledger_error(error: ReadError) -> LedgerError {
    match error {
        ReadError::Disk(reason) => LedgerError::Unavailable { reason },
        ReadError::Corrupt(reason) => LedgerError::Corrupt { reason },
    }
}
