//! A queue and a log that fail on request and record every call in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::handle::BridgeParts;
use crate::adapters::{Log, Queue};
use crate::domain::shard::ShardCount;
use crate::domain::time::Timestamp;
use crate::ports::{
    AckToken, Clock, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError,
    QueueDelivery, QueueError, QueuePort, Receipt, Record, ReplayFrom, ReplayPort, Stored, Stream,
};
use crate::telemetry::health::Health;

/// What happened, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Received(String),
    Stored(Stream, String),
    Deleted(String),
    Extended(String, Duration),
}

/// How a publish goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PublishFault {
    Full,
    Unavailable,
    /// The answer is lost, with or without the record.
    Unknown {
        stored: bool,
    },
    /// No answer ever.
    Hang {
        stored: bool,
    },
}

/// How a receive goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiveFault {
    Unavailable,
    Panic,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<QueueDelivery>,
    hidden: BTreeMap<String, QueueDelivery>,
    sent: u32,
    stored: BTreeSet<(Stream, String)>,
    records: Vec<(Stream, NewRecord)>,
    seen: Vec<Seen>,
    publishing: usize,
    publishing_max: usize,
    publish_faults: VecDeque<(Stream, PublishFault)>,
    /// Records with this text in their payload are never stored.
    refused_text: Option<String>,
    /// The most bytes of a record.
    bytes_max: Option<usize>,
    receive_faults: VecDeque<ReceiveFault>,
    /// How many receipts of each delete are not deleted; none: the whole call fails.
    delete_faults: VecDeque<Option<usize>>,
}

