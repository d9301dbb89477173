//! A desk: the state machine of one user's account inside a shard. No I/O, no waiting.
//!
//! While one read or write of the user is in flight, further tickets queue here and leave together as the
//! next write (group commit). After a conflict or an unknown outcome the desk forgets what it knew.

mod steps;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::moment::DualClockInstant;
use super::ticket::{Context, Failure, Needs, QueuedCommand};
use crate::domain::account::Account;
use crate::domain::draft::{Draft, Requests, Rows, Unchanged};
use crate::domain::entry::Entry;
use crate::domain::file::Status;
use crate::domain::ids::{FileId, OpId, UserId};
use crate::domain::invariant;
use crate::domain::time::Timestamp;
use crate::limits::{COMMIT_ROUNDS_MAX, COMMIT_TRANSITIONS_MAX, DESK_QUEUE_MAX};
use crate::telemetry::names;

pub(super) use steps::{Durable, Loaded, Step, Tools, WriteEnd, Writing};

/// How long an account counts as confirmed by the ledger, from when it was asked (invariant 13).
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Rows of pending files kept beside the account, so that settling them needs no read.
const ROWS_KEPT_MAX: usize = 32;

/// What is in flight for this user.
enum Phase {
    Idle,
    Loading,
    Writing(Box<WriteInFlight>),
}

struct WriteInFlight {
    op: OpId,
    since: Instant,
    /// As it is after the write.
    account: Account,
    entries: Vec<Entry>,
    rows: Rows,
    decided: Vec<Box<dyn QueuedCommand>>,
}

/// One user's desk.
pub(super) struct Desk {
    user: UserId,
    phase: Phase,
    queue: VecDeque<Box<dyn QueuedCommand>>,
    account: Option<Account>,
    confirmed_at: DualClockInstant,
    rows: Rows,
    absent: BTreeSet<FileId>,
    requests: Requests,
    /// Entries up to here are in the event log.
    published: u64,
    /// As the ledger was last seen to know it.
    saved: u64,
    /// When the last step was taken: what is in flight was sent then.
    rested_since: DualClockInstant,
}

impl Desk {
    /// A desk that knows nothing yet.
    pub(super) fn new(user: UserId, now: Timestamp) -> Self {
        let now = DualClockInstant::at(now);
        Self {
            user,
            phase: Phase::Idle,
            queue: VecDeque::new(),
            account: None,
            confirmed_at: now,
            rows: Rows::new(),
            absent: BTreeSet::new(),
            requests: Requests::new(),
            published: 0,
            saved: 0,
            rested_since: now,
        }
    }

    /// Takes a ticket, or fails it if too many wait.
    pub(super) fn enqueue(&mut self, ticket: Box<dyn QueuedCommand>) {
        if self.queue.len() < DESK_QUEUE_MAX {
            self.queue.push_back(ticket);
        } else {
            ticket.fail(Failure::Overloaded);
        }
    }

    /// Whether nothing is in flight.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Since when nothing has happened; none while something does.
    pub(super) fn rested_since(&self) -> Option<Timestamp> {
        (self.is_idle() && self.queue.is_empty()).then_some(self.rested_since.wall)
    }

    /// The write of this attempt, if it is in flight.
    pub(super) fn writing(&self, op: OpId) -> Option<Writing> {
        match &self.phase {
            Phase::Writing(write) if write.op == op => {
                Some(Writing { first: write.entries.first().map(|entry| entry.version) })
            }
            Phase::Idle | Phase::Loading | Phase::Writing(_) => None,
        }
    }

    /// The attempt that has been in flight for longer than `within`.
    pub(super) fn overdue(&self, within: Duration) -> Option<OpId> {
        match &self.phase {
            Phase::Writing(write) if write.since.elapsed() > within => Some(write.op),
            Phase::Idle | Phase::Loading | Phase::Writing(_) => None,
        }
    }

    /// Notes that entries up to `version` are in the event log; the next write tells the ledger.
    pub(super) fn note_published(&mut self, version: u64) {
        self.published = self.published.max(version);
    }

    /// Forgets file rows; the account stays.
    pub(super) fn forget_rows(&mut self) {
        self.rows = Rows::new();
    }

    /// The version that the ledger should know as published and does not.
    pub(super) fn unsaved_published(&self) -> Option<u64> {
        (self.saved < self.published).then_some(self.published)
    }

