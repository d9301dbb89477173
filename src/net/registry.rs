//! The open connections of one listener: which of them gives way when there is no place for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::peer::Peer;
use super::watch::Watch;
use crate::limits;

/// The open connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Registry {
    open: Mutex<OpenConnections>,
    /// Since when a connection waits for a place.
    full_since: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct OpenConnections {
    next: u64,
    peers: HashMap<Peer, HashMap<u64, Arc<Watch>>>,
}

impl Registry {
    /// Keeps a connection until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, peer: Peer, watch: Arc<Watch>) -> Entered {
        let mut open = self.open();
        open.next += 1;
        let id = open.next;
        open.peers.entry(peer).or_default().insert(id, watch);
        drop(open);
        Entered { registry: Arc::clone(self), peer, id }
    }

    /// Asks the connection that has waited for its client for longest to give up its place; none if all are at work.
    pub(super) fn make_room(&self) {
        ask_one_of(self.open().peers.values().flat_map(HashMap::values));
    }

    /// Whether a peer may have one more connection. With as many as it may have, one that waits for it gives way, each for
    /// one newcomer only.
    pub(super) fn admits(&self, peer: Peer, connections_max: usize) -> bool {
        let open = self.open();
        let Some(watches) = open.peers.get(&peer) else { return true };
        let staying = || watches.values().filter(|watch| !watch.is_leaving());
        staying().count() < connections_max || ask_one_of(staying())
    }

    /// How many connections have a request in flight.
    pub(super) fn at_work(&self) -> usize {
        let open = self.open();
        open.peers.values().flat_map(HashMap::values).filter(|watch| !watch.is_idle()).count()
    }

    /// Notes that a connection waits for a place, or that none does.
    pub(super) fn set_full(&self, is_full: bool) {
        let mut since = self.full_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if is_full { since.or_else(|| Some(Instant::now())) } else { None };
    }

    /// How long a connection has been waiting for a place.
    pub(super) fn full_for(&self) -> Option<Duration> {
        self.full_since.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the one that has waited for its client for longest to give up its place. Returns whether there is one.
fn ask_one_of<'a>(watches: impl Iterator<Item = &'a Arc<Watch>>) -> bool {
    let waiting = watches.filter_map(|watch| Some((watch.waits_for()?, watch)));
    let waiting = waiting.filter(|(rest, _)| *rest >= limits::CROWDED_WAIT_MAX);
    let Some((_, watch)) = waiting.max_by_key(|(rest, _)| *rest) else { return false };
    watch.ask_to_yield();
    true
}

/// A connection in the registry.
#[derive(Debug)]
pub(super) struct Entered {
    registry: Arc<Registry>,
    peer: Peer,
    id: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut open = self.registry.open();
        if let Some(watches) = open.peers.get_mut(&self.peer) {
            watches.remove(&self.id);
            if watches.is_empty() {
                open.peers.remove(&self.peer);
            }
        }
    }
}
