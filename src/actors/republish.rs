//! Publishing again: the same events with the same ids, out of the ledger, after a broker lost them.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::run::{record_of, unpublished};
use crate::adapters::{Ledger, Log};
use crate::domain::backoff;
use crate::domain::event::{EventSource, events_of};
use crate::domain::ids::UserId;
use crate::limits::UPSTREAM_WITHIN;
use crate::ports::{LedgerError, LedgerPort, LogError, LogPort, NewRecord, PublishError, Stored, Stream};

/// Tries of one record that the log did not confirm; the log knows a repeat by its id.
const TRIES_MAX: u32 = 5;
/// The first and the longest pause between them.
const PAUSE: Duration = Duration::from_millis(400);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long an event that the log lost, and still takes for a repeat, is tried again: longer than any log remembers ids.
/// The id must stay the same, because subscribers know a repeat by it.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(150);
/// Between two such tries.
const FORGOTTEN_PAUSE: Duration = Duration::from_secs(2);
/// How long reading a page of entries with their rows may take.
const PAGE_WITHIN: Duration = Duration::from_secs(60);

/// Which events to publish again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Republish {
    /// Whose.
    pub user: UserId,
    /// From this version on.
    pub from: u64,
    /// Up to this one; none: all that counted as published.
    pub to: Option<u64>,
    /// Only count.
    pub is_dry_run: bool,
}

/// What was published again, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Republished {
    /// Entries.
    pub entries: u64,
    /// Events made from them.
    pub events: u64,
    /// Events that the log still has, so that it kept them once.
    pub known: u64,
    /// The first and the last version.
    pub versions: Option<(u64, u64)>,
}

/// Why it stopped. Repeating the call is harmless.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepublishError {
    /// The user never stored anything.
    #[error("the ledger has no account of {0}")]
    UnknownUser(UserId),
    /// The ledger does not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The log takes an event for a repeat of one that it does not have.
    #[error(
        "version {version} was not published: the log takes it for a repeat and does not have it; go on with --from {version}"
    )]
    NotStored {
        /// The first version that is not there whole.
        version: u64,
    },
    /// The log does not say whether it has an event.
    #[error("version {version}: {error}; go on with --from {version}")]
    Unclear {
        /// The first version that may not be there whole.
        version: u64,
        /// Why.
        error: LogError,
    },
    /// The log does not take it.
    #[error("version {version} was not published: {error}; go on with --from {version}")]
    Log {
        /// The first version that is not there whole.
        version: u64,
        /// Why.
        error: PublishError,
    },
}

/// Publishes a range of a user's events again, in order. Works beside a running service: a consumer that saw a version
/// drops it.
///
/// # Errors
/// See [`RepublishError`]; what came before the failure is published.
pub async fn republish(
    ledger: &Ledger,
    log: &Log,
    source: &EventSource,
    asked: Republish,
) -> Result<Republished, RepublishError> {
    let Republish { user, from, to, is_dry_run } = asked;
    let account = in_time(UPSTREAM_WITHIN, ledger.load(user)).await?;
    let account = account.ok_or(RepublishError::UnknownUser(user))?;
    let to = to.unwrap_or(account.published).min(account.version);
    let mut done = Republished::default();
    let mut after = from.saturating_sub(1).max(account.history_floor);
    while after < to {
        let page = in_time(PAGE_WITHIN, unpublished(ledger, user, after)).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.version;
        for (entry, file) in page.iter().filter(|(entry, _)| entry.version <= to) {
            for event in events_of(source, user, entry, file.as_ref()) {
                if !is_dry_run {
                    let has_it = store(log, record_of(&event), entry.version).await?;
                    done.known += u64::from(has_it);
                }
                done.events += 1;
            }
            done.entries += 1;
            let first = done.versions.map_or(entry.version, |(first, _)| first);
            done.versions = Some((first, entry.version));
        }
    }
    Ok(done)
}

async fn in_time<T>(
    within: Duration,
    read: impl Future<Output = Result<T, LedgerError>>,
) -> Result<T, LedgerError> {
    timeout(within, read)
        .await
        .unwrap_or_else(|_| Err(LedgerError::Unavailable { reason: format!("no answer within {within:?}") }))
}

/// Stores an event, and returns whether the log had it already. A duplicate is believed only if the record that it names
/// is there: after a purge the log still takes a lost event for known, until its window is over.
async fn store(log: &Log, record: NewRecord, version: u64) -> Result<bool, RepublishError> {
    let deadline = Instant::now() + FORGOTTEN_WITHIN;
    let mut is_first = true;
    loop {
        let stored = publish(log, record.clone()).await;
        let stored = stored.map_err(|error| RepublishError::Log { version, error })?;
        if !stored.duplicate {
            return Ok(false);
        }
        let held = timeout(UPSTREAM_WITHIN, log.holds(Stream::Events, stored.sequence, &record)).await;
        let held = held
            .unwrap_or_else(|_| Err(LogError { reason: format!("no answer within {UPSTREAM_WITHIN:?}") }));
        if held.map_err(|error| RepublishError::Unclear { version, error })? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Err(RepublishError::NotStored { version });
        }
        if std::mem::take(&mut is_first) {
            tracing::warn!(
                version,
                "the log lost an event and takes it for a repeat; trying again until it has forgotten its id"
            );
        }
        tokio::time::sleep(FORGOTTEN_PAUSE).await;
    }
}

async fn publish(log: &Log, record: NewRecord) -> Result<Stored, PublishError> {
    let mut tries = 1;
    loop {
        let answer = timeout(UPSTREAM_WITHIN, log.publish(Stream::Events, record.clone())).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(PublishError::Unknown { reason: format!("no answer within {UPSTREAM_WITHIN:?}") })
        });
        if answer.is_ok() || tries == TRIES_MAX {
            return answer;
        }
        tokio::time::sleep(backoff::pause(PAUSE, PAUSE_MAX, tries, 0)).await;
        tries += 1;
    }
}
