//! Goes through a deployment: every account, then orphan objects and uploads, then what was kept aside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::finding::{Finding, FindingKind};
use super::picture::{LookOptions, Picture, foreign, look};
use super::reader::{AuditError, AuditReadError, Deployment, ReadPace};
use super::rows::Due;
use super::uploads;
use crate::domain::ids::{ObjectKey, UserId};
use crate::domain::time::Timestamp;
use crate::limits::CLOCK_SKEW_MAX;
use crate::ports::{
    LedgerPort, ListedObject, LogPort, ObjectsPort, ReplayFrom, ReplayPort, Stream, Unreadable,
};

/// Accounts of one read.
const PAGE: usize = 256;
/// Looks at a user that keeps moving.
const LOOKS_MAX: usize = 3;
/// How long EVENTS keeps an event.
const EVENTS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// What goes within this time may be gone.
const GOES_WITHIN: Duration = Duration::from_secs(3600);
/// Records kept aside that are counted.
const DLQ_COUNTED_MAX: u64 = 10_000;

/// How an audit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// Only this user.
    pub user: Option<UserId>,
    /// How long what is under way may take before it is a disagreement.
    pub grace: Duration,
    /// Between two looks of the sweeper at every row and every object: so much longer may take what only they find.
    pub deep_every: Duration,
    /// How long a file stays in the trash.
    pub trash_retention: Duration,
    /// How long the log may be silent before it is believed to have no more.
    pub quiet: Duration,
    /// Reads a second; none: as many as come.
    pub reads_per_sec: Option<u32>,
}

/// What an audit read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Accounts.
    pub users: u64,
    /// Accounts that changed during every look, so that only repeated findings were reported.
    pub moving: u64,
    /// File rows.
    pub files: u64,
    /// Objects.
    pub objects: u64,
    /// Entries.
    pub entries: u64,
    /// Events.
    pub events: u64,
    /// Events that were there more than once; consumers drop them.
    pub events_repeated: u64,
    /// Events that were lost and are there again, behind those of later versions.
    pub events_repaired: u64,
    /// Records kept aside on the DLQ, counted up to 10,000.
    pub dlq_records: u64,
    /// Disagreements.
    pub disagreements: u64,
}

/// Takes each disagreement as it is found; what it refuses ends the audit.
pub type ReportFn<'a> = dyn FnMut(&Finding) -> Result<(), String> + Send + 'a;

/// Reads ledger, bucket and event log, one user at a time, and reports every disagreement.
#[derive(Debug)]
pub struct Auditor {
    world: Deployment,
    options: AuditOptions,
    pace: ReadPace,
    /// Events of entries made before may have been dropped, because the log was full.
    events_since: Option<Timestamp>,
    summary: AuditSummary,
}

impl Auditor {
    /// Reads from these. Starts within a runtime.
    #[must_use]
    pub fn new(world: Deployment, options: AuditOptions) -> Self {
        let pace = ReadPace::new(options.reads_per_sec);
        Self { world, options, pace, events_since: None, summary: AuditSummary::default() }
    }