/// Both ends of a bridge, in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct World(Arc<Mutex<State>>);

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bridge's parts between these ends.
    pub(super) fn parts(&self, pollers: usize) -> BridgeParts {
        let (clock, _) = Clock::manual(Timestamp::from_millis(1_795_169_643_000));
        BridgeParts {
            queue: Queue::custom(self.clone()),
            log: Log::custom(self.clone()),
            clock,
            health: Health::default(),
            bucket: "wharf".to_owned(),
            shards: ShardCount::new(64).expect("a valid count"),
            pollers,
        }
    }

    pub(super) fn fail_publish(&self, stream: Stream, faults: impl IntoIterator<Item = PublishFault>) {
        self.state().publish_faults.extend(faults.into_iter().map(|fault| (stream, fault)));
    }

    /// Never stores a record with this text in its payload.
    pub(super) fn refuse(&self, text: &str) {
        self.state().refused_text = Some(text.to_owned());
    }

    /// Stores no larger record.
    pub(super) fn limit(&self, bytes_max: usize) {
        self.state().bytes_max = Some(bytes_max);
    }

    pub(super) fn fail_receive(&self, faults: impl IntoIterator<Item = ReceiveFault>) {
        self.state().receive_faults.extend(faults);
    }

    pub(super) fn fail_delete(&self, faults: impl IntoIterator<Item = Option<usize>>) {
        self.state().delete_faults.extend(faults);
    }

    /// Ends all faults that are still to come.
    pub(super) fn heal(&self) {
        let mut state = self.state();
        state.publish_faults.clear();
        state.receive_faults.clear();
        state.delete_faults.clear();
    }

    /// As if the visibility of everything ran out.
    pub(super) fn show_hidden(&self) {
        let mut state = self.state();
        let hidden = std::mem::take(&mut state.hidden);
        state.waiting.extend(hidden.into_values());
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    pub(super) fn records(&self, stream: Stream) -> Vec<NewRecord> {
        let state = self.state();
        state.records.iter().filter(|(of, _)| *of == stream).map(|(_, record)| record.clone()).collect()
    }

    /// Deliveries that the queue still has, hidden ones too.
    pub(super) fn queued(&self) -> usize {
        let state = self.state();
        state.waiting.len() + state.hidden.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// The most publishes that were under way at the same time.
    pub(super) fn publishing_max(&self) -> usize {
        self.state().publishing_max
    }

    fn store(&self, stream: Stream, record: NewRecord) -> Stored {
        let mut state = self.state();
        let duplicate = !state.stored.insert((stream, record.id.clone()));
        state.seen.push(Seen::Stored(stream, record.id.clone()));
        if !duplicate {
            state.records.push((stream, record));
        }
        Stored { sequence: u64::try_from(state.records.len()).unwrap_or(u64::MAX), duplicate }
    }

    fn check(&self, record: &NewRecord) -> Result<(), PublishError> {
        let state = self.state();
        let is_refused = |text: &String| String::from_utf8_lossy(&record.payload).contains(text.as_str());
        match state.bytes_max {
            Some(bytes_max) if record.size_bytes() > bytes_max => Err(PublishError::TooLarge { bytes_max }),
            Some(_) | None if state.refused_text.as_ref().is_some_and(is_refused) => {
                Err(PublishError::Unavailable { reason: "never".to_owned() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn next_fault(&self, stream: Stream) -> Option<PublishFault> {
        let mut state = self.state();
        let place = state.publish_faults.iter().position(|(of, _)| *of == stream)?;
        state.publish_faults.remove(place).map(|(_, fault)| fault)
    }
}

impl QueuePort for World {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        let mut state = self.state();
        state.sent += 1;
        let id = format!("d{}", state.sent);
        state.waiting.push_back(QueueDelivery { id, body, receipt: Receipt(String::new()), deliveries: 0 });
        Ok(())
    }

    async fn receive(&self, max: usize, _wait: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        let is_empty = {
            let mut state = self.state();
            match state.receive_faults.pop_front() {
                Some(ReceiveFault::Unavailable) => return Err(QueueError { reason: "away".to_owned() }),
                Some(ReceiveFault::Panic) => panic!("a receive that panics, as asked"),
                None => state.waiting.is_empty(),
            }
        };
        if is_empty {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut state = self.state();
        let count = max.min(state.waiting.len());
        let mut taken: Vec<QueueDelivery> = state.waiting.drain(..count).collect();
        for delivery in &mut taken {
            delivery.deliveries += 1;
            delivery.receipt = Receipt(format!("{}#{}", delivery.id, delivery.deliveries));
            state.seen.push(Seen::Received(delivery.id.clone()));
            state.hidden.insert(delivery.id.clone(), delivery.clone());
        }
        Ok(taken)
    }

    async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        assert!((1..=10).contains(&receipts.len()), "a batch of {}", receipts.len());
        let mut state = self.state();
        let failing = match state.delete_faults.pop_front() {
            Some(None) => return Err(QueueError { reason: "away".to_owned() }),
            Some(Some(failing)) => failing.min(receipts.len()),
            None => 0,
        };
        let (failed, deleted) = receipts.split_at(failing);
        for receipt in deleted {
            let id = receipt.0.split('#').next().unwrap_or_default();
            state.hidden.remove(id);
            state.seen.push(Seen::Deleted(id.to_owned()));
        }
        Ok(failed.to_vec())
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let mut state = self.state();
        let id = receipt.0.split('#').next().unwrap_or_default().to_owned();
        state.seen.push(Seen::Extended(id.clone(), visibility));
        if visibility.is_zero() {
            let shown = state.hidden.remove(&id);
            state.waiting.extend(shown);
        }
        Ok(())
    }
}

impl LogPort for World {
    type Consumer = NoReader;
    type Replay = NoReader;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        {
            let mut state = self.state();
            state.publishing += 1;
            state.publishing_max = state.publishing_max.max(state.publishing);
        }
        tokio::task::yield_now().await;
        self.state().publishing -= 1;
        let reason = || "as asked".to_owned();
        self.check(&record)?;
        match self.next_fault(stream) {
            None => Ok(self.store(stream, record)),
            Some(PublishFault::Full) => Err(PublishError::Full),
            Some(PublishFault::Unavailable) => Err(PublishError::Unavailable { reason: reason() }),
            Some(PublishFault::Unknown { stored }) => {
                stored.then(|| self.store(stream, record));
                Err(PublishError::Unknown { reason: reason() })
            }
            Some(PublishFault::Hang { stored }) => {
                stored.then(|| self.store(stream, record));
                pending().await
            }
        }
    }

    async fn consumer(&self, _spec: ConsumerSpec) -> Result<NoReader, LogError> {
        Ok(NoReader)
    }

    async fn replay(
        &self,
        _stream: Stream,
        _filter: String,
        _from: ReplayFrom,
    ) -> Result<NoReader, LogError> {
        Ok(NoReader)
    }
}

/// The bridge reads nothing from the log.
#[derive(Debug)]
pub(super) struct NoReader;

impl ConsumerPort for NoReader {
    async fn pull(&mut self, _max: usize, _wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        Ok(Vec::new())
    }

    async fn ack(&self, _token: &AckToken) -> Result<(), LogError> {
        Ok(())
    }

    async fn nak(&self, _token: &AckToken, _delay: Duration) -> Result<(), LogError> {
        Ok(())
    }
}

impl ReplayPort for NoReader {
    async fn next(&mut self, _wait: Duration) -> Result<Option<Record>, LogError> {
        Ok(None)
    }
}

/// A notification of one created object, the `n`-th.
pub(super) fn notification(n: u32) -> String {
    format!(r#"{{"Records":[{}]}}"#, record(n))
}

/// One record of a notification.
pub(super) fn record(n: u32) -> String {
    let key = format!("user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-{n:012x}");
    format!(
        r#"{{"eventVersion":"2.1","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:14:02.161Z",
            "s3":{{"bucket":{{"name":"wharf"}},"object":{{"key":"{key}","size":5,"sequencer":"{n:016X}"}}}}}}"#
    )
}
