//! From the runtime to threads that may wait for a disk, and what becomes of a disk's errors.

use std::io;

use super::assemble::CompleteError;
use super::draft::WriteError;
use super::store::PutError;
use super::uploads::PartError;
use crate::adapters::embedded::free_space::is_full;
use crate::ports::ObjectsError;

/// Something that may be the file system's fault.
pub(super) trait MayBeIo {
    /// The file system's word, if it is.
    fn io(&self) -> Option<&io::Error>;

    /// Whether it is a refusal that passes.
    fn is_for_now(&self) -> bool {
        false
    }
}

impl MayBeIo for io::Error {
    fn io(&self) -> Option<&io::Error> {
        Some(self)
    }
}

macro_rules! may_be_io {
    ($($error:ty: $io:path $(, but for now [$passing:pat])?;)*) => {$(
        impl MayBeIo for $error {
            fn io(&self) -> Option<&io::Error> {
                if let $io(error) = self { Some(error) } else { None }
            }

            $(fn is_for_now(&self) -> bool {
                matches!(self, $passing)
            })?
        }

        impl From<$error> for ObjectsError {
            fn from(error: $error) -> Self {
                let reason = error.to_string();
                if error.io().is_some() || error.is_for_now() {
                    Self::Unavailable { reason }
                } else {
                    Self::Refused { reason }
                }
            }
        }
    )*};
}

may_be_io! {
    PutError: PutError::Io, but for now [PutError::NoRoom(_)];
    PartError: PartError::Io;
    CompleteError: CompleteError::Io, but for now [CompleteError::NoRoom(_) | CompleteError::Busy];
    WriteError: WriteError::Io, but for now [WriteError::NoRoom(_)];
}

impl From<io::Error> for ObjectsError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

/// Does something slow on a thread for that, to its end even if the caller goes, and logs what the file system has
/// against it.
pub(super) async fn blocking<T, E>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: MayBeIo + From<io::Error> + Send + 'static,
{
    let logged = move || {
        work().inspect_err(|error| {
            // A full disk is in the health of the process, once for all that it refuses.
            if let Some(error) = error.io().filter(|error| !is_full(error)) {
                tracing::error!("the bucket could not {what}: {error}");
            }
        })
    };
    match tokio::task::spawn_blocking(logged).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(io::Error::other("the process is stopping").into()),
        },
    }
}
