//! The queue: carries the bucket's notifications.

use std::future::Future;
use std::time::Duration;

/// A queue of notifications with receipts.
///
/// Contract: at least once, in any order. A message stays until it is deleted; a delivery that is not
/// deleted within its visibility comes again, also after a restart. After a number of deliveries that the
/// queue's owner sets it goes to the dead letters instead. Checked by `contract::queue`.
pub trait QueuePort: Send + Sync {
    /// Adds a notification. Durable when it returns.
    fn send(&self, body: String) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Up to `max` deliveries (at most 10); waits up to `wait` (at most 20 s) for the first.
    /// Never cancel it: messages it received would stay hidden for their visibility timeout.
    fn receive(
        &self,
        max: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<QueueDelivery>, QueueError>> + Send;

    /// Deletes deliveries; returns the receipts that are still there and may be tried again.
    /// Deleting a missing message succeeds.
    fn delete(&self, receipts: Vec<Receipt>)
    -> impl Future<Output = Result<Vec<Receipt>, QueueError>> + Send;

    /// Keeps a delivery hidden for this much longer, from now.
    fn extend(
        &self,
        receipt: &Receipt,
        visibility: Duration,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;
}

/// A notification, handed out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDelivery {
    /// The queue's name of it; the same every time.
    pub id: String,
    /// The body that the bucket wrote.
    pub body: String,
    /// What to delete it with.
    pub receipt: Receipt,
    /// How many times it has been handed out, this time included; from 1.
    pub deliveries: u32,
}

/// Names one delivery to its queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receipt(pub String);

/// Why the queue did not do it. Worth repeating, after a pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue does not answer: {reason}")]
pub struct QueueError {
    /// For the log.
    pub reason: String,
}
