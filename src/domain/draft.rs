//! A draft: transitions decided one after the other on a copy of the account, to be written as one.

use std::collections::{BTreeMap, BTreeSet};

use super::account::{Account, Change, Remembered, Transition};
use super::entry::Entry;
use super::file::{File, Visibility};
use super::ids::{FileId, OpId};
use super::invariant::Broken;
use crate::limits::COMMIT_TRANSITIONS_MAX;

/// Percentages of the limit whose crossing is told.
const THRESHOLDS_PERCENT: [u8; 3] = [100, 95, 80];

/// File rows by id. Boxed: a map's node has room for eleven, and most users have one at hand.
pub type Rows = BTreeMap<FileId, Box<File>>;

/// The one write: account, file rows and entries, to be applied together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The version that must be there; none: nothing was ever written.
    pub expected: Option<u64>,
    /// The account after.
    pub account: Account,
    /// The attempt; the entries carry it too.
    pub op: OpId,
    /// File rows as they are after.
    pub files: Vec<File>,
    /// File rows to forget: gone long enough.
    pub forgotten: Vec<FileId>,
    /// One a transition, in order.
    pub entries: Vec<Entry>,
}

/// Transitions on their way into one write.
#[derive(Clone, Debug)]
pub struct Draft {
    expected: Option<u64>,
    account: Account,
    rows: Rows,
    changed: BTreeSet<FileId>,
    entries: Vec<Entry>,
    op: OpId,
    quota_bytes_default: u64,
    forgotten: Vec<FileId>,
    is_dirty: bool,
    broken: Option<Broken>,
}

impl Draft {
    /// Starts from what the ledger holds; `rows` are the rows that decisions will need.
    #[must_use]
    pub fn new(account: Account, rows: Rows, op: OpId, quota_bytes_default: u64) -> Self {
        Self {
            expected: account.expected_version(),
            account,
            rows,
            changed: BTreeSet::new(),
            entries: Vec::new(),
            op,
            quota_bytes_default,
            forgotten: Vec::new(),
            is_dirty: false,
            broken: None,
        }
    }

    /// The account with everything drafted so far.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// A file's row with everything drafted so far.
    #[must_use]
    pub fn row(&self, file: FileId) -> Option<&File> {
        self.rows.get(&file).map(Box::as_ref)
    }

    /// How many more transitions fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        COMMIT_TRANSITIONS_MAX.saturating_sub(self.entries.len())
    }

    /// Adds a transition that was decided on this draft.
    pub fn push(&mut self, transition: &Transition) {
        let before = self.level();
        if let Change::File { before: row, .. } = transition.change
            && !self.account.totals.hold(row)
        {
            self.broken.get_or_insert(Broken::Row { row, totals: self.account.totals });
        }
        self.account.apply(transition);
        let entry = self.entry_of(transition, before);
        self.entries.push(entry);
        if let Change::File { after, .. } = &transition.change {
            self.changed.insert(after.file_id);
            self.rows.insert(after.file_id, after.clone());
        }
    }

    /// Adds what to remember of a request.
    pub fn remember(&mut self, request: Remembered) {
        self.account.remember(request);
    }

    /// Keeps who the token said it was, the first time.
    pub fn keep_subject(&mut self, subject: Option<&String>) {
        if self.account.subject.is_none() {
            self.account.subject = subject.cloned();
        }
    }

    /// Moves `published` up to `version`. Alone it makes no entry.
    pub fn mark_published(&mut self, version: u64) {
        let published = version.min(self.account.version);
        if published > self.account.published {
            self.account.published = published;
            self.is_dirty = true;
        }
    }

    /// Forgets the row of a file that has been gone for long enough. Alone it makes no entry.
    pub fn forget(&mut self, file: FileId) {
        self.changed.remove(&file);
        self.rows.remove(&file);
        self.forgotten.push(file);
        self.is_dirty = true;
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.is_dirty
    }

    /// The first transition whose row cannot be one of this account's, if there was one: what is read is damaged, and
    /// must not be written on.
    #[must_use]
    pub const fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    /// The write, and all rows known after it.
    #[must_use]
    pub fn into_write(self) -> (Write, Rows) {
        let files =
            self.changed.iter().filter_map(|id| self.rows.get(id)).map(|row| (**row).clone()).collect();
        let write = Write {
            expected: self.expected,
            account: self.account,
            op: self.op,
            files,
            forgotten: self.forgotten,
            entries: self.entries,
        };
        (write, self.rows)
    }

    fn level(&self) -> Level {
        let totals = self.account.totals;
        Level {
            taken_bytes: totals.used_bytes.saturating_add(totals.reserved_bytes),
            limit_bytes: self.account.limit_bytes(self.quota_bytes_default),
        }
    }

    fn entry_of(&self, transition: &Transition, before: Level) -> Entry {
        let row = match &transition.change {
            Change::File { after, .. } => Some(after),
            Change::Quota(_) | Change::State(_) => None,
        };
        let (level, totals) = (self.level(), self.account.totals);
        Entry {
            version: self.account.version,
            kind: transition.kind,
            file_id: row.map(|row| row.file_id),
            at: transition.at,
            op: self.op,
            size_bytes: row.map_or(0, |row| row.size_bytes),
            status: row.map(|row| row.status),
            reason: row.and_then(|row| row.reason),
            visibility: row.map_or(Visibility::Private, |row| row.visibility),
            revision: row.map_or(0, |row| row.revision),
            totals,
            limit_bytes: level.limit_bytes,
            state: self.account.state,
            threshold_percent: crossed(before, level),
        }
    }
}

/// How much of what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    taken_bytes: u64,
    limit_bytes: u64,
}

impl Level {
    /// Whether so much is taken. A limit of nothing has no percentages.
    fn reaches(self, percent: u8) -> bool {
        let (taken, limit) = (u128::from(self.taken_bytes), u128::from(self.limit_bytes));
        limit > 0 && taken * 100 >= limit * u128::from(percent)
    }
}

/// The highest threshold that was crossed upwards: by taking more, or by a lower limit.
fn crossed(before: Level, after: Level) -> Option<u8> {
    THRESHOLDS_PERCENT.into_iter().find(|percent| after.reaches(*percent) && !before.reaches(*percent))
}

#[cfg(test)]
mod tests;
