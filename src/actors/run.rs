//! A run of publishing: brings entries of some users into the event log together, each user's in order.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::publisher::LaneParts;
use crate::adapters::Ledger;
use crate::domain::entry::Entry;
use crate::domain::event::{Event, events_of};
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::domain::time::Timestamp;
use crate::limits::ENTRIES_PAGE_MAX;
use crate::ports::{ChainEnd, LedgerError, LedgerPort, LogPort, NewRecord, PublishError, Stream};
use crate::telemetry::health::Part;
use crate::telemetry::{STORY, millis};

/// How long the log may take for one event. Longer than backends give themselves.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// How long a run may take: a page of entries of two events each, and reading them.
pub(super) const WITHIN: Duration = Duration::from_secs(20 * 64 + 60);

/// What a run does for one user.
pub(super) struct PublishJob {
    /// Who.
    pub(super) user: UserId,
    /// Entries up to here are in the log.
    pub(super) published: u64,
    /// The entries that follow, with their files' rows; none: they are read from the ledger.
    pub(super) entries: Vec<(Entry, Option<File>)>,
}

impl PublishJob {
    /// The end of a run without any answer.
    pub(super) const fn lost(&self) -> JobOutcome {
        JobOutcome {
            user: self.user,
            published: self.published,
            log: LogAnswer::Nothing,
            end: JobEnd::Failed,
        }
    }
}

/// How a run ended for one user.
#[derive(Clone, Copy)]
pub(super) struct JobOutcome {
    /// Who.
    pub(super) user: UserId,
    /// Entries up to here are in the log.
    pub(super) published: u64,
    /// Whether the log was there.
    pub(super) log: LogAnswer,
    /// How.
    pub(super) end: JobEnd,
}

/// What the log said to a user's records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LogAnswer {
    /// It was not asked.
    Nothing,
    /// It took some of them.
    Stored,
    /// It took none.
    Refused,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum JobEnd {
    /// Everything it was given, or found, is in the log.
    Complete,
    /// It found a full page: there may be more.
    MorePages,
    /// The log or the ledger did not answer.
    Failed,
}

/// The log lines of one user's records once the log has them.
struct LogLines {
    ran: JobOutcome,
    lines: Vec<LogLine>,
}

/// The log line of one record.
struct LogLine {
    event: Event,
    file: Option<FileId>,
    at: Timestamp,
    /// The entry has no further event.
    ends_entry: bool,
}

/// Publishes each user's entries in order, up to the first that fails.
pub(super) async fn carry_out(parts: &LaneParts, run: Vec<PublishJob>) -> Vec<JobOutcome> {
    let tales = join_all(run.into_iter().map(|work| LogLines::of(parts, work))).await;
    let chains: Vec<Vec<NewRecord>> = tales.iter().map(LogLines::records).collect();
    let ends = publish(parts, chains).await;
    report(parts, &ends);
    tales.into_iter().zip(ends).map(|(tale, end)| tale.ended(parts, end)).collect()
}

/// Reports how EVENTS took a run: a failure counts more than a success beside it, and a run without records says
/// nothing.
fn report(parts: &LaneParts, ends: &[ChainEnd]) {
    if let Some(error) = ends.iter().find_map(|end| end.failed.as_ref()) {
        parts.health.down(Part::PublishEvents, error, parts.clock.now());
    } else if ends.iter().any(|end| !end.stored.is_empty()) {
        parts.health.up(Part::PublishEvents);
    }
}

/// How long the log may take for these records; none: there are no records, so it is not asked.
fn deadline_of(chains: &[Vec<NewRecord>]) -> Option<Duration> {
    let longest = chains.iter().map(Vec::len).max().filter(|records| *records > 0)?;
    Some(PUBLISH_WITHIN * u32::try_from(longest).unwrap_or(u32::MAX))
}

async fn publish(parts: &LaneParts, chains: Vec<Vec<NewRecord>>) -> Vec<ChainEnd> {
    let count = chains.len();
    let Some(within) = deadline_of(&chains) else {
        return vec![ChainEnd { stored: Vec::new(), failed: None }; count];
    };
    timeout(within, parts.log.publish_chains(Stream::Events, chains)).await.unwrap_or_else(|_| {
        let silence = PublishError::Unknown { reason: format!("no answer within {within:?}") };
        vec![ChainEnd { stored: Vec::new(), failed: Some(silence) }; count]
    })
}

