//! What an operator chose about sweeps.

use std::time::Duration;

use crate::limits;

/// What an operator chose about sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepOptions {
    /// How long files stay in the trash.
    pub trash_retention: Duration,
    /// How orphan objects are handled.
    pub orphans: Orphans,
    /// How long the entries of a user are kept; none: for ever.
    pub history: Option<Duration>,
    /// Between two looks at every row and every object, from start to start.
    pub deep_every: Duration,
    /// Accounts that one pass reads in a second at most, from 1.
    pub accounts_per_sec: u32,
    /// Objects that one pass lists or asks for in a second at most, from 1.
    pub objects_per_sec: u32,
}

/// How orphan objects are handled: a day old, without a row.
///
/// Removing them is the one thing the sweeper does that the ledger does not say first. Where the ledger is not the
/// one that belongs to the bucket (an old backup, another keyspace, an empty folder), it would remove everything. So it
/// has to be asked for, and must not be while a backup is being restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orphans {
    /// Do not look for them.
    Off,
    /// Count them and name them in the log.
    #[default]
    Report,
    /// Remove them, at most [`limits::ORPHANS_REMOVED_MAX`] in a pass.
    Remove,
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            trash_retention: limits::TRASH_RETENTION,
            orphans: Orphans::default(),
            history: Some(limits::HISTORY_RETENTION),
            deep_every: limits::SWEEP_DEEP_EVERY,
            accounts_per_sec: limits::SWEEP_ACCOUNTS_PER_SEC,
            objects_per_sec: limits::SWEEP_OBJECTS_PER_SEC,
        }
    }
}
