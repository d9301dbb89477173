//! Publishing again: the same events with the same ids, out of the ledger, after a broker lost them.

use std::time::Duration;

use tokio::time::timeout;

use super::run::{record_of, unpublished};
use crate::adapters::{Ledger, Log};
use crate::domain::event::{EventSource, events_of};
use crate::domain::ids::UserId;
use crate::limits::UPSTREAM_WITHIN;
use crate::ports::{LedgerError, LedgerPort, LogPort, NewRecord, PublishError, Stored, Stream};

/// Tries of one record that the log did not confirm; the log knows a repeat by its id.
const TRIES_MAX: u32 = 5;
/// The pause after the first of them; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(200);
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
    /// Events that the log still knew, so that it kept them once.
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
    /// The log does not take it.
    #[error("version {version} was not published: {error}; go on with --from {version}")]
    Log {
        /// The first version that is not there whole.
        version: u64,
        /// Why.
        error: PublishError,
    },
}

/// Publishes a range of a user's events again, in order. Works beside a running service: whoever has seen a version
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
    let mut after = from.saturating_sub(1);
    while after < to {
        let page = in_time(PAGE_WITHIN, unpublished(ledger, user, after)).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.version;
        for (entry, file) in page.iter().filter(|(entry, _)| entry.version <= to) {
            for event in events_of(source, user, entry, file.as_ref()) {
                if !is_dry_run {
                    let stored = publish(log, record_of(&event)).await;
                    let stored =
                        stored.map_err(|error| RepublishError::Log { version: entry.version, error })?;
                    done.known += u64::from(stored.duplicate);
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
        tokio::time::sleep(PAUSE * (1 << tries)).await;
        tries += 1;
    }
}
