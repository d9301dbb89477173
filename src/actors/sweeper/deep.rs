//! The slow pass: every row of every account, every object of the bucket.

use super::requests::{EndRetention, FILES_PER_REQUEST};
use super::tools::{SweepError, SweepTools, failed, found, unreadable};
use super::{forgetting, history, shelf, strays, uploads};
use crate::domain::ids::{FileId, UserId};
use crate::domain::invariant::Broken;
use crate::ports::Unreadable;
use crate::telemetry::names;

/// What a pass found that should not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) drifted_accounts: u64,
    pub(super) drifted_bytes: u64,
    pub(super) missing: u64,
    pub(super) orphans: u64,
    pub(super) orphan_bytes: u64,
    pub(super) orphans_removed: u64,
    /// Something could not be looked at.
    is_partial: bool,
}

/// Looks at everything once.
pub(super) async fn pass(mut tools: SweepTools) {
    let mut findings = Findings::default();
    accounts(&mut tools, &mut findings).await;
    if let Err(error) = strays::strangers(&mut tools, &mut findings).await {
        findings.failed("objects", &error);
    }
    if let Err(error) = uploads::give_up_strays(&mut tools).await {
        failed("uploads", &error);
    }
    findings.show();
}

async fn accounts(tools: &mut SweepTools, findings: &mut Findings) {
    let mut after = None;
    loop {
        let page = match tools.scan(after).await {
            Ok(page) => page,
            Err(error) => return findings.failed("accounts", &error),
        };
        for Unreadable { user, error } in page.unreadable {
            findings.is_partial = true;
            unreadable(user, &error);
        }
        for account in page.accounts {
            if let Err(error) = look_at(tools, account.user, findings).await {
                findings.failed("an account", &error);
            }
        }
        after = page.next;
        if after.is_none() {
            return;
        }
    }
}

/// Looks at one account, its rows and its objects.
pub(super) async fn look_at(
    tools: &mut SweepTools,
    user: UserId,
    findings: &mut Findings,
) -> Result<(), SweepError> {
    let Some(mut shelf) = shelf::read(tools, user).await? else { return Ok(()) };
    if let Some(broken) = shelf.drift.take() {
        findings.drifted(user, &broken);
    }
    let past_retention = std::mem::take(&mut shelf.past_retention);
    // What cannot be undone comes after an answer of the bucket, which S3 refuses to whose clock is wrong by 15 minutes:
    // a node that lives weeks ahead must not end everybody's trash.
    let read_at = shelf.read_at;
    let forgettable = strays::compare(tools, user, shelf, findings).await?;
    // First: whatever is written makes the rows be read again.
    forgetting::forget(tools, user, forgettable, read_at).await?;
    end_retention(tools, user, &past_retention).await?;
    history::trim(tools, user).await
}

async fn end_retention(tools: &SweepTools, user: UserId, files: &[FileId]) -> Result<(), SweepError> {
    let retention = tools.parts.options.trash_retention;
    for files in files.chunks(FILES_PER_REQUEST) {
        files.iter().for_each(|_| found("trash"));
        let ended = EndRetention { files: files.to_vec(), retention };
        let ended = tools.parts.desks.ask(user, ended, None).await;
        ended.map_err(|error| SweepError::Desk(error.to_string()))?;
    }
    Ok(())
}

impl Findings {
    fn drifted(&mut self, user: UserId, broken: &Broken) {
        found("drift");
        self.drifted_accounts += 1;
        self.drifted_bytes = self.drifted_bytes.saturating_add(broken.bytes_apart());
        tracing::error!(user_id = %user, "an account's sums are not those of its rows: {broken}");
    }

    fn failed(&mut self, what: &'static str, error: &SweepError) {
        self.is_partial = true;
        failed(what, error);
    }

    /// Tells operators. A pass that could not look at everything may raise an alarm, and may not end one.
    fn show(&self) {
        let gauges = [
            (names::SWEEP_DRIFTED_ACCOUNTS, self.drifted_accounts),
            (names::SWEEP_DRIFTED_BYTES, self.drifted_bytes),
            (names::SWEEP_MISSING_OBJECTS, self.missing),
            (names::SWEEP_ORPHAN_OBJECTS, self.orphans),
            (names::SWEEP_ORPHAN_BYTES, self.orphan_bytes),
        ];
        for (name, value) in gauges {
            if value > 0 || !self.is_partial {
                names::set_gauge(name, value);
            }
        }
    }
}
