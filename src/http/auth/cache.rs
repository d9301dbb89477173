//! Tokens that were verified before: bounded, by digest, never longer than the token lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use crate::domain::policy::Caller;
use crate::domain::time::Timestamp;
use crate::limits;

/// Locks, so that cores rarely wait for each other.
const SHARDS: usize = 16;
/// A shard holds two generations of this many.
const GENERATION_MAX: usize = limits::TOKENS_CACHED_MAX / SHARDS / 2;

/// A token's name here; the token itself is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }

    fn shard(self) -> usize {
        usize::from(self.0[0]) % SHARDS
    }
}

/// The verified tokens. Old ones make room for new ones, in about the order of their last use.
#[derive(Default)]
pub(super) struct TokenCache {
    shards: [Mutex<Generations>; SHARDS],
}

/// What a token came to.
#[derive(Clone)]
pub(in crate::http) struct Verified {
    /// The caller that the token names.
    pub(in crate::http) caller: Arc<Caller>,
    /// It counts before this.
    pub(in crate::http) until: Timestamp,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Digest, Verified>,
    old: HashMap<Digest, Verified>,
}

impl TokenCache {
    /// What the token came to, if it was verified before and still counts.
    pub(super) fn get(&self, token: Digest, now: Timestamp) -> Option<Verified> {
        let mut shard = self.shard(token);
        if let Some(known) = shard.young.get(&token) {
            return (now < known.until).then(|| known.clone());
        }
        let known = shard.old.remove(&token).filter(|known| now < known.until)?;
        shard.add(token, known.clone());
        Some(known)
    }

    /// Remembers a verified token until it ends.
    pub(super) fn insert(&self, token: Digest, verified: Verified) {
        self.shard(token).add(token, verified);
    }

    fn shard(&self, token: Digest) -> std::sync::MutexGuard<'_, Generations> {
        self.shards[token.shard()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn add(&mut self, token: Digest, verified: Verified) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::policy::Role;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const LATER: Timestamp = Timestamp::from_millis(2_000_000);

    fn verified() -> Verified {
        let user = UserId::from_subject("issuer", "alice").unwrap();
        let caller = Arc::new(Caller { user, subject: "alice".to_owned(), role: Role::User });
        Verified { caller, until: LATER }
    }

    fn size(cache: &TokenCache) -> usize {
        let sizes = cache.shards.iter().map(|shard| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        });
        sizes.sum()
    }

    #[test]
    fn a_token_is_known_until_it_ends() {
        let cache = TokenCache::default();
        let token = Digest::of("a.b.c");
        assert!(cache.get(token, NOW).is_none());
        cache.insert(token, verified());
        assert!(cache.get(token, NOW).is_some());
        assert!(cache.get(token, LATER).is_none());
        assert!(cache.get(Digest::of("a.b.d"), NOW).is_none());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = TokenCache::default();
        let used = Digest::of("used");
        cache.insert(used, verified());
        for number in 0..limits::TOKENS_CACHED_MAX * 2 {
            cache.insert(Digest::of(&number.to_string()), verified());
            if number % 1000 == 0 {
                assert!(cache.get(used, NOW).is_some(), "lost after {number} others");
            }
        }
        assert!(size(&cache) <= limits::TOKENS_CACHED_MAX);
        assert!(cache.get(Digest::of("0"), NOW).is_none());
    }
}
