//! Any queue.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

/// A queue that a test brings. Cheap to clone.
#[derive(Clone)]
pub struct AnyQueue(Arc<dyn Erased>);

impl AnyQueue {
    /// Takes a queue.
    #[must_use]
    pub fn new(queue: impl QueuePort + 'static) -> Self {
        Self(Arc::new(queue))
    }
}

impl fmt::Debug for AnyQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyQueue")
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, QueueError>>;

/// The port without its types of futures.
trait Erased: Send + Sync {
    fn send(&self, body: String) -> Answer<'_, ()>;
    fn receive(&self, max: usize, wait: Duration) -> Answer<'_, Vec<QueueDelivery>>;
    fn delete(&self, receipts: Vec<Receipt>) -> Answer<'_, Vec<Receipt>>;
    fn extend<'a>(&'a self, receipt: &'a Receipt, visibility: Duration) -> Answer<'a, ()>;
}

impl<Q: QueuePort> Erased for Q {
    fn send(&self, body: String) -> Answer<'_, ()> {
        Box::pin(QueuePort::send(self, body))
    }

    fn receive(&self, max: usize, wait: Duration) -> Answer<'_, Vec<QueueDelivery>> {
        Box::pin(QueuePort::receive(self, max, wait))
    }

    fn delete(&self, receipts: Vec<Receipt>) -> Answer<'_, Vec<Receipt>> {
        Box::pin(QueuePort::delete(self, receipts))
    }

    fn extend<'a>(&'a self, receipt: &'a Receipt, visibility: Duration) -> Answer<'a, ()> {
        Box::pin(QueuePort::extend(self, receipt, visibility))
    }
}

impl QueuePort for AnyQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        self.0.send(body).await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        self.0.receive(max, wait).await
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        self.0.delete(receipts).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        self.0.extend(receipt, visibility).await
    }
}
