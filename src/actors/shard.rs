//! A shard actor: the desks of its users. It never waits: reads and writes are started, and their ends
//! come back as messages.

use std::collections::HashMap;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::Instant;

use super::desk::{Desk, Durable, Loaded, Step, Tools, WriteEnd};
use super::errand;
use super::publisher::Publisher;
use super::remover::Remover;
use super::requests::MarkPublished;
use super::ticket::{Ask, Ticket};
use crate::adapters::Ledger;
use crate::domain::account::Account;
use crate::domain::decide::Rules;
use crate::domain::draft::Write;
use crate::domain::entry::EntryKind;
use crate::domain::ids::{FileId, ObjectKey, UserId};
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
/// How long one read or write may take, its resolution included. Longer than backends give themselves.
const LEDGER_WITHIN: Duration = Duration::from_secs(20);
/// Tries to learn whether an unknown write is there.
const RESOLVE_TRIES: u32 = 3;
/// Pause between them.
const RESOLVE_PAUSE: Duration = Duration::from_millis(200);

/// What a shard gets.
pub(super) enum ShardMsg {
    /// Somebody asks something of a user's account.
    Ask { user: UserId, ticket: Box<dyn Ticket> },
    /// A read ended; none: the ledger does not answer.
    Loaded { user: UserId, loaded: Option<Loaded> },
    /// A write ended.
    Written { user: UserId, end: WriteEnd },
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
}

/// One shard's behaviour.
pub(super) struct ShardActor {
    /// Which shard.
    pub(super) shard: ShardId,
}

/// One shard's memory: a cache of the ledger.
pub(super) struct ShardState {
    shard: ShardId,
    parts: ShardParts,
    desks: HashMap<UserId, Desk>,
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
        Ok(ShardState { shard: self.shard, parts, desks: HashMap::new() })
    }

    async fn handle(
        &self,
        myself: ActorRef<ShardMsg>,
        msg: ShardMsg,
        state: &mut ShardState,
    ) -> Result<(), ActorProcessingErr> {
        match msg {
            ShardMsg::Ask { user, ticket } => state.ask(&myself, user, ticket),
            ShardMsg::Loaded { user, loaded } => state.loaded(&myself, user, loaded),
            ShardMsg::Written { user, end } => state.written(&myself, user, end),
            ShardMsg::Published { user, version } => state.published(user, version),
            ShardMsg::Tick => state.tick(&myself),
        }
        Ok(())
    }
}

impl ShardState {
    fn ask(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, ticket: Box<dyn Ticket>) {
        let now = self.parts.clock.now();
        self.desks.entry(user).or_insert_with(|| Desk::new(user, now)).enqueue(ticket);
        self.go_on(myself, user);
    }

    fn loaded(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, loaded: Option<Loaded>) {
        let now = self.parts.clock.now();
        // A write that was lost or another's may have left entries that nobody here knows of.
        let account = loaded.as_ref().and_then(|loaded| loaded.account.as_ref());
        if let Some(account) = account.filter(|account| account.published < account.version) {
            self.parts.publisher.wake(user, account.published);
        }
        if let Some(desk) = self.desks.get_mut(&user) {
            desk.loaded(loaded, now);
            self.go_on(myself, user);
        }
    }

    fn written(&mut self, myself: &ActorRef<ShardMsg>, user: UserId, end: WriteEnd) {
        let now = self.parts.clock.now();
        if let Some(desk) = self.desks.get_mut(&user) {
            if let Some(durable) = desk.written(end, now) {
                self.tell(user, durable);
            }
            self.go_on(myself, user);
        }
    }

    fn published(&mut self, user: UserId, version: u64) {
        if let Some(desk) = self.desks.get_mut(&user) {
            desk.note_published(version);
        }
    }

