//! Every queue we ship.

use std::time::Duration;

use super::any::AnyQueue;
use super::embedded::EmbeddedQueue;
use super::faulty::FaultyQueue;
#[cfg(feature = "aws")]
use super::sqs::SqsQueue;
use crate::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

/// The queue that the settings chose. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Queue {
    /// In this process.
    Embedded(EmbeddedQueue),
    /// Amazon SQS.
    #[cfg(feature = "aws")]
    Sqs(SqsQueue),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyQueue),
    /// Whatever a test brings. No setting leads here.
    Any(AnyQueue),
}

impl QueuePort for Queue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        match self {
            Self::Embedded(queue) => queue.send(body).await,
            #[cfg(feature = "aws")]
            Self::Sqs(queue) => Box::pin(queue.send(body)).await,
            Self::Faulty(queue) => queue.send(body).await,
            Self::Any(queue) => queue.send(body).await,
        }
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        match self {
            Self::Embedded(queue) => queue.receive(max, wait).await,
            #[cfg(feature = "aws")]
            Self::Sqs(queue) => Box::pin(queue.receive(max, wait)).await,
            Self::Faulty(queue) => queue.receive(max, wait).await,
            Self::Any(queue) => queue.receive(max, wait).await,
        }
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        match self {
            Self::Embedded(queue) => queue.delete(receipts).await,
            #[cfg(feature = "aws")]
            Self::Sqs(queue) => Box::pin(queue.delete(receipts)).await,
            Self::Faulty(queue) => queue.delete(receipts).await,
            Self::Any(queue) => queue.delete(receipts).await,
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        match self {
            Self::Embedded(queue) => queue.extend(receipt, visibility).await,
            #[cfg(feature = "aws")]
            Self::Sqs(queue) => Box::pin(queue.extend(receipt, visibility)).await,
            Self::Faulty(queue) => queue.extend(receipt, visibility).await,
            Self::Any(queue) => queue.extend(receipt, visibility).await,
        }
    }
}
