//! What may happen, as sentences.

use std::fmt;

use super::status::Status;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Time goes by for a URL.
    UrlAges {
        /// Whose.
        file: usize,
        /// Whether no upload can be under way any more.
        is_dead: bool,
    },
    /// A client uses its URL.
    Put { file: usize },
    /// The write that was left on the way lands.
    StrayLands { applied: bool },
    /// It never does.
    StrayIsLost,
    /// A node reads the account.
    Load { node: usize },
    /// A node dies, or loses patience, or forgets a user who rests.
    Forget { node: usize, leaves_write: bool },
    /// A node decides, and sends a write.
    Send { node: usize, becomes: Becomes },
    /// The ledger takes a node's write, or refuses it.
    Write { node: usize, applied: bool },
    /// A node gets the outcome of its write.
    Hear { node: usize, applied: bool },
    /// A node reserves in its memory alone, and signs the URL.
    ReserveInMemory { node: usize, file: usize },
    /// A node deletes an object.
    DeleteObject { node: usize, file: usize },
}

/// The outcome of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// A file gets another status.
    File { file: usize, status: Status, why: Why },
    /// An admin lowers or raises the quota.
    Quota { is_lowered: bool },
}

/// What makes a node decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A client asks for it.
    Asked,
    /// An event tells it.
    Event,
    /// The sweeper finds it.
    Sweep,
}

impl Step {
    /// Whether it happens by itself sooner or later.
    pub(super) const fn is_sure(self) -> bool {
        match self {
            Self::UrlAges { .. }
            | Self::StrayLands { .. }
            | Self::StrayIsLost
            | Self::Load { .. }
            | Self::Forget { .. }
            | Self::Write { .. }
            | Self::Hear { .. }
            | Self::DeleteObject { .. } => true,
            Self::Put { .. } | Self::ReserveInMemory { .. } => false,
            Self::Send { becomes: Becomes::File { why, .. }, .. } => matches!(why, Why::Sweep),
            Self::Send { becomes: Becomes::Quota { .. }, .. } => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UrlAges { file, is_dead: false } => {
                write!(f, "the URL of file {} ends; an upload may still be under way", file + 1)
            }
            Self::UrlAges { file, is_dead: true } => {
                write!(f, "no upload of file {} can be under way any more", file + 1)
            }
            Self::Put { file } => write!(f, "a client uploads file {}", file + 1),
            Self::StrayLands { applied: true } => f.write_str("the write that was left on its way lands"),
            Self::StrayLands { applied: false } => {
                f.write_str("the write that was left on its way is refused")
            }
            Self::StrayIsLost => f.write_str("the write that was left on its way is lost"),
            Self::Load { node } => write!(f, "{} reads the account", name(node)),
            Self::Forget { node, leaves_write: false } => write!(f, "{} forgets what it knows", name(node)),
            Self::Forget { node, leaves_write: true } => {
                write!(f, "{} dies and forgets; its write is still on its way", name(node))
            }
            Self::Send { node, becomes } => write!(f, "{} sends: {becomes}", name(node)),
            Self::Write { node, applied: true } => {
                write!(f, "the ledger applies the write of {}", name(node))
            }
            Self::Write { node, applied: false } => {
                write!(f, "the ledger refuses the write of {}", name(node))
            }
            Self::Hear { node, applied: true } => write!(f, "{} hears that its write is applied", name(node)),
            Self::Hear { node, applied: false } => {
                write!(f, "{} hears that its write is refused, and forgets", name(node))
            }
            Self::ReserveInMemory { node, file } => {
                write!(f, "{} reserves file {} in its memory and signs the URL", name(node), file + 1)
            }
            Self::DeleteObject { node, file } => {
                write!(f, "{} deletes the object of file {}", name(node), file + 1)
            }
        }
    }
}

impl fmt::Display for Becomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Quota { is_lowered: true } => f.write_str("the quota is lowered"),
            Self::Quota { is_lowered: false } => f.write_str("the quota is raised"),
            Self::File { file, status, why } => {
                let why = match why {
                    Why::Asked => "somebody asks",
                    Why::Event => "an event tells",
                    Why::Sweep => "the sweep finds",
                };
                write!(f, "file {} becomes {status:?} ({why})", file + 1)
            }
        }
    }
}

const fn name(node: usize) -> &'static str {
    if node == 0 { "node A" } else { "node B" }
}
