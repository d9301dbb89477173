//! The protocol, defence by defence, and how much can happen.

/// How a node learns what became of a write whose answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// The entry at the version that was proposed names the attempt that made it.
    Entry,
    /// The account's cells name the last attempt, whatever was written since.
    LastOp,
    /// The same statement is sent again; a refusal is taken for a refusal of the first, too.
    Repeat,
    /// It is taken for applied.
    Hope,
}

/// Which defences there are.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How a lost answer is made good.
    pub judge: Judge,
    /// `published` moves when the log has said that it has the event; otherwise when the event is sent.
    pub marks_after_ack: bool,
    /// A node that reads the account publishes what the ledger holds above `published`; otherwise each node publishes
    /// only what it wrote itself.
    pub reads_entries: bool,
}

/// All of them.
pub const RELIABLE: Protocol = Protocol { judge: Judge::Entry, marks_after_ack: true, reads_entries: true };

/// How much can happen.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests, up to 3: into the trash, out of it, into it.
    pub requests: u8,
    /// How often a node decides again for one request, up to 3 times.
    pub tries_max: u8,
    /// Whether one request must not make two entries.
    pub once: bool,
}
