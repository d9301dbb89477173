//! An account: one user's quota, sums and open reservations. Applies what is already durable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::entry::{EntryKind, Totals};
use super::file::{File, Status, Weight};
use super::ids::{FileId, OpId, UserId};
use super::time::Timestamp;
use crate::limits::IDEMPOTENCY_TTL;

/// Whether an account may take new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It may.
    #[default]
    Active,
    /// An admin suspended it: nothing is signed for it.
    Suspended,
}

impl AccountState {
    /// The number that encodes it in a table. Frozen.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Active => 0,
            Self::Suspended => 1,
        }
    }

    /// The state with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|state| state.code() == code)
    }

    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// An open reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// Bytes set aside.
    pub size_bytes: u64,
    /// When it may end, if the bucket then has no object.
    pub release_at: Timestamp,
}

/// A request that must not be carried out twice: a row of the user's partition, found by its key alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Hash of the idempotency key.
    pub key: u64,
    /// Hash of the request's body.
    pub body: u64,
    /// When it was first carried out.
    pub at: Timestamp,
    /// The files it made, in the order of the request.
    pub files: Vec<FileId>,
}

impl Remembered {
    /// Whether a repeat at this time still gets the same files. A row may outlive that; it then counts for nothing.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        now.since(self.at) < IDEMPOTENCY_TTL
    }
}

/// One user's quota, sums and open reservations: the state that one conditional write moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its user.
    pub user: UserId,
    /// Counts transitions; 0 is an account that was never written.
    pub version: u64,
    /// Entries up to this version are in the event log.
    pub published: u64,
    /// Never falls: a node that reads a higher one than its own is no longer the owner.
    pub epoch: u64,
    /// The attempt that made the last write, with or without transitions; none: there was no write.
    pub op: Option<OpId>,
    /// Entries up to this version were trimmed and are never read; at most `published`.
    pub history_floor: u64,
    /// File rows of any status.
    pub row_count: u32,
    /// The sums.
    pub totals: Totals,
    /// This user's limit; none: the deployment's default.
    pub quota_bytes: Option<u64>,
    /// The subject of the token at the first write.
    pub subject: Option<String>,
    /// Whether it may take new files.
    pub state: AccountState,
    /// Files whose bytes are still to be removed.
    pub deleting_count: u32,
    /// Open reservations.
    pub pending: BTreeMap<FileId, Reservation>,
}

/// One step, decided and not yet durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The kind of the change.
    pub kind: EntryKind,
    /// When it was decided.
    pub at: Timestamp,
    /// The change itself.
    pub change: Change,
}

/// A change of a file or of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file's row.
    File {
        /// The weight of the row before; nothing for a new one.
        before: Weight,
        /// The row after.
        after: Box<File>,
        /// For a new reservation: when it may end.
        release_at: Option<Timestamp>,
    },
    /// The account's own limit.
    Quota(Option<u64>),
    /// The account's state.
    State(AccountState),
}

impl Account {
    /// An account that was never written.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self {
            user,
            version: 0,
            published: 0,
            epoch: 0,
            op: None,
            history_floor: 0,
            row_count: 0,
            totals: Totals::default(),
            quota_bytes: None,
            subject: None,
            state: AccountState::Active,
            deleting_count: 0,
            pending: BTreeMap::new(),
        }
    }

    /// The version a write must find: none for an account that was never written.
    #[must_use]
    pub const fn expected_version(&self) -> Option<u64> {
        if self.version == 0 { None } else { Some(self.version) }
    }

    /// The limit that counts.
    #[must_use]
    pub fn limit_bytes(&self, default_bytes: u64) -> u64 {
        self.quota_bytes.unwrap_or(default_bytes)
    }

    /// Bytes that a new upload may still take.
    #[must_use]
    pub fn free_bytes(&self, default_bytes: u64) -> u64 {
        let taken = self.totals.used_bytes.saturating_add(self.totals.reserved_bytes);
        self.limit_bytes(default_bytes).saturating_sub(taken)
    }

    /// Whether so many more bytes stay inside the limit. Over it nothing fits, not even nothing.
    #[must_use]
    pub fn fits(&self, bytes: u64, default_bytes: u64) -> bool {
        let taken = self.totals.used_bytes.saturating_add(self.totals.reserved_bytes);
        taken.saturating_add(bytes) <= self.limit_bytes(default_bytes)
    }

    /// Applies a transition that is, or is about to be made, durable. Cannot fail.
    ///
    /// The sums change by the weight of the row before and after, so they equal the rows by construction.
    pub fn apply(&mut self, transition: &Transition) {
        self.version += 1;
        match &transition.change {
            Change::File { before, after, release_at } => {
                let weight = after.weight();
                self.row_count += u32::from(after.revision == 1);
                self.totals = self.totals.reweighed(*before, weight);
                self.deleting_count =
                    (self.deleting_count + weight.deleting_count).saturating_sub(before.deleting_count);
                if after.status != Status::Pending {
                    self.pending.remove(&after.file_id);
                } else if let Some(release_at) = *release_at {
                    let reservation = Reservation { size_bytes: after.size_bytes, release_at };
                    self.pending.insert(after.file_id, reservation);
                }
            }
            Change::Quota(quota_bytes) => self.quota_bytes = *quota_bytes,
            Change::State(state) => self.state = *state,
        }
    }

    /// File rows that count for nothing any more and are not being deleted: they leave when no URL of theirs can be used.
    #[must_use]
    pub const fn dead_rows(&self) -> u32 {
        self.row_count.saturating_sub(self.totals.file_count).saturating_sub(self.deleting_count)
    }
}

impl Totals {
    /// Whether a row of this weight can be one of those that these are the sums of.
    #[must_use]
    pub const fn hold(self, row: Weight) -> bool {
        self.used_bytes >= row.used_bytes
            && self.reserved_bytes >= row.reserved_bytes
            && self.trashed_bytes >= row.trashed_bytes
            && self.file_count >= row.file_count
    }

    /// The sums after a row that counted for `before` counts for `after`.
    #[must_use]
    pub const fn reweighed(self, before: Weight, after: Weight) -> Self {
        Self {
            used_bytes: (self.used_bytes + after.used_bytes).saturating_sub(before.used_bytes),
            reserved_bytes: (self.reserved_bytes + after.reserved_bytes)
                .saturating_sub(before.reserved_bytes),
            trashed_bytes: (self.trashed_bytes + after.trashed_bytes).saturating_sub(before.trashed_bytes),
            file_count: (self.file_count + after.file_count).saturating_sub(before.file_count),
        }
    }
}

#[cfg(test)]
mod tests;