    /// Goes on, if nothing is in flight.
    pub(super) fn next(&mut self, tools: &Tools<'_>) -> Step {
        if !self.is_idle() {
            return Step::Rest;
        }
        self.rested_since = DualClockInstant::at(tools.now);
        self.queue.retain(|ticket| !ticket.is_abandoned(tools.now));
        if self.queue.is_empty() {
            return Step::Rest;
        }
        let files = self.unknown_rows();
        match self.account.take() {
            Some(account) if files.is_empty() && self.unknown_requests().is_empty() => {
                self.decide(account, tools)
            }
            account => {
                self.account = account;
                self.load(self.account.is_none(), files)
            }
        }
    }

    fn load(&mut self, account: bool, files: Vec<FileId>) -> Step {
        self.phase = Phase::Loading;
        let requests = self.unknown_requests();
        if account {
            self.queue.iter_mut().for_each(|ticket| ticket.account_is_asked_for());
        }
        let entries = if account { self.in_doubt() } else { Vec::new() };
        Step::Load { account, files, requests, entries }
    }

    /// Versions whose makers decide whether a ticket that waits was carried out after all.
    fn in_doubt(&self) -> Vec<u64> {
        let mut versions: Vec<u64> =
            self.queue.iter().flat_map(|ticket| ticket.indeterminate_attempts()).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// Answers tickets of which an earlier attempt has landed.
    fn judge(&mut self, makers: &[(u64, OpId)]) {
        let waiting = std::mem::take(&mut self.queue);
        for mut ticket in waiting {
            if ticket.judge(makers) {
                ticket.answer();
            } else {
                self.queue.push_back(ticket);
            }
        }
    }

    /// Rows that the next tickets need and that were not asked for yet.
    fn unknown_rows(&self) -> Vec<FileId> {
        let mut files: Vec<FileId> =
            self.queue.iter().take(COMMIT_TRANSITIONS_MAX).flat_map(|ticket| ticket.files()).collect();
        files.sort_unstable();
        files.dedup();
        files.retain(|file| !self.rows.contains_key(file) && !self.absent.contains(file));
        files
    }

    /// Remembered requests that the next tickets need and that were not asked for yet.
    fn unknown_requests(&self) -> Vec<u64> {
        let tickets = self.queue.iter().take(COMMIT_TRANSITIONS_MAX);
        let mut keys: Vec<u64> = tickets.filter_map(|ticket| ticket.request()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.retain(|key| !self.requests.contains_key(key));
        keys
    }

    /// Decides as many tickets as fit in one write.
    fn decide(&mut self, account: Account, tools: &Tools<'_>) -> Step {
        let is_fresh = self.confirmed_at.is_within(FRESH_FOR, tools.now);
        let (rows, requests) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.requests));
        let mut draft = Draft::new(account, rows, (tools.new_op)(), tools.rules.quota_bytes_default)
            .with_requests(requests);
        let mut decided = Vec::new();
        let mut needs = Needs::Nothing;
        while let Some(mut ticket) = self.queue.pop_front() {
            let absent = &self.absent;
            let is_ready =
                ticket.files().iter().all(|file| draft.row(*file).is_some() || absent.contains(file))
                    && ticket.request().is_none_or(|key| draft.knows_request(key));
            if draft.room() < ticket.weight() || !is_ready {
                self.queue.push_front(ticket);
                break;
            }
            let context = Context { now: tools.now, rules: tools.rules, is_fresh, absent };
            needs = ticket.decide(&mut draft, &context);
            if matches!(needs, Needs::Nothing) {
                decided.push(ticket);
            } else {
                self.queue.push_front(ticket);
                break;
            }
        }
        if draft.is_empty() {
            let Unchanged { account, rows, requests } = draft.into_unchanged();
            (self.account, self.rows, self.requests) = (Some(account), rows, requests);
            return self.nothing_to_write(decided, needs, tools);
        }
        draft.mark_published(self.published);
        tools.meters.ops_per_commit.record(f64::from(u32::try_from(decided.len()).unwrap_or(0)));
        self.write(draft, decided, tools)
    }

    /// Answers what needed no write, and fetches what the next ticket lacks.
    fn nothing_to_write(
        &mut self,
        decided: Vec<Box<dyn QueuedCommand>>,
        needs: Needs,
        tools: &Tools<'_>,
    ) -> Step {
        decided.into_iter().for_each(QueuedCommand::answer);
        match needs {
            Needs::Fresh => {
                self.forget();
                let files = self.unknown_rows();
                self.load(true, files)
            }
            Needs::Rows(files) => self.load(false, files),
            Needs::Nothing => {
                self.keep_pending_rows();
                self.next(tools)
            }
        }
    }

