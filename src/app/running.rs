//! The note of a running process in its data folder: where it listens, for the commands of its operator.
//!
//! The process holds a lock on the file for as long as it lives, so a note that a crash left is not believed.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::listeners::Addresses;

/// The note's name in the data folder.
const FILE: &str = "running.json";
/// Its mode: for its owner only.
const FILE_MODE: u32 = 0o600;
/// Bytes of a note.
const BYTES_MAX: u64 = 1024;

/// A running process, by its note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub process: u32,
    /// The API.
    pub api: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// The note of this process. It is removed with the value.
#[derive(Debug)]
pub(super) struct RunningNote {
    file: File,
    path: PathBuf,
}

impl RunningNote {
    /// Writes the note into a data folder.
    pub(super) fn write(dir: &Path, addresses: &Addresses) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut options = File::options();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(&path)?;
        file.try_lock()?;
        let note = Running { process: std::process::id(), api: addresses.api, admin: addresses.admin };
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(serde_json::to_string(&note)?.as_bytes())?;
        Ok(Self { file, path })
    }
}

impl Drop for RunningNote {
    fn drop(&mut self) {
        // A note that stays is not believed, because its lock is given back.
        drop(fs::remove_file(&self.path));
        drop(self.file.unlock());
    }
}

/// The process that runs on a data folder; none if none does, or if it wrote no note.
///
/// # Errors
/// The folder cannot be read.
pub fn running(dir: &Path) -> io::Result<Option<Running>> {
    let file = match File::open(dir.join(FILE)) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.take(BYTES_MAX).read_to_string(&mut text)?;
            // A note that is being written is none yet.
            Ok(serde_json::from_str(&text).ok())
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(port: u16) -> Addresses {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Addresses { api: at(port), admin: at(port + 2), s3: None }
    }

    #[test]
    fn a_note_counts_while_its_process_lives() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert_eq!(running(dir).unwrap(), None);
        assert_eq!(running(&dir.join("missing")).unwrap(), None);
        let note = RunningNote::write(dir, &addresses(8000)).unwrap();
        let found = running(dir).unwrap().expect("it runs");
        assert_eq!((found.process, found.api.port(), found.admin.port()), (std::process::id(), 8000, 8002));
        assert!(RunningNote::write(dir, &addresses(9000)).is_err(), "one process at a time");
        let left = fs::read(dir.join(FILE)).unwrap();
        drop(note);
        assert!(!dir.join(FILE).exists());
        fs::write(dir.join(FILE), left).unwrap();
        assert_eq!(running(dir).unwrap(), None, "a note that a crash left is not believed");
        drop(RunningNote::write(dir, &addresses(9000)).unwrap());
    }

    #[test]
    fn a_note_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let _note = RunningNote::write(folder.path(), &addresses(8000)).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
