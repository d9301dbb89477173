//! The only door to the actor tree: plain async methods with plain errors.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

mod chunked;

use super::chunks::Chunks;
use super::desks::Desks;
use super::inspector::{Inspector, log_inspected};
use super::remover::Remover;
use super::requests::{Remove, Restore, SetQuota, SetState, Settle, Settled, Update};
use super::sweeper::{Census, CensusBoard};
use super::ticket::{Answer, Command};
use crate::admission::Flights;
use crate::domain::account::{Account, AccountState};
use crate::domain::chunks::Chunk;
use crate::domain::decide::{Observed, Reserve, ReserveRefusal};
use crate::domain::file::File;
use crate::domain::ids::{FileId, ObjectKey, UserId};
use crate::domain::time::Timestamp;
use crate::domain::transitions::{FilePatch, FileRefusal, Removal};
use crate::ports::Clock;

pub use chunked::{Arrived, OpenUpload};

/// Why a request to the ledger was not carried out. `R` says what the domain has against it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError<R> {
    /// The domain refused; nothing changed.
    #[error(transparent)]
    Refused(R),
    /// Too many requests are waiting; nothing changed.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The ledger does not answer. Whether something changed is not known; a repeat finds out.
    #[error("the ledger is unavailable")]
    Unavailable,
    /// The bucket does not answer; nothing changed.
    #[error("the bucket is unavailable")]
    ObjectsUnavailable,
    /// This process is stopping; nothing changed.
    #[error("this process is stopping")]
    Draining,
}

impl DeskError<Infallible> {
    /// The same error where the domain may refuse too.
    fn infallible<R>(self) -> DeskError<R> {
        match self {
            Self::Refused(never) => match never {},
            Self::Overloaded => DeskError::Overloaded,
            Self::Unavailable => DeskError::Unavailable,
            Self::ObjectsUnavailable => DeskError::ObjectsUnavailable,
            Self::Draining => DeskError::Draining,
        }
    }
}

/// Files whose bytes are set aside, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The rows, in the order of the request.
    pub files: Vec<File>,
    /// The reservation's end; a URL for it must be dead `Rules::GRACE` before.
    pub release_at: Vec<Option<Timestamp>>,
    /// Whether this is the answer to a repeated idempotency key.
    pub repeated: bool,
}

/// The outcome of a client's `complete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The file now: processed, or failed with a reason.
    Settled(Box<File>),
    /// The bucket has no object yet, and the file does not come in chunks.
    NotThere(Box<File>),
    /// All chunks have arrived, and the bucket is making one object of them.
    Joining(Box<File>),
    /// These chunks have not arrived yet.
    Incomplete(Vec<Chunk>),
    /// The upload in chunks was aborted: this file can never be processed.
    Gone(Box<File>),
}

/// What stands behind the door.
pub(super) struct HandleParts {
    pub(super) desks: Desks,
    pub(super) inspector: Inspector,
    pub(super) chunks: Chunks,
    pub(super) remover: Remover,
    pub(super) clock: Clock,
    pub(super) census: CensusBoard,
}

/// The door. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    desks: Desks,
    inspector: Inspector,
    chunks: Chunks,
    remover: Remover,
    clock: Clock,
    census: CensusBoard,
    completing: Flights<ObjectKey, Result<Completed, DeskError<FileRefusal>>>,
    reserving: Flights<chunked::RequestKey, chunked::ReserveOutcome>,
    gate: Arc<Semaphore>,
    admission_max: u32,
    is_draining: Arc<AtomicBool>,
}

impl Handle {
    /// A door through which at most `admission_max` requests are at the same time.
    pub(super) fn new(behind: HandleParts, admission_max: u32) -> Self {
        let HandleParts { desks, inspector, chunks, remover, clock, census } = behind;
        let gate = Arc::new(Semaphore::new(usize::try_from(admission_max).unwrap_or(usize::MAX)));
        Self {
            desks,
            inspector,
            chunks,
            remover,
            clock,
            census,
            completing: Flights::default(),
            reserving: Flights::default(),
            gate,
            admission_max,
            is_draining: Arc::default(),
        }
    }

