//! The judge of a user's entries: without a gap, each total following from the one before, up to the account.

use std::collections::BTreeMap;

use super::finding::{Finding, FindingKind};
use super::rows::RowCheck;
use crate::domain::account::Account;
use crate::domain::entry::{Entry, EntryKind, Totals};
use crate::domain::file::{Status, Weight};
use crate::domain::ids::{FileId, UserId};

/// The entries of a user, read from the oldest on.
#[derive(Debug)]
pub(super) struct Chain {
    user: UserId,
    /// Entries up to this version were trimmed.
    floor: u64,
    /// Every entry since the first version was seen.
    is_whole: bool,
    has_gap: bool,
    /// The first version that was seen.
    first: Option<u64>,
    last: Option<LastEntry>,
    files: BTreeMap<FileId, FileState>,
    count: u64,
    findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug)]
struct LastEntry {
    version: u64,
    totals: Totals,
}

/// A file after its last entry.
#[derive(Clone, Copy, Debug)]
struct FileState {
    version: u64,
    status: Status,
    size_bytes: u64,
    revision: u32,
    /// Its first entry was seen.
    is_whole: bool,
}

impl Chain {
    pub(super) const fn new(user: UserId, floor: u64) -> Self {
        Self {
            user,
            floor,
            is_whole: true,
            has_gap: false,
            first: None,
            last: None,
            files: BTreeMap::new(),
            count: 0,
            findings: Vec::new(),
        }
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The next entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.count += 1;
        let before = match self.last {
            Some(last) if entry.version == last.version + 1 => Some(last.totals),
            None if entry.version == 1 => Some(Totals::default()),
            Some(last) => self.gap(last.version + 1, entry.version),
            // Whether it may be so is judged at the end: what came before may have been trimmed.
            None => {
                self.is_whole = false;
                None
            }
        };
        self.first = self.first.or(Some(entry.version));
        self.judge_quota(entry);
        self.judge_step(entry, before);
        self.last = Some(LastEntry { version: entry.version, totals: entry.totals });
    }

    /// The last entry must be the account's, and the rows as entries left them.
    pub(super) fn end(mut self, account: &Account, rows: &RowCheck) -> Vec<Finding> {
        self.judge_start(account);
        self.judge_end(account);
        if account.published > account.version {
            let text =
                format!("published up to {}, but the account is at {}", account.published, account.version);
            self.report(FindingKind::Published, account.published, text);
        }
        self.judge_rows(rows);
        self.findings
    }

    /// What is missing before the first entry that was seen: all above the floor of the history must be there.
    fn judge_start(&mut self, account: &Account) {
        let first = self.first.unwrap_or(account.version + 1);
        if first > self.floor + 1 {
            self.report_missing(self.floor + 1, first);
        }
    }

    fn judge_end(&mut self, account: &Account) {
        let Some(LastEntry { version, totals }) = self.last else { return };
        if version < account.version {
            self.gap(version + 1, account.version + 1);
        } else if version > account.version {
            let text = format!("entries lead to {version}, the account is at {}", account.version);
            self.report(FindingKind::EntriesMissing, version, text);
        } else if totals != account.totals {
            let text = format!("the last entry says {totals:?}, the account {:?}", account.totals);
            self.report(FindingKind::Totals, version, text);
        }
    }

    fn judge_quota(&mut self, entry: &Entry) {
        let taken = entry.totals.used_bytes + entry.totals.reserved_bytes;
        if entry.kind == EntryKind::Reserved && taken > entry.limit_bytes {
            let text = format!("{taken} bytes taken of {} by a reservation", entry.limit_bytes);
            self.report(FindingKind::OverQuota, entry.version, text);
        }
    }

    /// `before` are the totals before this entry, if they are known.
    fn judge_step(&mut self, entry: &Entry, before: Option<Totals>) {
        let Some((file, status)) = entry.file_id.zip(entry.status) else {
            if before.is_some_and(|before| before != entry.totals) {
                self.report(
                    FindingKind::Totals,
                    entry.version,
                    format!("{before:?} became {:?} without a file", entry.totals),
                );
            }
            return;
        };
        let last = self.files.get(&file).copied();
        let step = FileState {
            version: entry.version,
            status,
            size_bytes: entry.size_bytes,
            revision: entry.revision,
            is_whole: last.map_or(entry.kind == EntryKind::Reserved, |last| last.is_whole),
        };
        self.files.insert(file, step);
        if let Some(last) = last.filter(|last| last.status != status && !last.status.may_become(status)) {
            let text = format!("{:?} became {status:?}", last.status);
            self.report(FindingKind::Status, entry.version, text);
        }
        // Of a file whose beginning was not seen it is not known what it counted for.
        let was = match last {
            Some(last) => Some(last.status.weight(last.size_bytes)),
            None if self.is_whole || entry.kind == EntryKind::Reserved => Some(Weight::default()),
            None => None,
        };
        let Some((before, was)) = before.zip(was) else { return };
        let expected = before.reweighed(was, status.weight(entry.size_bytes));
        if expected != entry.totals {
            let text = format!("{expected:?} would follow from the entry before, not {:?}", entry.totals);
            self.report(FindingKind::Totals, entry.version, text);
        }
    }

    fn judge_rows(&mut self, rows: &RowCheck) {
        for (file, step) in std::mem::take(&mut self.files) {
            let left = (step.status, step.size_bytes, step.revision);
            let text = match rows.get(file) {
                Some(row) if (row.status, row.size_bytes, row.revision) == left => continue,
                Some(row) => format!(
                    "left {:?} with {} bytes at revision {}, but the row is {:?} with {} at {}",
                    step.status, step.size_bytes, step.revision, row.status, row.size_bytes, row.revision
                ),
                None if matches!(step.status, Status::Gone | Status::Expired) => continue,
                None => format!("left {:?} with {} bytes, but there is no row", step.status, step.size_bytes),
            };
            let finding = Finding::new(FindingKind::RowUnlikeEntry, self.user, text);
            self.findings.push(finding.of_file(file).at(step.version));
        }
    }

    /// Versions from `from` to before `to` are missing: what follows has nothing to follow from.
    fn gap(&mut self, from: u64, to: u64) -> Option<Totals> {
        self.report_missing(from, to);
        (self.is_whole, self.has_gap) = (false, true);
        self.files.clear();
        None
    }

    fn report_missing(&mut self, from: u64, to: u64) {
        let text = match to.saturating_sub(from) {
            0 => format!("version {to} comes again"),
            1 => format!("version {from} is missing"),
            _ => format!("versions {from} to {} are missing", to - 1),
        };
        self.report(FindingKind::EntriesMissing, from, text);
    }

    fn report(&mut self, kind: FindingKind, version: u64, text: String) {
        self.findings.push(Finding::new(kind, self.user, text).at(version));
    }
}
