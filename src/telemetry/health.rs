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

    /// Its name in a sentence.
    const fn spoken(self) -> &'static str {
        match self {
            Self::Ledger => "the ledger",
            Self::Log => "the log",
            Self::Queue => "the queue",
            Self::Objects => "the bucket",
            Self::Signer => "the signer",
        }
    }

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

/// How a part is that nobody has heard of.
const UNHEARD: &str = "it has not answered yet";

#[derive(Debug, Default)]
struct Parts {
    states: BTreeMap<Part, PartState>,
    /// Those that will report and have not, since when.
    awaited: BTreeMap<Part, Timestamp>,
    is_draining: bool,
}

/// What the parts said last. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Parts>>);

impl Health {
    fn parts(&self) -> std::sync::MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a part will report: until it does it is no outage, but not up either.
    pub fn awaits(&self, part: Part, now: Timestamp) {
        self.parts().awaited.insert(part, now);
    }

    /// Notes that a part answered, and logs it if it had been away.
    pub fn up(&self, part: Part) {
        let mut parts = self.parts();
        parts.awaited.remove(&part);
        if parts.states.get(&part) == Some(&PartState::Up) {
            return;
        }
        let before = parts.states.insert(part, PartState::Up);
        drop(parts);
        if matches!(before, Some(PartState::Down { .. })) {
            tracing::info!(%part, "{} answers again", part.spoken());
        }
    }

    /// Notes that a part did not answer, and logs it once an outage.
    pub fn down(&self, part: Part, reason: &(impl fmt::Display + ?Sized), now: Timestamp) {
        let reason = reason.to_string();
        let mut parts = self.parts();
        parts.awaited.remove(&part);
        let (since, is_news) = match parts.states.get(&part) {
            Some(PartState::Down { since, .. }) => (*since, false),
            Some(PartState::Up) | None => (now, true),
        };
        parts.states.insert(part, PartState::Down { reason: reason.clone(), since });
        drop(parts);
        if is_news {
            tracing::warn!(%part, reason, "{} is away, {}: {reason}", part.spoken(), part.cost());
        }
    }

    /// Notes how a part answered.
    pub fn heard<T, E: fmt::Display>(&self, part: Part, answer: &Result<T, E>, now: Timestamp) {
        match answer {
            Ok(_) => self.up(part),
            Err(error) => self.down(part, error, now),
        }
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
        let essential_unheard = parts.awaited.keys().any(|part| part.is_essential());
        !parts.is_draining && !essential_down && !essential_unheard
    }

    /// Every part that has reported or will, with its state.
    #[must_use]
    pub fn states(&self) -> Vec<(Part, PartState)> {
        let parts = self.parts();
        let unheard = |since: &Timestamp| PartState::Down { reason: UNHEARD.to_owned(), since: *since };
        let mut states = parts.states.clone();
        states.extend(parts.awaited.iter().map(|(part, since)| (*part, unheard(since))));
        states.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1);

    #[test]
    fn an_outage_keeps_its_beginning_and_tells_its_last_reason() {
        let health = Health::default();
        health.down(Part::Queue, "first", AT);
        health.heard(Part::Queue, &Err::<(), _>("second"), Timestamp::from_millis(9));
        let down = PartState::Down { reason: "second".to_owned(), since: AT };
        assert_eq!(health.states(), [(Part::Queue, down)]);
        health.heard(Part::Queue, &Ok::<_, &str>(()), AT);
        assert_eq!(health.states(), [(Part::Queue, PartState::Up)]);
    }

    #[test]
    fn a_part_that_will_report_is_not_up_before_it_did() {
        let first: [fn(&Health); 2] =
            [|health| health.up(Part::Ledger), |health| health.down(Part::Ledger, "gone", AT)];
        for (report, is_ready) in first.into_iter().zip([true, false]) {
            let health = Health::default();
            health.awaits(Part::Ledger, AT);
            assert!(!health.is_ready());
            let unheard = PartState::Down { reason: UNHEARD.to_owned(), since: AT };
            assert_eq!(health.states(), [(Part::Ledger, unheard.clone())]);
            report(&health);
            assert_eq!(health.is_ready(), is_ready);
            assert!(!health.states().contains(&(Part::Ledger, unheard)));
        }
    }

    #[test]
    fn only_what_nobody_can_do_without_makes_the_process_unready() {
        for part in Part::ALL {
            let health = Health::default();
            health.down(part, "gone", AT);
            assert_eq!(health.is_ready(), !part.is_essential(), "{part}");
            health.up(part);
            assert!(health.is_ready());
        }
    }
}
