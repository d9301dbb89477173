//! A file and its status machine.

use serde::{Deserialize, Serialize};

use super::ids::FileId;
use super::time::Timestamp;

/// The internal status of a file. Clients see less: [`PublicStatus`].
///
/// ```text
/// Pending -> Processed | Expired | Deleting      Processed <-> Trashed
/// Expired -> Processed | Deleting                Processed | Trashed -> Deleting -> Gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Reserved; its bytes may come.
    Pending,
    /// Its bytes are there, checked and counted.
    Processed,
    /// Deleted by its owner, restorable, still counted.
    Trashed,
    /// Will never be processed again; its bytes are being removed.
    Deleting,
    /// Its reservation ended without bytes.
    Expired,
    /// Its bytes are gone. The row stays for a while, so that nothing can come back.
    Gone,
}

impl Status {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Processed, Self::Trashed, Self::Deleting, Self::Expired, Self::Gone];

    /// The number that encodes it in a table. Frozen.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Pending => 0,
            Self::Processed => 1,
            Self::Trashed => 2,
            Self::Deleting => 3,
            Self::Expired => 4,
            Self::Gone => 5,
        }
    }

    /// The status with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Whether a file may go from this status to `next` (invariant 6).
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Pending, Self::Processed | Self::Expired | Self::Deleting)
                | (Self::Expired, Self::Processed | Self::Deleting)
                | (Self::Processed, Self::Trashed | Self::Deleting)
                | (Self::Trashed, Self::Processed | Self::Deleting)
                | (Self::Deleting, Self::Gone)
        )
    }

    /// The weight of a file of this status and size in the sums.
    #[must_use]
    pub const fn weight(self, size: u64) -> Weight {
        let (used_bytes, reserved_bytes, trashed_bytes, file_count, deleting_count) = match self {
            Self::Pending => (0, size, 0, 1, 0),
            Self::Processed => (size, 0, 0, 1, 0),
            Self::Trashed => (size, 0, size, 1, 0),
            Self::Deleting => (0, 0, 0, 0, 1),
            Self::Expired | Self::Gone => (0, 0, 0, 0, 0),
        };
        Weight { used_bytes, reserved_bytes, trashed_bytes, file_count, deleting_count }
    }

    /// The status that the owner of a file with this status and reason sees.
    #[must_use]
    pub const fn public_status(self, reason: Option<Reason>) -> PublicStatus {
        match (self, reason) {
            (Self::Pending, None) => PublicStatus::Pending,
            (Self::Processed, _) => PublicStatus::Processed,
            (Self::Trashed, _) => PublicStatus::Trashed,
            (Self::Expired, None) => PublicStatus::Failed("expired"),
            (Self::Deleting | Self::Gone, None) => PublicStatus::Hidden,
            (Self::Pending | Self::Expired | Self::Deleting | Self::Gone, Some(Reason::User)) => {
                PublicStatus::Hidden
            }
            (Self::Pending | Self::Expired | Self::Deleting | Self::Gone, Some(reason)) => {
                PublicStatus::Failed(reason.as_str())
            }
        }
    }
}

/// Why a file is not, or will not be, processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its owner deleted it.
    User,
    /// It came too late and no longer fits.
    Quota,
    /// It is larger than declared.
    Size,
    /// It is not the bytes that were declared.
    Checksum,
    /// Its type is not the declared one.
    Type,
    /// The scanner found something.
    Malware,
    /// Its owner cancelled it while it was pending.
    Cancelled,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Quota, Self::Size, Self::Checksum, Self::Type, Self::Malware, Self::Cancelled];

    /// Its word on the wire and in tables. Frozen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Quota => "quota",
            Self::Size => "size",
            Self::Checksum => "checksum",
            Self::Type => "type",
            Self::Malware => "malware",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reason with this word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// Readers of a file beside its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Only the owner.
    #[default]
    Private,
    /// Any holder of a link that has not been revoked.
    PublicLink,
    /// The owner's team.
    Team,
}

impl Visibility {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Private, Self::PublicLink, Self::Team];

    /// The number that encodes it in a table. Frozen.
    #[must_use]
    pub const fn code(self) -> i8 {
        match self {
            Self::Private => 0,
            Self::PublicLink => 1,
            Self::Team => 2,
        }
    }

    /// The visibility with this number, if there is one.
    #[must_use]
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|visibility| visibility.code() == code)
    }

    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicLink => "public_link",
            Self::Team => "team",
        }
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(pub [u8; 32]);

