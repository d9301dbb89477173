//! What an audit finds: one disagreement each.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::domain::ids::{FileId, UserId};

/// A disagreement between what is stored in two places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The invariant that does not hold, by its number in `ARCHITECTURE.md`; none: something cannot be read.
    pub invariant: Option<u8>,
    /// The user it belongs to, if known.
    pub user: Option<UserId>,
    /// The file it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileId>,
    /// The version of the user it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What was seen, in one line.
    pub text: String,
}

macro_rules! kinds {
    ($($name:ident = $invariant:expr, $word:literal, $help:literal;)*) => {
        /// What a disagreement is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FindingKind {
            $(#[doc = $help] $name,)*
        }

        impl FindingKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its word in JSON. Frozen.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The invariant that does not hold.
            #[must_use]
            pub const fn invariant(self) -> Option<u8> {
                match self { $(Self::$name => $invariant,)* }
            }
        }
    };
}

kinds! {
    Sums = Some(1), "sums", "The account's sums are not those of its rows (1, 2 and 4).";
    Reservations = Some(2), "reservations", "The account's reservations are not its pending rows.";
    OverQuota = Some(3), "over_quota", "A reservation was made over the limit.";
    Published = Some(5), "published", "The account counts more published entries than it has.";
    Status = Some(6), "status", "A file's status moved in a way that it may not.";
    TrashLingers = Some(10), "trash_lingers", "A file is in the trash after its retention.";
    NoObject = Some(14), "no_object", "A file is processed or trashed, and has no object.";
    OtherObject = Some(14), "other_object", "A file's object is not the one that was settled.";
    DeletingCount = Some(17), "deleting_count", "The account does not know how many files are being deleted.";
    DeletingLingers = Some(17), "deleting_lingers", "A file is being deleted for too long.";
    Orphan = Some(17), "orphan", "An object belongs to no row.";
    DeadObject = Some(17), "dead_object", "An object belongs to a file that is expired or gone.";
    OrphanUpload = Some(17), "stray_upload", "An upload in chunks is open that no pending file names.";
    ReservationLingers = Some(18), "reservation_lingers", "A reservation is open after its time.";
    Unpublished = Some(21), "unpublished", "Entries wait for too long to become events.";
    EventMissing = Some(21), "event_missing", "An entry has no event in the log.";
    EventOrder = Some(21), "event_order", "An event came after one of a later version.";
    EventUnknown = Some(21), "event_unknown", "An event belongs to no entry.";
    EntriesMissing = Some(28), "entries_missing", "Entries are missing.";
    Totals = Some(28), "totals", "Totals do not follow from those before, or are not the account's.";
    RowUnlikeEntry = Some(28), "row_unlike_entry", "A file's row is not as its last entry left it.";
    Unreadable = None, "unreadable", "What is stored cannot be understood.";
}

impl Serialize for FindingKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Finding {
    /// About a user as a whole.
    pub(super) const fn new(kind: FindingKind, user: UserId, text: String) -> Self {
        Self { kind, invariant: kind.invariant(), user: Some(user), file: None, version: None, text }
    }

    /// About a user whom the ledger cannot name.
    pub(super) const fn of_unknown(kind: FindingKind, text: String) -> Self {
        Self { kind, invariant: kind.invariant(), user: None, file: None, version: None, text }
    }

    /// The same, about a file.
    pub(super) fn of_file(self, file: FileId) -> Self {
        Self { file: Some(file), ..self }
    }

    /// The same, about a version.
    pub(super) fn at(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Whether it is the same disagreement, seen at another time. About a user as a whole, only what was seen is: sums that
    /// move while they are read differ each time, and each time otherwise.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let identity = |finding: &Self| (finding.kind, finding.user, finding.file, finding.version);
        let is_of_user = self.file.is_none() && self.version.is_none();
        identity(self) == identity(other) && (!is_of_user || self.text == other.text)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.invariant {
            Some(number) => write!(f, "I{number} {}", self.kind.as_str())?,
            None => write!(f, "-- {}", self.kind.as_str())?,
        }
        if let Some(user) = self.user {
            write!(f, " user={user}")?;
        }
        if let Some(file) = self.file {
            write!(f, " file={file}")?;
        }
        if let Some(version) = self.version {
            write!(f, " version={version}")?;
        }
        write!(f, ": {}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_of_a_file_or_a_version_again_is_the_same_and_of_a_user_only_if_it_reads_the_same() {
        let user = UserId::from_subject("https://issuer.example", "ann").unwrap();
        let finding = |text: &str| Finding::new(FindingKind::Sums, user, text.to_owned());
        assert!(finding("5 and 4").is_same(&finding("5 and 4")));
        assert!(!finding("5 and 4").is_same(&finding("7 and 6")));
        assert!(finding("since 5").at(3).is_same(&finding("since 4").at(3)));
        assert!(!finding("since 5").at(3).is_same(&finding("since 5").at(4)));
    }
}
