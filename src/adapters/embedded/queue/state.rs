//! What is handed out at the moment. In memory: after a restart everything undeleted is visible again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::write::{QueueHead, StoredMessage};
use crate::adapters::embedded::store::{ReadError, Tables, unrow};
use crate::domain::time::Timestamp;

/// Notifications that may be handed out and not yet deleted; as many as SQS allows.
const OPEN_MAX: usize = 120_000;
/// How long moving one to the dead letters may take before it is tried again.
const BURY_WITHIN: Duration = Duration::from_secs(1);

/// The queue as readers see it.
#[derive(Debug, Default)]
pub(crate) struct QueueShared {
    /// The last number that is on disk.
    last: AtomicU64,
    pub(super) bell: Notify,
    open: Mutex<OpenMessages>,
}

/// Everything up to `seen` was handed out by this process, and is open, deleted or buried.
#[derive(Debug, Default)]
pub(super) struct OpenMessages {
    seen: u64,
    open: HashMap<u64, OpenDelivery>,
    /// The same by due time.
    due: BTreeSet<(Timestamp, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct OpenDelivery {
    deliveries: u32,
    due: Timestamp,
}

/// The result of one look at the queue.
#[derive(Debug, Default)]
pub(super) struct TakenMessages {
    /// Handed out: number, deliveries, body.
    pub(super) handed: Vec<(u64, u32, String)>,
    /// Handed out too often already: number, deliveries.
    pub(super) spent: Vec<(u64, u32)>,
}

/// For how long, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveTerms {
    pub(super) now: Timestamp,
    pub(super) visibility: Duration,
    pub(super) deliveries_max: u32,
}

impl QueueShared {
    /// Lets readers see what is on disk now, and wakes those who wait for it.
    pub(crate) fn show(&self, head: &QueueHead, removed: &HashSet<u64>) {
        if !removed.is_empty() {
            let mut messages = self.messages();
            for number in removed {
                messages.forget(*number);
            }
        }
        if self.last.swap(head.last, Ordering::AcqRel) != head.last {
            self.bell.notify_waiters();
        }
    }

    /// Blocks deletes until the guard is dropped.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.messages()
    }

    fn messages(&self) -> MutexGuard<'_, OpenMessages> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out up to `max`: first what is due again, then what is new.
    pub(super) fn take(
        &self,
        tables: &Tables,
        max: usize,
        terms: ReceiveTerms,
    ) -> Result<TakenMessages, ReadError> {
        let mut taken = TakenMessages::default();
        let mut messages = self.messages();
        let due = messages.due.iter().take_while(|(due, _)| *due <= terms.now);
        let due: Vec<u64> = due.map(|(_, number)| *number).take(max).collect();
        for number in due {
            match tables.messages.get(number.to_be_bytes())? {
                Some(row) => messages.hand(number, unrow(&row, 0)?, terms, &mut taken),
                None => messages.forget(number),
            }
        }
        let last = self.last.load(Ordering::Acquire);
        let from = messages.seen + 1;
        if from <= last && taken.handed.len() < max {
            for guard in tables.messages.range(from.to_be_bytes()..=last.to_be_bytes()) {
                if taken.handed.len() == max || messages.open.len() >= OPEN_MAX {
                    return Ok(taken);
                }
                let (key, row) = guard.into_inner()?;
                let number = key.first_chunk().copied().map_or(0, u64::from_be_bytes);
                messages.hand(number, unrow(&row, 0)?, terms, &mut taken);
                messages.seen = number;
            }
            messages.seen = last;
        }
        Ok(taken)
    }

    /// When the next open notification is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.messages().due.first().map(|(due, _)| *due)
    }

    /// Keeps the `deliveries`-th delivery of a notification hidden until `due`; a later one is not touched.
    pub(super) fn extend(&self, number: u64, deliveries: u32, due: Timestamp) {
        let mut messages = self.messages();
        if messages.open.get(&number).is_some_and(|open| open.deliveries == deliveries) {
            messages.set(number, OpenDelivery { deliveries, due });
        }
        drop(messages);
        self.bell.notify_waiters();
    }
}

impl OpenMessages {
    /// Hands one out, or finds that it was handed out too often.
    fn hand(&mut self, number: u64, message: StoredMessage, terms: ReceiveTerms, taken: &mut TakenMessages) {
        let noted = self.open.get(&number).map_or(0, |open| open.deliveries).max(message.deliveries);
        if noted >= terms.deliveries_max {
            taken.spent.push((number, noted));
            let due = terms.now.after(terms.visibility.max(BURY_WITHIN));
            self.set(number, OpenDelivery { deliveries: noted, due });
        } else {
            taken.handed.push((number, noted + 1, message.body));
            let due = terms.now.after(terms.visibility);
            self.set(number, OpenDelivery { deliveries: noted + 1, due });
        }
    }

    fn set(&mut self, number: u64, open: OpenDelivery) {
        self.forget(number);
        self.open.insert(number, open);
        self.due.insert((open.due, number));
    }

    fn forget(&mut self, number: u64) {
        if let Some(open) = self.open.remove(&number) {
            self.due.remove(&(open.due, number));
        }
    }
}
