//! Any log, with its readers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::ports::{
    AckToken, ChainEnd, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError,
    Record, ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};

/// A log that a test brings. Cheap to clone.
#[derive(Clone)]
pub struct AnyLog(Arc<dyn Erased>);

/// A durable consumer's reader of that log.
pub struct AnyConsumer(Box<dyn ErasedConsumer>);

/// A reader of that log from some point on.
pub struct AnyReplay(Box<dyn ErasedReplay>);

impl AnyLog {
    /// Takes a log.
    #[must_use]
    pub fn new<L>(log: L) -> Self
    where
        L: LogPort + 'static,
        L::Consumer: Sync + 'static,
        L::Replay: Sync + 'static,
    {
        Self(Arc::new(log))
    }
}

impl fmt::Debug for AnyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyLog")
    }
}

impl fmt::Debug for AnyConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyConsumer")
    }
}

impl fmt::Debug for AnyReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyReplay")
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, LogError>>;

/// The port without its types of futures and readers.
trait Erased: Send + Sync {
    fn publish(&self, stream: Stream, record: NewRecord) -> BoxFuture<'_, Result<Stored, PublishError>>;
    fn chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> BoxFuture<'_, Vec<ChainEnd>>;
    fn consumer(&self, spec: ConsumerSpec) -> Answer<'_, AnyConsumer>;
    fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Answer<'_, AnyReplay>;
    fn trim(&self, stream: Stream, consumers: Vec<ConsumerSpec>, when: TrimWhen) -> Answer<'_, u64>;
}

trait ErasedConsumer: Send + Sync {
    fn pull(&mut self, max: usize, wait: Duration) -> Answer<'_, Vec<LogDelivery>>;
    fn ack<'a>(&'a self, token: &'a AckToken) -> Answer<'a, ()>;
    fn nak<'a>(&'a self, token: &'a AckToken, delay: Duration) -> Answer<'a, ()>;
}

trait ErasedReplay: Send + Sync {
    fn next(&mut self, wait: Duration) -> Answer<'_, Option<Record>>;
}

impl<L> Erased for L
where
    L: LogPort,
    L::Consumer: Sync + 'static,
    L::Replay: Sync + 'static,
{
    fn publish(&self, stream: Stream, record: NewRecord) -> BoxFuture<'_, Result<Stored, PublishError>> {
        Box::pin(LogPort::publish(self, stream, record))
    }

    fn chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> BoxFuture<'_, Vec<ChainEnd>> {
        Box::pin(self.publish_chains(stream, chains))
    }

    fn consumer(&self, spec: ConsumerSpec) -> Answer<'_, AnyConsumer> {
        Box::pin(async move { Ok(AnyConsumer(Box::new(LogPort::consumer(self, spec).await?))) })
    }

    fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Answer<'_, AnyReplay> {
        Box::pin(async move { Ok(AnyReplay(Box::new(LogPort::replay(self, stream, filter, from).await?))) })
    }

    fn trim(&self, stream: Stream, consumers: Vec<ConsumerSpec>, when: TrimWhen) -> Answer<'_, u64> {
        Box::pin(LogPort::trim(self, stream, consumers, when))
    }
}

impl<C: ConsumerPort + Sync> ErasedConsumer for C {
    fn pull(&mut self, max: usize, wait: Duration) -> Answer<'_, Vec<LogDelivery>> {
        Box::pin(ConsumerPort::pull(self, max, wait))
    }

    fn ack<'a>(&'a self, token: &'a AckToken) -> Answer<'a, ()> {
        Box::pin(ConsumerPort::ack(self, token))
    }

    fn nak<'a>(&'a self, token: &'a AckToken, delay: Duration) -> Answer<'a, ()> {
        Box::pin(ConsumerPort::nak(self, token, delay))
    }
}

impl<R: ReplayPort + Sync> ErasedReplay for R {
    fn next(&mut self, wait: Duration) -> Answer<'_, Option<Record>> {
        Box::pin(ReplayPort::next(self, wait))
    }
}

impl LogPort for AnyLog {
    type Consumer = AnyConsumer;
    type Replay = AnyReplay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        self.0.publish(stream, record).await
    }

    async fn publish_chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> Vec<ChainEnd> {
        self.0.chains(stream, chains).await
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<AnyConsumer, LogError> {
        self.0.consumer(spec).await
    }

    async fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Result<AnyReplay, LogError> {
        self.0.replay(stream, filter, from).await
    }

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        self.0.trim(stream, consumers, when).await
    }
}

impl ConsumerPort for AnyConsumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        self.0.pull(max, wait).await
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        self.0.ack(token).await
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        self.0.nak(token, delay).await
    }
}

impl ReplayPort for AnyReplay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        self.0.next(wait).await
    }
}
