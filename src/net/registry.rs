//! The open connections of one listener: which of them gives way when there is no place for another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::watch::Watch;
use crate::limits;

/// The open connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Registry {
    open: Mutex<Open>,
    /// Since when a connection waits for a place.
    full_since: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    watches: HashMap<u64, Arc<Watch>>,
}

impl Registry {
    /// Keeps a connection until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, watch: Arc<Watch>) -> Entered {
        let mut open = self.open();
        open.next += 1;
        let id = open.next;
        open.watches.insert(id, watch);
        drop(open);
        Entered { registry: Arc::clone(self), id }
    }

    /// Asks the connection that has been idle for longest to give up its place; none if all are at work.
    pub(super) fn make_room(&self) {
        let open = self.open();
        let idle = open.watches.values().filter_map(|watch| Some((watch.idle_for()?, watch)));
        let idle = idle.filter(|(rest, _)| *rest >= limits::CROWDED_IDLE_MAX);
        if let Some((_, watch)) = idle.max_by_key(|(rest, _)| *rest) {
            watch.ask_to_yield();
        }
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

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in the registry.
#[derive(Debug)]
pub(super) struct Entered {
    registry: Arc<Registry>,
    id: u64,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.registry.open().watches.remove(&self.id);
    }
}
