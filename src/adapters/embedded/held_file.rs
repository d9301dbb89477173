//! A lock file: one process at a time.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::Duration;

/// Tries of a lock, and the pause between two: a command that only looks holds it for a moment.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// A file that is locked while this lives, or until the process dies.
///
/// It is unlocked by word and not only closed: a child of this process that was forked a moment ago, and is not another
/// program yet, has the file open too, and would keep it locked.
#[derive(Debug)]
pub(super) struct HeldFile(File);

impl HeldFile {
    /// Locks a file, if no other process holds it.
    pub(super) fn take(file: File) -> Result<Self, (File, TryLockError)> {
        let mut tries = 1;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if tries < TRIES => thread::sleep(PAUSE),
                Err(error) => return Err((file, error)),
            }
            tries += 1;
        }
    }

    /// Whether a process holds a file. A lock that cannot be tried counts as free: the process that takes it gets the error.
    pub(super) fn is_held(file: &File) -> bool {
        match file.try_lock_shared() {
            Ok(()) => {
                drop(file.unlock());
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// The device and the number of the file, which tell it from another one of its name.
    pub(super) fn identity(&self) -> std::io::Result<(u64, u64)> {
        let file = self.0.metadata()?;
        Ok((file.dev(), file.ino()))
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
    fn a_look_at_a_lock_does_not_take_it() {
        let file = tempfile::tempfile().unwrap();
        assert!(!HeldFile::is_held(&file));
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            File::options().write(true).create(true).truncate(false).open(folder.path().join("lock")).unwrap()
        };
        let held = HeldFile::take(open()).unwrap();
        assert!(HeldFile::is_held(&open()));
        drop(held);
        assert!(!HeldFile::is_held(&open()));
        HeldFile::take(open()).unwrap();
    }

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
