//! How many accounts are in memory, over all shards, as a gauge that also falls when a shard dies.

use crate::telemetry::names;

/// The share of one shard in a gauge. Dropping it takes that back.
#[derive(Debug, Default)]
pub(super) struct GaugeGuard(u32);

impl GaugeGuard {
    /// From now on the shard holds so many.
    pub(super) fn tell(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count != self.0 {
            metrics::gauge!(names::DESKS).increment(f64::from(count) - f64::from(self.0));
            self.0 = count;
        }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.tell(0);
    }
}
