//! The judge of a user's rows: against the account, against time, and against the bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use super::finding::{Finding, FindingKind};
use crate::domain::account::Account;
use crate::domain::file::{File, Status};
use crate::domain::ids::{FileId, UserId};
use crate::domain::invariant::{Broken, Tally};
use crate::domain::time::Timestamp;
use crate::ports::ListedObject;

/// What is kept of a row until its object is seen.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) status: Status,
    pub(super) size_bytes: u64,
    pub(super) revision: u32,
    etag: Option<String>,
    changed_at: Timestamp,
    trashed_at: Option<Timestamp>,
    has_object: bool,
}

/// The rows of a user.
#[derive(Debug)]
pub(super) struct RowCheck {
    user: UserId,
    all: BTreeMap<FileId, Row>,
    tally: Tally,
}

/// What is too old is older than this: before it, it may still be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) now: Timestamp,
    pub(super) grace: Duration,
    /// Between two looks of the sweeper at every row and every object.
    pub(super) deep_every: Duration,
    /// How long a file stays in the trash.
    pub(super) trash_retention: Duration,
}

impl Due {
    /// Whether what should have happened at `time` is overdue.
    pub(super) fn has_passed(self, time: Timestamp) -> bool {
        self.now > time.after(self.grace)
    }

    /// The same of what only the deep pass of the sweeper is sure to do.
    pub(super) fn has_passed_deep(self, time: Timestamp) -> bool {
        self.has_passed(time.after(self.deep_every))
    }
}

impl Row {
    const fn is_stored(&self) -> bool {
        matches!(self.status, Status::Processed | Status::Trashed)
    }
}

impl RowCheck {
    pub(super) fn new(user: UserId) -> Self {
        Self { user, all: BTreeMap::new(), tally: Tally::default() }
    }

    pub(super) fn add(&mut self, file: File) {
        self.tally.add(&file);
        let row = Row {
            status: file.status,
            size_bytes: file.size_bytes,
            revision: file.revision,
            etag: file.etag,
            changed_at: file.changed_at,
            trashed_at: file.trashed_at,
            has_object: false,
        };
        self.all.insert(file.file_id, row);
    }

    pub(super) fn get(&self, file: FileId) -> Option<&Row> {
        self.all.get(&file)
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Sums, reservations and what has waited too long.
    pub(super) fn judge(&self, account: &Account, due: Due) -> Vec<Finding> {
        let mut findings: Vec<_> =
            self.tally.breaches(account).into_iter().map(|broken| self.breach(&broken)).collect();
        for (file, reservation) in &account.pending {
            if due.has_passed(reservation.release_at) {
                let text = format!(
                    "{} bytes were to be released at {}",
                    reservation.size_bytes, reservation.release_at
                );
                findings.push(self.finding(FindingKind::ReservationLingers, *file, text));
            }
        }
        for (file, row) in &self.all {
            if row.status == Status::Deleting && due.has_passed(row.changed_at) {
                let text = format!("being deleted since {}", row.changed_at);
                findings.push(self.finding(FindingKind::DeletingLingers, *file, text));
            }
            if let Some(since) =
                row.trashed_at.filter(|since| due.has_passed_deep(since.after(due.trash_retention)))
            {
                findings.push(self.finding(
                    FindingKind::TrashLingers,
                    *file,
                    format!("in the trash since {since}"),
                ));
            }
        }
        findings
    }

    /// One object under the user's prefix; `file` is what its key names.
    pub(super) fn judge_object(&mut self, file: FileId, object: &ListedObject, due: Due) -> Option<Finding> {
        let landed = format!("{} bytes landed at {}", object.size_bytes, object.landed_at);
        let Some(row) = self.all.get_mut(&file) else {
            return due
                .has_passed(object.landed_at)
                .then(|| self.finding(FindingKind::Orphan, file, format!("{landed}, and no row is there")));
        };
        row.has_object = true;
        match row.status {
            Status::Processed | Status::Trashed => {
                let is_same = row.size_bytes == object.size_bytes
                    && row.etag.iter().zip(&object.etag).all(|(settled, found)| settled == found);
                let text = format!(
                    "settled with {} bytes and etag {}, but the object has {} and {}",
                    row.size_bytes,
                    row.etag.as_deref().unwrap_or("-"),
                    object.size_bytes,
                    object.etag.as_deref().unwrap_or("-"),
                );
                (!is_same).then(|| self.finding(FindingKind::OtherObject, file, text))
            }
            Status::Expired | Status::Gone => {
                let since = object.landed_at.max(row.changed_at);
                let text = format!("{landed}, but the file is {:?}", row.status);
                due.has_passed_deep(since).then(|| self.finding(FindingKind::DeadObject, file, text))
            }
            Status::Pending | Status::Deleting => None,
        }
    }

    /// Files that should have an object, and none was listed.
    pub(super) fn without_object(&self) -> Vec<FileId> {
        let lacks = |row: &Row| row.is_stored() && !row.has_object;
        self.all.iter().filter(|(_, row)| lacks(row)).map(|(file, _)| *file).collect()
    }

    /// The bucket said so again.
    pub(super) fn no_object(&self, file: FileId) -> Finding {
        let text = self.all.get(&file).map_or_else(String::new, |row| {
            format!(
                "{:?} with {} bytes since {}, but no object is there",
                row.status, row.size_bytes, row.changed_at
            )
        });
        self.finding(FindingKind::NoObject, file, text)
    }

    fn finding(&self, kind: FindingKind, file: FileId, text: String) -> Finding {
        Finding::new(kind, self.user, text).of_file(file)
    }

    fn breach(&self, broken: &Broken) -> Finding {
        let kind = match broken {
            Broken::Pending { .. } => FindingKind::Reservations,
            Broken::Deleting { .. } => FindingKind::DeletingCount,
            Broken::Sums { .. }
            | Broken::Row { .. }
            | Broken::Trashed { .. }
            | Broken::Files { .. }
            | Broken::OverQuota { .. }
            | Broken::Versions { .. }
            | Broken::RowCount { .. }
            | Broken::Rows { .. }
            | Broken::Trimmed { .. }
            | Broken::History { .. } => FindingKind::Sums,
        };
        Finding::new(kind, self.user, broken.to_string())
    }
}
