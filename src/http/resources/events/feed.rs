//! One user's events in the order of their versions, read from the ledger.
//!
//! The log only says when to look again. Whatever happens to its streams (one is recreated, loses its tail, or skips a
//! record), each event is therefore delivered, in order, and once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::warn;

use super::frame::{self, Gap, HEARTBEAT};
use crate::adapters::{Ledger, LogReplay};
use crate::domain::entry::Entry;
use crate::domain::event::{EventSource, events_of, filter_of};
use crate::domain::file::File;
use crate::domain::ids::UserId;
use crate::http::error::Problem;
use crate::http::services::{Services, within};
use crate::limits::{EVENT_HEARTBEAT, EVENT_PAGE_MAX, UPSTREAM_WITHIN};
use crate::ports::{
    Clock, LedgerError, LedgerPort, LogError, LogPort, Record, ReplayFrom, ReplayPort, Stream,
};
use crate::telemetry::health::{Health, Part};

/// Rows of one page that are read at the same time.
const ROW_READS_MAX: usize = 8;
/// How long reading one page with its rows may take.
const PAGE_WITHIN: Duration = Duration::from_secs(2 * UPSTREAM_WITHIN.as_secs());
/// The pause after the first failed read; each is twice as long as the one before, up to a heartbeat.
const PAUSE: Duration = Duration::from_secs(1);
/// Reads that may fail in a row before the stream ends; about one minute.
const FAILURES_MAX: u32 = 7;

/// The events of one user after some version, as frames. Holds one page of them at most.
pub(in crate::http) struct EventFeed {
    user: UserId,
    ledger: Ledger,
    source: Arc<EventSource>,
    bell: LogReplay,
    position: Position,
    ready: VecDeque<Bytes>,
    /// The ledger may have more.
    is_due: bool,
    failures: u32,
    is_log_down: bool,
    /// When the stream has been silent for as long as it may.
    heartbeat_at: Instant,
    health: Health,
    clock: Clock,
}

/// How far a stream has delivered.
#[derive(Debug)]
struct Position {
    /// Everything up to this version was delivered or is ready to be.
    after: u64,
    /// A version that the ledger had when the stream was opened.
    known: u64,
    /// What to say before the next event.
    gap: Option<Gap>,
}

impl Position {
    /// After the last id that the client has seen, or after what is known. Up to `floor` nothing is kept.
    const fn new(known: u64, floor: u64, last_id: Option<u64>) -> Self {
        match last_id {
            None => Self { after: known, known, gap: None },
            Some(id) if id > known => Self { after: floor, known, gap: Some(Gap::UnknownId) },
            Some(id) if id < floor => Self { after: floor, known, gap: Some(Gap::HistoryTrimmed) },
            Some(id) => Self { after: id, known, gap: None },
        }
    }

    /// Goes on to this version, which is above `after`; returns the gap before it.
    fn pass(&mut self, version: u64) -> Option<Gap> {
        let is_next = version <= self.after.saturating_add(1);
        self.after = version;
        self.gap.take().or_else(|| (!is_next).then_some(Gap::HistoryTrimmed))
    }

    /// The ledger has no more now; returns the gap before the next event.
    fn end(&mut self) -> Option<Gap> {
        let is_short = self.after < self.known;
        self.after = self.after.max(self.known);
        self.gap.take().or_else(|| is_short.then_some(Gap::HistoryTrimmed))
    }
}

