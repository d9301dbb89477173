//! The invariants of the ledger, recomputed from rows and entries at every committed write.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Write;
use wharfinger::domain::entry::{Entry, EntryKind, Totals};
use wharfinger::domain::file::{File, PublicStatus, Status};
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::limits::{
    CLOCK_SKEW_MAX, COMMIT_TRANSITIONS_MAX, FILES_MAX, PENDING_MAX, UPLOAD_DURATION_MAX,
};

use super::state::State;

/// How old the word of the ledger may be, in ms, and how long a turn takes at most.
pub(crate) const FRESH_FOR: u64 = 1000 + 100;

/// Sums as they stood from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stood {
    pub(crate) from: u64,
    pub(crate) used: u64,
    pub(crate) reserved: u64,
    pub(crate) limit: u64,
}

/// A file's last entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) version: u64,
    /// When the file reached its status.
    pub(super) since: u64,
}

/// What the checks remember of one user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledgered {
    /// Each file as its last entry left it.
    files: BTreeMap<FileId, (Status, u64)>,
    edges: BTreeSet<(FileId, Status, Status)>,
    /// The last entry of each.
    pub(super) last: BTreeMap<FileId, Last>,
    /// Rows as they were when they were forgotten.
    pub(crate) forgotten: BTreeMap<FileId, File>,
    /// The sums of the steps of the entries.
    totals: Totals,
    /// The file that each wish became.
    wishes: BTreeMap<String, FileId>,
    /// The limit that an admin gave last.
    limit_bytes: Option<u64>,
    pub(crate) stood: Vec<Stood>,
}

impl State {
    /// Holds a write that was just applied against invariants 1 to 6, 8, 9, 10, 14, 25 and 28.
    pub(crate) fn check_commit(&mut self, before: Option<&Account>, write: &Write) {
        let user = write.account.user;
        self.check_versions(before, write);
        for entry in &write.entries {
            self.check_entry(user, entry);
        }
        self.check_sums(user);
        for file in &write.files {
            let key = ObjectKey { user, file: file.file_id };
            let last = self.ledger[&user].seen.files.get(&file.file_id).map(|(status, _)| *status);
            if last != Some(file.status) {
                self.broken(format_args!("I28: a row is {:?} and its last entry says {last:?}", file.status));
            }
            self.check_object(key);
            self.check_wish(key, &file.filename);
        }
        for range in &write.forgotten {
            let forgotten = &self.ledger[&user].seen.forgotten;
            let files: Vec<FileId> =
                forgotten.range(range.first..=range.last).map(|(file, _)| *file).collect();
            files.into_iter().for_each(|file| self.check_forgotten(user, file));
        }
    }

    /// 5, 23, 25 and the gap of 28.
    fn check_versions(&mut self, before: Option<&Account>, write: &Write) {
        let was = before.map_or_else(|| Account::new(write.account.user), Clone::clone);
        let now = &write.account;
        let count = u64::try_from(write.entries.len()).unwrap();
        // What it acted on shows in what it makes, whatever version it says it expects.
        let acted_on = now.version.checked_sub(count);
        if acted_on != Some(was.version) {
            self.broken(format_args!("I23: a write that acted on {acted_on:?} applies to {}", was.version));
        }
        let is_row =
            write.entries.iter().zip(was.version + 1..).all(|(entry, version)| entry.version == version);
        if !is_row {
            self.broken(format_args!("I5: {count} transitions from {} on are not in a row", was.version));
        }
        // A write of `published` alone makes no version; it names the attempt before it all the same.
        if write.expected_op != was.op {
            let (expected, found) = (write.expected_op, was.op);
            self.broken(format_args!("I23: a write on top of {expected:?} applies to {found:?}"));
        }
        if now.epoch < was.epoch || now.published > now.version || now.published < was.published {
            let (old, new, version) = (was.published, now.published, now.version);
            self.broken(format_args!("I21: published goes from {old} to {new} at version {version}"));
        }
        if now.history_floor < was.history_floor || now.history_floor > now.published {
            let (old, new, published) = (was.history_floor, now.history_floor, now.published);
            self.broken(format_args!("I28: trimmed from {old} to {new}, published {published}"));
        }
        if write.entries.len() > COMMIT_TRANSITIONS_MAX || now.pending.len() > PENDING_MAX {
            self.broken(format_args!("I25: {} entries, {} pending", count, now.pending.len()));
        }
    }

