//! Every queue we ship.

use std::sync::Arc;
use std::time::Duration;

use super::backends::backends;
use super::embedded::EmbeddedQueue;
#[cfg(feature = "aws")]
use super::sqs::SqsQueue;
use crate::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

backends! {
    /// The queue that the settings chose. Cheap to clone.
    #[derive(Clone)]
    pub enum Queue: QueuePort {
        /// In this process.
        Embedded(EmbeddedQueue) => inline,
        /// Amazon SQS.
        Sqs(SqsQueue) if "aws" => boxed,
    }
    custom Arc<dyn CustomQueue>;

    async fn send(&self, body: String) -> Result<(), QueueError>;
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError>;
    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError>;
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError>;
}

impl Queue {
    /// Takes any other implementation of the port.
    #[must_use]
    pub fn custom(queue: impl QueuePort + 'static) -> Self {
        Self::Custom(Arc::new(queue))
    }
}
