//! From the runtime to threads that may wait for a disk, and what becomes of a disk's errors.

use std::io;

use super::assemble::CompleteError;
use super::draft::WriteError;
use super::store::PutError;
use super::uploads::PartError;
use crate::ports::ObjectsError;

/// Something that may be the file system's fault.
pub(super) trait MayBeIo {
    /// The file system's word, if it is.
    fn io(&self) -> Option<&io::Error>;
}

impl MayBeIo for io::Error {
    fn io(&self) -> Option<&io::Error> {
        Some(self)
    }
}

macro_rules! may_be_io {
    ($($error:ty: $io:path),* $(,)?) => {$(
        impl MayBeIo for $error {
            fn io(&self) -> Option<&io::Error> {
                if let $io(error) = self { Some(error) } else { None }
            }
        }

        impl From<$error> for ObjectsError {
            fn from(error: $error) -> Self {
                let reason = error.to_string();
                match error.io() {
                    Some(_) => Self::Unavailable { reason },
                    None => Self::Refused { reason },
                }
            }
        }
    )*};
}

may_be_io! {
    PutError: PutError::Io,
    PartError: PartError::Io,
    CompleteError: CompleteError::Io,
    WriteError: WriteError::Io,
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
            if let Some(error) = error.io() {
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
