//! The publisher: brings every entry above `published` into the event log, in order per user.
//!
//! What does not fit in memory waits in the user's partition and is read again from there. While the log takes
//! nothing, a lane asks it for one user at a time, with growing pauses, so that an outage of the log is no load on the
//! ledger.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::desk::Durable;
use super::directory::{ActorRegistry, LANES};
use super::errand;
use super::meters::ActorMeters;
use super::run::{self, JobEnd, JobOutcome, LogAnswer, PublishJob};
use super::shard::ShardMsg;
use crate::adapters::{Ledger, Log};
use crate::domain::backoff;
use crate::domain::entry::Entry;
use crate::domain::event::EventSource;
use crate::domain::file::File;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::limits::{ENTRIES_PAGE_MAX, PUBLISHES_IN_FLIGHT_MAX};
use crate::ports::Clock;
use crate::telemetry::health::Health;

/// Entries of all users that one lane holds in memory.
const LANE_ENTRIES_MAX: usize = 16_384;
/// Users that one lane remembers. Who comes on top is found by the sweep.
const LANE_USERS_MAX: usize = 65_536;
/// Runs of one lane at the same time. What becomes durable meanwhile makes the next one larger.
const LANE_RUNS_MAX: usize = 2;
/// Users in one run.
const RUN_USERS_MAX: usize = PUBLISHES_IN_FLIGHT_MAX / LANES / LANE_RUNS_MAX;
/// Entries in one run after which it takes no further user.
const RUN_ENTRIES_MAX: usize = 256;
/// How long what is known of a user is kept after their last entry.
const KEEP: Duration = Duration::from_secs(60);
/// How often a lane forgets users.
const TICK: Duration = Duration::from_secs(10);
/// The first and the longest pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The way to the lanes. Cheap to clone.
#[derive(Clone)]
pub(super) struct Publisher(pub(super) ActorRegistry);

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
    /// A run of publishing ended, for each of its users.
    Done(Vec<JobOutcome>),
    /// A pause after a failure is over.
    Retry { user: UserId },
    /// A pause of the whole lane is over: is the log back?
    Probe,
    /// Time to forget.
    Tick,
}

/// What a lane works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct LaneParts {
    pub(super) ledger: Ledger,
    pub(super) log: Log,
    pub(super) clock: Clock,
    pub(super) health: Health,
    pub(super) source: Arc<EventSource>,
    pub(super) directory: ActorRegistry,
    pub(super) meters: ActorMeters,
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
    /// It is queued for publishing.
    is_waiting: bool,
    /// A pause after a failure is not over.
    is_paused: bool,
    failures: u32,
    touched_at: Timestamp,
}

/// A lane's behaviour.
pub(super) struct LaneActor;

/// A lane's memory: a cache of what the ledger says is unpublished.
pub(super) struct LaneState {
    parts: Arc<LaneParts>,
    users: HashMap<UserId, Outbox>,
    waiting: VecDeque<UserId>,
    held: usize,
    running: usize,
    /// Runs of which the log took nothing, since it last took something.
    refusals: u32,
    /// A pause after the last of them is not over.
    is_pausing: bool,
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
        Ok(LaneState {
            parts: Arc::new(parts),
            users: HashMap::new(),
            waiting: VecDeque::new(),
            held: 0,
            running: 0,
            refusals: 0,
            is_pausing: false,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<LaneMsg>,
        msg: LaneMsg,
        state: &mut LaneState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            LaneMsg::Entries { user, durable } => state.take(user, durable),
            LaneMsg::Done(run) => {
                state.running -= 1;
                state.heard(&myself, &run);
                run.into_iter().for_each(|ran| state.ran(&myself, ran));
            }
            LaneMsg::Retry { user } => state.retry(user),
            LaneMsg::Probe => state.is_pausing = false,
            LaneMsg::Tick => state.forget_rested(),
        }
        state.start_waiting(&myself);
        Ok(())
    }
}