    /// Takes a place in the tree, at once or not at all.
    fn enter<R>(&self) -> Result<OwnedSemaphorePermit, DeskError<R>> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Err(DeskError::Draining);
        }
        Arc::clone(&self.gate).try_acquire_owned().map_err(|_| DeskError::Overloaded)
    }

    /// From now on nothing enters; waits until what is inside has left, at most `within`.
    pub(super) async fn drain(&self, within: Duration) {
        self.is_draining.store(true, Ordering::Relaxed);
        if timeout(within, self.gate.acquire_many(self.admission_max)).await.is_err() {
            tracing::warn!("requests were still running at the end of the drain");
        }
    }

    async fn ask<M: Command>(&self, user: UserId, request: M) -> Answer<M> {
        let slot = self.enter()?;
        self.desks.ask(user, request, Some(slot)).await
    }

    /// Sets bytes aside for some uploads, all or none, durably.
    ///
    /// Dropping the future may still reserve; an idempotency key then finds the same files.
    ///
    /// # Errors
    /// See [`ReserveRefusal`] and [`DeskError`].
    pub async fn reserve(&self, user: UserId, asked: Reserve) -> Result<Reserved, DeskError<ReserveRefusal>> {
        self.ask(user, asked).await
    }

    /// Asks the bucket for the file's object and settles the file if it is there. The chunks of a file that comes in
    /// chunks become its object first, if all have arrived.
    ///
    /// Repeating it is fine: while one runs, others wait for it, and then share a single look of their own. Dropping the
    /// future may still make the object; the news of it settles the file.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`], and see [`DeskError`].
    pub async fn complete(&self, user: UserId, file: FileId) -> Result<Completed, DeskError<FileRefusal>> {
        let _slot = self.enter()?;
        let key = ObjectKey { user, file };
        let work = || {
            let handle = self.clone();
            async move { handle.complete_once(key).await }
        };
        // A good answer may be older than what its caller did last; a failure is worth no second try.
        self.completing.run(key, Result::is_err, work).await
    }

    async fn complete_once(&self, key: ObjectKey) -> Result<Completed, DeskError<FileRefusal>> {
        match self.look(key).await? {
            Some(seen) => self.settle(key, seen).await,
            None => {
                let row = self.row(key).await;
                log_inspected(key, None, row.as_ref().ok());
                self.complete_chunks(key.user, row?).await
            }
        }
    }

    /// The bucket's record of a file's object now.
    async fn look(&self, key: ObjectKey) -> Result<Option<Observed>, DeskError<FileRefusal>> {
        let seen = self.inspector.inspect(key, self.clock.now()).await;
        seen.map_err(|_| DeskError::ObjectsUnavailable)
    }

    async fn settle(&self, key: ObjectKey, seen: Observed) -> Result<Completed, DeskError<FileRefusal>> {
        let size_bytes = seen.size_bytes;
        let settled = self.desks.ask(key.user, Settle { file: key.file, seen }, None).await;
        log_inspected(key, Some(size_bytes), settled.as_ref().ok().and_then(Settled::row));
        match settled.map_err(DeskError::infallible)? {
            Settled::File(file) => Ok(Completed::Settled(file)),
            Settled::Remove(file) => {
                self.remover.remove(key);
                Ok(Completed::Settled(file))
            }
            Settled::Unknown => Err(DeskError::Refused(FileRefusal::NotFound)),
        }
    }

    /// Trashes, deletes for good, or cancels a pending file. Repeating it changes nothing, but that a file which a delete
    /// for good has cancelled is hidden by the next.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`] if the user never had such a file, and see [`DeskError`].
    pub async fn remove(
        &self,
        user: UserId,
        file: FileId,
        how: Removal,
    ) -> Result<(), DeskError<FileRefusal>> {
        self.remove_if(user, file, how, None).await
    }

    /// The same, only if the file still has this revision.
    ///
    /// # Errors
    /// [`FileRefusal::Changed`] too.
    pub async fn remove_if(
        &self,
        user: UserId,
        file: FileId,
        how: Removal,
        if_revision: Option<u32>,
    ) -> Result<(), DeskError<FileRefusal>> {
        self.ask(user, Remove { file, how, if_revision }).await.map(drop)
    }

    /// Takes a file out of the trash. Repeating it changes nothing.
    ///
    /// # Errors
    /// See [`FileRefusal`] and [`DeskError`].
    pub async fn restore(&self, user: UserId, file: FileId) -> Result<File, DeskError<FileRefusal>> {
        self.restore_if(user, file, None).await
    }

    /// The same, only if the file still has this revision.
    ///
    /// # Errors
    /// [`FileRefusal::Changed`] too.
    pub async fn restore_if(
        &self,
        user: UserId,
        file: FileId,
        if_revision: Option<u32>,
    ) -> Result<File, DeskError<FileRefusal>> {
        self.ask(user, Restore { file, if_revision }).await
    }

    /// Changes name or visibility of a file.
    ///
    /// # Errors
    /// See [`FileRefusal`] and [`DeskError`].
    pub async fn update(
        &self,
        user: UserId,
        file: FileId,
        patch: FilePatch,
    ) -> Result<File, DeskError<FileRefusal>> {
        self.ask(user, Update { file, patch }).await
    }

    /// Changes a user's own limit; none: the deployment's default again. Returns the account after.
    ///
    /// # Errors
    /// See [`DeskError`]; the domain never refuses.
    pub async fn set_quota(
        &self,
        user: UserId,
        quota_bytes: Option<u64>,
    ) -> Result<Account, DeskError<Infallible>> {
        self.ask(user, SetQuota(quota_bytes)).await
    }

    /// Suspends or reactivates a user. Returns the account after.
    ///
    /// # Errors
    /// See [`DeskError`]; the domain never refuses.
    pub async fn set_state(
        &self,
        user: UserId,
        state: AccountState,
    ) -> Result<Account, DeskError<Infallible>> {
        self.ask(user, SetState(state)).await
    }

    /// The first bytes of a file's object, as the bucket has them; none if it is not there. Which file that may be, the
    /// caller decides.
    ///
    /// # Errors
    /// See [`DeskError`]; the domain never refuses.
    pub async fn first_bytes(
        &self,
        user: UserId,
        file: FileId,
    ) -> Result<Option<Vec<u8>>, DeskError<Infallible>> {
        let _slot = self.enter()?;
        let bytes = self.inspector.first_bytes(ObjectKey { user, file }).await;
        bytes.map_err(|_| DeskError::ObjectsUnavailable)
    }

    /// The totals of the deployment, as the last sweep counted them; none before the first has. Never waits.
    #[must_use]
    pub fn census(&self) -> Option<Arc<Census>> {
        self.census.last()
    }
}
