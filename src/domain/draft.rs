//! A draft: transitions decided one after the other on a copy of the account, to be written as one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::account::{Account, Change, Remembered, Transition};
use super::entry::Entry;
use super::file::{File, Visibility};
use super::ids::{FileId, OpId};
use super::invariant::Broken;
use crate::limits::{COMMIT_TRANSITIONS_MAX, TRIMMED_MAX};

/// Percentages of the limit; crossing one publishes an event.
const THRESHOLDS_PERCENT: [u8; 3] = [100, 95, 80];

/// File rows by id. Boxed: a map's node has room for eleven, and most users load one.
pub type Rows = BTreeMap<FileId, Box<File>>;

/// Remembered requests by key; none: there is no such row.
pub type Requests = BTreeMap<u64, Option<Remembered>>;

/// Neighbouring file rows that leave together. No other row has an id between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowRange {
    /// The lowest id.
    pub first: FileId,
    /// The highest id; the same for a single row.
    pub last: FileId,
}

impl RowRange {
    /// A single row.
    #[must_use]
    pub const fn of(file: FileId) -> Self {
        Self { first: file, last: file }
    }

    /// Whether a row with this id leaves.
    #[must_use]
    pub fn contains(&self, file: FileId) -> bool {
        (self.first..=self.last).contains(&file)
    }
}

/// The one write: account, file rows and entries, to be applied together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The version that must be there; none: nothing was ever written.
    pub expected: Option<u64>,
    /// The attempt that must have made the last write. So a write that arrives late changes nothing, not even if all
    /// that was written since made no transition.
    pub expected_op: Option<OpId>,
    /// The account after.
    pub account: Account,
    /// The attempt; the entries carry it too.
    pub op: OpId,
    /// File rows as they are after.
    pub files: Vec<File>,
    /// File rows to delete; none of them is in `files`.
    pub forgotten: Vec<RowRange>,
    /// Requests to remember.
    pub requests: Vec<Remembered>,
    /// One a transition, in order.
    pub entries: Vec<Entry>,
    /// Versions of entries to delete: those between the old and the new `history_floor` of the account.
    pub trimmed: Option<RangeInclusive<u64>>,
}

impl Write {
    /// A write on top of this account that changes nothing yet.
    #[must_use]
    pub fn on(account: Account, op: OpId) -> Self {
        Self {
            expected: account.expected_version(),
            expected_op: account.op,
            account: Account { op: Some(op), ..account },
            op,
            files: Vec::new(),
            forgotten: Vec::new(),
            requests: Vec::new(),
            entries: Vec::new(),
            trimmed: None,
        }
    }
}

/// The parts of a draft that changes nothing.
#[derive(Clone, Debug)]
pub struct Unchanged {
    /// The account.
    pub account: Account,
    /// The file rows.
    pub rows: Rows,
    /// The remembered requests.
    pub requests: Requests,
}

/// Transitions on their way into one write.
#[derive(Clone, Debug)]
pub struct Draft {
    write: Write,
    rows: Rows,
    requests: Requests,
    changed: BTreeSet<FileId>,
    quota_bytes_default: u64,
    is_dirty: bool,
    /// Takes no further transition: a range of rows leaves, and a new row could be inside it.
    is_closed: bool,
    broken: Option<Broken>,
}

impl Draft {
    /// Starts from what the ledger holds; `rows` are the rows that decisions will need.
    #[must_use]
    pub fn new(account: Account, rows: Rows, op: OpId, quota_bytes_default: u64) -> Self {
        Self {
            write: Write::on(account, op),
            rows,
            requests: Requests::new(),
            changed: BTreeSet::new(),
            quota_bytes_default,
            is_dirty: false,
            is_closed: false,
            broken: None,
        }
    }

    /// The same, with the remembered requests that decisions will need.
    #[must_use]
    pub fn with_requests(self, requests: Requests) -> Self {
        Self { requests, ..self }
    }

