//! Everything there is at one moment, and its number.

use super::protocol::Bounds;
use super::status::Status;
use crate::bits::Bits;

/// A user's account, as the ledger has it or as a node remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The version; or the epoch, where that is what is checked.
    pub(super) version: u8,
    /// Bytes used. A protocol that is broken may go below zero.
    pub(super) used: i8,
    /// Bytes reserved.
    pub(super) reserved: i8,
    /// Whether an admin has lowered the quota.
    pub(super) is_lowered: bool,
    /// The files' rows.
    pub(super) rows: [Status; 2],
}

/// A write: the account's cells as they shall be, and one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The version (or epoch) that the ledger must have.
    pub(super) expects: u8,
    /// The sums it brings.
    pub(super) used: i8,
    pub(super) reserved: i8,
    pub(super) is_lowered: bool,
    /// The row it brings; none: it changes only the quota.
    pub(super) row: Option<(usize, Status)>,
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
}

/// One of the processes that may act for the user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// What it remembers of the account.
    pub(super) memory: Option<Account>,
    /// Its write in flight.
    pub(super) write: Option<(Write, Outcome)>,
}

/// How long a file's upload URL still works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Url {
    /// There is none.
    #[default]
    None,
    /// An upload may be started.
    Live,
    /// An upload that was started may still end.
    Closing,
    /// No upload can come any more.
    Dead,
}

impl Url {
    /// Whether bytes may still come.
    pub(super) const fn is_usable(self) -> bool {
        matches!(self, Self::Live | Self::Closing)
    }

    const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Live => 1,
            Self::Closing => 2,
            Self::Dead => 3,
        }
    }
}

/// What of a file is outside of the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Outside {
    /// Its URL.
    pub(super) url: Url,
    /// Whether its object is in the bucket.
    pub(super) has_object: bool,
}

/// Everything there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub(super) ledger: Account,
    /// Whose epoch it is, where epochs are kept.
    pub(super) owner: Option<usize>,
    pub(super) files: [Outside; 2],
    /// A write whose node has died or lost patience; it lands any time later, or never.
    pub(super) stray: Option<Write>,
    pub(super) nodes: [Node; 2],
}

impl State {
    /// The smallest number of all states that differ from this one only in the names of nodes and of equal files.
    pub(super) fn canonical(&self, bounds: &Bounds) -> u128 {
        let by_nodes = |state: &Self| state.packed().min(state.with_nodes_swapped().packed());
        if bounds.sizes[0] == bounds.sizes[1] {
            by_nodes(self).min(by_nodes(&self.with_files_swapped()))
        } else {
            by_nodes(self)
        }
    }

    fn packed(&self) -> u128 {
        let mut bits = Bits::default();
        self.ledger.pack(&mut bits);
        bits.put(self.owner.map_or(0, |node| 1 + u8::from(node == 1)), 2);
        for file in &self.files {
            bits.put(file.url.code(), 2);
            bits.flag(file.has_object);
        }
        pack_write(self.stray, &mut bits);
        for node in &self.nodes {
            bits.flag(node.memory.is_some());
            node.memory.unwrap_or_default().pack(&mut bits);
            pack_write(node.write.map(|(write, _)| write), &mut bits);
            let outcome = match node.write {
                None | Some((_, Outcome::Sent)) => 0,
                Some((_, Outcome::Applied)) => 1,
                Some((_, Outcome::Refused)) => 2,
            };
            bits.put(outcome, 2);
        }
        bits.word()
    }

    fn with_nodes_swapped(mut self) -> Self {
        self.nodes.swap(0, 1);
        self.owner = self.owner.map(|node| 1 - node);
        self
    }

    fn with_files_swapped(mut self) -> Self {
        self.files.swap(0, 1);
        self.ledger.rows.swap(0, 1);
        self.stray = self.stray.map(Write::with_files_swapped);
        for node in &mut self.nodes {
            node.write = node.write.map(|(write, outcome)| (write.with_files_swapped(), outcome));
            if let Some(memory) = &mut node.memory {
                memory.rows.swap(0, 1);
            }
        }
        self
    }
}

impl Account {
    /// 18 bits.
    fn pack(&self, bits: &mut Bits) {
        bits.put(self.version, 4);
        pack_sums(self.used, self.reserved, bits);
        bits.flag(self.is_lowered);
        // Two of nine values each.
        bits.put(self.rows[0].code() * 9 + self.rows[1].code(), 7);
    }
}

impl Write {
    fn with_files_swapped(mut self) -> Self {
        self.row = self.row.map(|(file, status)| (1 - file, status));
        self
    }
}

/// 16 bits.
fn pack_write(write: Option<Write>, bits: &mut Bits) {
    let Some(write) = write else {
        return bits.put(0, 16);
    };
    bits.put(write.expects, 4);
    pack_sums(write.used, write.reserved, bits);
    bits.flag(write.is_lowered);
    // 0 is no write.
    let row = match write.row {
        None => 19,
        Some((file, status)) => 1 + u8::from(file == 1) * 9 + status.code(),
    };
    bits.put(row, 5);
}

/// 6 bits, for sums from -2 to 5.
fn pack_sums(used: i8, reserved: i8, bits: &mut Bits) {
    for sum in [used, reserved] {
        bits.put(u8::try_from(sum + 2).expect("no two writes take more than two away"), 3);
    }
}
