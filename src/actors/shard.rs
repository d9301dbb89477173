//! A shard actor: the desks of its users. It never waits: reads and writes are started, and their ends
//! come back as messages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::{Instant, timeout};

use super::desk::{Desk, Durable, Loaded, Step, Tools, WriteEnd};
use super::errand::{self, SupervisedTask};
use super::held::GaugeGuard;
use super::meters::ActorMeters;
use super::publisher::Publisher;
use super::remover::Remover;
use super::requests::MarkPublished;
use super::ticket::{QueuedCommand, TypedCommand};
use crate::adapters::Ledger;
use crate::domain::account::Account;
use crate::domain::decide::Rules;
use crate::domain::draft::Write;
use crate::domain::entry::EntryKind;
use crate::domain::file::{File, Status};
use crate::domain::ids::{FileId, ObjectKey, OpId, UserId};
use crate::domain::shard::ShardId;
use crate::ports::{Clock, CommitError, LedgerError, LedgerPort};
use crate::telemetry::health::{Health, Part};
use crate::telemetry::{STORY, millis, names};

/// How often a shard looks at desks that rest.
const TICK: Duration = Duration::from_secs(1);
/// How long a desk rests before what it knows of `published` is written alone.
const SAVE_PUBLISHED_AFTER: Duration = Duration::from_secs(5);
/// How long a desk rests before it is dropped from memory.
const DROP_AFTER: Duration = Duration::from_secs(60);
/// Places for desks that a shard keeps, however few it has.
const DESKS_KEPT_MIN: usize = 64;
/// How long one read or write may take, its resolution included. Longer than backends give themselves.
const LEDGER_WITHIN: Duration = Duration::from_secs(20);
/// How long a write may be out, its resolution included, before it counts as lost.
const WRITE_WITHIN: Duration = Duration::from_secs(2 * LEDGER_WITHIN.as_secs() + 1);
/// Tries to learn whether an unknown write is there.
const RESOLVE_TRIES: u32 = 3;
/// Pause between them.
const RESOLVE_PAUSE: Duration = Duration::from_millis(200);

/// What a shard gets.
pub(super) enum ShardMsg {
    /// A request about a user's account.
    Command { user: UserId, ticket: Box<dyn QueuedCommand> },
    /// A read ended; none: the ledger does not answer.
    Loaded { user: UserId, loaded: Option<Box<Loaded>> },
    /// The ledger said how the write of this attempt ended.
    Committed { user: UserId, op: OpId, started: Instant, outcome: Result<(), CommitError> },
    /// The write of this attempt ended.
    Written { user: UserId, op: OpId, end: WriteEnd },
    /// The event log has the user's entries up to this version.
    Published { user: UserId, version: u64 },
    /// Time to look at desks that rest.
    Tick,
}

/// What a shard works with. Cheap to clone.
#[derive(Clone)]
pub(super) struct ShardParts {
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) rules: Rules,
    pub(super) health: Health,
    pub(super) publisher: Publisher,
    pub(super) remover: Remover,
    pub(super) meters: ActorMeters,
}

/// One shard's behaviour.
pub(super) struct ShardActor {
    /// Which shard.
    pub(super) shard: ShardId,
}

/// One shard's memory: a cache of the ledger.
pub(super) struct ShardState {
    shard: ShardId,
    parts: Arc<ShardParts>,
    desks: HashMap<UserId, Desk>,
    held: GaugeGuard,
}

impl Actor for ShardActor {
    type Msg = ShardMsg;
    type State = ShardState;
    type Arguments = ShardParts;

    async fn pre_start(
        &self,
        myself: ActorRef<ShardMsg>,
        parts: ShardParts,
    ) -> Result<ShardState, ActorProcessingErr> {
        myself.send_interval(TICK, || ShardMsg::Tick);
        let (parts, desks, held) = (Arc::new(parts), HashMap::new(), GaugeGuard::default());
        Ok(ShardState { shard: self.shard, parts, desks, held })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        msg: ShardMsg,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            ShardMsg::Command { user, ticket } => state.ask(&myself, user, ticket),
            ShardMsg::Loaded { user, loaded } => state.loaded(&myself, user, loaded),
            ShardMsg::Committed { user, op, started, outcome } => {
                state.committed(&myself, (user, op), started, outcome);
            }
            ShardMsg::Written { user, op, end } => state.written(&myself, user, op, end),
            ShardMsg::Published { user, version } => state.published(user, version),
            ShardMsg::Tick => state.tick(&myself),
        }
        Ok(())
    }
}

impl ShardState {
    fn ask(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, ticket: Box<dyn QueuedCommand>) {
        let now = self.parts.clock.now();
        self.desks.entry(user).or_insert_with(|| Desk::new(user, now)).enqueue(ticket);
        self.go_on(myself, user);
    }

    fn loaded(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, loaded: Option<Box<Loaded>>) {
        // A write that was lost or another's may have left entries that nobody here knows of.
        let account = loaded.as_ref().and_then(|loaded| loaded.account.as_ref());
        if let Some(account) = account.filter(|account| account.published < account.version) {
            self.parts.publisher.wake(user, account.published);
        }
        if let Some(desk) = self.desks.get_mut(&user) {
            desk.loaded(loaded.map(|loaded| *loaded));
            self.go_on(myself, user);
        }
    }

