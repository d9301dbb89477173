//! A file that is given up when the disk is full, so that removals have room for what they must write.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::layout;
use crate::adapters::embedded::free_space::is_full;

/// Enough for the news of many removals, of which each frees an object.
const BALLAST_BYTES: usize = 1 << 20;

/// A file that is given up when the disk is full.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// The ballast of the bucket in `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self { path: root.join("ballast") }
    }

    /// Makes the file, if it is not there. A disk that is full now has none until there is room.
    pub(super) fn restore(&self) -> io::Result<()> {
        if fs::exists(&self.path)? {
            return Ok(());
        }
        let new = self.path.with_extension("new");
        layout::remove(&new)?;
        let mut file = File::create_new(&new)?;
        let written = file.write_all(&vec![0xa5; BALLAST_BYTES]).and_then(|()| file.sync_all());
        match written {
            Ok(()) => fs::rename(&new, &self.path),
            Err(refused) => layout::remove(&new).and(Err(refused)),
        }
    }

    /// Does something that must be possible on a full disk; once more without the ballast if there was no room.
    pub(super) fn with_room<T>(&self, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match work() {
            Err(error) if is_full(&error) => {
                layout::remove(&self.path)?;
                work()
            }
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_ballast_goes_when_the_disk_is_full_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path());
        ballast.restore().unwrap();
        assert_eq!(fs::metadata(dir.path().join("ballast")).unwrap().len(), 1 << 20);
        let tries = Cell::new(0);
        let done = ballast.with_room(|| {
            tries.set(tries.get() + 1);
            if fs::exists(dir.path().join("ballast"))? {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok("done")
        });
        assert_eq!((done.unwrap(), tries.get()), ("done", 2));
        ballast.restore().unwrap();
        assert!(fs::exists(dir.path().join("ballast")).unwrap());
    }

    #[test]
    fn other_failures_leave_the_ballast_alone() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = Ballast::new(dir.path());
        ballast.restore().unwrap();
        let refused: io::Result<()> =
            ballast.with_room(|| Err(io::Error::from(io::ErrorKind::PermissionDenied)));
        assert!(refused.is_err());
        assert!(fs::exists(dir.path().join("ballast")).unwrap());
    }
}
