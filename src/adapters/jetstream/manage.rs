//! Makes or checks the streams before the first use, and again after they were found missing.

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
/// How long a caller waits for the connection before it is told that there is none.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);
/// How long the next callers are given the last answer instead of asking again.
const REFUSED_FOR: Duration = Duration::from_millis(500);

/// Whether the streams are known to be as we need them.
#[derive(Default)]
pub(super) struct Readiness {
    is_ready: AtomicBool,
    takes_batches: AtomicBool,
    refused: Mutex<Option<(Instant, LogError)>>,
}

/// What a server says of a stream.
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
    /// The newest record's place, or the place before the first one to come.
    pub(super) last_seq: u64,
}

impl Readiness {
    /// The streams must be looked at again.
    pub(super) fn forget(&self) {
        self.is_ready.store(false, Ordering::Release);
    }

    /// Whether INGEST stores several records at once.
    pub(super) fn takes_batches(&self) -> bool {
        self.takes_batches.load(Ordering::Acquire)
    }

    /// Makes sure that the streams are there; free once they are.
    ///
    /// # Errors
    /// No server, an old server, or streams that are missing or not as we need them.
    pub(super) async fn ensure(&self, link: &Link, settings: &NatsSettings) -> Result<(), LogError> {
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut refused = self.refused.lock().await;
        if self.is_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        if let Some((at, error)) = refused.as_ref().filter(|(at, _)| at.elapsed() < REFUSED_FOR) {
            tracing::trace!(asked_ms_ago = at.elapsed().as_millis(), "still refused");
            return Err(error.clone());
        }
        match self.prepare(link, settings).await {
            Ok(()) => {
                *refused = None;
                self.is_ready.store(true, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                *refused = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn prepare(&self, link: &Link, settings: &NatsSettings) -> Result<(), LogError> {
        link.connected(CONNECTED_WITHIN).await?;
        link.check_version()?;
        let differences = inspect(link, settings, &self.takes_batches).await?;
        for difference in &differences {
            warn!("{difference}");
        }
        match differences.iter().find(|difference| difference.is_grave()) {
            Some(grave) => Err(failed(format_args!("{grave}; repair the stream, or recreate it"))),
            None => Ok(()),
        }
    }
}

/// Every setting of the streams that is not as asked, after making the streams that are missing if we may.
pub(super) async fn inspect(
    link: &Link,
    settings: &NatsSettings,
    takes_batches: &AtomicBool,
) -> Result<Vec<Difference>, LogError> {
    let mut found = Vec::new();
    for stream in Stream::ALL {
        let declared = declared(link, stream, settings);
        let info = match settings.manage_streams {
            ManageStreams::Create => create(link, stream, &declared).await?,
            ManageStreams::Check => info(link, stream).await?,
            ManageStreams::Off => continue,
        };
        if stream == Stream::Ingest {
            let allowed = info.config.get("allow_atomic").is_some_and(|allowed| allowed == true);
            takes_batches.store(allowed && settings.atomic_batches == AtomicBatches::Auto, Ordering::Release);
        }
        found.extend(differences(stream, &declared, &info.config));
    }
    Ok(found)
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
        AskError::Silent(_) | AskError::Refused { .. } => error.into(),
    })
}

/// The stream as it is, made now if it was not there.
async fn create(link: &Link, stream: Stream, declared: &Declared) -> Result<StreamInfo, LogError> {
    let name = stream.name();
    match link.look(format!("STREAM.INFO.{name}")).await {
        Err(AskError::Refused { code: NO_STREAM, .. }) => {}
        Err(AskError::Nobody) => return Err(failed("the server has no JetStream")),
        Err(error @ (AskError::Silent(_) | AskError::Refused { .. })) => return Err(error.into()),
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
