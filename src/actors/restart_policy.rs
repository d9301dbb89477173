//! The restart policy: one pure function.

use std::time::Duration;

/// A kind of child of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ActorKind {
    /// The desks of one shard. Its memory is a cache, so a new one is as good.
    Shard,
    /// One shard's way in.
    Feed,
    /// One way out for entries.
    Lane,
    /// Removes objects.
    Remover,
    /// Searches.
    Sweeper,
    /// Makes room in INGEST.
    Trimmer,
}

impl ActorKind {
    /// Its word in logs and metrics.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Shard => "shard",
            Self::Feed => "feed",
            Self::Lane => "lane",
            Self::Remover => "remover",
            Self::Sweeper => "sweeper",
            Self::Trimmer => "trimmer",
        }
    }
}

/// What the supervisor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestartDecision {
    /// Start another in its place.
    Restart {
        /// After this pause.
        after: Duration,
    },
    /// Give up: the process ends and is started again from outside.
    Escalate,
}

/// What the supervisor does about the `failures`-th failure, from 1, of one child within a minute.
///
/// Actors fail only by bugs (an outage is a pause, not a failure), so a few tries are enough to tell a bad
/// request from a bad program. The way in and the searches may fail more often: nobody waits for them.
#[must_use]
pub(super) const fn restart_policy(child: ActorKind, failures: u32) -> RestartDecision {
    let allowed = match child {
        ActorKind::Shard | ActorKind::Lane => 5,
        ActorKind::Feed | ActorKind::Remover | ActorKind::Sweeper | ActorKind::Trimmer => 10,
    };
    if failures <= allowed {
        let shift = if failures > 6 { 6 } else { failures };
        RestartDecision::Restart { after: Duration::from_millis(10 << shift) }
    } else {
        RestartDecision::Escalate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_fails_now_and_then_is_started_again_with_growing_pauses() {
        assert_eq!(
            restart_policy(ActorKind::Shard, 1),
            RestartDecision::Restart { after: Duration::from_millis(20) }
        );
        assert_eq!(
            restart_policy(ActorKind::Shard, 5),
            RestartDecision::Restart { after: Duration::from_millis(320) }
        );
        assert_eq!(
            restart_policy(ActorKind::Feed, 10),
            RestartDecision::Restart { after: Duration::from_millis(640) }
        );
    }

    #[test]
    fn a_child_that_keeps_failing_ends_the_process() {
        assert_eq!(restart_policy(ActorKind::Shard, 6), RestartDecision::Escalate);
        assert_eq!(restart_policy(ActorKind::Sweeper, 11), RestartDecision::Escalate);
    }
}
