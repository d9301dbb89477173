//! The ledger on the store.

use std::collections::HashMap;

use fjall::{Keyspace, Slice};

use super::EmbeddedStore;
use super::store::{Batch, Heads, Heard, Job, ReadError, Tables, Unsent, row, split, tell, u64_at, unrow};
use crate::domain::account::Account;
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::ports::{
    CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage, Summary, Unreadable,
};

/// Bytes of the version in front of an account's row.
const VERSION_LEN: usize = 8;

/// The ledger in an embedded store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EmbeddedLedger {
    store: EmbeddedStore,
}

/// A write as its rows. Encoded by the caller, so that the committer only compares and copies.
#[derive(Debug)]
pub(crate) struct EncodedWrite {
    user: UserId,
    expected: Option<u64>,
    version: u64,
    account: Slice,
    files: Vec<([u8; 32], Option<Slice>)>,
    entries: Vec<([u8; 24], Slice)>,
}

impl EncodedWrite {
    pub(crate) fn new(write: &Write) -> Self {
        let user = write.account.user;
        let version = write.account.version;
        let kept =
            write.files.iter().map(|file| (file_key(user, file.file_id), Some(Slice::from(row(&[], file)))));
        let forgotten = write.forgotten.iter().map(|file| (file_key(user, *file), None));
        let entry = |entry: &Entry| (entry_key(user, entry.version), Slice::from(row(&[], entry)));
        Self {
            user,
            expected: write.expected,
            version,
            account: Slice::from(row(&version.to_be_bytes(), &write.account)),
            files: kept.chain(forgotten).collect(),
            entries: write.entries.iter().map(entry).collect(),
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
    let found = match heads.versions.of(write.user) {
        Some(version) => Some(version),
        None => stored_version(tables, write.user).map_err(|error| unread_version(&ledger_error(error)))?,
    };
    if found != write.expected {
        return Err(CommitError::Conflict);
    }
    for (key, file) in write.files {
        match file {
            Some(file) => batch.put(&tables.files, key, file),
            None => batch.remove(&tables.files, key),
        }
    }
    for (key, entry) in write.entries {
        batch.put(&tables.entries, key, entry);
    }
    // Last: whoever sees this account sees its files and entries.
    batch.put(&tables.accounts, write.user.uuid().as_bytes(), write.account);
    heads.versions.set(write.user, write.version);
    Ok(())
}

/// Versions of accounts that were written of late, so that the next write need not read. A write that fails is
/// the store's last, so what stands here is what is on disk, or will be.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    young: HashMap<UserId, u64>,
    old: HashMap<UserId, u64>,
}

impl Versions {
    /// Accounts in one generation; there are two, of some 3 MB each.
    const GENERATION_MAX: usize = 114_688;

    fn of(&self, user: UserId) -> Option<u64> {
        self.young.get(&user).or_else(|| self.old.get(&user)).copied()
    }

    fn set(&mut self, user: UserId, version: u64) {
        if self.young.len() >= Self::GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(user, version);
    }
}

fn stored_version(tables: &Tables, user: UserId) -> Result<Option<u64>, ReadError> {
    let Some(row) = tables.accounts.get(user.uuid().as_bytes())? else { return Ok(None) };
    let (version, _) = split(&row, VERSION_LEN)?;
    Ok(Some(u64_at(version)?))
}

impl EmbeddedLedger {
    /// The ledger of a store.
    #[must_use]
    pub fn new(store: &EmbeddedStore) -> Self {
        Self { store: store.clone() }
    }

    /// Hands a write over without waiting; `heard` is called when it has ended. If there is no room at once nothing
    /// is written, and `heard` comes back.
    pub(in crate::adapters) fn start_commit(&self, write: &Write, heard: Heard) -> Result<(), Heard> {
        let Some(room) = self.store.room() else { return Err(heard) };
        room.send(Job::Commit(EncodedWrite::new(write), heard));
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
        get(&self.tables().accounts, user.uuid().as_bytes(), VERSION_LEN).map_err(ledger_error)
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        get(&self.tables().files, &file_key(user, file), 0).map_err(ledger_error)
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
        before: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let rows = self.tables().entries.range(entry_key(user, 0)..entry_key(user, before));
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
            match unrow::<Account>(&row, VERSION_LEN) {
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