    /// Receives the outcome of a write; if it is unknown, asks the ledger who made the proposed version.
    fn committed(
        &mut self,
        myself: &ActorRef<ShardMsg>,
        (user, op): (UserId, OpId),
        started: Instant,
        outcome: Result<(), CommitError>,
    ) {
        let parts = &self.parts;
        parts.meters.commit_seconds.record(started.elapsed());
        let (label, end) = match outcome {
            Ok(()) => {
                parts.health.up(Part::Ledger);
                parts.meters.applied.increment(1);
                return self.written(myself, user, op, WriteEnd::Applied);
            }
            Err(CommitError::Conflict) => ("conflict", Some(WriteEnd::NotApplied)),
            Err(CommitError::Unavailable { reason }) => {
                parts.health.down(Part::Ledger, &reason, parts.clock.now());
                ("unavailable", Some(WriteEnd::Unavailable))
            }
            // This user's write cannot be stored: that is no outage for the others.
            Err(CommitError::Refused { reason }) => {
                tracing::error!(user_id = %user, %op, "the ledger cannot take a write: {reason}");
                ("refused", Some(WriteEnd::Unavailable))
            }
            Err(CommitError::Unknown { reason }) => {
                tracing::warn!(user_id = %user, %op, "a write has an unknown outcome: {reason}");
                ("unknown", None)
            }
        };
        metrics::counter!(names::DESK_COMMITS_TOTAL, "outcome" => label).increment(1);
        match end {
            Some(end) => self.written(myself, user, op, end),
            None => self.resolve(myself, user, op),
        }
    }

    fn resolve(&self, myself: &ActorRef<ShardMsg>, user: UserId, op: OpId) {
        let first = self.desks.get(&user).and_then(|desk| desk.writing(op)).and_then(|write| write.first);
        let parts = Arc::clone(&self.parts);
        let lost = ShardMsg::Written { user, op, end: WriteEnd::Unavailable };
        errand::send(myself, LEDGER_WITHIN, lost, async move {
            let end = resolve(&parts, user, op, first).await;
            let by = match end {
                WriteEnd::Applied | WriteEnd::AppliedEarlier => "ours",
                WriteEnd::NotApplied => "not_ours",
                WriteEnd::InDoubt => "in_doubt",
                WriteEnd::Unavailable => "unanswered",
            };
            metrics::counter!(names::DESK_UNKNOWN_RESOLVED_TOTAL, "by" => by).increment(1);
            ShardMsg::Written { user, op, end }
        });
    }

    /// Takes the end of a write, unless it was given up before.
    fn written(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, op: OpId, end: WriteEnd) {
        if let Some(desk) = self.desks.get_mut(&user).filter(|desk| desk.writing(op).is_some()) {
            if let Some(durable) = desk.written(end) {
                self.tell(user, durable);
            }
            self.go_on(myself, user);
        }
    }

    /// The next write tells the ledger, or one alone after a rest. Nobody else would: what a sweep has published
    /// would be published again by every sweep.
    fn published(&mut self, user: UserId, version: u64) {
        let now = self.parts.clock.now();
        self.desks.entry(user).or_insert_with(|| Desk::new(user, now)).note_published(version);
    }

    /// Hands on what became durable: entries to the publisher, dead objects to the remover.
    fn tell(&self, user: UserId, durable: Durable) {
        for (entry, row) in &durable.entries {
            let file_id = entry.file_id.map(tracing::field::display);
            let trace_id = row.as_ref().and_then(File::trace_id);
            let after_ms = millis(self.parts.clock.now().since(entry.at));
            tracing::info!(target: STORY, { user_id = %user, file_id, trace_id, entry.kind = ?entry.kind, entry.version = entry.version, shard = %self.shard, after_ms }, "entry durable");
            if let (Some(Status::Deleting), Some(file)) = (entry.status, entry.file_id) {
                self.parts.remover.remove(ObjectKey { user, file });
            }
            if let (EntryKind::Cancelled | EntryKind::Expired, Some(row)) = (entry.kind, row)
                && let Some(multipart) = &row.multipart
            {
                let key = ObjectKey { user, file: row.file_id };
                self.parts.remover.give_up(key, multipart.upload_id.clone());
            }
        }
        if !durable.entries.is_empty() {
            self.parts.publisher.entries(user, durable);
        }
    }

    fn go_on(&mut self, myself: &ActorRef<ShardMsg>, user: UserId) {
        let ShardParts { clock, rules, meters, .. } = &*self.parts;
        let tools = Tools { now: clock.now(), rules: *rules, new_op: &|| clock.op_id(), meters };
        let Some(desk) = self.desks.get_mut(&user) else { return };
        match desk.next(&tools) {
            Step::Rest => {}
            Step::Load { account, files, requests, entries } => {
                let parts = Arc::clone(&self.parts);
                let lost = ShardMsg::Loaded { user, loaded: None };
                errand::send(myself, LEDGER_WITHIN, lost, async move {
                    let wanted = AccountLoad { account, files, requests, entries };
                    ShardMsg::Loaded { user, loaded: load(&parts, user, wanted).await.map(Box::new) }
                });
            }
            Step::Write(write) => self.write(myself, user, *write),
        }
    }