    /// Hands on what became durable: entries to the publisher, dead objects to the remover.
    fn tell(&self, user: UserId, durable: Durable) {
        for (entry, row) in &durable.entries {
            let file = entry.file_id.map(tracing::field::display);
            let after_ms = millis(self.parts.clock.now().since(entry.at));
            tracing::info!(target: STORY, { file.id = file, entry.kind = ?entry.kind, entry.version = entry.version, shard = %self.shard, after_ms }, "entry durable");
            if let (EntryKind::Deleted | EntryKind::Failed, Some(file)) = (entry.kind, entry.file_id) {
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
        let tools =
            Tools { now: self.parts.clock.now(), rules: self.parts.rules, op: self.parts.clock.op_id() };
        let Some(desk) = self.desks.get_mut(&user) else { return };
        match desk.next(&tools) {
            Step::Rest => {}
            Step::Load { account, files } => {
                let parts = self.parts.clone();
                let lost = ShardMsg::Loaded { user, loaded: None };
                errand::send(myself, LEDGER_WITHIN, lost, async move {
                    ShardMsg::Loaded { user, loaded: load(&parts, user, account, files).await }
                });
            }
            Step::Write(write) => {
                let parts = self.parts.clone();
                let lost = ShardMsg::Written { user, end: WriteEnd::Unavailable };
                errand::send(myself, LEDGER_WITHIN, lost, async move {
                    ShardMsg::Written { user, end: write_and_resolve(&parts, *write).await }
                });
            }
        }
    }

    /// Saves `published` of desks that rest for a while, and drops those that rest for long.
    fn tick(&mut self, myself: &ActorRef<ShardMsg>) {
        let now = self.parts.clock.now();
        let mut unsaved = Vec::new();
        self.desks.retain(|user, desk| {
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
        for (user, version) in unsaved {
            self.ask(myself, user, Ask::unattended(MarkPublished { version }));
        }
    }
}

async fn load(parts: &ShardParts, user: UserId, account: bool, files: Vec<FileId>) -> Option<Loaded> {
    match read(&parts.ledger, user, account, files).await {
        Ok(loaded) => {
            parts.health.up(Part::Ledger);
            Some(loaded)
        }
        Err(error) => {
            ledger_is_away(parts, &error.to_string());
            None
        }
    }
}

async fn read(
    ledger: &Ledger,
    user: UserId,
    account: bool,
    files: Vec<FileId>,
) -> Result<Loaded, LedgerError> {
    let account =
        if account { Some(ledger.load(user).await?.unwrap_or_else(|| Account::new(user))) } else { None };
    let mut rows = Vec::with_capacity(files.len());
    for file in files {
        rows.push((file, ledger.file(user, file).await?));
    }
    Ok(Loaded { account, rows })
}

fn ledger_is_away(parts: &ShardParts, reason: &str) {
    if parts.health.down(Part::Ledger, reason, parts.clock.now()) {
        tracing::warn!("the ledger is away: {reason}");
    }
}

/// Writes, and if the outcome is unknown asks the ledger who made the proposed version.
async fn write_and_resolve(parts: &ShardParts, write: Write) -> WriteEnd {
    let started = Instant::now();
    let (user, op) = (write.account.user, write.op);
    let first = write.entries.first().map(|entry| entry.version);
    let outcome = parts.ledger.commit(write).await;
    metrics::histogram!(names::DESK_COMMIT_SECONDS).record(started.elapsed());
    let (label, end) = match outcome {
        Ok(()) => {
            parts.health.up(Part::Ledger);
            ("applied", WriteEnd::Applied)
        }
        Err(CommitError::Conflict) => ("conflict", WriteEnd::NotApplied),
        Err(CommitError::Unavailable { reason }) => {
            ledger_is_away(parts, &reason);
            ("unavailable", WriteEnd::Unavailable)
        }
        Err(CommitError::Unknown { reason }) => {
            tracing::warn!(%user, %op, "a write has an unknown outcome: {reason}");
            ("unknown", resolve(parts, user, op, first).await)
        }
    };
    metrics::counter!(names::DESK_COMMITS_TOTAL, "outcome" => label).increment(1);
    end
}

/// The entry at the first proposed version says who won it. A write without entries is simply forgotten.
async fn resolve(
    parts: &ShardParts,
    user: UserId,
    op: crate::domain::ids::OpId,
    first: Option<u64>,
) -> WriteEnd {
    let Some(version) = first else { return WriteEnd::NotApplied };
    for _ in 0..RESOLVE_TRIES {
        match parts.ledger.entry(user, version).await {
            Ok(Some(entry)) if entry.op == op => return WriteEnd::AppliedEarlier,
            Ok(_) => return WriteEnd::NotApplied,
            Err(error) => {
                ledger_is_away(parts, &error.to_string());
                tokio::time::sleep(RESOLVE_PAUSE).await;
            }
        }
    }
    WriteEnd::Unavailable
}
