//! Settings of the sweeper: how often it looks for lost events, and what it removes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits;

const DAY_SECS: u64 = 24 * 3600;

/// The sweeper: how often it looks for lost events, and what it removes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SweepSettings {
    /// Days that a file stays in the trash before it is deleted for good.
    pub trash_days: u64,
    /// What is done about orphans, objects older than a day without a row. Turn `remove` on only
    /// when reports have shown what it would do, and off while a backup is being restored.
    pub orphans: OrphanSetting,
    /// Seconds between two looks at every row and every object.
    pub deep_every_secs: u64,
    /// Accounts that one pass reads in a second at most.
    pub accounts_per_sec: u32,
    /// Objects that one pass lists or asks for in a second at most.
    pub objects_per_sec: u32,
}

/// What to do about objects that no row knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrphanSetting {
    /// Do not look for them.
    Off,
    /// Count them and name them in the log.
    #[default]
    Report,
    /// Remove them.
    Remove,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self {
            trash_days: limits::TRASH_RETENTION.as_secs() / DAY_SECS,
            orphans: OrphanSetting::default(),
            deep_every_secs: limits::SWEEP_DEEP_EVERY.as_secs(),
            accounts_per_sec: limits::SWEEP_ACCOUNTS_PER_SEC,
            objects_per_sec: limits::SWEEP_OBJECTS_PER_SEC,
        }
    }
}
