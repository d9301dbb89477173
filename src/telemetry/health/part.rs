//! The parts that a process depends on, and what each costs while it is unavailable.

use std::fmt;

/// A dependency, or one direction of it, that can fail while the process runs.
///
/// The log counts as a whole (a server answers and has the streams) and by stream and direction: a pull that answers
/// says nothing about whether anything can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Accounts, files, entries.
    Ledger,
    /// The servers of the log, and its streams.
    Log,
    /// Publishing arrivals to INGEST.
    PublishIngest,
    /// Pulling arrivals from INGEST.
    PullIngest,
    /// Publishing events to EVENTS.
    PublishEvents,
    /// Reading EVENTS for clients that follow them.
    ReplayEvents,
    /// Publishing dead letters to DLQ.
    PublishDlq,
    /// The bucket's notifications.
    Queue,
    /// The bucket.
    Objects,
    /// Taking uploads in: room on the disk of the embedded bucket, and places for connections.
    Uploads,
    /// Credentials to sign with.
    Signer,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Ledger,
        Self::Log,
        Self::PublishIngest,
        Self::PullIngest,
        Self::PublishEvents,
        Self::ReplayEvents,
        Self::PublishDlq,
        Self::Queue,
        Self::Objects,
        Self::Uploads,
        Self::Signer,
    ];

    /// Its name in `/readyz?verbose` and in log fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Log => "log",
            Self::PublishIngest => "log publish INGEST",
            Self::PullIngest => "log pull INGEST",
            Self::PublishEvents => "log publish EVENTS",
            Self::ReplayEvents => "log replay EVENTS",
            Self::PublishDlq => "log publish DLQ",
            Self::Queue => "queue",
            Self::Objects => "objects",
            Self::Uploads => "uploads",
            Self::Signer => "signer",
        }
    }

    /// What a log line says of it when it fails.
    #[must_use]
    pub const fn failing(self) -> &'static str {
        if self.is_plural() { "do not work" } else { "does not work" }
    }

    /// What a log line says of it when it is up.
    #[must_use]
    pub const fn working(self) -> &'static str {
        if self.is_plural() { "work" } else { "works" }
    }

    const fn is_plural(self) -> bool {
        matches!(self, Self::Objects | Self::Uploads)
    }

    /// What users lose while it is unavailable.
    #[must_use]
    pub const fn cost(self) -> &'static str {
        match self {
            Self::Ledger => "no uploads, no changes, no lists",
            Self::Log => "events and processing wait; uploads and downloads go on",
            Self::PublishIngest => "notifications wait in the queue; uploads and downloads go on",
            Self::PullIngest => "processing waits; uploads and downloads go on",
            Self::PublishEvents => "events wait in the ledger; uploads and downloads go on",
            Self::ReplayEvents => "event streams are late; everything else goes on",
            Self::PublishDlq => {
                "messages that cannot be processed stay in their queue; everything else goes on"
            }
            Self::Queue => "processing waits; uploads and downloads go on",
            Self::Objects => "processing waits; signing goes on",
            Self::Uploads => "no uploads; downloads and removals go on",
            Self::Signer => "no uploads, no downloads",
        }
    }

    /// Whether the process is of no use without it.
    #[must_use]
    pub const fn is_essential(self) -> bool {
        matches!(self, Self::Ledger | Self::Uploads | Self::Signer)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
