//! How much room the disk under a folder has.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much room the disk under a folder has. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FreeSpace(Source);

#[derive(Clone, Debug)]
enum Source {
    Disk(Arc<Path>),
    Fixed(Arc<AtomicU64>),
}

impl FreeSpace {
    /// Asks the file system that holds this folder.
    #[must_use]
    pub fn of(folder: PathBuf) -> Self {
        Self(Source::Disk(folder.into()))
    }

    /// As much as the number says. For tests: no setting leads here.
    #[must_use]
    pub const fn fixed(bytes: Arc<AtomicU64>) -> Self {
        Self(Source::Fixed(bytes))
    }

    /// Bytes that can be written, without those that the file system keeps for its administrator.
    ///
    /// # Errors
    /// The file system does not answer.
    pub fn bytes(&self) -> io::Result<u64> {
        match &self.0 {
            Source::Disk(folder) => {
                let found = rustix::fs::statvfs(&**folder)?;
                Ok(found.f_bavail.saturating_mul(found.f_frsize))
            }
            Source::Fixed(bytes) => Ok(bytes.load(Ordering::Relaxed)),
        }
    }
}

/// Whether the file system refused for want of room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_a_missing_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(FreeSpace::of(dir.path().to_owned()).bytes().unwrap() > 0);
        assert!(FreeSpace::of(dir.path().join("missing")).bytes().is_err());
    }

    #[test]
    fn a_disk_that_is_full_is_told_from_other_failures() {
        assert!(is_full(&io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error())));
        assert!(is_full(&io::Error::from_raw_os_error(rustix::io::Errno::DQUOT.raw_os_error())));
        assert!(!is_full(&io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())));
    }
}
