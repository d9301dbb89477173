//! Makes or checks the streams before the first use, and again after they were found missing.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use super::declare::{self, Declared, Difference, differences};
use super::link::{AskError, Link, failed};
use crate::config::{AtomicBatches, ManageStreams, NatsSettings};
use crate::ports::{LogError, Stream};

/// "stream not found".
const NO_STREAM: u64 = 10_059;
/// "stream name already in use with a different configuration".
const STREAM_DIFFERS: u64 = 10_058;
/// How long a caller waits for the connection before it gets an error.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);
/// How long the next callers are given the last answer instead of asking again.
const REFUSED_FOR: Duration = Duration::from_millis(500);

/// Whether each stream is known to be as we need it. One that is not says nothing about the others.
#[derive(Default)]
pub(super) struct Readiness {
    streams: [OneStream; Stream::ALL.len()],
    takes_batches: AtomicBool,
}

#[derive(Default)]
struct OneStream {
    is_ready: AtomicBool,
    refused: Mutex<Option<(Instant, LogError)>>,
    /// The settings that differed at the last look, so that each is logged once.
    differing: std::sync::Mutex<Vec<Difference>>,
}

/// A server's report of a stream.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StreamInfo {
    /// Its settings.
    pub(super) config: Declared,
    /// When it was made; another stream of the same name has another time.
    pub(super) created: String,
    /// What it holds.
    pub(super) state: StreamState,
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct StreamState {
    /// Bytes of all records.
    pub(super) bytes: u64,
    /// The oldest record's place.
    pub(super) first_seq: u64,
    /// The newest record's place, or the place before the first one to come.
    pub(super) last_seq: u64,
}

impl Readiness {
    const fn of(&self, stream: Stream) -> &OneStream {
        let [ingest, events, dlq] = &self.streams;
        match stream {
            Stream::Ingest => ingest,
            Stream::Events => events,
            Stream::Dlq => dlq,
        }
    }

    /// Has the stream looked at again before its next use.
    pub(super) fn forget(&self, stream: Stream) {
        self.of(stream).is_ready.store(false, Ordering::Release);
    }

    /// Whether INGEST stores several records at once.
    pub(super) fn takes_batches(&self) -> bool {
        self.takes_batches.load(Ordering::Acquire)
    }

    /// Makes sure that a stream is there; free once it is.
    ///
    /// # Errors
    /// No server, an old server, or a stream that is missing or not as we need it.
    pub(super) async fn ensure(
        &self,
        link: &Link,
        settings: &NatsSettings,
        stream: Stream,
    ) -> Result<(), LogError> {
        let one = self.of(stream);
        if one.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut refused = one.refused.lock().await;
        if one.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some((at, error)) = refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSED_FOR) {
            tracing::trace!(asked_ms_ago = at.elapsed().as_millis(), "still refused");
            return Err(error.clone());
        }
        let outcome = self.look(link, settings, stream).await;
        *refused = outcome.clone().err().map(|error| (Instant::now(), error));
        outcome
    }

    /// Asks the server for a stream, makes it if it is missing and we may, and remembers whether it can be used.
    ///
    /// # Errors
    /// As [`Readiness::ensure`].
    pub(super) async fn look(
        &self,
        link: &Link,
        settings: &NatsSettings,
        stream: Stream,
    ) -> Result<(), LogError> {
        let outcome = self.prepare(link, settings, stream).await;
        self.of(stream).is_ready.store(outcome.is_ok(), Ordering::Release);
        outcome
    }

    async fn prepare(&self, link: &Link, settings: &NatsSettings, stream: Stream) -> Result<(), LogError> {
        link.connected(CONNECTED_WITHIN).await?;
        link.check_version()?;
        let Some(inspected) = inspect(link, settings, stream).await? else { return Ok(()) };
        if stream == Stream::Ingest {
            self.takes_batches.store(inspected.takes_batches, Ordering::Release);
        }
        let grave = inspected.differences.iter().find(|difference| difference.is_grave());
        let outcome = match grave {
            Some(grave) => Err(failed(format_args!("{grave}; repair the stream, or recreate it"))),
            None => Ok(()),
        };
        self.of(stream).warn_of(inspected.differences);
        outcome
    }
}

impl OneStream {
    /// Logs the settings that differ, unless the look before found the same.
    fn warn_of(&self, differences: Vec<Difference>) {
        let mut differing = self.differing.lock().unwrap_or_else(PoisonError::into_inner);
        if *differing != differences {
            differences.iter().for_each(|difference| warn!("{difference}"));
            *differing = differences;
        }
    }
}

/// A stream as a server has it.
pub(super) struct Inspected {
    /// The settings that are not as asked.
    pub(super) differences: Vec<Difference>,
    takes_batches: bool,
}

/// Compares a stream with what was asked for, after making it if it is missing and we may. None if the settings say
/// not to look.
pub(super) async fn inspect(
    link: &Link,
    settings: &NatsSettings,
    stream: Stream,
) -> Result<Option<Inspected>, LogError> {
    let declared = declared(link, stream, settings);
    let found = match settings.manage_streams {
        ManageStreams::Create => create(link, stream, &declared).await?,
        ManageStreams::Check => info(link, stream).await?,
        ManageStreams::Off => return Ok(None),
    };
    let is_allowed = found.config.get("allow_atomic").is_some_and(|allowed| allowed == true);
    Ok(Some(Inspected {
        differences: differences(stream, &declared, &found.config),
        takes_batches: is_allowed && settings.atomic_batches == AtomicBatches::Auto,
    }))
}

fn declared(link: &Link, stream: Stream, settings: &NatsSettings) -> Declared {
    let mut declared = declare::stream(stream, settings);
    let wants_batches = stream == Stream::Ingest && settings.atomic_batches == AtomicBatches::Auto;
    if wants_batches && link.has_atomic_batches() {
        declared.insert("allow_atomic".to_owned(), true.into());
    }
    declared
}

/// What the server has.
///
/// # Errors
/// There is no such stream, among others.
pub(super) async fn info(link: &Link, stream: Stream) -> Result<StreamInfo, LogError> {
    let name = stream.name();
    link.look(format!("STREAM.INFO.{name}")).await.map_err(|error| match error {
        AskError::Refused { code: NO_STREAM, .. } => failed(format_args!("there is no stream {name}")),
        AskError::Nobody => failed("the server has no JetStream"),
        AskError::Silent(_) | AskError::TooLarge { .. } | AskError::Refused { .. } => error.into(),
    })
}

/// The stream as it is, made now if it was not there.
async fn create(link: &Link, stream: Stream, declared: &Declared) -> Result<StreamInfo, LogError> {
    let name = stream.name();
    match link.look(format!("STREAM.INFO.{name}")).await {
        Err(AskError::Refused { code: NO_STREAM, .. }) => {}
        Err(AskError::Nobody) => return Err(failed("the server has no JetStream")),
        Err(error @ (AskError::Silent(_) | AskError::TooLarge { .. } | AskError::Refused { .. })) => {
            return Err(error.into());
        }
        Ok(found) => return Ok(found),
    }
    match link.ask(format!("STREAM.CREATE.{name}"), declared).await {
        Ok(made) => {
            info!("made stream {name}");
            Ok(made)
        }
        // Another process with other settings was faster.
        Err(AskError::Refused { code: STREAM_DIFFERS, .. }) => info(link, stream).await,
        Err(error) => Err(failed(format_args!("cannot make stream {name}: {error}"))),
    }
}
