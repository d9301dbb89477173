//! Every metric: its name, unit and text, in one place. Labels are closed sets, never a user or a file.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; the unit stands last.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// One sentence for an operator.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($konst:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $konst: &str = $name;)*
        /// All of them.
        pub const ALL: &[Metric] = &[$(Metric { name: $name, kind: Kind::$kind, help: $help }),*];
    };
}

// One line a metric, grouped by the room that counts it.
metrics! {
    // actors
    DESK_COMMITS_TOTAL = Counter "wharf_desk_commits_total", "Conditional writes to the ledger, by outcome.";
    DESK_COMMIT_SECONDS = Histogram "wharf_desk_commit_seconds", "Time of one conditional write.";
    DESK_OPS_PER_COMMIT = Histogram "wharf_desk_ops_per_commit", "Requests that left together in one write.";
    DESK_INVARIANTS_BROKEN_TOTAL = Counter "wharf_desk_invariants_broken_total", "Writes refused because an invariant would not hold. Any is a bug.";
    REPLIES_ABANDONED_TOTAL = Counter "wharf_replies_abandoned_total", "Replies whose caller had gone.";

    // adapters: the embedded store
    STORE_COMMIT_SECONDS = Histogram "wharf_store_commit_seconds", "Time of one write and sync of the embedded store.";
    STORE_JOBS_PER_COMMIT = Histogram "wharf_store_jobs_per_commit", "Writes that shared one sync of the embedded store.";
}
