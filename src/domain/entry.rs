//! An entry: one line of a user's append-only ledger, one transition, with the totals after it.
//!
//! Entries are the outbox (those above `published`), the judge of unknown outcomes (`op`), the usage
//! history that a user can read, and the source from which lost events are published again.

use serde::{Deserialize, Serialize};

use super::account::AccountState;
use super::file::{Reason, Status, Visibility};
use super::ids::{FileId, OpId};
use super::time::Timestamp;

/// The kind of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// Bytes were set aside for a file.
    Reserved,
    /// The file's bytes are there: reserved became used.
    Processed,
    /// The file will never be processed; the reason says why.
    Failed,
    /// The reservation ended without bytes.
    Expired,
    /// The owner cancelled a pending file; its bytes stay reserved until its URL is dead.
    Cancelled,
    /// Name or visibility changed.
    Updated,
    /// The owner put the file in the trash.
    Trashed,
    /// The owner took it out again.
    Restored,
    /// The file was deleted for good: its bytes are no longer counted. A failed one counted for nothing, or goes on
    /// being reserved until its URL is dead.
    Deleted,
    /// Its bytes are gone from the bucket.
    Purged,
    /// An admin changed the quota.
    QuotaChanged,
    /// An admin suspended or reactivated the account.
    StateChanged,
}

impl EntryKind {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::Reserved,
        Self::Processed,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Updated,
        Self::Trashed,
        Self::Restored,
        Self::Deleted,
        Self::Purged,
        Self::QuotaChanged,
        Self::StateChanged,
    ];

    /// The number that encodes it in a table. Frozen.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Reserved => 0,
            Self::Processed => 1,
            Self::Failed => 2,
            Self::Expired => 3,
            Self::Cancelled => 4,
            Self::Updated => 5,
            Self::Trashed => 6,
            Self::Restored => 7,
            Self::Deleted => 8,
            Self::Purged => 9,
            Self::QuotaChanged => 10,
            Self::StateChanged => 11,
        }
    }

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// The account's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Bytes of processed and trashed files.
    pub used_bytes: u64,
    /// Bytes set aside for pending files.
    pub reserved_bytes: u64,
    /// Bytes of trashed files; part of `used_bytes`.
    pub trashed_bytes: u64,
    /// Files pending, processed or trashed.
    pub file_count: u32,
}

/// One line of the ledger. Everything an event says but the file's name, type, checksum and `ETag` is here,
/// and of those only the name ever changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version this transition made; per user without a gap.
    pub version: u64,
    /// What it did.
    pub kind: EntryKind,
    /// The file it is about; none if it is about the account.
    pub file_id: Option<FileId>,
    /// When it was decided.
    pub at: Timestamp,
    /// The attempt that wrote it.
    pub op: OpId,
    /// The file's size after it.
    pub size_bytes: u64,
    /// The file's status after it; none if it is about the account.
    pub status: Option<Status>,
    /// The file's reason after it.
    pub reason: Option<Reason>,
    /// The file's visibility after it.
    pub visibility: Visibility,
    /// The file's revision after it.
    pub revision: u32,
    /// The sums after it.
    pub totals: Totals,
    /// The account's limit after it.
    pub limit_bytes: u64,
    /// The account's state after it.
    pub state: AccountState,
    /// The highest of the usage thresholds (percent) that it crossed upwards.
    pub threshold_percent: Option<u8>,
}

#[cfg(test)]
mod tests;
