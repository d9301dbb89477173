//! The data folder: one process at a time, and plain words when it cannot be used.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::adapters::embedded::held_file::HeldFile;

/// Holds the lock, and in it the words that name its holder.
const LOCK_FILE: &str = "owner.lock";

/// Why the embedded store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open; it takes one process at a time.
    #[error("{} is in use by {by}; stop it, or name another folder (data_dir, or --data)", dir.display())]
    Held {
        /// The folder.
        dir: PathBuf,
        /// Who has it, as far as they said.
        by: String,
    },
    /// We may not write there.
    #[error("{} cannot be written: grant this user write access, or choose another data_dir", dir.display())]
    ReadOnly {
        /// The folder.
        dir: PathBuf,
    },
    /// There is no room left.
    #[error("the disk of {} is full", dir.display())]
    Full {
        /// The folder.
        dir: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("{} was written by a newer version (format {found}, this one knows {known})", dir.display())]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// What it says.
        found: u8,
        /// What this program reads.
        known: u8,
    },
    /// A version of this program from before the first release wrote it.
    #[error("{} was written by an older version (format {found}, this one knows {known}): choose an empty data_dir", dir.display())]
    Older {
        /// The folder.
        dir: PathBuf,
        /// What it says.
        found: u8,
        /// What this program reads.
        known: u8,
    },
    /// What stands there cannot be understood: bring back a backup.
    #[error("{} is damaged: {reason}", dir.display())]
    Corrupt {
        /// The folder.
        dir: PathBuf,
        /// For the operator.
        reason: String,
    },
    /// Anything else that the system says.
    #[error("{} cannot be opened: {source}", dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

impl OpenError {
    /// What an error of the system means for `dir`.
    pub(super) fn from_io(dir: &Path, source: io::Error) -> Self {
        let dir = dir.to_path_buf();
        if matches!(source.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
            Self::ReadOnly { dir }
        } else if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            Self::Full { dir }
        } else {
            Self::Io { dir, source }
        }
    }

    /// What an error of the engine means for `dir`.
    pub(super) fn from_engine(dir: &Path, error: fjall::Error) -> Self {
        if let fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) = error {
            return Self::from_io(dir, source);
        }
        let dir = dir.to_path_buf();
        if matches!(error, fjall::Error::Locked) {
            Self::Held { dir, by: "a process that did not say its name".to_owned() }
        } else {
            Self::Corrupt { dir, reason: error.to_string() }
        }
    }
}

/// The lock on a folder. Given back when it is dropped, and by the system when the process dies.
#[derive(Debug)]
pub(super) struct FolderLock {
    _held: HeldFile,
}

impl FolderLock {
    /// Makes the folder if need be, and takes it.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        let fail = |source| OpenError::from_io(dir, source);
        std::fs::create_dir_all(dir).map_err(fail)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(dir.join(LOCK_FILE)).map_err(fail)?;
        let mut held = HeldFile::take(file).map_err(|(mut file, error)| match error {
            TryLockError::WouldBlock => OpenError::Held { dir: dir.to_path_buf(), by: holder(&mut file) },
            TryLockError::Error(source) => fail(source),
        })?;
        sign(held.file()).map_err(fail)?;
        Ok(Self { _held: held })
    }
}

/// The process that holds a folder, if one does. Makes nothing.
pub(super) fn holder_of(dir: &Path) -> Option<String> {
    let mut file = File::open(dir.join(LOCK_FILE)).ok()?;
    HeldFile::is_held(&file).then(|| holder(&mut file))
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {}", std::process::id())?;
    file.flush()
}

/// The holder's words; it may be between taking the lock and signing it.
fn holder(file: &mut File) -> String {
    let mut words = String::new();
    let read = file.take(64).read_to_string(&mut words);
    match (read, words.trim()) {
        (Ok(_), said) if !said.is_empty() => said.to_owned(),
        (Ok(_) | Err(_), _) => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ErrorKind, says: &str) {
        let error = OpenError::from_io(Path::new("/data"), io::Error::from(kind));
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn what_the_system_says_becomes_plain_words() {
        check(ErrorKind::PermissionDenied, "grant this user write access");
        check(ErrorKind::ReadOnlyFilesystem, "grant this user write access");
        check(ErrorKind::StorageFull, "the disk of /data is full");
        check(ErrorKind::QuotaExceeded, "the disk of /data is full");
        check(ErrorKind::NotADirectory, "/data cannot be opened");
    }

    #[test]
    fn a_held_folder_names_its_holder_and_is_free_again_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(dir.path()).unwrap();
        let refused = FolderLock::take(dir.path()).unwrap_err().to_string();
        let name = format!("process {}", std::process::id());
        assert!(refused.contains(&format!("in use by {name}; stop it, or name another folder")), "{refused}");
        assert_eq!(holder_of(dir.path()), Some(name));
        drop(lock);
        assert_eq!(holder_of(dir.path()), None);
        assert_eq!(holder_of(&dir.path().join("missing")), None);
        FolderLock::take(dir.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        std::fs::write(&file, "not a folder").unwrap();
        assert!(matches!(FolderLock::take(&file), Err(OpenError::Io { .. })));
    }
}
