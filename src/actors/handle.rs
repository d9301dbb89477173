//! The only door to the actor tree: plain async methods with plain errors.

use crate::domain::account::{Account, AccountState};
use crate::domain::decide::{Reserve, ReserveRefusal};
use crate::domain::file::File;
use crate::domain::ids::{FileId, UserId};
use crate::domain::moves::{FilePatch, FileRefusal, Removal};
use crate::domain::time::Timestamp;

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

/// What a client's word that its bytes are there came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The file as it stands now: processed, or failed with a reason.
    Settled(Box<File>),
    /// The bucket has no object yet.
    NotThere(Box<File>),
}

/// The door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {}

impl Handle {
    /// Sets bytes aside for some uploads, all or none, durably.
    ///
    /// Dropping the future may still reserve; an idempotency key then finds the same files.
    ///
    /// # Errors
    /// See [`ReserveRefusal`] and [`DeskError`].
    pub async fn reserve(
        &self,
        _user: UserId,
        _asked: Reserve,
    ) -> Result<Reserved, DeskError<ReserveRefusal>> {
        Err(DeskError::Unavailable)
    }

    /// Asks the bucket for the file's object and settles the file if it is there.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`], and see [`DeskError`].
    pub async fn complete(&self, _user: UserId, _file: FileId) -> Result<Completed, DeskError<FileRefusal>> {
        Err(DeskError::Unavailable)
    }

    /// Trashes, deletes for good, or cancels a pending file. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`FileRefusal::NotFound`] if the user never had such a file, and see [`DeskError`].
    pub async fn remove(
        &self,
        _user: UserId,
        _file: FileId,
        _how: Removal,
    ) -> Result<(), DeskError<FileRefusal>> {
        Err(DeskError::Unavailable)
    }

    /// Takes a file out of the trash. Repeating it changes nothing.
    ///
    /// # Errors
    /// See [`FileRefusal`] and [`DeskError`].
    pub async fn restore(&self, _user: UserId, _file: FileId) -> Result<File, DeskError<FileRefusal>> {
        Err(DeskError::Unavailable)
    }

    /// Changes name or visibility of a file.
    ///
    /// # Errors
    /// See [`FileRefusal`] and [`DeskError`].
    pub async fn update(
        &self,
        _user: UserId,
        _file: FileId,
        _patch: FilePatch,
    ) -> Result<File, DeskError<FileRefusal>> {
        Err(DeskError::Unavailable)
    }

    /// Changes a user's own limit; none: the deployment's default again. Returns the account after.
    ///
    /// # Errors
    /// See [`DeskError`]; the domain never refuses.
    pub async fn set_quota(
        &self,
        _user: UserId,
        _quota_bytes: Option<u64>,
    ) -> Result<Account, DeskError<std::convert::Infallible>> {
        Err(DeskError::Unavailable)
    }

    /// Suspends or reactivates a user. Returns the account after.
    ///
    /// # Errors
    /// See [`DeskError`]; the domain never refuses.
    pub async fn set_state(
        &self,
        _user: UserId,
        _state: AccountState,
    ) -> Result<Account, DeskError<std::convert::Infallible>> {
        Err(DeskError::Unavailable)
    }
}
