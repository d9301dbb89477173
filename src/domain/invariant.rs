//! The ledger's invariants by name, as pure checks: called by production before every write, by the
//! suites and by the simulation.

use std::collections::BTreeMap;

use super::account::Account;
use super::draft::Write;
use super::entry::{EntryKind, Totals};
use super::file::{File, Status, Weight};
use super::ids::FileId;
use crate::limits::FILES_MAX;

/// An invariant that does not hold. The number is the one in `ARCHITECTURE.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// 1, 2 and 4: the sums are not the sums of the rows.
    #[error("I1: sums {stored:?} differ from rows {counted:?}")]
    Sums {
        /// As the account says.
        stored: Totals,
        /// As the rows say.
        counted: Totals,
    },
    /// 2: the open reservations are not the pending rows.
    #[error("I2: {reserved_bytes} bytes reserved, but open reservations sum to {pending_bytes}")]
    Pending {
        /// As the account says.
        reserved_bytes: u64,
        /// As its reservations say.
        pending_bytes: u64,
    },
    /// 17: the account does not know how many files are being deleted.
    #[error("I17: {stored} files counted as deleting, but {counted} are")]
    Deleting {
        /// As the account says.
        stored: u32,
        /// As the rows say.
        counted: u32,
    },
    /// 1, 2 and 4: a row counts for more than its account has, so that no sum with it can be right.
    #[error("I1: a row counts for {row:?}, which is more than {totals:?}")]
    Row {
        /// The weight of the row before its transition.
        row: Weight,
        /// The sums of the account.
        totals: Totals,
    },
    /// 1: more bytes are trashed than used.
    #[error("I1: {trashed_bytes} bytes trashed of {used_bytes} used")]
    Trashed {
        /// Trashed.
        trashed_bytes: u64,
        /// Used.
        used_bytes: u64,
    },
    /// 4: a new reservation went over the number of files, or there are fewer files than reservations.
    #[error("I4: {file_count} files with {pending_count} open reservations; there may be {files_max}")]
    Files {
        /// As the account says.
        file_count: u32,
        /// Open reservations.
        pending_count: usize,
        /// The bound.
        files_max: u32,
    },
    /// 3: a new reservation went over the limit.
    #[error("I3: {taken_bytes} bytes taken of {limit_bytes} after a new reservation")]
    OverQuota {
        /// Used and reserved.
        taken_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// 4: there are fewer rows than files.
    #[error("I4: {row_count} rows for {file_count} files")]
    RowCount {
        /// As the account says.
        row_count: u32,
        /// As the account says.
        file_count: u32,
    },
    /// 4: the account does not know how many rows there are.
    #[error("I4: {stored} rows counted, but {counted} are there")]
    Rows {
        /// As the account says.
        stored: u32,
        /// Counted.
        counted: u32,
    },
    /// 28: history was trimmed that is not published yet.
    #[error("I28: entries are trimmed up to version {history_floor}, and published up to {published}")]
    Trimmed {
        /// As the account says.
        history_floor: u64,
        /// As the account says.
        published: u64,
    },
    /// 5: the entries do not count the transitions.
    #[error("I5: entries do not lead from version {expected} to {version}")]
    Versions {
        /// Before.
        expected: u64,
        /// After.
        version: u64,
    },
    /// 28: the last entry's totals are not the account's.
    #[error("I28: the last entry says {entry:?}, the account {account:?}")]
    History {
        /// As the entry says.
        entry: Totals,
        /// As the account says.
        account: Totals,
    },
}

/// What can be checked about a write without reading anything: invariants 2, 3, 4, 5 and 28, and what 1 implies. That
/// each transition moved the sums by what its row counts for, a draft checks itself: [`Draft::broken`].
///
/// [`Draft::broken`]: super::draft::Draft::broken
///
/// # Errors
/// The first that does not hold.
pub fn check_write(write: &Write) -> Result<(), Broken> {
    let account = &write.account;
    check_pending(account)?;
    check_counts(write)?;
    let expected = write.expected.unwrap_or(0);
    let consecutive =
        write.entries.iter().zip(expected + 1..).all(|(entry, version)| entry.version == version);
    let count = u64::try_from(write.entries.len()).unwrap_or(u64::MAX);
    if !consecutive || account.version != expected + count || account.published > account.version {
        return Err(Broken::Versions { expected, version: account.version });
    }
    for entry in &write.entries {
        let taken_bytes = entry.totals.used_bytes + entry.totals.reserved_bytes;
        if entry.kind == EntryKind::Reserved && taken_bytes > entry.limit_bytes {
            return Err(Broken::OverQuota { taken_bytes, limit_bytes: entry.limit_bytes });
        }
    }
    match write.entries.last() {
        Some(last) if last.totals != account.totals => {
            Err(Broken::History { entry: last.totals, account: account.totals })
        }
        Some(_) | None => Ok(()),
    }
}

