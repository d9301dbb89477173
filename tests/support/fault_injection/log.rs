//! A log that fails on purpose, with its readers.

use std::time::Duration;

use tokio::sync::Mutex;

use super::call::{Trouble, carry_out, deliver};
use super::fault::{Op, REASON};
use super::plan::Plan;
use wharfinger::adapters::embedded::{EmbeddedConsumer, EmbeddedLog, EmbeddedReplay};
use wharfinger::ports::{
    AckToken, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError, Record,
    ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};

/// An embedded log that fails as planned. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct FaultyLog {
    inner: EmbeddedLog,
    plan: Plan,
}

/// A durable consumer's reader of that log. What a fault loses comes again after the consumer's ack wait.
#[derive(Debug)]
pub(crate) struct FaultyConsumer {
    // A pull needs it whole, and a call that may run twice cannot have that otherwise. It never waits.
    inner: Mutex<EmbeddedConsumer>,
    plan: Plan,
}

/// A reader of that log from some point on. What a fault loses does not come again: open another.
#[derive(Debug)]
pub(crate) struct FaultyReplay {
    inner: Mutex<EmbeddedReplay>,
    plan: Plan,
}

impl FaultyLog {
    /// This log under this plan.
    #[must_use]
    pub(crate) const fn new(inner: EmbeddedLog, plan: Plan) -> Self {
        Self { inner, plan }
    }
}

impl LogPort for FaultyLog {
    type Consumer = FaultyConsumer;
    type Replay = FaultyReplay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        let fault = self.plan.fault(Op::Publish(stream)).await;
        // A record that a broker loses after it confirmed it.
        let claimed = Some(Stored { sequence: 0, duplicate: false });
        carry_out(fault, claimed, publish_error, || self.inner.publish(stream, record.clone())).await
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<FaultyConsumer, LogError> {
        let fault = self.plan.fault(Op::Consumer).await;
        let inner = carry_out(fault, None, log_error, || self.inner.consumer(spec.clone())).await?;
        Ok(FaultyConsumer { inner: Mutex::new(inner), plan: self.plan.clone() })
    }

    async fn replay(
        &self,
        stream: Stream,
        filter: String,
        from: ReplayFrom,
    ) -> Result<FaultyReplay, LogError> {
        let fault = self.plan.fault(Op::Replay).await;
        let run = || self.inner.replay(stream, filter.clone(), from);
        let inner = carry_out(fault, None, log_error, run).await?;
        Ok(FaultyReplay { inner: Mutex::new(inner), plan: self.plan.clone() })
    }

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        let fault = self.plan.fault(Op::Trim).await;
        let run = || self.inner.trim(stream, consumers.clone(), when);
        carry_out(fault, Some(0), log_error, run).await
    }
}

impl ConsumerPort for FaultyConsumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        let (fault, inner) = (self.plan.fault(Op::Pull).await, &self.inner);
        deliver(fault, log_error, || async move { inner.lock().await.pull(max, wait).await }).await
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        let (fault, inner) = (self.plan.fault(Op::Ack).await, &self.inner);
        carry_out(fault, Some(()), log_error, || async move { inner.lock().await.ack(token).await }).await
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        let (fault, inner) = (self.plan.fault(Op::Nak).await, &self.inner);
        let run = || async move { inner.lock().await.nak(token, delay).await };
        carry_out(fault, Some(()), log_error, run).await
    }
}

impl ReplayPort for FaultyReplay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        let (fault, inner) = (self.plan.fault(Op::ReplayNext).await, &self.inner);
        carry_out(fault, Some(None), log_error, || async move { inner.lock().await.next(wait).await }).await
    }
}

fn log_error(_: Trouble) -> LogError {
    LogError { reason: REASON.to_owned() }
}

fn publish_error(trouble: Trouble) -> PublishError {
    match trouble {
        Trouble::Unavailable => PublishError::Unavailable { reason: REASON.to_owned() },
        Trouble::Corrupt | Trouble::Unknown => PublishError::Unknown { reason: REASON.to_owned() },
    }
}