impl EventFeed {
    /// The events after `last_id`, or those that happen from now on.
    ///
    /// # Errors
    /// The log or the ledger does not answer.
    pub(in crate::http) async fn open(
        services: &Services,
        user: UserId,
        last_id: Option<u64>,
    ) -> Result<Self, Problem> {
        // First the log: what is written after the ledger was read is announced there.
        let replay = services.log.replay(Stream::Events, filter_of(user), ReplayFrom::New);
        let bell = within(replay).await;
        let reached = bell.as_ref().map(|_| ()).map_err(|_| "the log gives no reader of EVENTS");
        services.health.record(Part::ReplayEvents, &reached, services.clock.now());
        let bell = bell?;
        let account = within(services.ledger.load(user)).await?;
        let (known, floor) = account.map_or((0, 0), |account| (account.version, account.history_floor));
        Ok(Self {
            user,
            ledger: services.ledger.clone(),
            source: Arc::clone(&services.events),
            bell,
            position: Position::new(known, floor, last_id),
            ready: VecDeque::new(),
            is_due: last_id.is_some(),
            failures: 0,
            is_log_down: false,
            heartbeat_at: Instant::now() + EVENT_HEARTBEAT,
            health: services.health.clone(),
            clock: services.clock.clone(),
        })
    }

    /// The next frame: an event, a notice or a heartbeat. None: the ledger failed too often in a row.
    pub(in crate::http) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.heartbeat_at = Instant::now() + EVENT_HEARTBEAT;
                return Some(frame);
            }
            let is_heartbeat_due = if self.is_due { self.look_or_pause().await? } else { self.wait().await };
            if is_heartbeat_due {
                self.heartbeat_at = Instant::now() + EVENT_HEARTBEAT;
                return Some(Bytes::from_static(HEARTBEAT));
            }
        }
    }

    /// Reads a page, or pauses after a failure; returns whether it paused.
    async fn look_or_pause(&mut self) -> Option<bool> {
        let page = timeout(PAGE_WITHIN, page_of(&self.ledger, self.user, self.position.after)).await;
        let page = page.unwrap_or_else(|_| {
            Err(LedgerError::Unavailable { reason: format!("no answer within {PAGE_WITHIN:?}") })
        });
        let error = match page {
            Ok(page) => {
                self.failures = 0;
                self.take(&page);
                return Some(false);
            }
            Err(error) => error,
        };
        self.failures += 1;
        if self.failures == FAILURES_MAX {
            warn!(user_id = %self.user, error = %error, "an event stream ended: the ledger failed too often");
            return None;
        }
        sleep(EVENT_HEARTBEAT.min(PAUSE * (1 << (self.failures - 1)))).await;
        Some(true)
    }

    fn take(&mut self, page: &[(Entry, Option<File>)]) {
        self.is_due = page.len() == EVENT_PAGE_MAX;
        for (entry, file) in page {
            let gap = self.position.pass(entry.version);
            self.ready.extend(gap.map(|gap| frame::of_gap(gap, entry.version)));
            let events = events_of(&self.source, self.user, entry, file.as_ref());
            self.ready.push_back(frame::of_entry(entry.version, &events));
        }
        if page.is_empty() {
            let gap = self.position.end();
            self.ready.extend(gap.map(|gap| frame::of_gap(gap, self.position.after + 1)));
        }
    }

    /// Notes and reports how the log answers.
    fn log_is(&mut self, error: Option<&LogError>) {
        self.is_log_down = error.is_some();
        let answer = error.map_or(Ok(()), Err);
        self.health.record(Part::ReplayEvents, &answer, self.clock.now());
    }

    /// Waits until something is announced, at most until a heartbeat is due; returns whether it is. What was delivered
    /// already may be announced again, and puts no heartbeat off.
    async fn wait(&mut self) -> bool {
        let left = self.heartbeat_at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.is_due = true;
            return true;
        }
        match self.bell.next(left).await {
            Ok(Some(record)) => {
                self.log_is(None);
                self.is_due = version_of(&record).is_none_or(|version| version > self.position.after);
                return false;
            }
            Ok(None) => self.log_is(None),
            Err(error) => {
                if !self.is_log_down {
                    warn!(user_id = %self.user, error = %error, "an event stream goes on without the log");
                }
                self.log_is(Some(&error));
                sleep_until(self.heartbeat_at).await;
            }
        }
        // What was not announced is found all the same.
        self.is_due = true;
        true
    }
}

