//! Uploads in chunks that nobody will complete: begun for a row that was never written, or left over by a row that
//! has moved on. Nobody can see them, and they cost.

use super::tools::{SweepError, SweepTools, found};
use crate::actors::DeskError;
use crate::actors::requests::ReadFile;
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::ObjectKey;
use crate::domain::transitions::FileRefusal;
use crate::limits::UPLOAD_AGE_MIN;
use crate::ports::ListedUpload;

/// Gives up what no pending file names.
pub(super) async fn give_up_strays(tools: &mut SweepTools) -> Result<(), SweepError> {
    let mut after = None;
    loop {
        let page = tools.uploads(ObjectKey::PREFIX, after).await?;
        for upload in page.uploads {
            tools.take_object().await;
            // A key that is not ours is not ours to judge.
            if let Ok(key) = ObjectKey::parse(&upload.key) {
                look_at(tools, key, upload).await?;
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Old enough that no write can come that names it, and named by none: it is given up.
async fn look_at(tools: &mut SweepTools, key: ObjectKey, upload: ListedUpload) -> Result<(), SweepError> {
    if tools.now().since(upload.started_at) <= UPLOAD_AGE_MIN {
        return Ok(());
    }
    let is_wanted = match tools.parts.desks.ask(key.user, ReadFile { file: key.file }, None).await {
        Ok(row) => is_named_by(&row, &upload.upload_id),
        Err(DeskError::Refused(FileRefusal::NotFound)) => false,
        Err(error) => return tools.not_done(key.user, &error).await,
    };
    if !is_wanted {
        found("upload");
        tools.parts.remover.give_up(key, upload.upload_id);
    }
    Ok(())
}

fn is_named_by(row: &File, upload_id: &str) -> bool {
    let is_named = row.multipart.as_ref().is_some_and(|multipart| multipart.upload_id == upload_id);
    is_named && row.public_status() == PublicStatus::Pending
}
