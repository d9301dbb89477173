//! The ledger: one partition a user, moved by one conditional write.

use std::collections::BTreeMap;

use wharfinger::domain::account::{Account, Remembered};
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::Entry;
use wharfinger::domain::file::File;
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::ports::{CommitError, FilePage, ScanCursor, ScanPage, Summary};

use super::checks::Ledgered;
use super::fate::Crooked;
use super::state::State;

/// One user's partition.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) account: Account,
    pub(crate) files: BTreeMap<FileId, File>,
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Remembered requests, by key.
    pub(crate) requests: BTreeMap<u64, Remembered>,
    /// What the checks remember.
    pub(crate) seen: Ledgered,
}

impl State {
    pub(crate) fn load(&self, user: UserId) -> Option<Account> {
        let mut account = self.ledger.get(&user)?.account.clone();
        if self.crooked == Crooked::LendsQuota {
            account.quota_bytes = Some(1 << 40);
        }
        Some(account)
    }

    pub(crate) fn file(&self, user: UserId, file: FileId) -> Option<&File> {
        self.ledger.get(&user)?.files.get(&file)
    }

    /// A file's row, or what it was when it was forgotten.
    pub(crate) fn last_row(&self, user: UserId, file: FileId) -> Option<&File> {
        self.file(user, file).or_else(|| self.ledger.get(&user)?.seen.forgotten.get(&file))
    }

    pub(crate) fn request(&self, user: UserId, key: u64) -> Option<Remembered> {
        self.ledger.get(&user)?.requests.get(&key).cloned()
    }

    pub(crate) fn files(&self, user: UserId, page: FilePage) -> Vec<File> {
        let Some(partition) = self.ledger.get(&user) else { return Vec::new() };
        let above = partition.files.values().rev();
        above
            .filter(|file| page.before.is_none_or(|before| file.file_id < before))
            .take(page.limit)
            .cloned()
            .collect()
    }

    pub(crate) fn entry(&self, user: UserId, version: u64) -> Option<Entry> {
        self.ledger.get(&user)?.entries.get(&version).cloned()
    }

    pub(crate) fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Vec<Entry> {
        let Some(partition) = self.ledger.get(&user) else { return Vec::new() };
        let Some(first) = after.checked_add(1) else { return Vec::new() };
        let mut entries: Vec<Entry> =
            partition.entries.range(first..).map(|(_, entry)| entry.clone()).collect();
        if self.crooked == Crooked::ReadsBackwards {
            entries.reverse();
        }
        entries.truncate(limit);
        entries
    }

    pub(crate) fn entries_before(
        &self,
        user: UserId,
        (floor, before): (u64, u64),
        limit: usize,
    ) -> Vec<Entry> {
        let Some(partition) = self.ledger.get(&user) else { return Vec::new() };
        if floor.saturating_add(1) >= before {
            return Vec::new();
        }
        partition.entries.range(floor + 1..before).rev().take(limit).map(|(_, entry)| entry.clone()).collect()
    }

    pub(crate) fn scan(&self, after: Option<&ScanCursor>, limit: usize) -> ScanPage {
        if self.crooked == Crooked::NeverSweeps {
            return ScanPage::default();
        }
        let is_after =
            |user: &UserId| after.is_none_or(|ScanCursor(last)| user.uuid().as_bytes()[..] > last[..]);
        let mut rest = self.ledger.iter().filter(|(user, _)| is_after(user));
        let page = rest.by_ref().take(limit.max(1));
        let accounts: Vec<Summary> = page.map(|(_, partition)| Summary::from(&partition.account)).collect();
        let last = accounts.last().map(|last| ScanCursor(last.user.uuid().as_bytes().to_vec()));
        ScanPage { next: rest.next().and(last), accounts, unreadable: Vec::new() }
    }

    /// The one write, on the version it expects.
    pub(crate) fn commit(&mut self, write: &Write) -> Result<(), CommitError> {
        let user = write.account.user;
        let name = self.trace.name('u', user.uuid());
        let found = self.ledger.get(&user).map(|partition| partition.account.version);
        let found_op = self.ledger.get(&user).and_then(|partition| partition.account.op);
        let is_another = found_op != write.expected_op && self.crooked != Crooked::IgnoresAttempts;
        if (found != write.expected || is_another) && self.crooked != Crooked::IgnoresVersions {
            self.note(format_args!("{name} conflict: {found:?} and not {:?}", write.expected));
            return Err(CommitError::Conflict);
        }
        self.commits += 1;
        let before = self.ledger.get(&user).map(|partition| partition.account.clone());
        let partition = self.ledger.entry(user).or_insert_with(|| Partition {
            account: Account::new(user),
            files: BTreeMap::new(),
            entries: BTreeMap::new(),
            requests: BTreeMap::new(),
            seen: Ledgered::default(),
        });
        for file in &write.files {
            partition.files.insert(file.file_id, file.clone());
        }
        for range in &write.forgotten {
            let rows = partition.files.extract_if(range.first..=range.last, |_, _| true);
            partition.seen.forgotten.extend(rows);
        }
        for request in &write.requests {
            partition.requests.insert(request.key, request.clone());
        }
        let trimmed: Vec<Entry> = write
            .trimmed
            .clone()
            .into_iter()
            .flatten()
            .filter_map(|version| partition.entries.remove(&version))
            .collect();
        for entry in &write.entries {
            partition.entries.insert(entry.version, entry.clone());
        }
        let is_torn = self.crooked == Crooked::TearsWrites && write.account.version % 7 == 3;
        if is_torn && !write.files.is_empty() {
            partition.account.version = write.account.version;
        } else {
            partition.account = write.account.clone();
        }
        let kinds: Vec<String> = write.entries.iter().map(|entry| self.told(entry)).collect();
        let (version, published) = (write.account.version, write.account.published);
        self.note(format_args!("{name} v{version} published {published} {}", kinds.join(" ")));
        self.check_commit(before.as_ref(), write);
        trimmed.iter().for_each(|entry| self.check_trimmed(entry.at));
        if write.forgotten.iter().any(|range| range.first != range.last) {
            self.reached("range forgotten");
        }
        Ok(())
    }

    fn told(&mut self, entry: &Entry) -> String {
        let file = entry.file_id.map_or_else(String::new, |file| self.trace.name('f', file.uuid()));
        format!("{:?}({file} {}B)", entry.kind, entry.size_bytes)
    }
}
