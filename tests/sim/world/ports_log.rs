//! The log, as a node sees it.

use std::time::Duration;

use crate::fault_injection::Op;
use tokio::time::{Instant, timeout_at};
use wharfinger::ports::{
    AckToken, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError, Record,
    ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};

use super::coming::Coming;
use super::fate::Way;
use super::port::{PORT_PANIC, Port, Trouble, pause};
use super::stream::is_filter;

/// A durable consumer's reader.
#[derive(Debug)]
pub(crate) struct Consumer {
    port: Port,
    stream: Stream,
    name: String,
}

/// A reader from some point on.
#[derive(Debug)]
pub(crate) struct Replay {
    port: Port,
    stream: Stream,
    filter: String,
    read_to: u64,
}

impl LogPort for Port {
    type Consumer = Consumer;
    type Replay = Replay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        let zombie = Some(Coming::Record(stream, record.clone()));
        self.call(Op::Publish(stream), zombie, unstored, |state| state.publish(stream, record.clone())).await
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<Consumer, LogError> {
        self.call(Op::Consumer, None, away, |state| state.open_consumer(&spec)).await?;
        Ok(Consumer { port: self.clone(), stream: spec.stream, name: spec.name })
    }

    async fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Result<Replay, LogError> {
        if !is_filter(&filter) {
            return Err(LogError { reason: "not a filter".to_owned() });
        }
        let read_to = self.call(Op::Replay, None, away, |state| Ok(state.replay_from(stream, from))).await?;
        Ok(Replay { port: self.clone(), stream, filter, read_to })
    }

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        self.call(Op::Trim, None, away, |state| Ok(state.trim(stream, &consumers, when))).await
    }
}

impl ConsumerPort for Consumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        let (shared, node) = (&self.port.shared, self.port.node);
        let fate = shared.enter(node).fate(node, Op::Pull);
        pause(fate.before).await;
        match fate.way {
            Way::Refused | Way::Lost => return Err(away(Trouble::Refused)),
            Way::Stalled => return std::future::pending().await,
            Way::Panics => panic!("{PORT_PANIC}"),
            Way::Fine | Way::Unanswered | Way::Late(_) | Way::Twice | Way::Dropped => {}
        }
        let deadline = Instant::now() + wait;
        let bell = shared.look().bell(Some(self.stream));
        let handed = loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            let (handed, next) = shared.enter(node).hand_out(self.stream, &self.name, max.max(1))?;
            if !handed.is_empty() || Instant::now() >= deadline {
                break handed;
            }
            let until = next.map_or(deadline, |next| deadline.min(Instant::now() + next));
            drop(timeout_at(until, rung).await);
        };
        Ok(as_fated(fate.way, handed))
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        let run =
            self.port.call(Op::Ack, None, away, |state| state.answer((self.stream, &self.name), token, None));
        run.await
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        let run = self
            .port
            .call(Op::Nak, None, away, |state| state.answer((self.stream, &self.name), token, Some(delay)));
        run.await
    }
}

impl ReplayPort for Replay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        let (shared, node) = (&self.port.shared, self.port.node);
        let deadline = Instant::now() + wait;
        let bell = shared.look().bell(Some(self.stream));
        loop {
            let rung = bell.notified();
            tokio::pin!(rung);
            rung.as_mut().enable(); // before looking, so that nothing slips in between
            if let Some(record) = shared.enter(node).next_record(self.stream, &self.filter, self.read_to) {
                self.read_to = record.sequence;
                return Ok(Some(record));
            }
            if timeout_at(deadline, rung).await.is_err() {
                return Ok(None);
            }
        }
    }
}

/// What arrives of deliveries: nothing, all of it, or all of it twice, the second time in reverse order.
pub(crate) fn as_fated<T: Clone>(way: Way, mut deliveries: Vec<T>) -> Vec<T> {
    match way {
        Way::Dropped => deliveries.clear(),
        Way::Twice => {
            let again: Vec<T> = deliveries.iter().rev().cloned().collect();
            deliveries.extend(again);
        }
        Way::Fine
        | Way::Refused
        | Way::Lost
        | Way::Unanswered
        | Way::Late(_)
        | Way::Stalled
        | Way::Panics => {}
    }
    deliveries
}

fn away(trouble: Trouble) -> LogError {
    LogError { reason: format!("{trouble:?}") }
}

fn unstored(trouble: Trouble) -> PublishError {
    let reason = format!("{trouble:?}");
    match trouble {
        Trouble::Refused => PublishError::Unavailable { reason },
        Trouble::Silent => PublishError::Unknown { reason },
    }
}