    /// 3, 6, 8, 10, 28 and rule 5, of one entry.
    fn check_entry(&mut self, user: UserId, entry: &Entry) {
        let now = self.now;
        let Some(partition) = self.ledger.get_mut(&user) else { return };
        let seen = &mut partition.seen;
        let was = entry.file_id.and_then(|file| seen.files.get(&file)).copied();
        let is = entry.status.map(|status| (status, entry.size_bytes));
        if entry.kind == EntryKind::QuotaChanged {
            seen.limit_bytes = Some(entry.limit_bytes);
        }
        let limit_bytes = seen.limit_bytes.unwrap_or(self.limit_bytes_default);
        seen.totals = replayed(seen.totals, was, is);
        let replayed = seen.totals;
        seen.stood.push(Stood {
            from: now,
            used: entry.totals.used_bytes,
            reserved: entry.totals.reserved_bytes,
            limit: entry.limit_bytes,
        });
        let (mut is_new_edge, mut was_since) = (true, 0);
        if let (Some(file), Some(is)) = (entry.file_id, is) {
            seen.files.insert(file, is);
            let (at, last) = (entry.at.as_millis(), seen.last.get(&file).copied());
            let still = last.filter(|_| was.is_some_and(|(was, _)| was == is.0));
            was_since = last.map_or(at, |last| last.since);
            let since = still.map_or(at, |last| last.since);
            seen.last.insert(file, Last { version: entry.version, since });
            if let Some((was, _)) = was.filter(|(was, _)| *was != is.0) {
                is_new_edge = seen.edges.insert((file, was, is.0));
            }
        }
        if replayed != entry.totals {
            self.broken(format_args!("I28: steps come to {replayed:?}, the entry says {:?}", entry.totals));
        }
        let taken = entry.totals.used_bytes + entry.totals.reserved_bytes;
        let is_late =
            was.is_some_and(|(was, _)| was == Status::Expired) && entry.kind == EntryKind::Processed;
        if (entry.kind == EntryKind::Reserved || is_late) && taken > limit_bytes {
            self.broken(format_args!("I3: {taken} bytes taken of {limit_bytes} by {:?}", entry.kind));
        }
        if let (Some(file), Some((is, _))) = (entry.file_id, is) {
            let (key, was) = (ObjectKey { user, file }, was.map(|(was, _)| was));
            self.check_edge(key, was, is, is_new_edge);
            if let (Some(was @ (Status::Processed | Status::Trashed)), Status::Deleting) = (was, is) {
                self.check_end(key, was, was_since);
            }
        }
    }

    /// 6, 8, 10 and rule 5.
    fn check_edge(&mut self, key: ObjectKey, was: Option<Status>, is: Status, is_new_edge: bool) {
        let is_allowed = match was {
            None => is == Status::Pending,
            Some(was) if was == is => true,
            Some(was) => was.may_become(is),
        };
        let is_trash_pair = matches!(
            (was, is),
            (Some(Status::Processed), Status::Trashed) | (Some(Status::Trashed), Status::Processed)
        );
        if !is_allowed || !(is_new_edge || is_trash_pair) {
            self.broken(format_args!("I6: a file goes from {was:?} to {is:?}, new: {is_new_edge}"));
        }
        if matches!(is, Status::Processed | Status::Trashed) && self.history.deleted.contains_key(&key) {
            self.broken(format_args!("I10: a file that was deleted for good is {is:?}"));
        }
        if is == Status::Expired && was == Some(Status::Pending) {
            self.check_release(key);
        }
    }

    /// 8, and rule 5: a reservation ends only when its URLs are dead and the bucket was asked after that.
    fn check_release(&mut self, key: ObjectKey) {
        let (urls, asked) = (self.bucket.urls_of(key), self.bucket.absent_at.get(&key).copied());
        // Of chunks nothing becomes an object but by our own hand.
        let dead_at = urls.iter().map(|url| url.expires_at + millis(UPLOAD_DURATION_MAX)).max().unwrap_or(0);
        let is_dead = dead_at <= self.now;
        if self.clocks_are_sane && !is_dead {
            self.broken(format_args!("I8: released while a URL can still be used"));
        }
        let since = if self.clocks_are_sane { dead_at.saturating_sub(millis(CLOCK_SKEW_MAX)) } else { 0 };
        if asked.is_none_or(|asked| asked < since) {
            self.broken(format_args!("rule 5: released without a HEAD that found nothing, last {asked:?}"));
        }
    }

    /// 1, 2 and 4, from the rows.
    fn check_sums(&mut self, user: UserId) {
        let partition = &self.ledger[&user];
        let sum = |of: &[Status]| -> u64 {
            partition
                .files
                .values()
                .filter(|file| of.contains(&file.status))
                .map(|file| file.size_bytes)
                .sum()
        };
        let counted = [Status::Pending, Status::Processed, Status::Trashed];
        let count = partition.files.values().filter(|file| counted.contains(&file.status)).count();
        let expected = Totals {
            used_bytes: sum(&[Status::Processed, Status::Trashed]),
            reserved_bytes: sum(&[Status::Pending]),
            trashed_bytes: sum(&[Status::Trashed]),
            file_count: u32::try_from(count).unwrap(),
        };
        let account = &partition.account;
        let pending = account.pending.values().map(|open| open.size_bytes).sum::<u64>();
        let deleting = partition.files.values().filter(|file| file.status == Status::Deleting).count();
        if account.totals != expected || expected.file_count > FILES_MAX || pending != expected.reserved_bytes
        {
            let found = account.totals;
            self.broken(format_args!(
                "I1 I2 I4: rows come to {expected:?}, the account says {found:?}, {pending}"
            ));
        } else if account.row_count != u32::try_from(partition.files.len()).unwrap() {
            let (said, rows) = (account.row_count, partition.files.len());
            self.broken(format_args!("I4: there are {rows} rows, and the account says {said}"));
        } else if account.deleting_count != u32::try_from(deleting).unwrap() {
            self.broken(format_args!(
                "I17: {deleting} files are being deleted, and the account says otherwise"
            ));
        }
    }

