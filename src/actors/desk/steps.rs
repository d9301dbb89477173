//! The inputs and outputs of a desk: its next step, the outcomes of reads and writes, and its tools.

use crate::actors::meters::ActorMeters;
use crate::domain::account::{Account, Remembered};
use crate::domain::decide::Rules;
use crate::domain::draft::Write;
use crate::domain::entry::Entry;
use crate::domain::file::File;
use crate::domain::ids::{FileId, OpId};
use crate::domain::time::Timestamp;

/// What a desk wants done next.
pub(in crate::actors) enum Step {
    /// Nothing: it waits for a ticket, or for what is in flight.
    Rest,
    /// A read of the account (if `account`) and of some rows.
    Load {
        /// Whether to read the account.
        account: bool,
        /// Which rows to read.
        files: Vec<FileId>,
        /// Which remembered requests to read, by key.
        requests: Vec<u64>,
        /// Which entries to read, after the account: they judge attempts that are in doubt.
        entries: Vec<u64>,
    },
    /// A write.
    Write(Box<Write>),
}

/// What a read brought.
pub(in crate::actors) struct Loaded {
    /// The account, if it was read; a new one if there was none.
    pub(in crate::actors) account: Option<Account>,
    /// The rows; none where there is none.
    pub(in crate::actors) rows: Vec<(FileId, Option<File>)>,
    /// The remembered requests; none where there is none.
    pub(in crate::actors) requests: Vec<(u64, Option<Remembered>)>,
    /// Who made which version, of those that were asked for and are there.
    pub(in crate::actors) makers: Vec<(u64, OpId)>,
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actors) enum WriteEnd {
    /// It is durable.
    Applied,
    /// It is durable, but others may have written on top.
    AppliedEarlier,
    /// It is not there and never will be.
    NotApplied,
    /// It is not there, and may be later: its entry will say.
    InDoubt,
    /// The ledger does not answer; whether it is there is not known.
    Unavailable,
}

/// A write in flight.
pub(in crate::actors) struct Writing {
    /// The first version it makes; none: it makes none.
    pub(in crate::actors) first: Option<u64>,
}

/// Durable transitions, for the publisher and the remover.
pub(in crate::actors) struct Durable {
    /// Entries up to this version were published before.
    pub(in crate::actors) published: u64,
    /// The new entries with their files' rows, in order.
    pub(in crate::actors) entries: Vec<(Entry, Option<File>)>,
}

/// What the desk works with, from its shard.
pub(in crate::actors) struct Tools<'a> {
    /// The time.
    pub(in crate::actors) now: Timestamp,
    /// What an operator chose.
    pub(in crate::actors) rules: Rules,
    /// Names the next attempt.
    pub(in crate::actors) new_op: &'a dyn Fn() -> OpId,
    /// What is counted.
    pub(in crate::actors) meters: &'a ActorMeters,
}
