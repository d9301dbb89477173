//! The calls that can go wrong, and the ways in which they do.

use wharfinger::ports::Stream;

/// The reason of every injected error. An address, because no client may ever see one.
pub(crate) const REASON: &str = "switched off at 10.0.0.7";

/// How a call goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// As it should.
    #[default]
    Fine,
    /// Nothing is done, and the error says so.
    Unavailable,
    /// Nothing is done, and the answer cannot be read.
    Corrupt,
    /// Nothing is done, and no answer arrives: where there is such an error, the outcome is unknown.
    Lost,
    /// All is done, and no answer arrives.
    Unanswered,
    /// A write of the ledger whose outcome is unknown now, and that lands when it is let
    /// ([`super::FaultyLedger::land_late`]). Elsewhere as [`Fault::Lost`].
    Late,
    /// All is done twice, and the first outcome is returned. Of deliveries: each is handed out twice, the second
    /// time in reverse order, so that there may be twice as many as were asked for.
    Twice,
    /// Nothing is done, and the answer claims that it is. Where data must be returned, as
    /// [`Fault::Unavailable`]. Of deliveries: they are taken, and do not arrive.
    Dropped,
    /// Nothing happens until the plan changes; then it is asked again.
    Hang,
    /// The caller panics.
    Panic,
}

/// A port that can fail as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Port {
    Ledger,
    Log,
    Queue,
    Objects,
    Signer,
}

/// A call of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Load,
    File,
    Request,
    Files,
    Entry,
    EntriesAfter,
    EntriesBefore,
    Commit,
    Scan,
    Publish(Stream),
    Consumer,
    Pull,
    Ack,
    Nak,
    Replay,
    ReplayNext,
    Trim,
    QueueSend,
    QueueReceive,
    QueueDelete,
    QueueExtend,
    Head,
    FirstBytes,
    ObjectDelete,
    List,
    CreateMultipart,
    ListParts,
    CompleteMultipart,
    AbortMultipart,
    ListUploads,
    SignUpload,
    SignPart,
    SignDownload,
}

impl Op {
    /// Whose call it is.
    #[must_use]
    pub(crate) const fn port(self) -> Port {
        match self {
            Self::Load
            | Self::File
            | Self::Request
            | Self::Files
            | Self::Entry
            | Self::EntriesAfter
            | Self::EntriesBefore
            | Self::Commit
            | Self::Scan => Port::Ledger,
            Self::Publish(_)
            | Self::Consumer
            | Self::Pull
            | Self::Ack
            | Self::Nak
            | Self::Replay
            | Self::ReplayNext
            | Self::Trim => Port::Log,
            Self::QueueSend | Self::QueueReceive | Self::QueueDelete | Self::QueueExtend => Port::Queue,
            Self::Head
            | Self::FirstBytes
            | Self::ObjectDelete
            | Self::List
            | Self::CreateMultipart
            | Self::ListParts
            | Self::CompleteMultipart
            | Self::AbortMultipart
            | Self::ListUploads => Port::Objects,
            Self::SignUpload | Self::SignPart | Self::SignDownload => Port::Signer,
        }
    }

    /// A number of its own, for the dice. Frozen: another number is another simulation of every seed.
    pub(super) const fn code(self) -> u64 {
        match self {
            Self::Load => 0,
            Self::File => 1,
            Self::Files => 2,
            Self::Entry => 3,
            Self::EntriesAfter => 4,
            Self::EntriesBefore => 5,
            Self::Commit => 6,
            Self::Scan => 7,
            Self::Request => 8,
            Self::Publish(Stream::Ingest) => 10,
            Self::Publish(Stream::Events) => 11,
            Self::Publish(Stream::Dlq) => 12,
            Self::Consumer => 13,
            Self::Pull => 14,
            Self::Ack => 15,
            Self::Nak => 16,
            Self::Replay => 17,
            Self::ReplayNext => 18,
            Self::Trim => 19,
            Self::QueueSend => 20,
            Self::QueueReceive => 21,
            Self::QueueDelete => 22,
            Self::QueueExtend => 23,
            Self::Head => 30,
            Self::ObjectDelete => 31,
            Self::List => 32,
            Self::CreateMultipart => 33,
            Self::ListParts => 34,
            Self::CompleteMultipart => 35,
            Self::AbortMultipart => 36,
            Self::ListUploads => 37,
            Self::FirstBytes => 38,
            Self::SignUpload => 40,
            Self::SignPart => 41,
            Self::SignDownload => 42,
        }
    }
}