fn check_counts(write: &Write) -> Result<(), Broken> {
    let Totals { used_bytes, trashed_bytes, file_count, .. } = write.account.totals;
    if trashed_bytes > used_bytes {
        return Err(Broken::Trashed { trashed_bytes, used_bytes });
    }
    let Account { row_count, history_floor, published, .. } = write.account;
    if row_count < file_count {
        return Err(Broken::RowCount { row_count, file_count });
    }
    if history_floor > published {
        return Err(Broken::Trimmed { history_floor, published });
    }
    let pending_count = write.account.pending.len();
    let has_reserved = write.entries.iter().any(|entry| entry.kind == EntryKind::Reserved);
    let is_too_many = has_reserved && file_count > FILES_MAX;
    if is_too_many || u32::try_from(pending_count).is_ok_and(|pending| pending > file_count) {
        return Err(Broken::Files { file_count, pending_count, files_max: FILES_MAX });
    }
    Ok(())
}

fn check_pending(account: &Account) -> Result<(), Broken> {
    let reserved_bytes = account.totals.reserved_bytes;
    let pending_bytes = account.pending.values().map(|reservation| reservation.size_bytes).sum();
    if reserved_bytes == pending_bytes {
        Ok(())
    } else {
        Err(Broken::Pending { reserved_bytes, pending_bytes })
    }
}

/// Invariants 1, 2, 4 and what 17 needs, against all rows of a user.
///
/// # Errors
/// The first that does not hold.
pub fn check_rows<'a>(account: &Account, rows: impl IntoIterator<Item = &'a File>) -> Result<(), Broken> {
    let mut tally = Tally::default();
    rows.into_iter().for_each(|row| tally.add(row));
    tally.check(account)
}

/// The sums of rows, recounted row by row.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    totals: Totals,
    deleting: u32,
    rows: u32,
    pending: BTreeMap<FileId, u64>,
}

impl Tally {
    /// Counts a row.
    pub fn add(&mut self, row: &File) {
        let weight = row.weight();
        self.totals = self.totals.reweighed(Weight::default(), weight);
        self.deleting += weight.deleting_count;
        self.rows += 1;
        if row.status == Status::Pending {
            self.pending.insert(row.file_id, row.size_bytes);
        }
    }

    /// Compares with the account whose rows these are, all of them, at the same version.
    ///
    /// # Errors
    /// The first that does not hold.
    pub fn check(&self, account: &Account) -> Result<(), Broken> {
        self.breaches(account).into_iter().next().map_or(Ok(()), Err)
    }

    /// All that the account says otherwise.
    #[must_use]
    pub fn breaches(&self, account: &Account) -> Vec<Broken> {
        let known: BTreeMap<FileId, u64> =
            account.pending.iter().map(|(id, open)| (*id, open.size_bytes)).collect();
        let sums = Broken::Sums { stored: account.totals, counted: self.totals };
        let removed = Broken::Deleting { stored: account.deleting_count, counted: self.deleting };
        let reserved_bytes = self.pending.values().sum();
        let open = Broken::Pending { reserved_bytes, pending_bytes: known.values().sum() };
        let rows = Broken::Rows { stored: account.row_count, counted: self.rows };
        let all = [
            (self.totals != account.totals, sums),
            (self.deleting != account.deleting_count, removed),
            (known != self.pending, open),
            (self.rows != account.row_count, rows),
        ];
        all.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, broken)| broken).collect()
    }
}

impl Broken {
    /// How many bytes are counted that are not there, or the other way round; 0 where it is not about bytes.
    #[must_use]
    pub const fn bytes_apart(&self) -> u64 {
        match self {
            Self::Sums { stored, counted } => stored
                .used_bytes
                .abs_diff(counted.used_bytes)
                .saturating_add(stored.reserved_bytes.abs_diff(counted.reserved_bytes))
                .saturating_add(stored.trashed_bytes.abs_diff(counted.trashed_bytes)),
            Self::Pending { reserved_bytes, pending_bytes } => reserved_bytes.abs_diff(*pending_bytes),
            Self::Deleting { .. }
            | Self::Row { .. }
            | Self::RowCount { .. }
            | Self::Rows { .. }
            | Self::Trimmed { .. }
            | Self::Trashed { .. }
            | Self::Files { .. }
            | Self::OverQuota { .. }
            | Self::Versions { .. }
            | Self::History { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests;
