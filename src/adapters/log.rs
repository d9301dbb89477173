//! Every log we ship, with its readers.

use std::time::Duration;

use super::any::{AnyConsumer, AnyLog, AnyReplay};
use super::embedded::{EmbeddedConsumer, EmbeddedLog, EmbeddedReplay};
use super::faulty::{FaultyConsumer, FaultyLog, FaultyReplay};
#[cfg(feature = "nats")]
use super::jetstream::{JetStreamConsumer, JetStreamLog, JetStreamReplay};
use crate::ports::{
    AckToken, ChainEnd, ConsumerPort, ConsumerSpec, LogDelivery, LogError, LogPort, NewRecord, PublishError,
    Record, ReplayFrom, ReplayPort, Stored, Stream, TrimWhen,
};

/// The log that the settings chose. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Log {
    /// In this process.
    Embedded(EmbeddedLog),
    /// On NATS JetStream.
    #[cfg(feature = "nats")]
    Nats(JetStreamLog),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyLog),
    /// Whatever a test brings. No setting leads here.
    Any(AnyLog),
}

/// A durable consumer's reader of that log.
#[derive(Debug)]
pub enum LogConsumer {
    /// In this process.
    Embedded(EmbeddedConsumer),
    /// On NATS JetStream.
    #[cfg(feature = "nats")]
    Nats(Box<JetStreamConsumer>),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyConsumer),
    /// Whatever a test brings. No setting leads here.
    Any(AnyConsumer),
}

/// A reader of that log from some point on.
#[derive(Debug)]
pub enum LogReplay {
    /// In this process.
    Embedded(EmbeddedReplay),
    /// On NATS JetStream.
    #[cfg(feature = "nats")]
    Nats(Box<JetStreamReplay>),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyReplay),
    /// Whatever a test brings. No setting leads here.
    Any(AnyReplay),
}

impl LogPort for Log {
    type Consumer = LogConsumer;
    type Replay = LogReplay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        match self {
            Self::Embedded(log) => log.publish(stream, record).await,
            #[cfg(feature = "nats")]
            Self::Nats(log) => Box::pin(log.publish(stream, record)).await,
            Self::Faulty(log) => log.publish(stream, record).await,
            Self::Any(log) => log.publish(stream, record).await,
        }
    }

    async fn publish_chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> Vec<ChainEnd> {
        match self {
            Self::Embedded(log) => log.publish_chains(stream, chains).await,
            #[cfg(feature = "nats")]
            Self::Nats(log) => Box::pin(log.publish_chains(stream, chains)).await,
            Self::Faulty(log) => log.publish_chains(stream, chains).await,
            Self::Any(log) => log.publish_chains(stream, chains).await,
        }
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<LogConsumer, LogError> {
        match self {
            Self::Embedded(log) => log.consumer(spec).await.map(LogConsumer::Embedded),
            #[cfg(feature = "nats")]
            Self::Nats(log) => Box::pin(log.consumer(spec)).await.map(Box::new).map(LogConsumer::Nats),
            Self::Faulty(log) => log.consumer(spec).await.map(LogConsumer::Faulty),
            Self::Any(log) => log.consumer(spec).await.map(LogConsumer::Any),
        }
    }

    async fn replay(&self, stream: Stream, filter: String, from: ReplayFrom) -> Result<LogReplay, LogError> {
        match self {
            Self::Embedded(log) => log.replay(stream, filter, from).await.map(LogReplay::Embedded),
            #[cfg(feature = "nats")]
            Self::Nats(log) => {
                Box::pin(log.replay(stream, filter, from)).await.map(Box::new).map(LogReplay::Nats)
            }
            Self::Faulty(log) => log.replay(stream, filter, from).await.map(LogReplay::Faulty),
            Self::Any(log) => log.replay(stream, filter, from).await.map(LogReplay::Any),
        }
    }

    async fn holds(&self, stream: Stream, sequence: u64, record: &NewRecord) -> Result<bool, LogError> {
        match self {
            Self::Embedded(log) => log.holds(stream, sequence, record).await,
            #[cfg(feature = "nats")]
            Self::Nats(log) => Box::pin(log.holds(stream, sequence, record)).await,
            Self::Faulty(log) => log.holds(stream, sequence, record).await,
            Self::Any(log) => log.holds(stream, sequence, record).await,
        }
    }

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        match self {
            Self::Embedded(log) => log.trim(stream, consumers, when).await,
            #[cfg(feature = "nats")]
            Self::Nats(log) => Box::pin(log.trim(stream, consumers, when)).await,
            Self::Faulty(log) => log.trim(stream, consumers, when).await,
            Self::Any(log) => log.trim(stream, consumers, when).await,
        }
    }
}

impl ConsumerPort for LogConsumer {
    async fn pull(&mut self, max: usize, wait: Duration) -> Result<Vec<LogDelivery>, LogError> {
        match self {
            Self::Embedded(consumer) => consumer.pull(max, wait).await,
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => Box::pin(consumer.pull(max, wait)).await,
            Self::Faulty(consumer) => consumer.pull(max, wait).await,
            Self::Any(consumer) => consumer.pull(max, wait).await,
        }
    }

    async fn ack(&self, token: &AckToken) -> Result<(), LogError> {
        match self {
            Self::Embedded(consumer) => consumer.ack(token).await,
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => Box::pin(consumer.ack(token)).await,
            Self::Faulty(consumer) => consumer.ack(token).await,
            Self::Any(consumer) => consumer.ack(token).await,
        }
    }

    async fn nak(&self, token: &AckToken, delay: Duration) -> Result<(), LogError> {
        match self {
            Self::Embedded(consumer) => consumer.nak(token, delay).await,
            #[cfg(feature = "nats")]
            Self::Nats(consumer) => Box::pin(consumer.nak(token, delay)).await,
            Self::Faulty(consumer) => consumer.nak(token, delay).await,
            Self::Any(consumer) => consumer.nak(token, delay).await,
        }
    }
}

impl ReplayPort for LogReplay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        match self {
            Self::Embedded(replay) => replay.next(wait).await,
            #[cfg(feature = "nats")]
            Self::Nats(replay) => Box::pin(replay.next(wait)).await,
            Self::Faulty(replay) => replay.next(wait).await,
            Self::Any(replay) => replay.next(wait).await,
        }
    }
}
