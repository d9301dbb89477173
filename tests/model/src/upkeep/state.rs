//! Everything there is at one moment, and its number.

use super::ledger::{Kind, Ledger, Write};
use crate::bits::Bits;

/// What a node remembers of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) version: u8,
    pub(super) published: u8,
    pub(super) floor: u8,
    /// Events up to here are in the log, as the log confirmed to this node or the account said.
    pub(super) logged: u8,
    /// Nothing was written since.
    pub(super) is_latest: bool,
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
    /// The node has stopped waiting and must find out.
    Unknown {
        /// Whether it is in the ledger. The node does not see this.
        is_applied: bool,
    },
}

/// One of the processes that may act for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) memory: Option<Memory>,
    /// It works on the client's request.
    pub(super) has_request: bool,
    pub(super) write: Option<(Write, Outcome)>,
}

/// A write that no node waits for an answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stray {
    pub(super) write: Write,
    /// The node that still has to find out how it ended.
    pub(super) judge: Option<usize>,
}

/// Everything there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    pub(super) ledger: Ledger,
    /// Events in the log: those of the first so many versions.
    pub(super) logged: u8,
    /// How often the client has asked.
    pub(super) asked: u8,
    /// A day has passed since the last reservation.
    pub(super) is_day_over: bool,
    /// A node decided wrongly how its write ended.
    pub(super) is_misjudged: bool,
    /// The version up to which the reader has read.
    pub(super) read: u8,
    /// The reader skipped entries without noticing.
    pub(super) is_gap_missed: bool,
    pub(super) nodes: [Node; 2],
    pub(super) stray: Option<Stray>,
}

impl State {
    /// Marks that something was written: what was decided or read before is no longer the latest.
    pub(super) fn outdate(&mut self) {
        for node in &mut self.nodes {
            if let Some(memory) = &mut node.memory {
                memory.is_latest = false;
            }
            if let Some((write, _)) = &mut node.write {
                write.is_latest = false;
            }
        }
        if let Some(stray) = &mut self.stray {
            stray.write.is_latest = false;
        }
    }

    /// The smaller number of this state and of the one with the nodes' names changed.
    pub(super) fn canonical(&self) -> u128 {
        let mut swapped = *self;
        swapped.nodes.swap(0, 1);
        if let Some(stray) = &mut swapped.stray {
            stray.judge = stray.judge.map(|node| 1 - node);
        }
        self.packed().min(swapped.packed())
    }

    fn packed(&self) -> u128 {
        let mut bits = Bits::default();
        let ledger = &self.ledger;
        for number in [ledger.version, ledger.published, ledger.floor, self.logged, self.read] {
            bits.put(number, 3);
        }
        bits.put(self.asked, 2);
        let flags = [ledger.remembers, self.is_day_over];
        for flag in flags.into_iter().chain(ledger.entries()).chain(ledger.rows) {
            bits.flag(flag);
        }
        pack_write(self.stray.map(|stray| stray.write), &mut bits);
        bits.put(self.stray.and_then(|stray| stray.judge).map_or(0, |node| if node == 0 { 1 } else { 2 }), 2);
        for node in &self.nodes {
            node.pack(&mut bits);
        }
        bits.word()
    }
}

impl Node {
    /// 33 bits.
    fn pack(&self, bits: &mut Bits) {
        bits.flag(self.memory.is_some());
        let nothing = Memory { version: 0, published: 0, floor: 0, logged: 0, is_latest: false };
        let memory = self.memory.unwrap_or(nothing);
        for number in [memory.version, memory.published, memory.floor, memory.logged] {
            bits.put(number, 3);
        }
        bits.flag(memory.is_latest);
        bits.flag(self.has_request);
        pack_write(self.write.map(|(write, _)| write), bits);
        let outcome = match self.write {
            None | Some((_, Outcome::Sent)) => 0,
            Some((_, Outcome::Applied)) => 1,
            Some((_, Outcome::Refused)) => 2,
            Some((_, Outcome::Unknown { is_applied: false })) => 3,
            Some((_, Outcome::Unknown { is_applied: true })) => 4,
        };
        bits.put(outcome, 3);
    }
}

/// 13 bits.
fn pack_write(write: Option<Write>, bits: &mut Bits) {
    let kind = write.map_or(0, |write| match write.kind {
        Kind::Reserve => 1,
        Kind::End => 2,
        Kind::Mark => 3,
        Kind::Trim => 4,
        Kind::Forget { file } => 5 + file,
    });
    bits.put(kind, 3);
    let nothing = Write { kind: Kind::Mark, expects: 0, published: 0, floor: 0, is_latest: false };
    let write = write.unwrap_or(nothing);
    for number in [write.expects, write.published, write.floor] {
        bits.put(number, 3);
    }
    bits.flag(write.is_latest);
}
