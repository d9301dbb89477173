//! Where a file stands, and what that counts for.

/// The status of a file, in the ledger or in a node's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Never asked for.
    #[default]
    Absent,
    /// Reserved; its bytes may come.
    Pending,
    /// Reserved, but its owner gave it up.
    Cancelled,
    /// Its bytes are there and counted.
    Processed,
    /// As processed, but in the trash.
    Trashed,
    /// Will never be processed; its bytes are being removed.
    Deleting,
    /// Its bytes are removed.
    Gone,
    /// Its reservation ended without bytes.
    Expired,
    /// Its reservation ended without bytes, and its owner had given it up.
    ExpiredCancelled,
}

impl Status {
    /// A number of 4 bits.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Absent => 0,
            Self::Pending => 1,
            Self::Cancelled => 2,
            Self::Processed => 3,
            Self::Trashed => 4,
            Self::Deleting => 5,
            Self::Gone => 6,
            Self::Expired => 7,
            Self::ExpiredCancelled => 8,
        }
    }

    /// Whether a file may go from this status to `next` (invariant 6).
    pub(super) const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Absent, Self::Pending)
                | (Self::Pending, Self::Cancelled | Self::Processed | Self::Expired | Self::ExpiredCancelled)
                | (Self::Cancelled, Self::ExpiredCancelled | Self::Deleting)
                | (Self::Expired, Self::Processed | Self::Deleting)
                | (Self::ExpiredCancelled, Self::Deleting)
                | (Self::Processed, Self::Trashed | Self::Deleting)
                | (Self::Trashed, Self::Processed | Self::Deleting)
                | (Self::Deleting, Self::Gone)
        )
    }

    /// Whether the file's bytes are used.
    pub(super) const fn is_used(self) -> bool {
        matches!(self, Self::Processed | Self::Trashed)
    }

    /// Whether the file's bytes are reserved.
    pub(super) const fn is_reserved(self) -> bool {
        matches!(self, Self::Pending | Self::Cancelled)
    }

    /// Whether the file's bytes must never be needed again.
    pub(super) const fn is_dead(self) -> bool {
        matches!(self, Self::Deleting | Self::Gone)
    }
}