impl LaneState {
    fn take(&mut self, user: UserId, durable: Durable) {
        if !self.has_room_for(user) {
            return;
        }
        let now = self.parts.clock.now();
        let outbox = self.users.entry(user).or_insert_with(|| Outbox {
            published: durable.published,
            known: durable.published,
            entries: VecDeque::new(),
            is_behind: durable.entries.is_empty(),
            is_running: false,
            is_waiting: false,
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
        self.wait(user);
    }

    /// Whether a user is remembered, or may be. The published version of idle users can be read again.
    fn has_room_for(&mut self, user: UserId) -> bool {
        if self.users.len() >= LANE_USERS_MAX && !self.users.contains_key(&user) && self.refusals == 0 {
            self.users.retain(|_, outbox| !outbox.is_resting());
        }
        self.users.len() < LANE_USERS_MAX || self.users.contains_key(&user)
    }

    /// Puts a user at the end of the line, unless they stand in it.
    fn wait(&mut self, user: UserId) {
        if let Some(outbox) = self.users.get_mut(&user).filter(|outbox| !outbox.is_waiting) {
            outbox.is_waiting = true;
            self.waiting.push_back(user);
        }
    }

    /// What a run says of the log. That it took nothing of one user may be about that user; one that it takes something
    /// of ends the pauses.
    fn heard(&mut self, myself: &ActorRef<LaneMsg>, run: &[JobOutcome]) {
        if run.iter().any(|ran| ran.log == LogAnswer::Stored) {
            self.refusals = 0;
            self.is_pausing = false;
        } else if run.iter().any(|ran| ran.log == LogAnswer::Refused) && !self.is_pausing {
            self.refusals += 1;
            self.is_pausing = true;
            myself.send_after(pause_after(&self.parts.clock, self.refusals), || LaneMsg::Probe);
        }
    }

    fn ran(&mut self, myself: &ActorRef<LaneMsg>, ran: JobOutcome) {
        let JobOutcome { user, published, end, .. } = ran;
        let Some(outbox) = self.users.get_mut(&user) else { return };
        outbox.is_running = false;
        let is_news = published > outbox.published;
        outbox.published = outbox.published.max(published);
        outbox.known = outbox.known.max(published);
        match end {
            JobEnd::Complete => outbox.failures = 0,
            JobEnd::MorePages => self.held -= outbox.fall_behind(),
            JobEnd::Failed => {
                self.held -= outbox.fall_behind();
                outbox.is_paused = true;
                outbox.failures += 1;
                let pause = pause_after(&self.parts.clock, outbox.failures);
                myself.send_after(pause, move || LaneMsg::Retry { user });
            }
        }
        if is_news {
            self.parts.directory.to_shard_of(user, ShardMsg::Published { user, version: published });
        }
        if end != JobEnd::Failed {
            self.wait(user);
        }
    }

    fn retry(&mut self, user: UserId) {
        if let Some(outbox) = self.users.get_mut(&user) {
            outbox.is_paused = false;
        }
        self.wait(user);
    }

    /// Starts runs for users that wait, as many as may run: one, of one user, to see whether the log is back.
    fn start_waiting(&mut self, myself: &ActorRef<LaneMsg>) {
        let (runs_max, users_max) = if self.refusals == 0 { (LANE_RUNS_MAX, RUN_USERS_MAX) } else { (1, 1) };
        while !self.is_pausing && self.running < runs_max {
            let run = self.next_run(users_max);
            if run.is_empty() {
                return;
            }
            self.running += 1;
            let parts = Arc::clone(&self.parts);
            let lost = LaneMsg::Done(run.iter().map(PublishJob::lost).collect());
            errand::send(myself, run::WITHIN, lost, async move {
                LaneMsg::Done(run::carry_out(&parts, run).await)
            });
        }
    }

    /// The users that wait longest, with what is held for them.
    fn next_run(&mut self, users_max: usize) -> Vec<PublishJob> {
        let (mut run, mut size) = (Vec::new(), 0);
        while run.len() < users_max
            && size < RUN_ENTRIES_MAX
            && let Some(user) = self.waiting.pop_front()
        {
            let Some(outbox) = self.users.get_mut(&user) else { continue };
            outbox.is_waiting = false;
            if !outbox.has_work() {
                continue;
            }
            let entries = Vec::from(std::mem::take(&mut outbox.entries));
            if entries.is_empty() {
                outbox.is_behind = false;
                size += ENTRIES_PAGE_MAX;
            }
            outbox.is_running = true;
            self.held -= entries.len();
            size += entries.len();
            run.push(PublishJob { user, published: outbox.published, entries });
        }
        run
    }

    fn forget_rested(&mut self) {
        let now = self.parts.clock.now();
        self.users.retain(|_, outbox| !outbox.is_resting() || now.since(outbox.touched_at) < KEEP);
    }
}

impl Outbox {
    /// An entry before those held was not published: all are read from the ledger, in order. Returns how many
    /// entries were held.
    fn fall_behind(&mut self) -> usize {
        self.is_behind = true;
        std::mem::take(&mut self.entries).len()
    }

    fn has_work(&self) -> bool {
        !self.is_running && !self.is_paused && (self.is_behind || !self.entries.is_empty())
    }

    fn is_resting(&self) -> bool {
        !self.is_running && !self.has_work() && self.failures == 0
    }
}

fn pause_after(clock: &Clock, failures: u32) -> Duration {
    backoff::pause(PAUSE_MIN, PAUSE_MAX, failures, clock.chance())
}
