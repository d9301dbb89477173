//! Remembered requests leave when they no longer count: the engine drops them while it rewrites files.

use std::sync::Arc;

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};

use super::TIME_LEN;
use crate::adapters::embedded::store::{split, u64_at};
use crate::domain::time::Timestamp;
use crate::limits::{CLOCK_SKEW_MAX, IDEMPOTENCY_TTL};
use crate::ports::Clock;

/// Drops remembered requests that are too old to be repeated. A reader checks the time too, so it does not matter when.
pub(crate) fn old_requests(clock: Clock) -> Arc<dyn Factory> {
    Arc::new(OldRequests(clock))
}

struct OldRequests(Clock);

impl Factory for OldRequests {
    fn name(&self) -> &'static str {
        "old remembered requests"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(OldRequestsBefore(self.0.now()))
    }
}

struct OldRequestsBefore(Timestamp);

impl CompactionFilter for OldRequestsBefore {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let row = item.value()?;
        // What cannot be read is for the reader to report.
        let at = split(&row, TIME_LEN).and_then(|(at, _)| u64_at(at)).map(Timestamp::from_millis);
        let is_old = at.is_ok_and(|at| self.0.since(at) > IDEMPOTENCY_TTL + CLOCK_SKEW_MAX);
        Ok(if is_old { Verdict::Destroy } else { Verdict::Keep })
    }
}
