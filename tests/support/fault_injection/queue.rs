//! A queue that fails on purpose.

use std::time::Duration;

use super::call::{Trouble, carry_out, deliver};
use super::fault::{Op, REASON};
use super::plan::Plan;
use wharfinger::adapters::embedded::EmbeddedQueue;
use wharfinger::ports::{QueueDelivery, QueueError, QueuePort, Receipt};

/// An embedded queue that fails as planned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FaultyQueue {
    inner: EmbeddedQueue,
    plan: Plan,
}

impl FaultyQueue {
    /// This queue under this plan.
    #[must_use]
    pub(crate) const fn new(inner: EmbeddedQueue, plan: Plan) -> Self {
        Self { inner, plan }
    }
}

impl QueuePort for FaultyQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        let fault = self.plan.fault(Op::QueueSend).await;
        carry_out(fault, Some(()), queue_error, || self.inner.send(body.clone())).await
    }

    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        let fault = self.plan.fault(Op::QueueReceive).await;
        deliver(fault, queue_error, || self.inner.receive(max, wait)).await
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        let fault = self.plan.fault(Op::QueueDelete).await;
        carry_out(fault, Some(Vec::new()), queue_error, || self.inner.delete(receipts.clone())).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let fault = self.plan.fault(Op::QueueExtend).await;
        carry_out(fault, Some(()), queue_error, || self.inner.extend(receipt, visibility)).await
    }
}

fn queue_error(_: Trouble) -> QueueError {
    QueueError { reason: REASON.to_owned() }
}
