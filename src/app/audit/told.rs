//! The judge of a user's events: every entry has its events, in the order of versions, and nothing else has.

use serde::Deserialize;

use super::finding::{Finding, Kind};
use crate::domain::entry::Entry;
use crate::domain::event::{EventSource, events_of};
use crate::domain::ids::{EventId, UserId};

/// The events of a user.
#[derive(Debug)]
pub(super) struct Told {
    user: UserId,
    /// By version, rising.
    expected: Vec<Expected>,
    missing: usize,
    highest: u64,
    count: u64,
    repeated: u64,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Expected {
    version: u64,
    id: EventId,
    /// It must be there by now.
    is_due: bool,
    is_seen: bool,
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
pub(super) struct Heard {
    id: EventId,
    sequence: String,
}

impl Told {
    pub(super) const fn new(user: UserId) -> Self {
        Self {
            user,
            expected: Vec::new(),
            missing: 0,
            highest: 0,
            count: 0,
            repeated: 0,
            findings: Vec::new(),
        }
    }

    /// The events of this entry must be there if `is_due`, and may be otherwise.
    pub(super) fn expect(&mut self, entry: &Entry, is_due: bool) {
        let nowhere = EventSource { deployment: String::new(), bucket: String::new(), redact_names: true };
        for event in events_of(&nowhere, self.user, entry, None) {
            self.missing += usize::from(is_due);
            self.expected.push(Expected { version: entry.version, id: event.id, is_due, is_seen: false });
        }
    }

    /// Whether events that must be there were not seen yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.missing > 0
    }

    /// Events read, and how many of them were repeats.
    pub(super) const fn counts(&self) -> (u64, u64) {
        (self.count, self.repeated)
    }

    /// The next event of the log; `place` is its place there.
    pub(super) fn add(&mut self, place: u64, payload: &[u8]) {
        self.count += 1;
        let heard = serde_json::from_slice::<Heard>(payload).ok();
        let Some((id, version)) = heard.and_then(|heard| Some((heard.id, heard.sequence.parse().ok()?)))
        else {
            let text = format!("record {place} of EVENTS is no event");
            self.findings.push(Finding::new(Kind::Unreadable, self.user, text));
            return;
        };
        let is_older = self.expected.first().is_none_or(|first| version < first.version);
        let start = self.expected.partition_point(|expected| expected.version < version);
        let of_version = self.expected[start..].iter_mut().take_while(|expected| expected.version == version);
        match of_version.into_iter().find(|expected| expected.id == id) {
            Some(expected) if expected.is_seen => self.repeated += 1,
            Some(expected) => {
                expected.is_seen = true;
                self.missing -= usize::from(expected.is_due);
                if version < self.highest {
                    let text =
                        format!("record {place} of EVENTS comes after one of version {}", self.highest);
                    self.findings.push(Finding::new(Kind::EventOrder, self.user, text).at(version));
                }
                self.highest = self.highest.max(version);
            }
            // Older than what is judged.
            None if is_older => {}
            None => {
                let text = format!("record {place} of EVENTS is {id}, which no entry tells");
                self.findings.push(Finding::new(Kind::EventUnknown, self.user, text).at(version));
            }
        }
    }

    /// All was read.
    pub(super) fn end(mut self) -> Vec<Finding> {
        for expected in self.expected.iter().filter(|expected| expected.is_due && !expected.is_seen) {
            let text = format!("event {} is not in EVENTS", expected.id);
            self.findings.push(Finding::new(Kind::EventMissing, self.user, text).at(expected.version));
        }
        self.findings
    }
}
