//! What may happen, as sentences.

use std::fmt;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A client asks a node for something.
    Ask { node: usize, request: u8 },
    /// A node reads the account.
    Load { node: usize },
    /// A node dies.
    Die { node: usize, leaves_write: bool },
    /// A node forgets the account, because the user rests.
    Forget { node: usize },
    /// A node sends the write of its request.
    Send { node: usize, request: u8 },
    /// A node sends its mark alone.
    SendMark { node: usize },
    /// A node answers a request: there is nothing to do.
    Answer { node: usize, request: u8 },
    /// The ledger takes a node's write, or refuses it.
    Write { node: usize, applied: bool },
    /// A node gets the outcome of its write.
    Hear { node: usize, applied: bool },
    /// A node does not hear how its write ended.
    LosePatience { node: usize, leaves_write: bool },
    /// A node finds out what became of its write.
    Judge { node: usize, applied: bool },
    /// The write that was left on its way lands.
    StrayLands { applied: bool },
    /// It never does.
    StrayIsLost,
    /// A node brings an entry into the log.
    Publish { node: usize, version: u8, heard: bool },
    /// A node sends an event that the log never gets.
    PublishIsLost { node: usize, version: u8 },
}

impl Step {
    /// Whether it happens by itself sooner or later.
    pub(super) const fn is_sure(self) -> bool {
        match self {
            Self::Ask { .. } | Self::PublishIsLost { .. } => false,
            Self::Load { .. }
            | Self::Die { .. }
            | Self::Forget { .. }
            | Self::Send { .. }
            | Self::SendMark { .. }
            | Self::Answer { .. }
            | Self::Write { .. }
            | Self::Hear { .. }
            | Self::LosePatience { .. }
            | Self::Judge { .. }
            | Self::StrayLands { .. }
            | Self::StrayIsLost
            | Self::Publish { .. } => true,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ask { node, request } => write!(f, "a client asks {} to {}", name(node), wish(request)),
            Self::Load { node } => write!(f, "{} reads the account", name(node)),
            Self::Die { node, leaves_write: false } => write!(f, "{} dies", name(node)),
            Self::Die { node, leaves_write: true } => {
                write!(f, "{} dies; its write is still on its way", name(node))
            }
            Self::Forget { node } => write!(f, "{} forgets the account", name(node)),
            Self::Send { node, request } => write!(f, "{} sends: {}", name(node), wish(request)),
            Self::SendMark { node } => write!(f, "{} sends what it knows to be published", name(node)),
            Self::Answer { node, request } => {
                write!(f, "{} answers that there is nothing to do to {}", name(node), wish(request))
            }
            Self::Write { node, applied: true } => {
                write!(f, "the ledger applies the write of {}", name(node))
            }
            Self::Write { node, applied: false } => {
                write!(f, "the ledger refuses the write of {}", name(node))
            }
            Self::Hear { node, applied: true } => write!(f, "{} hears that its write is applied", name(node)),
            Self::Hear { node, applied: false } => {
                write!(f, "{} hears that its write is refused", name(node))
            }
            Self::LosePatience { node, leaves_write: false } => {
                write!(f, "the answer to the write of {} is lost", name(node))
            }
            Self::LosePatience { node, leaves_write: true } => {
                write!(f, "{} loses patience; its write is still on its way", name(node))
            }
            Self::Judge { node, applied: true } => write!(f, "{} judges: my write is applied", name(node)),
            Self::Judge { node, applied: false } => {
                write!(f, "{} judges: my write is not applied, I decide again", name(node))
            }
            Self::StrayLands { applied: true } => f.write_str("the write that was left on its way lands"),
            Self::StrayLands { applied: false } => {
                f.write_str("the write that was left on its way is refused")
            }
            Self::StrayIsLost => f.write_str("the write that was left on its way is lost"),
            Self::Publish { node, version, heard: true } => {
                write!(f, "{} publishes entry {version}", name(node))
            }
            Self::Publish { node, version, heard: false } => {
                write!(f, "{} publishes entry {version} and does not hear of it", name(node))
            }
            Self::PublishIsLost { node, version } => {
                write!(f, "{} sends entry {version} to the log, where it never comes", name(node))
            }
        }
    }
}

const fn name(node: usize) -> &'static str {
    if node == 0 { "node A" } else { "node B" }
}

/// What a request wants.
const fn wish(request: u8) -> &'static str {
    match request {
        0 => "trash the file (first request)",
        1 => "restore the file (second request)",
        _ => "trash the file (third request)",
    }
}
