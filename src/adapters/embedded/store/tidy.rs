//! What the engine drops while it rewrites files: rows that no reader counts any more.

use std::sync::Arc;

use fjall::compaction::filter::Factory;

use super::tables::{IDS, REQUESTS};
use crate::adapters::embedded::{ledger, log};
use crate::ports::Clock;

/// A filter for each table that has one.
pub(super) fn tidy(clock: Clock) -> impl Fn(&str) -> Option<Arc<dyn Factory>> + Send + Sync + 'static {
    move |table| match table {
        IDS => Some(log::old_ids(clock.clone())),
        REQUESTS => Some(ledger::old_requests(clock.clone())),
        _ => None,
    }
}