/// A step of a file's way, for its timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// The object was complete, by the bucket's clock.
    Landed,
    /// The bridge read its notification.
    ArrivalSeen,
    /// The bucket confirmed size and checksum.
    Inspected,
}

impl Hop {
    /// All of them, in their usual order.
    pub const ALL: [Self; 3] = [Self::Landed, Self::ArrivalSeen, Self::Inspected];

    /// Its word on the wire and in tables. Frozen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Landed => "landed",
            Self::ArrivalSeen => "arrival_seen",
            Self::Inspected => "inspected",
        }
    }
}

/// A file: its row in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name in every interface.
    pub file_id: FileId,
    /// Its status.
    pub status: Status,
    /// Why, where that needs a reason.
    pub reason: Option<Reason>,
    /// Declared while pending, actual from processed on.
    pub size_bytes: u64,
    /// As the owner named it; data only, never part of a key.
    pub filename: String,
    /// As declared.
    pub content_type: String,
    /// Of the bytes: declared or found.
    pub checksum_sha256: Option<Sha256>,
    /// The object's, once it is processed, without quotes.
    pub etag: Option<String>,
    /// Its readers beside the owner.
    pub visibility: Visibility,
    /// When it was reserved.
    pub created_at: Timestamp,
    /// When it was settled.
    pub processed_at: Option<Timestamp>,
    /// When it was put in the trash, while it is there.
    pub trashed_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Counts the changes of this row, from 1.
    pub revision: u32,
    /// The steps of its way.
    pub hops: Vec<(Hop, Timestamp)>,
    /// The multipart upload it comes by, if it comes in chunks.
    pub multipart: Option<Multipart>,
    /// W3C trace context of the request that reserved it.
    pub traceparent: Option<String>,
    /// When no upload of it can be running any more: its last URL has expired by then, and so has the longest upload.
    /// None: a row of an earlier release.
    pub uploads_end_at: Option<Timestamp>,
}

/// The multipart upload of a file that comes in chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multipart {
    /// The bucket's name of it.
    pub upload_id: String,
    /// Bytes of every chunk but the last.
    pub chunk_bytes: u64,
}

/// The share of a row in the account's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Weight {
    /// Bytes processed or trashed.
    pub used_bytes: u64,
    /// Bytes pending.
    pub reserved_bytes: u64,
    /// Bytes trashed.
    pub trashed_bytes: u64,
    /// One if it is pending, processed or trashed.
    pub file_count: u32,
    /// One if its bytes are still to be removed.
    pub deleting_count: u32,
}

/// A file's status as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicStatus {
    /// Waiting for its bytes.
    Pending,
    /// There.
    Processed,
    /// In the trash.
    Trashed,
    /// Not there and never will be, with the reason's word.
    Failed(&'static str),
    /// Deleted by its owner: as if it had never been.
    Hidden,
}

impl PublicStatus {
    /// Its word on the wire; a hidden file has none.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Pending => Some("pending"),
            Self::Processed => Some("processed"),
            Self::Trashed => Some("trashed"),
            Self::Failed(_) => Some("failed"),
            Self::Hidden => None,
        }
    }
}

impl File {
    /// What this row counts for. The sums of an account are the sums of this, always.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        self.status.weight(self.size_bytes)
    }

    /// The trace id of the request that reserved it: the second part of its trace context.
    #[must_use]
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }

    /// What its owner sees.
    #[must_use]
    pub const fn public_status(&self) -> PublicStatus {
        self.status.public_status(self.reason)
    }

    /// Whether its owner cancelled it, or deleted it for good, before its bytes arrived.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        matches!(self.reason, Some(Reason::Cancelled | Reason::User))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
        for visibility in Visibility::ALL {
            assert_eq!(Visibility::from_code(visibility.code()), Some(visibility));
        }
        assert_eq!(Status::from_code(6), None);
        assert_eq!(Reason::parse("bored"), None);
    }

    // proves: I6 I10
    #[test]
    fn nothing_comes_back_from_deleting_or_gone() {
        for next in Status::ALL {
            assert_eq!(Status::Deleting.may_become(next), next == Status::Gone);
            assert!(!Status::Gone.may_become(next));
            assert!(!next.may_become(Status::Pending), "nothing is reserved twice");
        }
    }
}
