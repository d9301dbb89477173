//! The judge of a user's events: every entry has its events, in the order of versions, and nothing else has.
//!
//! What a broker lost can be published again, and then stands behind events of later versions for as long as the log
//! keeps them. That is a repair, not a disorder, if a hole was filled completely, in rising order, and longer after it was
//! jumped than a publisher takes to come back to an event by itself: a publisher that tells one out of turn makes the
//! same picture, but at once, or with the next sweep.

use std::time::Duration;

use serde::Deserialize;

use super::finding::{Finding, FindingKind};
use crate::domain::entry::Entry;
use crate::domain::event::{EventSource, events_of};
use crate::domain::ids::{EventId, UserId};
use crate::domain::time::Timestamp;
use crate::limits::SWEEP_EVERY;
use crate::ports::Record;

/// The events of a user.
#[derive(Debug)]
pub(super) struct EventCheck {
    user: UserId,
    /// By version, rising.
    expected: Vec<Expected>,
    missing: usize,
    highest: u64,
    count: u64,
    repeated: u64,
    repaired: u64,
    findings: Vec<Finding>,
}

/// How much later than the event that jumped it a hole is filled by an operator at the earliest: a publisher comes back to
/// it with the next sweep.
const REPAIR_AFTER: Duration = Duration::from_secs(20 * 60);
const _: () = assert!(REPAIR_AFTER.as_secs() > SWEEP_EVERY.as_secs());

#[derive(Debug)]
struct Expected {
    version: u64,
    id: EventId,
    /// It must be there by now.
    is_due: bool,
    seen: Option<FirstSeen>,
}

/// Where an event was seen for the first time.
#[derive(Clone, Copy, Debug)]
struct FirstSeen {
    place: u64,
    stored_at: Timestamp,
    /// The later version that it came after.
    behind: Option<u64>,
}

impl Expected {
    /// It was not there when the one above it came.
    fn is_jumped(&self) -> bool {
        self.seen.is_none_or(|seen| seen.behind.is_some())
    }
}

/// Events that were read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventCounts {
    pub(super) count: u64,
    /// They were there before.
    pub(super) repeated: u64,
    /// They were lost, and published again.
    pub(super) repaired: u64,
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
pub(super) struct EventHead {
    id: EventId,
    sequence: String,
}

impl EventCheck {
    pub(super) const fn new(user: UserId) -> Self {
        Self {
            user,
            expected: Vec::new(),
            missing: 0,
            highest: 0,
            count: 0,
            repeated: 0,
            repaired: 0,
            findings: Vec::new(),
        }
    }

    /// The events of this entry must be there if `is_due`, and may be otherwise.
    pub(super) fn expect(&mut self, entry: &Entry, is_due: bool) {
        let nowhere = EventSource { deployment: String::new(), bucket: String::new(), redact_names: true };
        for event in events_of(&nowhere, self.user, entry, None) {
            self.missing += usize::from(is_due);
            self.expected.push(Expected { version: entry.version, id: event.id, is_due, seen: None });
        }
    }

    /// Whether events that must be there were not seen yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.missing > 0
    }

    /// The next event of the log.
    pub(super) fn add(&mut self, record: &Record) {
        self.count += 1;
        let place = record.sequence;
        let heard = serde_json::from_slice::<EventHead>(&record.payload).ok();
        let Some((id, version)) = heard.and_then(|heard| Some((heard.id, heard.sequence.parse().ok()?)))
        else {
            let text = format!("record {place} of EVENTS is no event");
            self.findings.push(Finding::new(FindingKind::Unreadable, self.user, text));
            return;
        };
        let is_older = self.expected.first().is_none_or(|first| version < first.version);
        let start = self.expected.partition_point(|expected| expected.version < version);
        let of_version = self.expected[start..].iter_mut().take_while(|expected| expected.version == version);
        match of_version.into_iter().find(|expected| expected.id == id) {
            Some(expected) if expected.seen.is_some() => self.repeated += 1,
            Some(expected) => {
                let behind = Some(self.highest).filter(|highest| version < *highest);
                expected.seen = Some(FirstSeen { place, stored_at: record.stored_at, behind });
                self.missing -= usize::from(expected.is_due);
                self.highest = self.highest.max(version);
            }
            // Older than what is judged.
            None if is_older => {}
            None => {
                let text = format!("record {place} of EVENTS is {id}, which belongs to no entry");
                self.findings.push(Finding::new(FindingKind::EventUnknown, self.user, text).at(version));
            }
        }
    }

    /// All was read.
    pub(super) fn end(mut self) -> (EventCounts, Vec<Finding>) {
        self.judge_order();
        for expected in self.expected.iter().filter(|expected| expected.is_due && expected.seen.is_none()) {
            let text = format!("event {} is not in EVENTS", expected.id);
            self.findings.push(Finding::new(FindingKind::EventMissing, self.user, text).at(expected.version));
        }
        let Self { count, repeated, repaired, .. } = self;
        (EventCounts { count, repeated, repaired }, self.findings)
    }

    /// Each run of events that were not there when the one above them came is a repair, or in disorder.
    fn judge_order(&mut self) {
        let mut above = 0;
        for run in self.expected.chunk_by(|one, next| one.is_jumped() == next.is_jumped()) {
            above += run.len();
            let late = run.iter().filter_map(|expected| Some((expected.version, expected.seen?)));
            let late = late.filter_map(|(version, seen)| Some((version, seen, seen.behind?)));
            let jumper = self.expected.get(above).and_then(|above| above.seen);
            if jumper.is_some_and(|jumper| is_repair(run, jumper)) {
                self.repaired += u64::try_from(late.count()).unwrap_or(u64::MAX);
                continue;
            }
            for (version, FirstSeen { place, .. }, behind) in late {
                let text = format!("record {place} of EVENTS comes after one of version {behind}");
                self.findings.push(Finding::new(FindingKind::EventOrder, self.user, text).at(version));
            }
        }
    }
}

/// Whether all of these are there, in order, and later than a publisher would have published them by itself.
fn is_repair(run: &[Expected], jumper: FirstSeen) -> bool {
    let late = |expected: &Expected| {
        expected.seen.is_some_and(|seen| seen.stored_at.since(jumper.stored_at) > REPAIR_AFTER)
    };
    run.iter().all(late) && run.is_sorted_by_key(|expected| expected.seen.map(|seen| seen.place))
}
