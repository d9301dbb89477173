//! Shares: how much of something each key may hold at the same time.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much each key holds, within one bound for every key.
#[derive(Debug)]
pub struct Shares<K> {
    amount_max: u64,
    held: Mutex<HashMap<K, u64>>,
}

impl<K: Clone + Debug + Eq + Hash> Shares<K> {
    /// Every key may hold up to `amount_max`.
    #[must_use]
    pub fn new(amount_max: u64) -> Arc<Self> {
        Arc::new(Self { amount_max, held: Mutex::default() })
    }

    /// Takes an amount for a key until the share is dropped; none if the key would hold too much.
    ///
    /// A key that holds nothing gets any amount: a bound that is set too low delays, it does not refuse for ever.
    #[must_use]
    pub fn take(self: &Arc<Self>, key: K, amount: u64) -> Option<Share<K>> {
        let mut held = self.held();
        let sum = held.get(&key).copied().unwrap_or(0);
        let next = sum.saturating_add(amount);
        if sum > 0 && next > self.amount_max {
            return None;
        }
        held.insert(key.clone(), next);
        drop(held);
        Some(Share { shares: Arc::clone(self), key, amount })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An amount that is held for a key, until it is dropped.
#[derive(Debug)]
pub struct Share<K: Clone + Debug + Eq + Hash> {
    shares: Arc<Shares<K>>,
    key: K,
    amount: u64,
}

impl<K: Clone + Debug + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        if let Some(sum) = held.get_mut(&self.key) {
            *sum = sum.saturating_sub(self.amount);
            if *sum == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bound() {
        let shares = Shares::new(2);
        let first = shares.take("a", 1).unwrap();
        let _second = shares.take("a", 1).unwrap();
        assert!(shares.take("a", 1).is_none());
        assert!(shares.take("b", 2).is_some(), "another key is not concerned");
        drop(first);
        assert!(shares.take("a", 1).is_some());
    }

    #[test]
    fn what_is_given_back_leaves_no_trace() {
        let shares = Shares::new(2);
        drop((shares.take("a", 1), shares.take("a", 1), shares.take("b", 2)));
        assert!(shares.held().is_empty());
    }

    #[test]
    fn a_single_amount_over_the_bound_is_given_alone() {
        let shares = Shares::new(2);
        let large = shares.take("a", 9).unwrap();
        assert!(shares.take("a", 1).is_none());
        drop(large);
        assert!(shares.take("a", 1).is_some());
    }
}
