//! The publisher: brings every entry above `published` into the event log, in order per user.
//!
//! What does not fit in memory waits in the user's partition and is read again from there.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::timeout;

use super::desk::Durable;
use super::directory::{Directory, LANES};
use super::errand;
use super::shard::ShardMsg;
use crate::adapters::{Ledger, Log};
use crate::domain::entry::Entry;
use crate::domain::event::{Event, EventSource, events_of};
use crate::domain::file::File;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::limits::{ENTRIES_PAGE_MAX, PUBLISHES_IN_FLIGHT_MAX};
use crate::ports::{Clock, LedgerError, LedgerPort, LogPort, NewRecord, PublishError, Stream};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, millis, names};

/// Entries of all users that one lane holds in memory.
const LANE_ENTRIES_MAX: usize = 16_384;
/// Users of one lane whose entries are on their way at the same time.
const LANE_USERS_MAX: usize = PUBLISHES_IN_FLIGHT_MAX / LANES;
/// How long what is known of a user is kept after their last entry.
const KEEP: Duration = Duration::from_secs(60);
/// How long the log may take for one event. Longer than backends give themselves.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// How long a run may take: a page of entries of two events each, and reading them.
const RUN_WITHIN: Duration = Duration::from_secs(20 * 64 + 60);
/// How often a lane forgets users.
const TICK: Duration = Duration::from_secs(10);
/// The longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The way to the lanes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Publisher(pub(super) Directory);

impl Publisher {
    /// Publishes what has become durable, after everything before it.
    pub(super) fn entries(&self, user: UserId, durable: Durable) {
        if !self.0.to_lane_of(user, LaneMsg::Entries { user, durable }) {
            tracing::debug!(%user, "no publisher: the entries wait in the ledger");
        }
    }

    /// Publishes what the ledger holds above `published`.
    pub(super) fn wake(&self, user: UserId, published: u64) {
        let durable = Durable { published, entries: Vec::new() };
        self.entries(user, durable);
    }
}

/// What a lane gets.
pub(super) enum LaneMsg {
    /// Entries became durable; none: look in the ledger.
    Entries { user: UserId, durable: Durable },
    /// A run of publishing ended; entries up to `published` are in the log.
    Ran { user: UserId, published: u64, outcome: RunEnd },
    /// A pause after a failure is over.
    Retry { user: UserId },
    /// Time to forget.
    Tick,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEnd {
    /// Everything it was given, or found, is in the log.
    Complete,
    /// It found a full page: there may be more.
    MorePages,
    /// The log or the ledger did not answer.
    Failed,
}

/// What a lane works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct LaneParts {
    pub(super) ledger: Ledger,
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) source: Arc<EventSource>,
    pub(super) directory: Directory,
}

/// One user's way out.
struct Outbox {
    /// In the log up to here.
    published: u64,
    /// Held or on its way up to here.
    known: u64,
    /// Held.
    entries: VecDeque<(Entry, Option<File>)>,
    /// The ledger holds more than was held.
    is_behind: bool,
    is_running: bool,
    /// A pause after a failure is not over.
    is_paused: bool,
    failures: u32,
    touched_at: Timestamp,
}

/// A lane's behaviour.
pub(super) struct LaneActor;

/// A lane's memory: a cache of what the ledger says is unpublished.
pub(super) struct LaneState {
    parts: LaneParts,
    users: HashMap<UserId, Outbox>,
    waiting: VecDeque<UserId>,
    held: usize,
    running: usize,
}

impl Actor for LaneActor {
    type Msg = LaneMsg;
    type State = LaneState;
    type Arguments = LaneParts;

    async fn pre_start(
        &self,
        myself: ActorRef<LaneMsg>,
        parts: LaneParts,
    ) -> Result<LaneState, ActorProcessingErr> {
        myself.send_interval(TICK, || LaneMsg::Tick);
        Ok(LaneState { parts, users: HashMap::new(), waiting: VecDeque::new(), held: 0, running: 0 })
    }

    async fn handle(
        &self,
        myself: ActorRef<LaneMsg>,
        msg: LaneMsg,
        state: &mut LaneState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            LaneMsg::Entries { user, durable } => state.take(user, durable),
            LaneMsg::Ran { user, published, outcome } => state.ran(&myself, user, published, outcome),
            LaneMsg::Retry { user } => state.retry(user),
            LaneMsg::Tick => state.forget_rested(),
        }
        state.start_waiting(&myself);
        Ok(())
    }
}

impl LaneState {
    fn take(&mut self, user: UserId, durable: Durable) {
        let now = self.parts.clock.now();
        let outbox = self.users.entry(user).or_insert_with(|| Outbox {
            published: durable.published,
            known: durable.published,
            entries: VecDeque::new(),
            is_behind: durable.entries.is_empty(),
            is_running: false,
            is_paused: false,
            failures: 0,
            touched_at: now,
        });
        outbox.touched_at = now;
        outbox.is_behind |= durable.entries.is_empty();
        for (entry, file) in durable.entries {
            let follows = entry.version == outbox.known + 1 && !outbox.is_behind;
            if follows && outbox.entries.len() < ENTRIES_PAGE_MAX && self.held < LANE_ENTRIES_MAX {
                outbox.known = entry.version;
                outbox.entries.push_back((entry, file));
                self.held += 1;
            } else if entry.version > outbox.known {
                outbox.is_behind = true;
            }
        }
        self.waiting.push_back(user);
    }

