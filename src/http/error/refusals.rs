//! Maps every error of the domain, the desk and the ports to a problem, without a wildcard arm.

use std::convert::Infallible;

use super::{ErrorCode, Problem};
use crate::actors::DeskError;
use crate::domain::decide::ReserveRefusal;
use crate::domain::policy::Denied;
use crate::domain::transitions::FileRefusal;
use crate::ports::{CommitError, LedgerError, LogError, ObjectsError, PublishError, SignerError};

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::AdminRequired => Self::new(ErrorCode::AdminRequired),
            Denied::Suspended => Self::new(ErrorCode::UserSuspended),
            Denied::NotTheirs => Self::no_such_file(),
        }
    }
}

impl From<ReserveRefusal> for Problem {
    fn from(refusal: ReserveRefusal) -> Self {
        match refusal {
            ReserveRefusal::QuotaExceeded { limit_bytes, used_bytes, reserved_bytes, requested_bytes } => {
                Self::quota(limit_bytes, used_bytes, reserved_bytes, requested_bytes)
            }
            ReserveRefusal::TooManyFiles { files_max } => Self::too_many_files(u64::from(files_max)),
            ReserveRefusal::TooManyPending { pending_max } => {
                Self::too_many_pending(u64::try_from(pending_max).unwrap_or(u64::MAX))
            }
            ReserveRefusal::Suspended => Self::new(ErrorCode::UserSuspended),
            ReserveRefusal::IdempotencyReused => Self::new(ErrorCode::IdempotencyKeyReused),
        }
    }
}

impl From<FileRefusal> for Problem {
    fn from(refusal: FileRefusal) -> Self {
        match refusal {
            FileRefusal::NotFound => Self::no_such_file(),
            FileRefusal::NotReady => Self::new(ErrorCode::FileNotReady),
            FileRefusal::Failed { reason } => Self::failed(reason),
            FileRefusal::Suspended => Self::new(ErrorCode::UserSuspended),
            FileRefusal::NotChunked => Self::new(ErrorCode::NotChunked),
            FileRefusal::NotInTrash => Self::new(ErrorCode::NotInTrash),
            FileRefusal::Changed { .. } => Self::new(ErrorCode::PreconditionFailed),
        }
    }
}

impl<R> From<DeskError<R>> for Problem
where
    Self: From<R>,
{
    fn from(error: DeskError<R>) -> Self {
        match error {
            DeskError::Refused(refusal) => Self::from(refusal),
            DeskError::Overloaded => Self::new(ErrorCode::Overloaded),
            DeskError::Unavailable => Self::new(ErrorCode::LedgerUnavailable),
            DeskError::ObjectsUnavailable => Self::new(ErrorCode::ObjectsUnavailable),
            DeskError::Draining => Self::new(ErrorCode::Draining),
        }
    }
}

impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        let code = match error {
            LedgerError::Unavailable { .. } | LedgerError::Unreadable { .. } => ErrorCode::LedgerUnavailable,
            LedgerError::Corrupt { .. } => ErrorCode::Internal,
        };
        Self::new(code).because(&error)
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        let code = match error {
            CommitError::Conflict => ErrorCode::Overloaded,
            CommitError::Unavailable { .. } | CommitError::Unknown { .. } => ErrorCode::LedgerUnavailable,
            CommitError::Refused { .. } => ErrorCode::Internal,
        };
        Self::new(code).because(&error)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        Self::new(ErrorCode::LogUnavailable).because(&error)
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        let code = match error {
            PublishError::Full
            | PublishError::TooLarge { .. }
            | PublishError::Unavailable { .. }
            | PublishError::Unknown { .. } => ErrorCode::LogUnavailable,
        };
        Self::new(code).because(&error)
    }
}

impl From<ObjectsError> for Problem {
    fn from(error: ObjectsError) -> Self {
        let code = match error {
            ObjectsError::Unavailable { .. } => ErrorCode::ObjectsUnavailable,
            ObjectsError::Refused { .. } => ErrorCode::Internal,
        };
        Self::new(code).because(&error)
    }
}

impl From<SignerError> for Problem {
    fn from(error: SignerError) -> Self {
        let code = match error {
            SignerError::Unavailable { .. } => ErrorCode::SignerUnavailable,
            SignerError::Invalid { .. } => ErrorCode::Internal,
        };
        Self::new(code).because(&error)
    }
}