/// Entries after a version, with their files' rows.
async fn page_of(
    ledger: &Ledger,
    user: UserId,
    after: u64,
) -> Result<Vec<(Entry, Option<File>)>, LedgerError> {
    let entries = ledger.entries_after(user, after, EVENT_PAGE_MAX).await?;
    let rows = stream::iter(entries).map(|entry| async move {
        let file = match entry.file_id {
            Some(file) => ledger.file(user, file).await?,
            None => None,
        };
        Ok((entry, file))
    });
    rows.buffered(ROW_READS_MAX).try_collect().await
}

#[derive(Deserialize)]
struct Envelope<'a> {
    sequence: &'a str,
}

/// The version that an event of the log is about.
fn version_of(record: &Record) -> Option<u64> {
    serde_json::from_slice::<Envelope<'_>>(&record.payload).ok()?.sequence.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIMMED: Option<Gap> = Some(Gap::HistoryTrimmed);
    const UNKNOWN: Option<Gap> = Some(Gap::UnknownId);

    /// The gaps before these versions, and the one that is found when the ledger has no more.
    fn check(known: u64, last_id: Option<u64>, versions: &[u64], expected: &[Option<Gap>]) {
        check_above(0, (known, last_id), versions, expected);
    }

    fn check_above(
        floor: u64,
        (known, last_id): (u64, Option<u64>),
        versions: &[u64],
        expected: &[Option<Gap>],
    ) {
        let mut position = Position::new(known, floor, last_id);
        assert!(position.after >= floor.min(known), "what was trimmed is not read");
        let mut gaps: Vec<_> = versions.iter().map(|version| position.pass(*version)).collect();
        gaps.push(position.end());
        assert_eq!(gaps, expected, "{last_id:?} of {known}");
        assert_eq!(position.after, versions.last().copied().unwrap_or(known).max(known));
    }

    #[test]
    fn a_stream_goes_on_after_the_last_id() {
        check(5, None, &[6, 7], &[None, None, None]);
        check(5, Some(3), &[4, 5], &[None, None, None]);
        check(5, Some(5), &[], &[None]);
        check(0, Some(0), &[1], &[None, None]);
    }

    #[test]
    fn what_is_not_kept_is_a_gap() {
        check(5, Some(1), &[4, 5], &[TRIMMED, None, None]);
        check(5, Some(1), &[], &[TRIMMED]);
        check(5, None, &[7], &[TRIMMED, None]);
        check(9, Some(3), &[4, 8, 9], &[None, TRIMMED, None, None]);
    }

    #[test]
    fn what_was_trimmed_is_a_gap_and_is_not_looked_at() {
        check_above(7, (9, Some(3)), &[8, 9], &[TRIMMED, None, None]);
        check_above(7, (9, Some(6)), &[8, 9], &[TRIMMED, None, None]);
        check_above(7, (9, Some(7)), &[8, 9], &[None, None, None]);
        check_above(7, (9, Some(99)), &[8, 9], &[UNKNOWN, None, None]);
        check_above(7, (7, Some(3)), &[8], &[TRIMMED, None]);
        check_above(7, (9, None), &[10], &[None, None]);
    }

    #[test]
    fn an_id_above_the_version_starts_with_what_is_kept() {
        check(2, Some(9), &[1, 2], &[UNKNOWN, None, None]);
        check(5, Some(9), &[4, 5], &[UNKNOWN, None, None]);
        check(0, Some(9), &[], &[UNKNOWN]);
        check(5, Some(u64::MAX), &[], &[UNKNOWN]);
    }

    #[test]
    fn the_version_of_a_record_is_its_sequence() {
        let version = |payload: &'static str| {
            version_of(&Record {
                sequence: 99,
                stored_at: crate::domain::time::Timestamp::default(),
                subject: String::new(),
                id: String::new(),
                headers: Vec::new(),
                payload: Bytes::from_static(payload.as_bytes()),
            })
        };
        assert_eq!(version("{\"id\":\"x\",\"sequence\":\"00000000000000000008\",\"data\":{}}"), Some(8));
        assert_eq!(version("{\"sequence\":8}"), None);
        assert_eq!(version("nonsense"), None);
    }
}
