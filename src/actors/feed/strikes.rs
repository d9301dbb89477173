//! What a feed remembers of arrivals that fail: how often each did so on its own account.
//!
//! In memory only. Who forgets it tries an arrival a few times more.

use std::collections::BTreeMap;

use crate::limits::{ACK_PENDING_MAX, DELIVERIES_MAX};

/// Failures of the arrivals that are open.
#[derive(Debug, Default)]
pub(super) struct FailureCounter {
    /// Arrivals that were settled so far.
    settled: u64,
    /// By sequence.
    arrivals: BTreeMap<u64, FailureCount>,
}

#[derive(Debug)]
struct FailureCount {
    count: u32,
    /// How many had been settled when this one failed last.
    settled: u64,
}

impl FailureCounter {
    /// Whether an arrival has failed too often to be tried again.
    pub(super) fn is_exhausted(&self, sequence: u64) -> bool {
        self.arrivals.get(&sequence).is_some_and(|strike| strike.count >= DELIVERIES_MAX)
    }

    /// The bucket and the ledger answered for this one.
    pub(super) fn settled(&mut self, sequence: u64) {
        self.settled += 1;
        self.ended(sequence);
    }

    /// This one does not come again.
    pub(super) fn ended(&mut self, sequence: u64) {
        self.arrivals.remove(&sequence);
    }

    /// The work on this one panicked, or took too long.
    pub(super) fn failed(&mut self, sequence: u64) {
        self.strike(sequence).count += 1;
    }

    /// The bucket or the ledger was away. That is held against an arrival only if another was settled since it failed
    /// last: an outage is not the fault of one delivery.
    pub(super) fn away(&mut self, sequence: u64) {
        let settled = self.settled;
        let strike = self.strike(sequence);
        if strike.settled < settled {
            strike.settled = settled;
            strike.count += 1;
        }
    }

    fn strike(&mut self, sequence: u64) -> &mut FailureCount {
        // No more are open: the others have ended elsewhere.
        while self.arrivals.len() >= ACK_PENDING_MAX && !self.arrivals.contains_key(&sequence) {
            self.arrivals.pop_first();
        }
        let new = FailureCount { count: 0, settled: self.settled };
        self.arrivals.entry(sequence).or_insert(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does something to an arrival until it is out, and says how often that was.
    fn check(expected: Option<u32>, mut fail: impl FnMut(&mut FailureCounter)) {
        let mut strikes = FailureCounter::default();
        let until_out = (1..=100).find(|_| {
            fail(&mut strikes);
            strikes.is_exhausted(7)
        });
        assert_eq!(until_out, expected);
    }

    // proves: F15 F32
    #[test]
    fn an_arrival_is_out_after_ten_failures_of_its_own_and_an_outage_is_none() {
        check(Some(DELIVERIES_MAX), |strikes| strikes.failed(7));
        check(None, |strikes| strikes.away(7));
        check(None, |strikes| {
            strikes.away(7);
            strikes.ended(8);
        });
        // The first time nothing is known of others.
        check(Some(DELIVERIES_MAX + 1), |strikes| {
            strikes.away(7);
            strikes.settled(8);
        });
        check(None, |strikes| {
            strikes.failed(7);
            strikes.settled(7);
        });
    }

    // proves: I25
    #[test]
    fn as_many_are_remembered_as_can_be_open() {
        let mut strikes = FailureCounter::default();
        (0..10_000).for_each(|sequence| strikes.failed(sequence));
        assert_eq!(strikes.arrivals.len(), ACK_PENDING_MAX);
    }
}