impl LogLines {
    /// What becomes of the work, if the log takes it all.
    async fn of(parts: &LaneParts, work: PublishJob) -> Self {
        let PublishJob { user, published, entries } = work;
        let (entries, end) = if entries.is_empty() {
            match unpublished(&parts.ledger, user, published).await {
                Ok(entries) if entries.len() == ENTRIES_PAGE_MAX => (entries, JobEnd::MorePages),
                Ok(entries) => (entries, JobEnd::Complete),
                Err(error) => {
                    tracing::warn!(user_id = %user, "cannot read unpublished entries: {error}");
                    (Vec::new(), JobEnd::Failed)
                }
            }
        } else {
            (entries, JobEnd::Complete)
        };
        let mut lines = Vec::with_capacity(entries.len());
        for (entry, file) in entries {
            let line = |event| LogLine { event, file: entry.file_id, at: entry.at, ends_entry: false };
            lines.extend(events_of(&parts.source, user, &entry, file.as_ref()).into_iter().map(line));
            if let Some(last) = lines.last_mut() {
                last.ends_entry = true;
            }
        }
        Self { ran: JobOutcome { user, published, log: LogAnswer::Nothing, end }, lines }
    }

    fn records(&self) -> Vec<NewRecord> {
        self.lines.iter().map(|line| record_of(&line.event)).collect()
    }

    /// Says what the log has, and how it ended.
    fn ended(self, parts: &LaneParts, end: ChainEnd) -> JobOutcome {
        let Self { mut ran, lines } = self;
        let now = parts.clock.now();
        for (line, stored) in lines.iter().zip(&end.stored) {
            let (event, after) = (&line.event, now.since(line.at));
            let (file_id, after_ms) = (line.file.map(tracing::field::display), millis(after));
            let trace_id = event.envelope.traceparent.as_deref().and_then(|trace| trace.split('-').nth(1));
            tracing::info!(target: STORY, { user_id = %ran.user, file_id, trace_id, event.id = %event.id, event.name = %event.name, event.version = event.version, sequence = stored.sequence, after_ms }, "event published");
            parts.meters.events_published.increment(1);
            if line.ends_entry {
                ran.published = event.version;
                parts.meters.event_lag_seconds.record(after);
            }
        }
        if !end.stored.is_empty() {
            ran.log = LogAnswer::Stored;
        } else if end.failed.is_some() {
            ran.log = LogAnswer::Refused;
        }
        if end.failed.is_some() {
            ran.end = JobEnd::Failed;
        }
        ran
    }
}

/// The oldest page of entries above `published`, with their files' rows.
pub(super) async fn unpublished(
    ledger: &Ledger,
    user: UserId,
    published: u64,
) -> Result<Vec<(Entry, Option<File>)>, LedgerError> {
    let mut entries = Vec::new();
    for entry in ledger.entries_after(user, published, ENTRIES_PAGE_MAX).await? {
        let file = match entry.file_id {
            Some(file) => ledger.file(user, file).await?,
            None => None,
        };
        entries.push((entry, file));
    }
    Ok(entries)
}

/// An event as the log takes it: the same every time.
///
/// Structured mode: the attributes are in the payload. A header for some of them would be neither mode of CloudEvents,
/// and headers for all of them would repeat the envelope. The subject says the type.
pub(super) fn record_of(event: &Event) -> NewRecord {
    let payload = serde_json::to_vec(&event.envelope).expect("an envelope is plain JSON");
    let mut headers =
        vec![("Content-Type".to_owned(), "application/cloudevents+json; charset=utf-8".to_owned())];
    headers.extend(event.envelope.traceparent.clone().map(|trace| ("traceparent".to_owned(), trace)));
    NewRecord {
        subject: event.subject.clone(),
        id: event.id.to_string(),
        headers,
        payload: Bytes::from(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> NewRecord {
        NewRecord { subject: "a".to_owned(), id: "1".to_owned(), headers: Vec::new(), payload: Bytes::new() }
    }

    /// With a deadline of nothing, a run that found everything published looked like an outage of the log.
    #[test]
    fn a_log_that_is_asked_nothing_has_no_deadline() {
        assert_eq!(deadline_of(&[]), None);
        assert_eq!(deadline_of(&[Vec::new(), Vec::new()]), None);
        assert_eq!(deadline_of(&[Vec::new(), vec![record(), record()]]), Some(PUBLISH_WITHIN * 2));
    }
}