    /// Reads everything once. Changes nothing; may be dropped at any time.
    ///
    /// # Errors
    /// Something could not be read; earlier findings are reported.
    pub async fn run(mut self, report: &mut ReportFn<'_>) -> Result<AuditSummary, AuditError> {
        if let Some(user) = self.options.user {
            self.user(user, report).await?;
        } else {
            let mut after = None;
            loop {
                let ledger = &self.world.ledger;
                let page = self.pace.read("the ledger", || ledger.scan(after.clone(), PAGE)).await?;
                let unreadable = page.unreadable.iter().filter_map(|account| account.user);
                for user in page.accounts.iter().map(|account| account.user).chain(unreadable) {
                    self.user(user, report).await?;
                }
                for Unreadable { error, .. } in page.unreadable.iter().filter(|found| found.user.is_none()) {
                    self.summary.users += 1;
                    self.report(&[Finding::of_unknown(FindingKind::Unreadable, error.to_string())], report)?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            self.orphans(report).await?;
        }
        self.uploads(report).await?;
        self.count_dlq().await?;
        Ok(self.summary)
    }

    /// Looks at a user, and again if something is wrong; reports what did not change, or was seen twice.
    async fn user(&mut self, user: UserId, report: &mut ReportFn<'_>) -> Result<(), AuditError> {
        let mut before = None;
        for nth in 1..=LOOKS_MAX {
            let picture = match self.look(user, nth > 1).await {
                Ok(Some(picture)) => picture,
                Ok(None) => return Ok(()),
                Err(AuditReadError::Corrupt { reason }) => {
                    self.summary.users += 1;
                    return self.report(&[Finding::new(FindingKind::Unreadable, user, reason)], report);
                }
                Err(AuditReadError::BrokeOff { .. }) if nth < LOOKS_MAX => continue,
                Err(error @ (AuditReadError::Away { .. } | AuditReadError::BrokeOff { .. })) => {
                    return Err(error.into());
                }
            };
            let stands = nth > 1 && !picture.has_moved;
            if picture.findings.is_empty() || stands || nth == LOOKS_MAX {
                return self.report_picture(picture, before, report);
            }
            before = Some(picture.findings);
        }
        Ok(())
    }

    fn report_picture(
        &mut self,
        picture: Picture,
        before: Option<Vec<Finding>>,
        report: &mut ReportFn<'_>,
    ) -> Result<(), AuditError> {
        let Picture { mut findings, counts, has_moved } = picture;
        if has_moved && !findings.is_empty() {
            self.summary.moving += 1;
            let before = before.unwrap_or_default();
            findings.retain(|finding| before.iter().any(|other| other.is_same(finding)));
        }
        self.summary.users += 1;
        self.summary.files += counts.files;
        self.summary.objects += counts.objects;
        self.summary.entries += counts.entries;
        self.summary.events += counts.events.count;
        self.summary.events_repeated += counts.events.repeated;
        self.summary.events_repaired += counts.events.repaired;
        self.report(&findings, report)
    }

    async fn look(&mut self, user: UserId, is_again: bool) -> Result<Option<Picture>, AuditReadError> {
        let due = self.due();
        if is_again || self.events_since.is_none() {
            self.events_since = Some(self.oldest_event().await?);
        }
        let kept_since = |kept| due.now.before(kept).after(GOES_WITHIN);
        let events_since = kept_since(EVENTS_KEPT);
        let view = LookOptions {
            due,
            events_since: self.events_since.map_or(events_since, |since| since.max(events_since)),
            quiet: self.options.quiet,
        };
        look(&self.world, &mut self.pace, user, view).await
    }

    /// Events of entries made since then must still be there, by the log's own order.
    async fn oldest_event(&mut self) -> Result<Timestamp, AuditReadError> {
        let (log, quiet) = (&self.world.log, self.options.quiet);
        let first = self.pace.read("the log", || async move {
            let mut replay = log.replay(Stream::Events, "wharf.>".to_owned(), ReplayFrom::Start).await?;
            replay.next(quiet).await
        });
        Ok(match first.await? {
            // The log decides by its own clock.
            Some(first) if first.sequence > 1 => first.stored_at.after(CLOCK_SKEW_MAX),
            Some(_) | None => Timestamp::from_millis(0),
        })
    }

    /// Objects under the prefix of users that have no account. One list a user, or less.
    async fn orphans(&mut self, report: &mut ReportFn<'_>) -> Result<(), AuditError> {
        let (mut after, mut known) = (None, None);
        loop {
            let objects = &self.world.objects;
            let prefix = ObjectKey::PREFIX.to_owned();
            let page = self.pace.read("the bucket", || objects.list(prefix.clone(), after.clone())).await?;
            for object in &page.objects {
                let Ok(key) = ObjectKey::parse(&object.key) else {
                    self.report(&[foreign(None, &object.key)], report)?;
                    continue;
                };
                if known == Some(key.user) {
                    continue;
                }
                if self.has_account(key.user).await? {
                    known = Some(key.user);
                } else {
                    self.orphan(key, object, report)?;
                }
            }
            let last = page.objects.last().map(|object| object.key.clone());
            // All that is left of a user who has an account was looked at already.
            let skip = known.map(|user| format!("{}{user}/~", ObjectKey::PREFIX));
            after = last.map(|last| skip.filter(|skip| *skip > last).unwrap_or(last));
            if !page.is_truncated || after.is_none() {
                return Ok(());
            }
        }
    }

    async fn has_account(&mut self, user: UserId) -> Result<bool, AuditError> {
        let ledger = &self.world.ledger;
        match self.pace.read("the ledger", || ledger.load(user)).await {
            Ok(account) => Ok(account.is_some()),
            // It was reported with its user.
            Err(AuditReadError::Corrupt { .. }) => Ok(true),
            Err(error @ (AuditReadError::Away { .. } | AuditReadError::BrokeOff { .. })) => Err(error.into()),
        }
    }

    fn orphan(
        &mut self,
        key: ObjectKey,
        object: &ListedObject,
        report: &mut ReportFn<'_>,
    ) -> Result<(), AuditError> {
        self.summary.objects += 1;
        let due = self.due();
        if !due.has_passed(object.landed_at) {
            return Ok(());
        }
        let text =
            format!("{} bytes landed at {}, and there is no account", object.size_bytes, object.landed_at);
        self.report(&[Finding::new(FindingKind::Orphan, key.user, text).of_file(key.file)], report)
    }

    async fn uploads(&mut self, report: &mut ReportFn<'_>) -> Result<(), AuditError> {
        let prefix = self.options.user.map_or_else(String::new, |user| format!("{user}/"));
        let (prefix, due) = (format!("{}{prefix}", ObjectKey::PREFIX), self.due());
        let findings = uploads::orphans(&self.world, &mut self.pace, &prefix, due).await?;
        self.report(&findings, report)
    }

    fn due(&self) -> Due {
        let AuditOptions { grace, deep_every, trash_retention, .. } = self.options;
        Due { now: self.world.clock.now(), grace, deep_every, trash_retention }
    }

    async fn count_dlq(&mut self) -> Result<(), AuditError> {
        let (log, quiet) = (&self.world.log, self.options.quiet);
        let counted = self.pace.read("the log", || async move {
            let mut replay = log.replay(Stream::Dlq, "wharf.>".to_owned(), ReplayFrom::Start).await?;
            let mut count = 0;
            while count < DLQ_COUNTED_MAX && replay.next(quiet).await?.is_some() {
                count += 1;
            }
            Ok::<_, crate::ports::LogError>(count)
        });
        self.summary.dlq_records = counted.await?;
        Ok(())
    }

    fn report(&mut self, findings: &[Finding], report: &mut ReportFn<'_>) -> Result<(), AuditError> {
        for finding in findings {
            self.summary.disagreements += 1;
            report(finding).map_err(AuditError::NotReported)?;
        }
        Ok(())
    }
}
