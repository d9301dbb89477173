//! What may happen, as sentences.

use std::fmt;

use super::ledger::Kind;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A client sends its request to a node.
    Ask { node: usize },
    /// A day passes since the last reservation.
    DayPasses,
    /// The remembered request leaves the ledger.
    RequestExpires,
    /// A node reads the account.
    Load { node: usize },
    /// A node forgets the account, because the user rests.
    Forget { node: usize },
    /// A node dies.
    Die { node: usize, leaves_write: bool },
    /// A node answers the request without a write.
    Answer { node: usize },
    /// A node sends a write.
    Send { node: usize, write: Sent },
    /// The ledger applies a node's write, or refuses it.
    Write { node: usize, applied: bool },
    /// A node receives the answer to its write.
    Receive { node: usize, applied: bool },
    /// A node stops waiting for the answer to its write.
    StopWaiting { node: usize, leaves_write: bool },
    /// A node decides how its write ended.
    Judge { node: usize, applied: bool },
    /// The write that was left on its way arrives.
    StrayLands { applied: bool },
    /// It never does.
    StrayIsLost,
    /// A node publishes the event of a version.
    Publish { node: usize, version: u8, confirmed: bool },
    /// The reader reads an entry.
    Read { version: u8, is_next: bool },
}

/// A write as a step shows it.
#[derive(Clone, Copy, Debug)]
pub struct Sent(pub(super) Kind, pub(super) u8);

impl Step {
    /// Whether it happens by itself sooner or later.
    pub(super) const fn is_sure(self) -> bool {
        match self {
            Self::Ask { .. } => false,
            Self::DayPasses
            | Self::RequestExpires
            | Self::Load { .. }
            | Self::Forget { .. }
            | Self::Die { .. }
            | Self::Answer { .. }
            | Self::Send { .. }
            | Self::Write { .. }
            | Self::Receive { .. }
            | Self::StopWaiting { .. }
            | Self::Judge { .. }
            | Self::StrayLands { .. }
            | Self::StrayIsLost
            | Self::Publish { .. }
            | Self::Read { .. } => true,
        }
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, up_to) = *self;
        match kind {
            Kind::Reserve => f.write_str("reserve a file"),
            Kind::End => f.write_str("end the file"),
            Kind::Mark => write!(f, "published up to {up_to}"),
            Kind::Trim => write!(f, "trim up to {up_to}"),
            Kind::Forget { file } => write!(f, "forget the row of file {}", file + 1),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ask { node } => write!(f, "the client asks {} to reserve, with its key", name(node)),
            Self::DayPasses => f.write_str("the day of the request is over"),
            Self::RequestExpires => f.write_str("the remembered request leaves the ledger"),
            Self::Load { node } => write!(f, "{} reads the account", name(node)),
            Self::Forget { node } => write!(f, "{} forgets the account", name(node)),
            Self::Die { node, leaves_write: false } => write!(f, "{} dies", name(node)),
            Self::Die { node, leaves_write: true } => {
                write!(f, "{} dies; its write is still on its way", name(node))
            }
            Self::Answer { node } => write!(f, "{} answers without a write", name(node)),
            Self::Send { node, write } => write!(f, "{} sends: {write}", name(node)),
            Self::Write { node, applied } => {
                write!(f, "the ledger {} the write of {}", verb(applied), name(node))
            }
            Self::Receive { node, applied: true } => {
                write!(f, "{} learns that its write is applied", name(node))
            }
            Self::Receive { node, applied: false } => {
                write!(f, "{} learns that its write is refused", name(node))
            }
            Self::StopWaiting { node, leaves_write: false } => {
                write!(f, "the answer to the write of {} is lost", name(node))
            }
            Self::StopWaiting { node, leaves_write: true } => {
                write!(f, "{} stops waiting; its write is still on its way", name(node))
            }
            Self::Judge { node, applied: true } => write!(f, "{} decides: my write is applied", name(node)),
            Self::Judge { node, applied: false } => {
                write!(f, "{} decides: my write is not applied", name(node))
            }
            Self::StrayLands { applied } => {
                write!(f, "the ledger {} the write that was left on its way", verb(applied))
            }
            Self::StrayIsLost => f.write_str("the write that was left on its way is lost"),
            Self::Publish { node, version, confirmed: true } => {
                write!(f, "{} publishes version {version}", name(node))
            }
            Self::Publish { node, version, confirmed: false } => {
                write!(f, "{} publishes version {version} and gets no confirmation", name(node))
            }
            Self::Read { version, is_next: true } => write!(f, "the reader reads version {version}"),
            Self::Read { version, is_next: false } => {
                write!(f, "the reader reads version {version}, which is not the next")
            }
        }
    }
}

const fn name(node: usize) -> &'static str {
    if node == 0 { "node A" } else { "node B" }
}

const fn verb(applied: bool) -> &'static str {
    if applied { "applies" } else { "refuses" }
}
