//! A lock file: one process at a time.

use std::fs::{File, TryLockError};

/// A file that is locked while this lives, or until the process dies.
///
/// It is unlocked by word and not only closed: a child of this process that was forked a moment ago, and is not another
/// program yet, has the file open too, and would keep it locked.
#[derive(Debug)]
pub(super) struct HeldFile(File);

impl HeldFile {
    /// Locks a file, if nobody has.
    pub(super) fn take(file: File) -> Result<Self, (File, TryLockError)> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(error) => Err((file, error)),
        }
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::debug!("a lock is given back by closing its file: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_free_although_somebody_has_it_open_still() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let held = HeldFile::take(open()).unwrap();
        let inherited = held.0.try_clone().unwrap(); // as a forked child has it
        assert!(HeldFile::take(open()).is_err());
        drop(held);
        assert!(HeldFile::take(open()).is_ok());
        drop(inherited);
    }
}
