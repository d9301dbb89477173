//! The health of the parts this process depends on, as they report it themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// A part that can be away while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Accounts, files, entries.
    Ledger,
    /// INGEST, EVENTS, DLQ.
    Log,
    /// The bucket's notifications.
    Queue,
    /// The bucket.
    Objects,
    /// Credentials to sign with.
    Signer,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Ledger, Self::Log, Self::Queue, Self::Objects, Self::Signer];

    /// What users lose while it is away.
    #[must_use]
    pub const fn cost(self) -> &'static str {
        match self {
            Self::Ledger => "no uploads, no changes, no lists",
            Self::Log => "events and processing wait; uploads and downloads go on",
            Self::Queue => "processing waits; uploads and downloads go on",
            Self::Objects => "processing waits; signing goes on",
            Self::Signer => "no uploads, no downloads",
        }
    }

    /// Whether the process is of no use without it.
    #[must_use]
    pub const fn is_essential(self) -> bool {
        matches!(self, Self::Ledger | Self::Signer)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ledger => "ledger",
            Self::Log => "log",
            Self::Queue => "queue",
            Self::Objects => "objects",
            Self::Signer => "signer",
        })
    }
}

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState {
    /// It answered last time.
    Up,
    /// It did not.
    Down {
        /// For the operator.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}

#[derive(Debug, Default)]
struct Parts {
    states: BTreeMap<Part, PartState>,
    is_draining: bool,
}

/// What the parts said last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Parts>>);

impl Health {
    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a part answered. Returns whether it had been away.
    pub fn up(&self, part: Part) -> bool {
        let mut parts = self.parts();
        let known = parts.states.get(&part);
        if known == Some(&PartState::Up) {
            return false;
        }
        matches!(parts.states.insert(part, PartState::Up), Some(PartState::Down { .. }))
    }

    /// Notes that a part did not answer. Returns whether that is news.
    pub fn down(&self, part: Part, reason: impl Into<String>, now: Timestamp) -> bool {
        let mut parts = self.parts();
        let since = match parts.states.get(&part) {
            Some(PartState::Down { since, .. }) => *since,
            Some(PartState::Up) | None => now,
        };
        let is_news = since == now;
        parts.states.insert(part, PartState::Down { reason: reason.into(), since });
        is_news
    }

    /// From now on the process is not ready: it stops.
    pub fn drain(&self) {
        self.parts().is_draining = true;
    }

    /// Whether the process stops.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.parts().is_draining
    }

    /// Whether requests should come here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.parts();
        let essential_down = parts
            .states
            .iter()
            .any(|(part, state)| part.is_essential() && matches!(state, PartState::Down { .. }));
        !parts.is_draining && !essential_down
    }

    /// Every part that has reported, with its state.
    #[must_use]
    pub fn states(&self) -> Vec<(Part, PartState)> {
        self.parts().states.iter().map(|(part, state)| (*part, state.clone())).collect()
    }
}
