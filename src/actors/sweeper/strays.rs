//! Where bucket and ledger disagree: objects without rows, rows without objects, objects that came too late.

use super::deep::Findings;
use super::options::Orphans;
use super::shelf::{RowSummary, UserSnapshot};
use super::tools::{SweepError, SweepTools, failed, found};
use crate::actors::DeskError;
use crate::actors::inspector::log_inspected;
use crate::actors::requests::ReadFile;
use crate::domain::file::Status;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::domain::transitions::FileRefusal;
use crate::limits::{MISSING_AGE_MIN, ORPHAN_AGE_MIN, ORPHANS_REMOVED_MAX};
use crate::ports::ListedObject;

/// Compares the objects of one user with their rows. Returns the rows that may be forgotten, each with its place among
/// all rows.
pub(super) async fn compare(
    tools: &mut SweepTools,
    user: UserId,
    mut shelf: UserSnapshot,
    findings: &mut Findings,
) -> Result<Vec<(FileId, usize)>, SweepError> {
    let prefix = format!("{}{user}/", ObjectKey::PREFIX);
    let mut after = None;
    loop {
        let page = tools.list(&prefix, after).await?;
        after = page.objects.last().map(|object| object.key.clone()).filter(|_| page.is_truncated);
        for object in page.objects {
            tools.take_object().await;
            // A key that is not ours is not ours to judge.
            let Ok(key) = ObjectKey::parse(&object.key) else { continue };
            match shelf.kept.remove(&key.file) {
                Some(kept) => known(tools, key, kept).await?,
                None => stray(tools, key, &object, findings).await?,
            }
        }
        if after.is_none() {
            break;
        }
    }
    // After an answer of the bucket, which refuses those whose clock is far off.
    let now = tools.now();
    let mut forgettable = Vec::new();
    for (file, kept) in shelf.kept {
        if kept.forgettable_from.is_some_and(|from| now > from) {
            forgettable.push((file, kept.place));
        }
        let is_counted = matches!(kept.status, Status::Processed | Status::Trashed);
        if is_counted && kept.processed_at.is_none_or(|at| now.since(at) > MISSING_AGE_MIN) {
            missing(tools, ObjectKey { user, file }, findings).await?;
        }
    }
    Ok(forgettable)
}

/// Objects of users that have no account at all.
pub(super) async fn strangers(tools: &mut SweepTools, findings: &mut Findings) -> Result<(), SweepError> {
    if tools.parts.options.orphans == Orphans::Off {
        return Ok(());
    }
    let mut last: Option<(UserId, bool)> = None;
    let mut after = None;
    loop {
        let page = tools.list(ObjectKey::PREFIX, after).await?;
        after = page.objects.last().map(|object| object.key.clone()).filter(|_| page.is_truncated);
        for object in page.objects {
            tools.take_object().await;
            let Ok(key) = ObjectKey::parse(&object.key) else { continue };
            let is_known = match last {
                Some((user, is_known)) if user == key.user => is_known,
                Some(_) | None => match tools.load(key.user).await {
                    Ok(account) => account.is_some(),
                    // It is there, and was counted by the scan.
                    Err(SweepError::Ledger(error)) if !error.is_outage() => true,
                    Err(error) => return Err(error),
                },
            };
            last = Some((key.user, is_known));
            if !is_known {
                stray(tools, key, &object, findings).await?;
            }
        }
        if after.is_none() {
            return Ok(());
        }
        // Those of a user with an account have been compared: on behind them.
        if let Some((user, true)) = last {
            after = Some(format!("{}{user}/~", ObjectKey::PREFIX));
        }
    }
}

/// An object with a row.
async fn known(tools: &mut SweepTools, key: ObjectKey, kept: RowSummary) -> Result<(), SweepError> {
    match kept.status {
        Status::Gone => {
            found("object");
            tools.parts.remover.remove(key);
        }
        Status::Expired => {
            found("late_object");
            if let Some(seen) = tools.inspect(key).await? {
                tools.settle(key, seen).await?;
            }
        }
        // What is being deleted, the quick pass removes; what is pending, it settles.
        Status::Pending | Status::Processed | Status::Trashed | Status::Deleting => {}
    }
    Ok(())
}

/// An object without a row. It is an orphan if it is old enough and a fresh read of account and row finds none.
async fn stray(
    tools: &mut SweepTools,
    key: ObjectKey,
    object: &ListedObject,
    findings: &mut Findings,
) -> Result<(), SweepError> {
    let is_old = tools.now().since(object.landed_at) > ORPHAN_AGE_MIN;
    if !is_old || tools.parts.options.orphans == Orphans::Off {
        return Ok(());
    }
    match tools.parts.desks.ask(key.user, ReadFile { file: key.file }, None).await {
        Err(DeskError::Refused(FileRefusal::NotFound)) => {
            found("orphan");
            findings.orphans += 1;
            findings.orphan_bytes = findings.orphan_bytes.saturating_add(object.size_bytes);
            judge_orphan(tools, key, object.size_bytes, findings);
            Ok(())
        }
        Ok(row) if row.status == Status::Gone => {
            tools.parts.remover.remove(key);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(error) => tools.not_done(key.user, &error).await,
    }
}

fn judge_orphan(tools: &SweepTools, key: ObjectKey, size_bytes: u64, findings: &mut Findings) {
    let may_remove = tools.parts.options.orphans == Orphans::Remove;
    if may_remove && findings.orphans_removed < ORPHANS_REMOVED_MAX {
        findings.orphans_removed += 1;
        tracing::warn!(user_id = %key.user, file_id = %key.file, size_bytes, "an orphan object is removed");
        tools.parts.remover.remove(key);
    } else {
        tracing::warn!(user_id = %key.user, file_id = %key.file, size_bytes, "an orphan object stays");
    }
}

/// A row that counts bytes which are not in the list: an alarm if the bucket says so too. Nothing is changed: what is
/// not there cannot be brought back by forgetting that it was.
async fn missing(tools: &mut SweepTools, key: ObjectKey, findings: &mut Findings) -> Result<(), SweepError> {
    if let Some(seen) = tools.inspect(key).await? {
        log_inspected(key, Some(seen.size_bytes), None);
        return Ok(());
    }
    // Read after the bucket was asked: a delete writes here first.
    match tools.parts.desks.ask(key.user, ReadFile { file: key.file }, None).await {
        Ok(row) if matches!(row.status, Status::Processed | Status::Trashed) => {
            found("missing");
            findings.missing += 1;
            tracing::error!(user_id = %key.user, file_id = %key.file, "a processed file has no object");
        }
        Ok(_) | Err(DeskError::Refused(_)) => {}
        Err(error) => failed("a missing object", &SweepError::Desk(error.to_string())),
    }
    Ok(())
}
