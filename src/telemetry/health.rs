//! The health of the parts this process depends on, as the code that uses them reports it.

mod part;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::Timestamp;

pub use part::Part;

/// The last known state of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState {
    /// Nothing was asked of it yet.
    Unasked,
    /// It was asked, and the first reply is still missing.
    Awaited {
        /// Since when.
        since: Timestamp,
    },
    /// The last reply was good.
    Up,
    /// The last reply was an error, or there was none.
    Down {
        /// For the operator.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
}

/// A caller whose reports about a part count on their own: the part is up again once every caller that reported a
/// failure has reported a success.
pub type Reporter = u32;

/// The source of reports that do not name one.
const ANY: Reporter = 0;

#[derive(Debug, Default)]
struct PartStates {
    states: BTreeMap<Part, PartState>,
    /// Sources whose last report was a failure.
    failing: BTreeSet<(Part, Reporter)>,
    is_draining: bool,
}

impl PartStates {
    fn state(&self, part: Part) -> &PartState {
        self.states.get(&part).unwrap_or(&PartState::Unasked)
    }

    fn has_failing(&self, part: Part) -> bool {
        self.failing.range((part, Reporter::MIN)..=(part, Reporter::MAX)).next().is_some()
    }
}

/// The last reports about every part. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<PartStates>>);

impl Health {
    fn parts(&self) -> std::sync::MutexGuard<'_, PartStates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks that a part is being asked: until its first reply it is no outage, but not up either.
    pub fn awaits(&self, part: Part, now: Timestamp) {
        self.parts().states.entry(part).or_insert(PartState::Awaited { since: now });
    }

    /// Records a good reply, and logs the end of an outage.
    pub fn up(&self, part: Part) {
        self.up_from(part, ANY);
    }

    /// As [`Health::up`], for one of several callers whose failures count separately.
    pub fn up_from(&self, part: Part, source: Reporter) {
        let mut parts = self.parts();
        if *parts.state(part) == PartState::Up {
            return;
        }
        parts.failing.remove(&(part, source));
        if parts.has_failing(part) {
            return;
        }
        let before = parts.states.insert(part, PartState::Up);
        drop(parts);
        if matches!(before, Some(PartState::Down { .. })) {
            tracing::info!(%part, "{part} {} again", part.working());
        }
    }

    /// Records a failure, and logs the start of an outage once.
    pub fn down(&self, part: Part, reason: &(impl fmt::Display + ?Sized), now: Timestamp) {
        self.down_from(part, ANY, reason, now);
    }

    /// As [`Health::down`], for one of several callers whose failures count separately.
    pub fn down_from(
        &self,
        part: Part,
        source: Reporter,
        reason: &(impl fmt::Display + ?Sized),
        now: Timestamp,
    ) {
        let reason = reason.to_string();
        let mut parts = self.parts();
        parts.failing.insert((part, source));
        let (since, is_news) = match parts.state(part) {
            PartState::Down { since, .. } => (*since, false),
            PartState::Up | PartState::Unasked | PartState::Awaited { .. } => (now, true),
        };
        parts.states.insert(part, PartState::Down { reason: reason.clone(), since });
        drop(parts);
        if is_news {
            tracing::warn!(%part, reason, "{part} {}, {}: {reason}", part.failing(), part.cost());
        }
    }

    /// Records a reply.
    pub fn record<T, E: fmt::Display>(&self, part: Part, answer: &Result<T, E>, now: Timestamp) {
        match answer {
            Ok(_) => self.up(part),
            Err(error) => self.down(part, error, now),
        }
    }

    /// Marks the process as stopping: it is not ready from now on.
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
        let is_usable = |state: &PartState| match state {
            PartState::Unasked | PartState::Up => true,
            PartState::Awaited { .. } | PartState::Down { .. } => false,
        };
        !parts.is_draining
            && parts.states.iter().all(|(part, state)| !part.is_essential() || is_usable(state))
    }

    /// Every part with its state, those that were not asked yet included.
    #[must_use]
    pub fn states(&self) -> Vec<(Part, PartState)> {
        let parts = self.parts();
        Part::ALL.iter().map(|part| (*part, parts.state(*part).clone())).collect()
    }

    /// The state of one part.
    #[must_use]
    pub fn state(&self, part: Part) -> PartState {
        self.parts().state(part).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1);

    fn down(reason: &str) -> PartState {
        PartState::Down { reason: reason.to_owned(), since: AT }
    }

    #[test]
    fn an_outage_keeps_its_start_and_shows_its_last_reason() {
        let health = Health::default();
        health.down(Part::Queue, "first", AT);
        health.record(Part::Queue, &Err::<(), _>("second"), Timestamp::from_millis(9));
        assert_eq!(health.state(Part::Queue), down("second"));
        health.record(Part::Queue, &Ok::<_, &str>(()), AT);
        assert_eq!(health.state(Part::Queue), PartState::Up);
    }

    #[test]
    fn every_part_is_listed_before_it_was_asked() {
        let health = Health::default();
        let unasked: Vec<_> = Part::ALL.map(|part| (part, PartState::Unasked)).into();
        assert_eq!(health.states(), unasked);
        assert!(health.is_ready(), "a part that was never asked did not fail");
    }

    #[test]
    fn a_part_that_is_being_asked_is_not_up_before_it_replied() {
        let first: [fn(&Health); 2] =
            [|health| health.up(Part::Ledger), |health| health.down(Part::Ledger, "gone", AT)];
        for (report, is_ready) in first.into_iter().zip([true, false]) {
            let health = Health::default();
            health.awaits(Part::Ledger, AT);
            assert!(!health.is_ready());
            assert_eq!(health.state(Part::Ledger), PartState::Awaited { since: AT });
            report(&health);
            assert_eq!(health.is_ready(), is_ready);
            health.awaits(Part::Ledger, AT);
            assert_eq!(health.is_ready(), is_ready, "a reply counts more than the wait for one");
        }
    }

    #[test]
    fn only_essential_parts_make_the_process_unready() {
        for part in Part::ALL {
            let health = Health::default();
            health.down(part, "gone", AT);
            assert_eq!(health.is_ready(), !part.is_essential(), "{part}");
            health.up(part);
            assert!(health.is_ready());
        }
    }

    #[test]
    fn one_direction_of_the_log_says_nothing_about_another() {
        let health = Health::default();
        health.down(Part::PublishIngest, "full", AT);
        health.up(Part::PullIngest);
        health.up(Part::Log);
        assert_eq!(health.state(Part::PublishIngest), down("full"));
        assert_eq!(health.state(Part::PublishEvents), PartState::Unasked);
    }

    #[test]
    fn a_part_is_up_when_every_caller_that_failed_has_succeeded() {
        let health = Health::default();
        health.down_from(Part::PullIngest, 7, "no consumer", AT);
        health.up_from(Part::PullIngest, 8);
        assert_eq!(health.state(Part::PullIngest), down("no consumer"), "another shard's success");
        health.down_from(Part::PullIngest, 8, "late", AT);
        health.up_from(Part::PullIngest, 7);
        assert_eq!(health.state(Part::PullIngest), down("late"));
        health.up_from(Part::PullIngest, 8);
        assert_eq!(health.state(Part::PullIngest), PartState::Up);
    }
}
