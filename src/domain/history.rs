//! A user's entries read as a history: the change of the totals by each, and the timeline of one file.

use super::entry::{Entry, EntryKind, Totals};
use super::file::{File, Hop};
use super::time::Timestamp;

/// The signed change of an account's totals by one transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TotalsDelta {
    /// Bytes of processed and trashed files.
    pub used_bytes: i64,
    /// Bytes set aside for pending files.
    pub reserved_bytes: i64,
    /// Bytes of trashed files.
    pub trashed_bytes: i64,
    /// Files pending, processed or trashed.
    pub file_count: i64,
}

impl TotalsDelta {
    /// Returns the change that an entry made; `older` is the entry before it, if it is still kept. None: unknown.
    #[must_use]
    pub fn of(entry: &Entry, older: Option<&Entry>) -> Option<Self> {
        if entry.version == 1 {
            return Some(Self::between(Totals::default(), entry.totals));
        }
        let older = older.filter(|older| older.version + 1 == entry.version)?;
        Some(Self::between(older.totals, entry.totals))
    }

    /// Returns the change from some totals to others.
    #[must_use]
    pub fn between(before: Totals, after: Totals) -> Self {
        Self {
            used_bytes: difference(before.used_bytes, after.used_bytes),
            reserved_bytes: difference(before.reserved_bytes, after.reserved_bytes),
            trashed_bytes: difference(before.trashed_bytes, after.trashed_bytes),
            file_count: difference(before.file_count.into(), after.file_count.into()),
        }
    }

    /// Returns the totals after this change of `before`.
    #[must_use]
    pub fn from(self, before: Totals) -> Totals {
        let file_count = u64::from(before.file_count).saturating_add_signed(self.file_count);
        Totals {
            used_bytes: before.used_bytes.saturating_add_signed(self.used_bytes),
            reserved_bytes: before.reserved_bytes.saturating_add_signed(self.reserved_bytes),
            trashed_bytes: before.trashed_bytes.saturating_add_signed(self.trashed_bytes),
            file_count: u32::try_from(file_count).unwrap_or(u32::MAX),
        }
    }
}

/// A signed difference; `limits` proves that no user's bytes come near its bounds.
fn difference(before: u64, after: u64) -> i64 {
    i64::try_from(i128::from(after) - i128::from(before)).unwrap_or(i64::MAX)
}

/// One step of a file's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimelineStep {
    /// Something happened to its bytes, or a gate checked them.
    Hop(Hop),
    /// An entry of the ledger recorded it.
    Entry(EntryKind),
}

impl TimelineStep {
    /// Its word on the wire. Frozen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hop(hop) => hop.as_str(),
            Self::Entry(kind) => match kind {
                EntryKind::Reserved => "presigned",
                EntryKind::Processed => "processed",
                EntryKind::Failed => "failed",
                EntryKind::Expired => "expired",
                EntryKind::Cancelled => "cancelled",
                EntryKind::Updated => "updated",
                EntryKind::Trashed => "trashed",
                EntryKind::Restored => "restored",
                EntryKind::Deleted => "deleted",
                EntryKind::Purged => "purged",
                EntryKind::QuotaChanged => "quota_changed",
                EntryKind::StateChanged => "state_changed",
            },
        }
    }
}

/// Returns the timeline of a file: its steps with their times, in order. `entries` are those of the file that are known,
/// in any order; where entries are missing, the row fills the gap as far as it can.
#[must_use]
pub fn timeline_of(file: &File, entries: &[Entry]) -> Vec<(TimelineStep, Timestamp)> {
    let mut entries: Vec<&Entry> = entries.iter().collect();
    entries.sort_unstable_by_key(|entry| entry.version);
    let has_entry = |kind: EntryKind| entries.iter().any(|entry| entry.kind == kind);
    let mut timeline = Vec::with_capacity(file.hops.len() + entries.len() + 2);
    if !has_entry(EntryKind::Reserved) {
        timeline.push((TimelineStep::Entry(EntryKind::Reserved), file.created_at));
    }
    let hops = file.hops.iter().map(|(hop, at)| (TimelineStep::Hop(*hop), *at));
    let step = |entry: &&Entry| (TimelineStep::Entry(entry.kind), entry.at);
    let settles = |entry: &&Entry| matches!(entry.kind, EntryKind::Processed | EntryKind::Failed);
    if let Some(settled) = entries.iter().position(settles) {
        // The gates come before the entry that settled the file.
        timeline.extend(entries[..settled].iter().map(step));
        timeline.extend(hops);
        timeline.extend(entries[settled..].iter().map(step));
    } else {
        // The entries that are left are younger than the facts in the row.
        let processed = file.processed_at.map(|at| (TimelineStep::Entry(EntryKind::Processed), at));
        timeline.extend(entries.iter().map(step));
        let first = timeline.len().min(1);
        timeline.splice(first..first, hops.chain(processed));
    }
    timeline
}

#[cfg(test)]
mod tests;