    fn write(&self, myself: &ActorRef<ShardMsg>, user: UserId, write: Write) {
        let (op, started) = (write.op, Instant::now());
        let lost = || ShardMsg::Written { user, op, end: WriteEnd::Unavailable };
        let end = move |outcome| ShardMsg::Committed { user, op, started, outcome };
        let errand = SupervisedTask::new(myself, lost());
        let heard = Box::new(move |outcome| errand.complete(end(outcome)));
        if let Err(heard) = self.parts.ledger.start_commit(&write, heard) {
            let parts = Arc::clone(&self.parts);
            tokio::spawn(async move {
                if let Ok(outcome) = timeout(LEDGER_WITHIN, parts.ledger.commit(write)).await {
                    heard(outcome);
                }
            });
        }
    }

    /// Saves `published` of desks that rest for a while, and drops those that rest for long.
    fn tick(&mut self, myself: &ActorRef<ShardMsg>) {
        let now = self.parts.clock.now();
        let (mut unsaved, mut overdue) = (Vec::new(), Vec::new());
        self.desks.retain(|user, desk| {
            overdue.extend(desk.overdue(WRITE_WITHIN).map(|op| (*user, op)));
            let Some(rest) = desk.rested_since().map(|since| now.since(since)) else { return true };
            if rest >= SAVE_PUBLISHED_AFTER {
                desk.forget_rows();
            }
            match desk.unsaved_published() {
                Some(version) if rest >= SAVE_PUBLISHED_AFTER => unsaved.push((*user, version)),
                Some(_) => {}
                None => return rest < DROP_AFTER,
            }
            true
        });
        self.held.tell(self.desks.len());
        if self.desks.capacity() > 4 * self.desks.len().max(DESKS_KEPT_MIN) {
            self.desks.shrink_to(2 * self.desks.len());
        }
        // What happens does not depend on the order of a hash map.
        overdue.sort_unstable();
        unsaved.sort_unstable();
        for (user, op) in overdue {
            tracing::error!(user_id = %user, %op, "a write was not heard of again");
            self.written(myself, user, op, WriteEnd::Unavailable);
        }
        for (user, version) in unsaved {
            self.ask(myself, user, TypedCommand::unattended(MarkPublished { version }));
        }
    }
}

/// What a desk wants read.
struct AccountLoad {
    account: bool,
    files: Vec<FileId>,
    requests: Vec<u64>,
    entries: Vec<u64>,
}

async fn load(parts: &ShardParts, user: UserId, wanted: AccountLoad) -> Option<Loaded> {
    let read = read(&parts.ledger, user, wanted).await;
    match &read {
        Ok(_) => parts.health.up(Part::Ledger),
        Err(error) => unread(parts, user, error),
    }
    read.ok()
}

/// Notes a read that failed: an outage for health, anything else for the log. One user's data that cannot be read is no
/// outage for the others.
fn unread(parts: &ShardParts, user: UserId, error: &LedgerError) {
    if error.is_outage() {
        parts.health.down(Part::Ledger, error, parts.clock.now());
    } else {
        tracing::error!(user_id = %user, "{error}");
    }
}

async fn read(ledger: &Ledger, user: UserId, wanted: AccountLoad) -> Result<Loaded, LedgerError> {
    let AccountLoad { account, files, requests, entries } = wanted;
    let account =
        if account { Some(ledger.load(user).await?.unwrap_or_else(|| Account::new(user))) } else { None };
    let mut rows = Vec::with_capacity(files.len());
    for file in files {
        rows.push((file, ledger.file(user, file).await?));
    }
    let mut remembered = Vec::with_capacity(requests.len());
    for key in requests {
        remembered.push((key, ledger.request(user, key).await?));
    }
    let mut makers = Vec::with_capacity(entries.len());
    for version in entries {
        makers.extend(ledger.entry(user, version).await?.map(|entry| (version, entry.op)));
    }
    Ok(Loaded { account, rows, requests: remembered, makers })
}

/// The entry at the first proposed version says who won it. A write without entries is simply forgotten.
async fn resolve(parts: &ShardParts, user: UserId, op: OpId, first: Option<u64>) -> WriteEnd {
    let Some(version) = first else { return WriteEnd::NotApplied };
    for _ in 0..RESOLVE_TRIES {
        match parts.ledger.entry(user, version).await {
            Ok(Some(entry)) if entry.op == op => return WriteEnd::AppliedEarlier,
            Ok(Some(_)) => return WriteEnd::NotApplied,
            Ok(None) => return WriteEnd::InDoubt,
            Err(error) => {
                unread(parts, user, &error);
                tokio::time::sleep(RESOLVE_PAUSE).await;
            }
        }
    }
    WriteEnd::Unavailable
}
