//! The queue's port on the store.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::state::{ReceiveTerms, TakenMessages};
use super::write::StoredMessage;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::{Job, ReadError, Unsent, unrow};
use crate::domain::time::Timestamp;
use crate::limits::{DELIVERIES_MAX, QUEUE_BATCH_MAX};
use crate::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

/// The longest wait of one receive.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// For how long, and how often, a queue hands a notification out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePolicy {
    /// How long a delivery stays hidden from others.
    pub visibility: Duration,
    /// Deliveries of one notification before it goes to the dead letters; from 1.
    pub deliveries_max: u32,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(30), deliveries_max: DELIVERIES_MAX }
    }
}

/// A notification that was handed out too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The queue's name of it.
    pub id: String,
    /// What the bucket wrote.
    pub body: String,
    /// How many times it was handed out.
    pub deliveries: u32,
    /// When it came.
    pub at: Timestamp,
}

/// The queue in an embedded store. Cheap to clone; all clones share what is handed out.
#[derive(Clone, Debug)]
pub struct EmbeddedQueue {
    store: EmbeddedStore,
    policy: QueuePolicy,
}

impl EmbeddedQueue {
    /// The queue of a store.
    #[must_use]
    pub fn new(store: &EmbeddedStore, policy: QueuePolicy) -> Self {
        Self { store: store.clone(), policy }
    }

    /// The oldest dead letters, at most `limit`.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let read = |guard: fjall::Guard| -> Result<DeadLetter, ReadError> {
            let (key, row) = guard.into_inner()?;
            let StoredMessage { deliveries, at, body } = unrow(&row, 0)?;
            let number = key.first_chunk().copied().map_or(0, u64::from_be_bytes);
            Ok(DeadLetter { id: number.to_string(), body, deliveries, at })
        };
        self.store.shared().tables.dead.iter().take(limit).map(read).collect::<Result<_, _>>().map_err(failed)
    }

    fn take(&self, max: usize) -> Result<Vec<QueueDelivery>, ReadError> {
        let shared = self.store.shared();
        let QueuePolicy { visibility, deliveries_max } = self.policy;
        let terms =
            ReceiveTerms { now: shared.clock.now(), visibility, deliveries_max: deliveries_max.max(1) };
        let TakenMessages { handed, spent } = shared.queue.take(&shared.tables, max, terms)?;
        for (number, deliveries) in spent {
            // Without room it is found again after its visibility.
            self.store.submit_quietly(Job::Bury { number, deliveries });
        }
        let deliver = |(number, deliveries, body): (u64, u32, String)| {
            if deliveries > 1 {
                // Only so that a restart does not forget the count; without room it may.
                self.store.submit_quietly(Job::Recount { number, deliveries });
            }
            let receipt = Receipt(format!("{number}.{deliveries}"));
            QueueDelivery { id: number.to_string(), body, receipt, deliveries }
        };
        Ok(handed.into_iter().map(deliver).collect())
    }
}

impl QueuePort for EmbeddedQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        written(self.store.submit(|reply| Job::Send(body, reply)).await)
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        let max = max.clamp(1, QUEUE_BATCH_MAX);
        let deadline = Instant::now() + wait.min(WAIT_MAX);
        let shared = self.store.shared();
        loop {
            let rung = shared.queue.bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            let deliveries = self.take(max).map_err(failed)?;
            if !deliveries.is_empty() || Instant::now() >= deadline {
                return Ok(deliveries);
            }
            let due = shared.queue.next_due().map(|due| due.since(shared.clock.now()));
            let until = due.map_or(deadline, |due| deadline.min(Instant::now() + due));
            if timeout_at(until, rung).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        // A receipt that is not ours names nothing that is still there.
        let numbers: Vec<u64> = receipts.iter().filter_map(parse).map(|(number, _)| number).collect();
        if !numbers.is_empty() {
            written(self.store.submit(|reply| Job::Delete(numbers, reply)).await)?;
        }
        Ok(Vec::new())
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let Some((number, deliveries)) = parse(receipt) else {
            return Err(QueueError { reason: "not a receipt of the embedded queue".to_owned() });
        };
        let shared = self.store.shared();
        shared.queue.extend(number, deliveries, shared.clock.now().after(visibility));
        Ok(())
    }
}

fn parse(receipt: &Receipt) -> Option<(u64, u32)> {
    let (number, deliveries) = receipt.0.split_once('.')?;
    Some((number.parse().ok()?, deliveries.parse().ok()?))
}

fn failed(error: ReadError) -> QueueError {
    QueueError { reason: error.to_string() }
}

fn written(outcome: Result<Result<(), QueueError>, Unsent>) -> Result<(), QueueError> {
    match outcome {
        Ok(outcome) => outcome,
        Err(Unsent::Refused(reason) | Unsent::Lost(reason)) => Err(QueueError { reason }),
    }
}
