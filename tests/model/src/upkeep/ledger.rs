//! The ledger of one user: the account, entries, rows and the remembered request.

use super::protocol::{Condition, Protocol};

/// Versions that a ledger can have here.
pub(super) const VERSIONS_MAX: usize = 4;

/// What a write does beside moving `published`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Makes a file and remembers the request. Makes a version.
    Reserve,
    /// Ends a file: it can never be processed again. Makes a version.
    End,
    /// Nothing else.
    Mark,
    /// Trims the history up to its floor.
    Trim,
    /// Forgets the row of a file.
    Forget { file: u8 },
}

/// A write: the account after it, and what it does to rows and entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) kind: Kind,
    /// The version that it was decided on.
    pub(super) expects: u8,
    /// The account's `published` after it.
    pub(super) published: u8,
    /// The account's floor after it.
    pub(super) floor: u8,
    /// Nothing was written since the decision, or since it was applied. This is what naming the attempt finds out.
    pub(super) is_latest: bool,
}

/// The ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    pub(super) version: u8,
    pub(super) published: u8,
    pub(super) floor: u8,
    /// By version, from 1.
    entries: [bool; VERSIONS_MAX],
    /// By file: the first makes the versions 1 and 2, the second 3 and 4.
    pub(super) rows: [bool; 2],
    /// The request is remembered.
    pub(super) remembers: bool,
}

impl Kind {
    /// Whether it makes a version.
    pub(super) const fn is_transition(self) -> bool {
        matches!(self, Self::Reserve | Self::End)
    }
}

impl Write {
    /// The version after it.
    pub(super) fn version(&self) -> u8 {
        self.expects + u8::from(self.kind.is_transition())
    }
}

/// The file that a version is about.
pub(super) const fn file_of(version: u8) -> u8 {
    (version - 1) / 2
}

impl Ledger {
    /// Whether an entry is there.
    pub(super) fn has_entry(&self, version: u8) -> bool {
        self.entries[usize::from(version - 1)]
    }

    /// Whether the row is there that the event of a version is made from.
    pub(super) fn has_row_of(&self, version: u8) -> bool {
        self.rows[usize::from(file_of(version))]
    }

    /// The entry that follows a version, or the first that is left above it.
    pub(super) fn next_entry(&self, after: u8) -> Option<u8> {
        (after + 1..=self.version).find(|version| self.has_entry(*version))
    }

    /// Applies a write, or refuses it.
    pub(super) fn take(&mut self, protocol: &Protocol, write: &Write) -> bool {
        let is_met = match protocol.condition {
            Condition::Attempt => write.is_latest,
            Condition::VersionWithoutTransition if write.kind.is_transition() => write.is_latest,
            Condition::Version | Condition::VersionWithoutTransition => write.expects == self.version,
        };
        if !is_met {
            return false;
        }
        self.version = write.version();
        self.published = write.published;
        self.floor = write.floor;
        match write.kind {
            Kind::Reserve => {
                self.entries[usize::from(self.version - 1)] = true;
                self.rows[usize::from(file_of(self.version))] = true;
                self.remembers = true;
            }
            Kind::End => self.entries[usize::from(self.version - 1)] = true,
            Kind::Mark => {}
            Kind::Trim => self.entries[..usize::from(write.floor)].fill(false),
            Kind::Forget { file } => {
                self.rows[usize::from(file)] = false;
                self.remembers &= protocol.remembers_apart;
            }
        }
        true
    }

    /// Entries as bits.
    pub(super) fn entries(&self) -> [bool; VERSIONS_MAX] {
        self.entries
    }
}
