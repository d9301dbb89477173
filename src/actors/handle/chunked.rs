//! The part of the door for files that come in chunks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;

use super::{Completed, DeskError, Handle, Reserved};
use crate::actors::chunks::Finish;
use crate::actors::inspector::log_inspected;
use crate::actors::requests::{LookOpen, ReadFile};
use crate::actors::reserving::Probe;
use crate::domain::account::AccountState;
use crate::domain::chunks::ChunkPlan;
use crate::domain::decide::{IdempotencyKey, NewUpload, Reserve, ReserveRefusal};
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::domain::time::Timestamp;
use crate::domain::transitions::FileRefusal;
use crate::ports::ObjectsError;

/// A user's request with an idempotency key.
pub(super) type RequestKey = (UserId, u64);
/// The outcome of such a request, with its body.
pub(super) type ReserveOutcome = (IdempotencyKey, Result<Reserved, DeskError<ReserveRefusal>>);

/// A file for which something may still be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenUpload {
    /// The row.
    pub file: File,
    /// When its reservation may end; none if it is not pending.
    pub release_at: Option<Timestamp>,
    /// Whether anything may be signed for its owner.
    pub state: AccountState,
}

/// What the bucket has of a file in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The file is one object by now: all of it.
    Whole(File),
    /// These chunks, number and bytes each.
    Parts(File, BTreeMap<u16, u64>),
    /// Nothing, and nothing can come any more.
    Gone(File),
}

impl Handle {
    /// As [`Handle::reserve`], where the files in `chunk_bytes` come in chunks of so many bytes.
    ///
    /// The bucket begins their uploads before the write that keeps their names; what the write does not keep is given
    /// up again. A write of unknown outcome leaves that to the sweep. Requests with one idempotency key that come at the
    /// same time begin one upload: the others wait for the first and repeat its answer.
    ///
    /// # Errors
    /// As [`Handle::reserve`].
    pub async fn reserve_chunked(
        &self,
        user: UserId,
        asked: Reserve,
        chunk_bytes: &BTreeMap<FileId, u64>,
    ) -> Result<Reserved, DeskError<ReserveRefusal>> {
        let slot = self.enter()?;
        let Some(idempotency) = asked.idempotency else {
            return self.begin_and_reserve(user, asked, chunk_bytes, Some(slot)).await;
        };
        let is_first = Arc::new(AtomicBool::new(false));
        let work = || {
            is_first.store(true, Ordering::Relaxed);
            let (handle, asked, chunk_bytes) = (self.clone(), asked.clone(), chunk_bytes.clone());
            async move {
                let outcome = handle.begin_and_reserve(user, asked, &chunk_bytes, None).await;
                (idempotency, outcome)
            }
        };
        // A refusal is about sums that this request may not have asked for: it asks again.
        let (answered, outcome) =
            self.reserving.run((user, idempotency.key), |(_, outcome)| outcome.is_ok(), work).await;
        if answered != idempotency {
            // Another body under the same key: the ledger knows that request by now.
            return self.begin_and_reserve(user, asked, chunk_bytes, Some(slot)).await;
        }
        let repeated = !is_first.load(Ordering::Relaxed);
        outcome.map(|reserved| Reserved { repeated: reserved.repeated || repeated, ..reserved })
    }

