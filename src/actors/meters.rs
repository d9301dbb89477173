//! What the tree counts for every request. Handles are looked up once a tree, not once a request.

use std::sync::Arc;

use metrics::{Counter, Histogram};

use crate::telemetry::names;

/// The handles. Cheap to clone.
#[derive(Clone)]
pub(super) struct ActorMeters(Arc<Handles>);

/// The handles themselves.
pub(super) struct Handles {
    /// Requests that left together in one write.
    pub(super) ops_per_commit: Histogram,
    /// Time of one write.
    pub(super) commit_seconds: Histogram,
    /// Writes that are there.
    pub(super) applied: Counter,
    /// Events that the log has.
    pub(super) events_published: Counter,
    /// From a change's decision to its events in the log.
    pub(super) event_lag_seconds: Histogram,
}

impl ActorMeters {
    /// Of the recorder that is installed now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Handles {
            ops_per_commit: metrics::histogram!(names::DESK_OPS_PER_COMMIT),
            commit_seconds: metrics::histogram!(names::DESK_COMMIT_SECONDS),
            applied: metrics::counter!(names::DESK_COMMITS_TOTAL, "outcome" => "applied"),
            events_published: metrics::counter!(names::EVENTS_PUBLISHED_TOTAL),
            event_lag_seconds: metrics::histogram!(names::EVENT_LAG_SECONDS),
        }))
    }
}

impl std::ops::Deref for ActorMeters {
    type Target = Handles;

    fn deref(&self) -> &Handles {
        &self.0
    }
}
