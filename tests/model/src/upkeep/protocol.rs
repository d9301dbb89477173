//! The protocol, defence by defence, and how much can happen.

/// What a write must find in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The version and the attempt of the write that the decision was based on: nothing was written since.
    Attempt,
    /// The version alone. Writes without a transition do not change it.
    Version,
    /// Both, but the version alone for writes without a transition.
    VersionWithoutTransition,
}

/// Which defences there are.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The condition of the one write.
    pub condition: Condition,
    /// A row is forgotten only when the log has every event that is made from it.
    pub keeps_rows_for_events: bool,
    /// History is trimmed only up to `published`.
    pub trims_below_published: bool,
    /// Only entries are trimmed that are older than a node can take to find out how its write ended.
    pub trims_old_entries: bool,
    /// A reader compares the version that it reads with the one before it, and reports a gap.
    pub reports_gaps: bool,
    /// A remembered request stays until its day is over.
    pub remembers_for_a_day: bool,
    /// A remembered request is a row of its own. Otherwise it leaves with the row of its file.
    pub remembers_apart: bool,
}

/// All of them.
pub const RELIABLE: Protocol = Protocol {
    condition: Condition::Attempt,
    keeps_rows_for_events: true,
    trims_below_published: true,
    trims_old_entries: true,
    reports_gaps: true,
    remembers_for_a_day: true,
    remembers_apart: true,
};

/// How much can happen: what a search can finish in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Whether there is a second node.
    pub has_two_nodes: bool,
    /// How often a client sends the request, up to 3 times, always with the same Idempotency-Key.
    pub asks: u8,
    /// Files that can be made, one after the other, up to 2. Each makes two versions.
    pub files: u8,
    /// Whether a client reads the history from the start.
    pub has_reader: bool,
}

impl Bounds {
    /// The highest version.
    pub(super) const fn version_max(&self) -> u8 {
        self.files * 2
    }
}