    fn write(&mut self, draft: Draft, decided: Vec<Box<dyn QueuedCommand>>, tools: &Tools) -> Step {
        let broken_row = draft.broken().cloned();
        let (write, rows) = draft.into_write();
        if let Err(broken) = broken_row.map_or_else(|| invariant::check_write(&write), Err) {
            self.forget();
            // Another node may have written between the account in memory and the rows read for it. What is wrong
            // in the ledger, or here, is wrong every time.
            if self.retry(decided, None) > 0 {
                metrics::counter!(names::DESK_INVARIANTS_BROKEN_TOTAL).increment(1);
                tracing::error!(user_id = %self.user, "refused a write that would break an invariant: {broken}");
            }
            return self.next(tools);
        }
        let (account, entries) = (write.account.clone(), write.entries.clone());
        let (op, since) = (write.op, Instant::now());
        self.phase = Phase::Writing(Box::new(WriteInFlight { op, since, account, entries, rows, decided }));
        Step::Write(Box::new(write))
    }

    /// Takes what a read brought.
    pub(super) fn loaded(&mut self, loaded: Option<Loaded>) {
        self.phase = Phase::Idle;
        let Some(loaded) = loaded else {
            self.forget();
            self.fail_all();
            return;
        };
        if !loaded.makers.is_empty() {
            self.judge(&loaded.makers);
        }
        if let Some(account) = loaded.account {
            self.saved = account.published;
            self.published = self.published.max(self.saved);
            self.account = Some(account);
            self.confirmed_at = self.rested_since;
        }
        for (id, row) in loaded.rows {
            match row {
                Some(row) => {
                    self.rows.insert(id, Box::new(row));
                }
                None => {
                    self.absent.insert(id);
                }
            }
        }
        self.requests.extend(loaded.requests);
    }

    /// Takes the end of a write. Returns what became durable.
    pub(super) fn written(&mut self, end: WriteEnd) -> Option<Durable> {
        let Phase::Writing(in_flight) = std::mem::replace(&mut self.phase, Phase::Idle) else {
            return None;
        };
        let WriteInFlight { op, account, entries, rows, decided, .. } = *in_flight;
        match end {
            WriteEnd::Applied | WriteEnd::AppliedEarlier => {
                let durable = durable(account.published, entries, &rows);
                self.keep(account, rows);
                if end == WriteEnd::AppliedEarlier {
                    self.forget();
                }
                decided.into_iter().for_each(QueuedCommand::answer);
                Some(durable)
            }
            WriteEnd::NotApplied => {
                self.forget();
                self.retry(decided, None);
                None
            }
            WriteEnd::InDoubt => {
                self.forget();
                self.retry(decided, entries.first().map(|entry| (entry.version, op)));
                None
            }
            WriteEnd::Unavailable => {
                self.forget();
                decided.into_iter().for_each(|ticket| ticket.fail(Failure::Unavailable));
                None
            }
        }
    }

    fn keep(&mut self, account: Account, rows: Rows) {
        self.rows = rows;
        self.keep_pending_rows();
        self.saved = account.published;
        self.account = Some(account);
        self.confirmed_at = self.rested_since;
    }

    /// Forgets rows that others may have changed without a trace here, and what was not found.
    fn keep_pending_rows(&mut self) {
        self.absent.clear();
        self.requests.clear();
        self.rows.retain(|_, row| row.status == Status::Pending);
        while self.rows.len() > ROWS_KEPT_MAX {
            self.rows.pop_first();
        }
    }

    /// Puts tickets back in front, in order; those that lost too often fail. `doubt` is the attempt that may land yet.
    /// Returns how many failed.
    fn retry(&mut self, decided: Vec<Box<dyn QueuedCommand>>, doubt: Option<(u64, OpId)>) -> usize {
        let mut failed = 0;
        for mut ticket in decided.into_iter().rev() {
            if ticket.another_round(doubt) < COMMIT_ROUNDS_MAX {
                self.queue.push_front(ticket);
            } else {
                ticket.fail(Failure::Unavailable);
                failed += 1;
            }
        }
        failed
    }

    /// Drops everything that was read. What the user wrote since is in the ledger.
    fn forget(&mut self) {
        self.account = None;
        self.rows.clear();
        self.absent.clear();
        self.requests.clear();
    }

    fn fail_all(&mut self) {
        self.queue.drain(..).for_each(|ticket| ticket.fail(Failure::Unavailable));
    }
}

fn durable(published: u64, entries: Vec<Entry>, rows: &Rows) -> Durable {
    let with_row = |entry: Entry| {
        let row = entry.file_id.and_then(|file| rows.get(&file)).map(|row| (**row).clone());
        (entry, row)
    };
    Durable { published, entries: entries.into_iter().map(with_row).collect() }
}

#[cfg(test)]
mod tests;
