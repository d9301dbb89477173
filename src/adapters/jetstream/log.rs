//! The log port on JetStream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::batch::Batcher;
use super::connect::ConnectError;
use super::consumer::JetStreamConsumer;
use super::holds::holds;
use super::link::{AskError, Link};
use super::manage::{Readiness, inspect};
use super::publish::{STORED_WITHIN, meaning, publish};
use super::replay::JetStreamReplay;
use super::trim::trim;
use crate::config::NatsSettings;
use crate::limits::PUBLISHES_IN_FLIGHT_MAX;
use crate::ports::{
    Clock, ConsumerSpec, LogError, LogPort, NewRecord, PublishError, ReplayFrom, Stored, Stream, TrimWhen,
};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::names;

/// Between two looks at streams that can be used, and at streams that cannot.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The log on NATS JetStream. Cheap to clone; clones share one connection.
#[derive(Clone)]
pub struct JetStreamLog {
    shared: Arc<Shared>,
}

/// What the log and its readers share.
pub(super) struct Shared {
    pub(super) link: Arc<Link>,
    pub(super) settings: NatsSettings,
    pub(super) clock: Clock,
    pub(super) readiness: Readiness,
    window: Semaphore,
    batcher: Batcher,
}

impl Shared {
    /// Makes sure that a server is there and has the stream.
    pub(super) async fn ready(&self, stream: Stream) -> Result<(), LogError> {
        self.readiness.ensure(&self.link, &self.settings, stream).await
    }

    /// A place in the window, or the window has been full for too long.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, PublishError> {
        let full = |reason: &str| PublishError::Unavailable { reason: reason.to_owned() };
        match timeout(STORED_WITHIN, self.window.acquire()).await {
            Ok(slot) => slot.map_err(|_| full("the log is closed")),
            Err(_) => Err(full("too many records wait for the log")),
        }
    }

    async fn store(&self, stream: Stream, record: NewRecord) -> Result<Stored, AskError> {
        if stream == Stream::Ingest && self.readiness.takes_batches() {
            self.batcher.publish(record).await
        } else {
            publish(&self.link, stream, record).await
        }
    }

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        let unavailable = |error: LogError| PublishError::Unavailable { reason: error.reason };
        self.ready(stream).await.map_err(unavailable)?;
        let _slot = self.slot().await?;
        self.link.connected(Duration::ZERO).await.map_err(unavailable)?;
        self.store(stream, record).await.map_err(|error| {
            // Without the stream nobody replies. A plain subscriber of the subject turns that into silence.
            match error {
                AskError::Nobody | AskError::Silent(_) => self.readiness.forget(stream),
                AskError::TooLarge { .. } | AskError::Refused { .. } => {}
            }
            meaning(error)
        })
    }
}

impl JetStreamLog {
    /// Starts a connection in the background and returns at once, whether or not a server is there.
    ///
    /// While none is there, and while the streams are not as they must be, every call of the port fails and
    /// may be repeated; the connection is tried again for ever.
    ///
    /// # Errors
    /// Settings that cannot work, and files that cannot be read.
    pub async fn connect(settings: NatsSettings, clock: Clock) -> Result<Self, ConnectError> {
        let link = Arc::new(Link::start(&settings).await?);
        let batcher = Batcher::start(Arc::clone(&link));
        let window = Semaphore::new(PUBLISHES_IN_FLIGHT_MAX);
        let shared = Shared { link, settings, clock, readiness: Readiness::default(), window, batcher };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether the log can be used now: a server is there, is new enough, and has the streams.
    ///
    /// Makes missing streams if the settings say so. Repeating it is cheap.
    ///
    /// # Errors
    /// What is missing.
    pub async fn ready(&self) -> Result<(), LogError> {
        self.shared.link.connected(Duration::ZERO).await?;
        for stream in Stream::ALL {
            self.shared.ready(stream).await?;
        }
        Ok(())
    }

    /// Asks for every stream now and then, for ever: makes what is missing if the settings say so, and reports whether
    /// the servers answer and have the streams. A stream that was deleted while nobody published is noticed by this.
    pub async fn watch(self, health: Health, clock: Clock) {
        loop {
            let looked = self.look().await;
            health.record(Part::Log, &looked, clock.now());
            tokio::time::sleep(if looked.is_ok() { LOOK_EVERY } else { LOOK_AGAIN }).await;
        }
    }

    /// The first stream that cannot be used decides; the others are looked at all the same.
    async fn look(&self) -> Result<(), LogError> {
        let Shared { link, settings, readiness, .. } = &*self.shared;
        let mut outcome = Ok(());
        for stream in Stream::ALL {
            let looked = readiness.look(link, settings, stream).await;
            outcome = outcome.and(looked);
        }
        outcome
    }

    /// Whether arrivals that come together are stored together, as far as is known now.
    #[must_use]
    pub fn batches(&self) -> bool {
        self.shared.readiness.takes_batches()
    }

    /// One line for every setting of the streams that is not as asked; none if all is well.
    ///
    /// # Errors
    /// There is no server, or a stream is missing and may not be made.
    pub async fn differences(&self) -> Result<Vec<String>, LogError> {
        self.shared.link.connected(Duration::ZERO).await?;
        let mut lines = Vec::new();
        for stream in Stream::ALL {
            let found = inspect(&self.shared.link, &self.shared.settings, stream).await?;
            lines.extend(found.iter().flat_map(|found| &found.differences).map(ToString::to_string));
        }
        Ok(lines)
    }
}

impl fmt::Debug for JetStreamLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamLog").field("urls", &self.shared.settings.urls).finish_non_exhaustive()
    }
}

impl LogPort for JetStreamLog {
    type Consumer = JetStreamConsumer;
    type Replay = JetStreamReplay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        let _in_flight = InFlight::enter();
        let began = Instant::now();
        let outcome = self.shared.publish(stream, record).await;
        histogram!(names::NATS_PUBLISH_SECONDS).record(began.elapsed());
        let labels = [("stream", stream.name()), ("outcome", name_of(&outcome))];
        counter!(names::NATS_PUBLISHES_TOTAL, &labels).increment(1);
        outcome
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<JetStreamConsumer, LogError> {
        self.shared.ready(spec.stream).await?;
        JetStreamConsumer::open(Arc::clone(&self.shared), spec).await
    }

    async fn replay(
        &self,
        stream: Stream,
        filter: String,
        from: ReplayFrom,
    ) -> Result<JetStreamReplay, LogError> {
        self.shared.ready(stream).await?;
        JetStreamReplay::open(Arc::clone(&self.shared), stream, filter, from).await
    }

    async fn holds(&self, stream: Stream, sequence: u64, record: &NewRecord) -> Result<bool, LogError> {
        self.shared.ready(stream).await?;
        holds(&self.shared, stream, sequence, record).await
    }

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        self.shared.ready(stream).await?;
        trim(&self.shared, stream, &consumers, when).await
    }
}

/// Counts itself while it lives.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        gauge!(names::NATS_PUBLISHES_IN_FLIGHT).increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!(names::NATS_PUBLISHES_IN_FLIGHT).decrement(1.0);
    }
}

const fn name_of(outcome: &Result<Stored, PublishError>) -> &'static str {
    match outcome {
        Ok(Stored { duplicate: false, .. }) => "stored",
        Ok(Stored { duplicate: true, .. }) => "duplicate",
        Err(PublishError::Full) => "full",
        Err(PublishError::TooLarge { .. }) => "too_large",
        Err(PublishError::Unavailable { .. }) => "unavailable",
        Err(PublishError::Unknown { .. }) => "unknown",
    }
}
