//! One user: read in pages, judged on the way.

use std::time::Duration;

use super::chain::Chain;
use super::events::{EventCheck, EventCounts};
use super::finding::{Finding, FindingKind};
use super::reader::{AuditReadError, Deployment, ReadPace};
use super::rows::{Due, RowCheck};
use crate::domain::account::Account;
use crate::domain::event::filter_of;
use crate::domain::ids::{ObjectKey, UserId};
use crate::domain::time::Timestamp;
use crate::ports::{FilePage, LedgerPort, LogError, LogPort, ObjectsPort, ReplayFrom, ReplayPort, Stream};

/// File rows, and entries, of one read.
const PAGE: usize = 500;

/// How a user is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookOptions {
    pub(super) due: Due,
    /// Events of entries before this may have been dropped.
    pub(super) events_since: Timestamp,
    /// How long the log may be silent before it is believed to have no more.
    pub(super) quiet: Duration,
}

/// What was read, for the summary.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) files: u64,
    pub(super) objects: u64,
    pub(super) entries: u64,
    pub(super) events: EventCounts,
}

/// A user as one look saw it.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) findings: Vec<Finding>,
    pub(super) counts: Counts,
    /// The account changed during the look: what was found may be half of a change.
    pub(super) has_moved: bool,
}

/// The parts of a look.
struct UserReader<'a> {
    world: &'a Deployment,
    pace: &'a mut ReadPace,
    user: UserId,
    view: LookOptions,
    findings: Vec<Finding>,
    counts: Counts,
}

/// Looks at a user; none: there is no such account.
pub(super) async fn look(
    world: &Deployment,
    pace: &mut ReadPace,
    user: UserId,
    view: LookOptions,
) -> Result<Option<Picture>, AuditReadError> {
    let mut look = UserReader { world, pace, user, view, findings: Vec::new(), counts: Counts::default() };
    let Some(account) = look.account().await? else { return Ok(None) };
    let mut rows = look.rows().await?;
    look.findings.extend(rows.judge(&account, view.due));
    look.objects(&mut rows).await?;
    let (chain, events) = look.entries(&account).await?;
    look.findings.extend(chain.end(&account, &rows));
    look.events(events).await?;
    let after = look.account().await?;
    let has_moved = after.is_none_or(|after| (after.version, after.op) != (account.version, account.op));
    Ok(Some(Picture { findings: look.findings, counts: look.counts, has_moved }))
}

impl UserReader<'_> {
    async fn account(&mut self) -> Result<Option<Account>, AuditReadError> {
        let (ledger, user) = (&self.world.ledger, self.user);
        self.pace.read("the ledger", || ledger.load(user)).await
    }

    async fn rows(&mut self) -> Result<RowCheck, AuditReadError> {
        let (ledger, user) = (&self.world.ledger, self.user);
        let (mut rows, mut before) = (RowCheck::new(user), None);
        loop {
            let page = FilePage { before, limit: PAGE };
            let files = self.pace.read("the ledger", || ledger.files(user, page)).await?;
            before = files.last().map(|file| file.file_id);
            let is_last = files.len() < PAGE;
            for file in files {
                rows.add(file);
            }
            if is_last {
                self.counts.files = u64::try_from(rows.count()).unwrap_or(u64::MAX);
                return Ok(rows);
            }
        }
    }

    /// The bucket under the user's prefix; what a list does not show is asked for once more.
    async fn objects(&mut self, rows: &mut RowCheck) -> Result<(), AuditReadError> {
        let (objects, user) = (&self.world.objects, self.user);
        let prefix = format!("{}{user}/", ObjectKey::PREFIX);
        let mut after = None;
        loop {
            let page = self.pace.read("the bucket", || objects.list(prefix.clone(), after.clone())).await?;
            for object in &page.objects {
                self.counts.objects += 1;
                match ObjectKey::parse(&object.key) {
                    Ok(key) => self.findings.extend(rows.judge_object(key.file, object, self.view.due)),
                    Err(_) => self.findings.push(foreign(Some(user), &object.key)),
                }
            }
            after = page.objects.last().map(|object| object.key.clone());
            if !page.is_truncated || after.is_none() {
                break;
            }
        }
        for file in rows.without_object() {
            let key = ObjectKey { user, file };
            if self.pace.read("the bucket", || objects.head(key)).await?.is_none() {
                self.findings.push(rows.no_object(file));
            }
        }
        Ok(())
    }

    async fn entries(&mut self, account: &Account) -> Result<(Chain, EventCheck), AuditReadError> {
        let (ledger, user, view) = (&self.world.ledger, self.user, self.view);
        let (mut chain, mut events) = (Chain::new(user, account.history_floor), EventCheck::new(user));
        let (mut after, mut unpublished) = (account.history_floor, None);
        loop {
            let entries = self.pace.read("the ledger", || ledger.entries_after(user, after, PAGE)).await?;
            for entry in &entries {
                chain.add(entry);
                let is_overdue = view.due.has_passed(entry.at);
                if entry.version > account.published && is_overdue {
                    unpublished = unpublished.or(Some((entry.version, entry.at)));
                }
                if entry.at >= view.events_since {
                    events.expect(entry, is_overdue || entry.version <= account.published);
                }
            }
            after = entries.last().map_or(after, |entry| entry.version);
            if entries.len() < PAGE {
                break;
            }
        }
        if let Some((version, at)) = unpublished {
            let (published, last) = (account.published, account.version);
            let text =
                format!("published up to {published} of {last}; the first that waits was made at {at}");
            self.findings.push(Finding::new(FindingKind::Unpublished, user, text).at(version));
        }
        self.counts.entries = chain.count();
        Ok((chain, events))
    }

    /// The user's events, from the oldest kept on, until all that must be there were seen and no more are at hand.
    async fn events(&mut self, mut events: EventCheck) -> Result<(), AuditReadError> {
        let (log, user, quiet) = (&self.world.log, self.user, self.view.quiet);
        let open = || log.replay(Stream::Events, filter_of(user), ReplayFrom::Start);
        let mut replay = self.pace.read("the log", open).await?;
        loop {
            let wait = if events.is_waiting() { quiet } else { Duration::ZERO };
            let record = replay.next(wait).await;
            match record
                .map_err(|LogError { reason }| AuditReadError::BrokeOff { what: "the log", reason })?
            {
                Some(record) => events.add(&record),
                None => break,
            }
        }
        let (counts, findings) = events.end();
        self.counts.events = counts;
        self.findings.extend(findings);
        Ok(())
    }
}

/// A key under our prefix that we would not have written.
pub(super) fn foreign(user: Option<UserId>, key: &str) -> Finding {
    let kind = FindingKind::Orphan;
    let text = format!("the key {:?} is none of ours", key.chars().take(120).collect::<String>());
    Finding { kind, invariant: kind.invariant(), user, file: None, version: None, text }
}
