//! Uploads in chunks that are open: a pending file must name each, or the sweep has forgotten to give it up.

use super::finding::{Finding, FindingKind};
use super::reader::{AuditReadError, Deployment, ReadPace};
use super::rows::Due;
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;
use crate::limits::UPLOAD_AGE_MIN;
use crate::ports::{LedgerPort, ListedUpload, ObjectsPort};

/// Reads all whose keys start with `prefix`, and the rows of those that are old.
pub(super) async fn orphans(
    world: &Deployment,
    pace: &mut ReadPace,
    prefix: &str,
    due: Due,
) -> Result<Vec<Finding>, AuditReadError> {
    let Deployment { ledger, objects, .. } = world;
    let (mut findings, mut after) = (Vec::new(), None);
    loop {
        let list = || objects.list_uploads(prefix.to_owned(), after.clone());
        let page = pace.read("the bucket", list).await?;
        for upload in &page.uploads {
            // A key that is not ours is not ours to judge.
            let Ok(key) = ObjectKey::parse(&upload.key) else { continue };
            if !due.has_passed_deep(given_up_from(upload, None)) {
                continue;
            }
            match pace.read("the ledger", || ledger.file(key.user, key.file)).await {
                Ok(row) => findings.extend(judge(key, upload, row.as_ref(), due)),
                Err(AuditReadError::Corrupt { reason }) => {
                    findings.push(Finding::new(FindingKind::Unreadable, key.user, reason).of_file(key.file));
                }
                Err(error @ (AuditReadError::Away { .. } | AuditReadError::BrokeOff { .. })) => {
                    return Err(error);
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(findings);
        }
    }
}

/// `row` was read after the upload was listed, so a file that has moved on since is not accused.
fn judge(key: ObjectKey, upload: &ListedUpload, row: Option<&File>, due: Due) -> Option<Finding> {
    let is_named = |row: &File| {
        let multipart = row.multipart.as_ref();
        row.public_status() == PublicStatus::Pending
            && multipart.is_some_and(|named| named.upload_id == upload.upload_id)
    };
    if row.is_some_and(is_named) || !due.has_passed_deep(given_up_from(upload, row)) {
        return None;
    }
    let status =
        row.map_or_else(|| "there is no row".to_owned(), |row| format!("the file is {:?}", row.status));
    let text = format!("an upload in chunks is open since {}, but {status}", upload.started_at);
    Some(Finding::new(FindingKind::OrphanUpload, key.user, text).of_file(key.file))
}

/// From when on the sweep gives it up: it is old enough, and its file says nothing that is new.
fn given_up_from(upload: &ListedUpload, row: Option<&File>) -> Timestamp {
    let is_old_at = upload.started_at.after(UPLOAD_AGE_MIN);
    row.map_or(is_old_at, |row| is_old_at.max(row.changed_at))
}
