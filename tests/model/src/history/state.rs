//! Everything there is at one moment, and its number.

use crate::bits::Bits;

/// Entries that a ledger can hold here.
pub(super) const ENTRIES_MAX: usize = 7;

/// One attempt of a request to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Op {
    /// The request, from 0.
    pub(super) request: u8,
    /// Which attempt, from 0.
    pub(super) attempt: u8,
}

/// The ledger.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ledger {
    /// Who made each version; the first makes version 1.
    pub(super) entries: [Option<Op>; ENTRIES_MAX],
    /// How many versions there are.
    pub(super) version: u8,
    /// Entries up to this version are said to be in the log.
    pub(super) published: u8,
}

/// What a node remembers of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) version: u8,
    pub(super) published: u8,
}

/// A write: an entry and the mark, or the mark alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The version that the ledger must have.
    pub(super) expects: u8,
    /// The attempt whose entry it is; none: the mark alone.
    pub(super) op: Option<Op>,
    /// What it says is in the log.
    pub(super) published: u8,
}

/// How far a node's write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// On its way.
    Sent,
    /// In the ledger; the node has no answer yet.
    Applied,
    /// Refused; the node has no answer yet.
    Refused,
    /// The node has lost patience; it must find out.
    Unknown,
}

/// What a node publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outbox {
    /// In the log up to here, as far as the node knows.
    pub(super) published: u8,
    /// To be published up to here.
    pub(super) known: u8,
}

/// One of the processes that may act for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) memory: Option<Memory>,
    /// The request it works on, and how often it has tried.
    pub(super) request: Option<Op>,
    pub(super) write: Option<(Write, Outcome)>,
    pub(super) outbox: Option<Outbox>,
}

/// Everything there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub(super) ledger: Ledger,
    /// Events in the log: the first so many entries.
    pub(super) logged: u8,
    /// An event came before the one before it, or without an entry.
    pub(super) is_log_torn: bool,
    /// A node took a write for applied that was not, or for not applied that was.
    pub(super) is_misjudged: bool,
    /// How many requests came.
    pub(super) asked: u8,
    pub(super) nodes: [Node; 2],
    /// A write that nobody waits for.
    pub(super) stray: Option<Write>,
}

impl Ledger {
    /// Whether the file is in the trash after a version: every entry moves it.
    pub(super) const fn is_trashed_at(version: u8) -> bool {
        version % 2 == 1
    }

    /// Who made a version.
    pub(super) fn entry(&self, version: u8) -> Option<Op> {
        self.entries.get(usize::from(version).checked_sub(1)?).copied().flatten()
    }

    /// Who wrote last.
    pub(super) fn last_op(&self) -> Option<Op> {
        self.entry(self.version)
    }

    /// Whether an attempt made any entry.
    pub(super) fn has(&self, op: Op) -> bool {
        self.entries.contains(&Some(op))
    }

    /// How many entries a request made.
    pub(super) fn entries_of(&self, request: u8) -> usize {
        self.entries.iter().flatten().filter(|op| op.request == request).count()
    }

    /// Takes a write, or refuses it.
    pub(super) fn take(&mut self, write: &Write) -> bool {
        if self.version != write.expects {
            return false;
        }
        self.published = write.published;
        if write.op.is_some() {
            self.entries[usize::from(self.version)] = write.op;
            self.version += 1;
        }
        true
    }
}

impl State {
    /// The smaller number of this state and of the one with the nodes' names changed.
    pub(super) fn canonical(&self) -> u128 {
        let mut swapped = *self;
        swapped.nodes.swap(0, 1);
        self.packed().min(swapped.packed())
    }

    fn packed(&self) -> u128 {
        let mut bits = Bits::default();
        for entry in self.ledger.entries {
            bits.put(op_code(entry), 4);
        }
        for number in [self.ledger.published, self.logged] {
            bits.put(number, 3);
        }
        bits.put(self.asked, 2);
        pack_write(self.stray, &mut bits);
        for node in &self.nodes {
            bits.flag(node.memory.is_some());
            let memory = node.memory.unwrap_or(Memory { version: 0, published: 0 });
            bits.put(memory.version, 3);
            bits.put(memory.published, 3);
            bits.put(op_code(node.request), 4);
            pack_write(node.write.map(|(write, _)| write), &mut bits);
            let outcome = match node.write {
                None | Some((_, Outcome::Sent)) => 0,
                Some((_, Outcome::Applied)) => 1,
                Some((_, Outcome::Refused)) => 2,
                Some((_, Outcome::Unknown)) => 3,
            };
            bits.put(outcome, 2);
            bits.flag(node.outbox.is_some());
            let outbox = node.outbox.unwrap_or(Outbox { published: 0, known: 0 });
            bits.put(outbox.published, 3);
            bits.put(outbox.known, 3);
        }
        bits.word()
    }
}

/// 4 bits: 0 is none.
fn op_code(op: Option<Op>) -> u8 {
    op.map_or(0, |op| 1 + op.request * 3 + op.attempt)
}

/// 11 bits.
fn pack_write(write: Option<Write>, bits: &mut Bits) {
    bits.flag(write.is_some());
    let write = write.unwrap_or(Write { expects: 0, op: None, published: 0 });
    bits.put(write.expects, 3);
    bits.put(op_code(write.op), 4);
    bits.put(write.published, 3);
}