    async fn begin_and_reserve(
        &self,
        user: UserId,
        mut asked: Reserve,
        chunk_bytes: &BTreeMap<FileId, u64>,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Reserved, DeskError<ReserveRefusal>> {
        // A refusal or a repeat costs the bucket nothing.
        if let Some(repeat) = self.desks.ask(user, Probe(asked.clone()), None).await? {
            return Ok(repeat);
        }
        // From here on: an upload that was begun long ago may have been aborted as an orphan.
        let since = self.desks.moment();
        let begun = asked.uploads.iter_mut().map(|upload| self.begin(user, upload, chunk_bytes));
        let begun: Result<(), ObjectsError> = join_all(begun).await.into_iter().collect();
        let ours: Vec<(FileId, String)> = asked.uploads.iter().filter_map(upload_of).collect();
        if begun.is_err() {
            self.give_up(user, ours);
            return Err(DeskError::ObjectsUnavailable);
        }
        let reserved = self.desks.ask_since(user, asked, slot, since).await;
        match &reserved {
            Ok(reserved) => {
                let is_kept = |upload: &(FileId, String)| {
                    let rows = reserved.files.iter();
                    rows.filter_map(|row| Some((row.file_id, row.multipart.as_ref()?)))
                        .any(|(file, kept)| (file, kept.upload_id.as_str()) == (upload.0, upload.1.as_str()))
                };
                self.give_up(user, ours.into_iter().filter(|upload| !is_kept(upload)));
            }
            Err(DeskError::Refused(_) | DeskError::Overloaded | DeskError::Draining) => {
                self.give_up(user, ours);
            }
            Err(DeskError::Unavailable | DeskError::ObjectsUnavailable) => {}
        }
        reserved
    }

    async fn begin(
        &self,
        user: UserId,
        upload: &mut NewUpload,
        chunk_bytes: &BTreeMap<FileId, u64>,
    ) -> Result<(), ObjectsError> {
        if let Some(chunk_bytes) = chunk_bytes.get(&upload.file_id) {
            let key = ObjectKey { user, file: upload.file_id };
            upload.multipart = Some(self.chunks.begin(key, upload, *chunk_bytes).await?);
        }
        Ok(())
    }

    fn give_up(&self, user: UserId, uploads: impl IntoIterator<Item = (FileId, String)>) {
        for (file, upload_id) in uploads {
            self.remover.give_up(ObjectKey { user, file }, upload_id);
        }
    }

    /// What is to be known of a file before a chunk of it is signed.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`], [`FileRefusal::NotChunked`], and see [`DeskError`].
    pub async fn open_upload(
        &self,
        user: UserId,
        file: FileId,
    ) -> Result<OpenUpload, DeskError<FileRefusal>> {
        self.ask(user, LookOpen { file, needs_chunks: true }).await
    }

    /// What is to be known of a file before its upload is completed.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`], and see [`DeskError`].
    pub async fn upload_state(
        &self,
        user: UserId,
        file: FileId,
    ) -> Result<OpenUpload, DeskError<FileRefusal>> {
        self.ask(user, LookOpen { file, needs_chunks: false }).await
    }

    /// Which chunks of a file have arrived, as the bucket says.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`], [`FileRefusal::NotChunked`], and see [`DeskError`].
    pub async fn arrived(&self, user: UserId, file: FileId) -> Result<Arrived, DeskError<FileRefusal>> {
        let _slot = self.enter()?;
        let look = LookOpen { file, needs_chunks: true };
        let OpenUpload { file: row, .. } = self.desks.ask(user, look, None).await?;
        let key = ObjectKey { user, file };
        match row.public_status() {
            PublicStatus::Processed | PublicStatus::Trashed => return Ok(Arrived::Whole(row)),
            PublicStatus::Failed(_) | PublicStatus::Hidden => return Ok(Arrived::Gone(row)),
            PublicStatus::Pending => {}
        }
        let upload_id = row.multipart.as_ref().map_or("", |multipart| &multipart.upload_id);
        let away = |_| DeskError::ObjectsUnavailable;
        match self.chunks.arrived(key, upload_id).await.map_err(away)? {
            Some(parts) => {
                let parts = parts.iter().map(|part| (part.number, part.size_bytes)).collect();
                Ok(Arrived::Parts(row, parts))
            }
            None => {
                let seen = self.look(key).await?;
                log_inspected(key, seen.as_ref().map(|seen| seen.size_bytes), Some(&row));
                Ok(if seen.is_some() { Arrived::Whole(row) } else { Arrived::Gone(row) })
            }
        }
    }

    /// Completes a file of which the bucket has no object: joins its chunks, if it comes in chunks and they are there.
    pub(super) async fn complete_chunks(
        &self,
        user: UserId,
        row: File,
    ) -> Result<Completed, DeskError<FileRefusal>> {
        let key = ObjectKey { user, file: row.file_id };
        if row.public_status() != PublicStatus::Pending {
            return Ok(Completed::Settled(Box::new(row)));
        }
        let (Some(multipart), Some(plan)) = (&row.multipart, ChunkPlan::of(&row)) else {
            return Ok(Completed::NotThere(Box::new(row)));
        };
        let finished = self.chunks.finish(key, &multipart.upload_id, plan).await;
        match finished.map_err(|_| DeskError::ObjectsUnavailable)? {
            Finish::Missing(chunks) => return Ok(Completed::Incomplete(chunks)),
            Finish::Running => return Ok(Completed::Joining(Box::new(row))),
            Finish::Joined | Finish::Gone => {}
        }
        match self.look(key).await? {
            Some(seen) => self.settle(key, seen).await,
            None => {
                log_inspected(key, None, Some(&row));
                Ok(Completed::Gone(Box::new(row)))
            }
        }
    }

    /// A file's row.
    pub(super) async fn row(&self, key: ObjectKey) -> Result<File, DeskError<FileRefusal>> {
        self.desks.ask(key.user, ReadFile { file: key.file }, None).await
    }
}

fn upload_of(upload: &NewUpload) -> Option<(FileId, String)> {
    Some((upload.file_id, upload.multipart.as_ref()?.upload_id.clone()))
}