    /// 14: what counts as there is there.
    pub(crate) fn check_object(&mut self, key: ObjectKey) {
        let Some(row) = self.file(key.user, key.file) else { return };
        if !matches!(row.status, Status::Processed | Status::Trashed) {
            return;
        }
        let object = self.bucket.objects.get(&key.to_string());
        let is_it = object.is_some_and(|object| {
            object.size_bytes == row.size_bytes && Some(&object.etag) == row.etag.as_ref()
        });
        if !is_it {
            let status = row.status;
            let found = object.cloned();
            self.broken(format_args!("I14: a file is {status:?} and the bucket has {found:?}"));
        }
    }

    /// 9: one wish, one file, however often it was tried.
    fn check_wish(&mut self, key: ObjectKey, filename: &str) {
        let Some(partition) = self.ledger.get_mut(&key.user) else { return };
        let first = *partition.seen.wishes.entry(filename.to_owned()).or_insert(key.file);
        if first != key.file {
            self.broken(format_args!("I9: {filename} became two files"));
        }
    }
}

/// The sums after a file that counted as it was counts as it is.
fn replayed(mut totals: Totals, was: Option<(Status, u64)>, is: Option<(Status, u64)>) -> Totals {
    if is.is_none() {
        return totals;
    }
    for (state, is_added) in [(was, false), (is, true)] {
        let Some((status, size)) = state else { continue };
        let (used, reserved, trashed, count) = match status {
            Status::Pending => (0, size, 0, 1),
            Status::Processed => (size, 0, 0, 1),
            Status::Trashed => (size, 0, size, 1),
            Status::Deleting | Status::Expired | Status::Gone => (0, 0, 0, 0),
        };
        let move_by = |sum: &mut u64, by: u64| {
            *sum = if is_added { sum.wrapping_add(by) } else { sum.wrapping_sub(by) };
        };
        move_by(&mut totals.used_bytes, used);
        move_by(&mut totals.reserved_bytes, reserved);
        move_by(&mut totals.trashed_bytes, trashed);
        totals.file_count = if is_added {
            totals.file_count.wrapping_add(count)
        } else {
            totals.file_count.wrapping_sub(count)
        };
    }
    totals
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap()
}

impl State {
    /// 13: a denial speaks of sums that stood when it was asked for, or within the second before.
    pub(crate) fn check_denial(&mut self, user: UserId, said: Stood, requested: u64, limit_default: u64) {
        if said.used + said.reserved + requested <= said.limit {
            self.broken(format_args!("I13: denied {requested} bytes that fit: {said:?}"));
        }
        if !self.clocks_are_sane {
            return;
        }
        let first = Stood { from: 0, used: 0, reserved: 0, limit: limit_default };
        let stood: Vec<Stood> = self.ledger.get(&user).map(|of| of.seen.stood.clone()).unwrap_or_default();
        let stood: Vec<Stood> = std::iter::once(first).chain(stood).collect();
        let is_same = |of: &Stood| (of.used, of.reserved, of.limit) == (said.used, said.reserved, said.limit);
        let ends = |nth: usize| stood.get(nth + 1).map_or(u64::MAX, |next| next.from);
        let stands = stood
            .iter()
            .enumerate()
            .any(|(nth, of)| is_same(of) && ends(nth).saturating_add(FRESH_FOR) >= said.from);
        if !stands {
            self.broken(format_args!("I13: denied because of sums that did not stand: {said:?}"));
        }
    }

    /// Whether a file's reservation has ended without bytes at some time.
    pub(crate) fn was_expired(&self, key: ObjectKey) -> bool {
        let edge = (key.file, Status::Pending, Status::Expired);
        self.ledger.get(&key.user).is_some_and(|of| of.seen.edges.contains(&edge))
    }

    /// 10: nothing is signed for a file that was deleted for good before the request.
    pub(crate) fn check_signed(&mut self, key: ObjectKey, asked_at: u64) {
        let deleted_at = self.history.deleted.get(&key).copied().unwrap_or(u64::MAX);
        if self.clocks_are_sane && deleted_at.saturating_add(FRESH_FOR) < asked_at {
            self.broken(format_args!("I10: signed for a file that was deleted for good"));
        }
    }

    /// 10: when a permanent delete is acknowledged the file is on its way out.
    pub(crate) fn check_deleted(&mut self, key: ObjectKey) {
        let Some(row) = self.file(key.user, key.file) else { return };
        if matches!(
            row.public_status(),
            PublicStatus::Pending | PublicStatus::Processed | PublicStatus::Trashed
        ) {
            let status = row.status;
            self.broken(format_args!("I10: told that it is deleted for good, and it is {status:?}"));
        }
    }
}
