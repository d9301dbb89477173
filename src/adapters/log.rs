//! Every log we ship, with its readers.

use std::sync::Arc;
use std::time::Duration;

use super::backends::backends;
use super::embedded::{EmbeddedConsumer, EmbeddedLog, EmbeddedReplay};
#[cfg(feature = "nats")]
use super::jetstream::{JetStreamConsumer, JetStreamLog, JetStreamReplay};
use crate::ports::{
    AckToken, ChainEnd, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError,
    Record, ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};

backends! {
    /// The log that the settings chose. Cheap to clone.
    #[derive(Clone)]
    pub enum Log: LogPort {
        /// In this process.
        Embedded(EmbeddedLog) => inline,
        /// On NATS JetStream.
        Nats(JetStreamLog) if "nats" => boxed,
    }
    custom Arc<dyn CustomLog>;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError>;
    async fn publish_chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> Vec<ChainEnd>;
    async fn holds(&self, stream: Stream, sequence: u64, record: &NewRecord) -> Result<bool, LogError>;
    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError>;

    opens {
        Consumer = LogConsumer:
        async fn consumer(&self, spec: ConsumerSpec) -> Result<LogConsumer, LogError>;
        Replay = LogReplay:
        async fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Result<LogReplay, LogError>;
    }
}

impl Log {
    /// Takes any other implementation of the port.
    #[must_use]
    pub fn custom<L>(log: L) -> Self
    where
        L: LogPort + 'static,
        L::Consumer: Sync + 'static,
        L::Replay: Sync + 'static,
    {
        Self::Custom(Arc::new(log))
    }
}

backends! {
    /// A durable consumer's reader of that log.
    pub enum LogConsumer: ConsumerPort {
        /// In this process.
        Embedded(EmbeddedConsumer) => inline,
        /// On NATS JetStream.
        Nats(Box<JetStreamConsumer>) if "nats" => reader,
    }
    custom Box<dyn CustomConsumer>;

    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError>;
    async fn ack(&self, token: &AckToken) -> Result<(), LogError>;
    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError>;
}

backends! {
    /// A reader of that log from some point on.
    pub enum LogReplay: ReplayPort {
        /// In this process.
        Embedded(EmbeddedReplay) => inline,
        /// On NATS JetStream.
        Nats(Box<JetStreamReplay>) if "nats" => reader,
    }
    custom Box<dyn CustomReplay>;

    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError>;
}