    fn ran(&mut self, myself: &ActorRef<LaneMsg>, user: UserId, published: u64, end: RunEnd) {
        self.running -= 1;
        let Some(outbox) = self.users.get_mut(&user) else { return };
        outbox.is_running = false;
        let is_news = published > outbox.published;
        outbox.published = outbox.published.max(published);
        outbox.known = outbox.known.max(published);
        match end {
            RunEnd::Complete => outbox.failures = 0,
            RunEnd::MorePages => outbox.is_behind = true,
            RunEnd::Failed => {
                outbox.is_behind = true;
                outbox.is_paused = true;
                outbox.failures += 1;
                let pause = Duration::from_millis(50 << outbox.failures.min(7)).min(PAUSE_MAX);
                myself.send_after(pause, move || LaneMsg::Retry { user });
            }
        }
        if is_news {
            self.parts.directory.to_shard_of(user, ShardMsg::Published { user, version: published });
        }
        if end != RunEnd::Failed {
            self.waiting.push_back(user);
        }
    }

    fn retry(&mut self, user: UserId) {
        if let Some(outbox) = self.users.get_mut(&user) {
            outbox.is_paused = false;
            self.waiting.push_back(user);
        }
    }

    /// Starts runs for users that wait, as many as may run.
    fn start_waiting(&mut self, myself: &ActorRef<LaneMsg>) {
        while self.running < LANE_USERS_MAX
            && let Some(user) = self.waiting.pop_front()
        {
            let Some(outbox) = self.users.get_mut(&user).filter(|outbox| outbox.has_work()) else { continue };
            let entries = std::mem::take(&mut outbox.entries);
            let from_ledger = entries.is_empty();
            if from_ledger {
                outbox.is_behind = false;
            }
            outbox.is_running = true;
            self.held -= entries.len();
            self.running += 1;
            let (parts, published) = (self.parts.clone(), outbox.published);
            let lost = LaneMsg::Ran { user, published, outcome: RunEnd::Failed };
            errand::send(myself, RUN_WITHIN, lost, async move {
                let (published, outcome) = if from_ledger {
                    run_from_ledger(&parts, user, published).await
                } else {
                    run(&parts, user, published, entries.into()).await
                };
                LaneMsg::Ran { user, published, outcome }
            });
        }
    }

    fn forget_rested(&mut self) {
        let now = self.parts.clock.now();
        self.users.retain(|_, outbox| {
            outbox.is_running
                || outbox.has_work()
                || outbox.failures > 0
                || now.since(outbox.touched_at) < KEEP
        });
    }
}

impl Outbox {
    fn has_work(&self) -> bool {
        !self.is_running && !self.is_paused && (self.is_behind || !self.entries.is_empty())
    }
}

/// Publishes entries in order; stops at the first that fails.
async fn run(
    parts: &LaneParts,
    user: UserId,
    mut published: u64,
    entries: Vec<(Entry, Option<File>)>,
) -> (u64, RunEnd) {
    for (entry, file) in entries {
        for event in events_of(&parts.source, user, &entry, file.as_ref()) {
            match publish(parts, &event).await {
                Ok(sequence) => tell(parts, &entry, &event, sequence),
                Err(error) => {
                    if parts.health.down(Part::Log, error.to_string(), parts.clock.now()) {
                        tracing::warn!("the event log is away: {error}");
                    }
                    return (published, RunEnd::Failed);
                }
            }
        }
        published = entry.version;
        metrics::histogram!(names::EVENT_LAG_SECONDS).record(parts.clock.now().since(entry.at));
    }
    parts.health.up(Part::Log);
    (published, RunEnd::Complete)
}

fn tell(parts: &LaneParts, entry: &Entry, event: &Event, sequence: u64) {
    let file = entry.file_id.map(tracing::field::display);
    let after_ms = millis(parts.clock.now().since(entry.at));
    tracing::info!(target: STORY, { file.id = file, event.name = %event.name, event.version = event.version, sequence, after_ms }, "event published");
}

async fn run_from_ledger(parts: &LaneParts, user: UserId, published: u64) -> (u64, RunEnd) {
    match unpublished(&parts.ledger, user, published).await {
        Ok(entries) => {
            let is_full = entries.len() == ENTRIES_PAGE_MAX;
            let (published, end) = run(parts, user, published, entries).await;
            (published, if is_full && end == RunEnd::Complete { RunEnd::MorePages } else { end })
        }
        Err(error) => {
            tracing::warn!(%user, "cannot read unpublished entries: {error}");
            (published, RunEnd::Failed)
        }
    }
}

/// The oldest page of entries above `published`, with their files' rows.
async fn unpublished(
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

/// Returns the event's place in the log.
async fn publish(parts: &LaneParts, event: &Event) -> Result<u64, PublishError> {
    let payload = serde_json::to_vec(&event.envelope).expect("an envelope is plain JSON");
    let headers = vec![
        ("Content-Type".to_owned(), "application/cloudevents+json; charset=utf-8".to_owned()),
        ("ce-id".to_owned(), event.id.to_string()),
        ("ce-type".to_owned(), event.envelope.event_type.clone()),
        ("ce-time".to_owned(), event.envelope.time.clone()),
    ];
    let record = NewRecord {
        subject: event.subject.clone(),
        id: event.id.to_string(),
        headers,
        payload: Bytes::from(payload),
    };
    let stored = timeout(PUBLISH_WITHIN, parts.log.publish(Stream::Events, record)).await;
    let stored = stored.unwrap_or_else(|_| {
        Err(PublishError::Unknown { reason: format!("no answer within {PUBLISH_WITHIN:?}") })
    })?;
    metrics::counter!(names::EVENTS_PUBLISHED_TOTAL).increment(1);
    Ok(stored.sequence)
}