    /// The account with everything drafted so far.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.write.account
    }

    /// A file's row with everything drafted so far.
    #[must_use]
    pub fn row(&self, file: FileId) -> Option<&File> {
        self.rows.get(&file).map(Box::as_ref)
    }

    /// The request remembered under this key with everything drafted so far; none: there is none.
    #[must_use]
    pub fn request(&self, key: u64) -> Option<&Remembered> {
        self.requests.get(&key).and_then(Option::as_ref)
    }

    /// Whether the remembered request of this key is loaded.
    #[must_use]
    pub fn knows_request(&self, key: u64) -> bool {
        self.requests.contains_key(&key)
    }

    /// The attempt that made the last write, as long as nothing is drafted on top.
    #[must_use]
    pub fn untouched_since(&self) -> Option<OpId> {
        self.write.expected_op.filter(|_| self.is_empty())
    }

    /// The attempt that this draft becomes.
    #[must_use]
    pub const fn op(&self) -> OpId {
        self.write.op
    }

    /// How many more transitions fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        if self.is_closed { 0 } else { COMMIT_TRANSITIONS_MAX.saturating_sub(self.write.entries.len()) }
    }

    /// Adds a transition that was decided on this draft.
    pub fn push(&mut self, transition: &Transition) {
        let before = self.level();
        if let Change::File { before: row, .. } = transition.change
            && !self.write.account.totals.hold(row)
        {
            self.broken.get_or_insert(Broken::Row { row, totals: self.write.account.totals });
        }
        self.write.account.apply(transition);
        let entry = self.entry_of(transition, before);
        self.write.entries.push(entry);
        if let Change::File { after, .. } = &transition.change {
            self.changed.insert(after.file_id);
            self.rows.insert(after.file_id, after.clone());
        }
    }

    /// Adds what to remember of a request.
    pub fn remember(&mut self, request: Remembered) {
        self.requests.insert(request.key, Some(request.clone()));
        self.write.requests.push(request);
        self.is_dirty = true;
    }

    /// Stores the subject of the token, the first time.
    pub fn keep_subject(&mut self, subject: Option<&String>) {
        if self.write.account.subject.is_none() {
            self.write.account.subject = subject.cloned();
        }
    }

    /// Moves `published` up to `version`. Alone it makes no entry.
    pub fn mark_published(&mut self, version: u64) {
        let account = &mut self.write.account;
        let published = version.min(account.version);
        if published > account.published {
            account.published = published;
            self.is_dirty = true;
        }
    }

    /// Forgets the row of a file that counts for nothing. Alone it makes no entry.
    pub fn forget(&mut self, file: FileId) {
        self.changed.remove(&file);
        self.rows.remove(&file);
        self.write.forgotten.push(RowRange::of(file));
        self.rows_left(1);
    }

    /// Forgets all rows of a range: so many, each of which counts for nothing. The draft takes no transition after it.
    pub fn forget_range(&mut self, range: RowRange, count: u32) {
        self.rows.retain(|file, _| !range.contains(*file));
        self.write.forgotten.push(range);
        self.rows_left(count);
        self.is_closed = true;
    }

    fn rows_left(&mut self, count: u32) {
        let account = &mut self.write.account;
        // Never fewer than the rows that count: an earlier release did not count the others.
        account.row_count -= count.min(account.dead_rows());
        self.is_dirty = true;
    }

    /// Trims the history up to this version: the entries are deleted and never read again. Never above `published`,
    /// and at most [`TRIMMED_MAX`] entries. Alone it makes no entry.
    pub fn trim(&mut self, up_to: u64) {
        let account = &mut self.write.account;
        let first = account.history_floor + 1;
        let last = up_to.min(account.published).min(account.history_floor.saturating_add(TRIMMED_MAX));
        if first <= last {
            account.history_floor = last;
            let begin = self.write.trimmed.as_ref().map_or(first, |trimmed| *trimmed.start());
            self.write.trimmed = Some(begin..=last);
            self.is_dirty = true;
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.write.entries.is_empty() && !self.is_dirty
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
        (Write { files, ..self.write }, self.rows)
    }

    /// The account and rows it started from, if it is empty.
    #[must_use]
    pub fn into_unchanged(self) -> Unchanged {
        let account = Account { op: self.write.expected_op, ..self.write.account };
        Unchanged { account, rows: self.rows, requests: self.requests }
    }

    fn level(&self) -> Level {
        let totals = self.write.account.totals;
        Level {
            taken_bytes: totals.used_bytes.saturating_add(totals.reserved_bytes),
            limit_bytes: self.write.account.limit_bytes(self.quota_bytes_default),
        }
    }

    fn entry_of(&self, transition: &Transition, before: Level) -> Entry {
        let row = match &transition.change {
            Change::File { after, .. } => Some(after),
            Change::Quota(_) | Change::State(_) => None,
        };
        let (level, totals) = (self.level(), self.write.account.totals);
        Entry {
            version: self.write.account.version,
            kind: transition.kind,
            file_id: row.map(|row| row.file_id),
            at: transition.at,
            op: self.write.op,
            size_bytes: row.map_or(0, |row| row.size_bytes),
            status: row.map(|row| row.status),
            reason: row.and_then(|row| row.reason),
            visibility: row.map_or(Visibility::Private, |row| row.visibility),
            revision: row.map_or(0, |row| row.revision),
            totals,
            limit_bytes: level.limit_bytes,
            state: self.write.account.state,
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
