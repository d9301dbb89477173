//! The protocol, defence by defence, and how much can happen in the world around it.

/// How the ledger recognises a write that acted on an old state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A write applies only on exactly the version it was decided on.
    Version,
    /// It does not: the last write wins.
    Nothing,
    /// A write applies only under the epoch of its owner; an owner that reads again keeps its epoch.
    EpochOfOwner,
    /// A write applies only under the epoch of its owner; every reading begins a new epoch, up to `loads_max`.
    EpochOfReading {
        /// How often the account may be read.
        loads_max: u8,
    },
}

/// Which defences there are.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How a stale write is recognised.
    pub check: Check,
    /// A reservation is in the ledger before its URL exists; otherwise it is in a node's memory only.
    pub reserves_durably: bool,
    /// A reservation ends when no upload can be under way any more; otherwise when its URL is dead.
    pub waits_for_uploads: bool,
    /// The row says that it will never be processed before the object is deleted.
    pub marks_before_delete: bool,
    /// A sweep looks for reservations past their time.
    pub sweeps: bool,
    /// A file that is cancelled stays reserved until its URL is dead.
    pub holds_cancelled: bool,
    /// A change of the quota moves the version as every other change does.
    pub counts_quota_changes: bool,
}

/// All of them.
pub const RELIABLE: Protocol = Protocol {
    check: Check::Version,
    reserves_durably: true,
    waits_for_uploads: true,
    marks_before_delete: true,
    sweeps: true,
    holds_cancelled: true,
    counts_quota_changes: true,
};

/// How much can happen: what a search can finish in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The user's quota.
    pub quota: u8,
    /// An admin may lower the quota to this, and raise it again.
    pub lowered_quota: Option<u8>,
    /// The files' sizes; none: there is no such file.
    pub sizes: [Option<u8>; 2],
    /// Whether there is a second node.
    pub has_two_nodes: bool,
    /// Whether the owner may cancel an upload.
    pub cancels: bool,
    /// Whether the owner may use the trash.
    pub trashes: bool,
    /// Trash and quota move to and fro only below this version, so that the world is finite.
    pub busy_below: u8,
    /// Whether bytes that a usable URL may still bring must be counted (invariant 8).
    pub counts_urls: bool,
}

impl Bounds {
    /// Two nodes, two files of size 1.
    pub const fn plain(quota: u8) -> Self {
        Self {
            quota,
            lowered_quota: None,
            sizes: [Some(1), Some(1)],
            has_two_nodes: true,
            cancels: false,
            trashes: false,
            busy_below: 0,
            counts_urls: true,
        }
    }

    /// The size of a file.
    pub(super) fn size(&self, file: usize) -> u8 {
        self.sizes[file].unwrap_or(0)
    }

    /// The quota as an account has it.
    pub(super) fn quota_of(&self, is_lowered: bool) -> u8 {
        if is_lowered { self.lowered_quota.unwrap_or(self.quota) } else { self.quota }
    }
}
