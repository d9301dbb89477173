//! The data folder: made for its owner alone, and tightened if it is open to others.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::start_error::StartError;
use super::{folder_owner, shards_note};
use crate::adapters::embedded::bucket::{self, EmbeddedBucket};
use crate::adapters::embedded::{EmbeddedStore, OpenError};
use crate::config::{BucketKind, Config, LedgerKind, LogKind, QueueKind};

/// The mode of a folder with data: for its owner only.
const FOLDER_MODE: u32 = 0o700;
/// Folders in it that older releases made for others to read.
const INNER: [&str; 3] = ["store", "bucket", "bucket/tmp"];
/// The sticky bit of a folder that all users write to, like `/tmp`.
const STICKY: u32 = 0o1000;

/// From now on, what this process makes on disk is for its own user alone, whichever library makes it.
pub fn keep_new_files_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Whether ledger, log or queue keep their data in the folder.
pub(super) fn needs_store(config: &Config) -> bool {
    config.ledger.kind == LedgerKind::Embedded
        || config.log.kind == LogKind::Embedded
        || config.queue.kind == QueueKind::Embedded
}

/// Whether anything is kept in the folder.
pub(super) fn is_needed(config: &Config) -> bool {
    needs_store(config)
        || config.objects.kind == BucketKind::Embedded
        || config.http.cursor_key_file.as_os_str().is_empty()
}

/// A folder that this process may not look into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be read: {reason}", dir.display())]
pub struct NoAccess {
    dir: PathBuf,
    reason: String,
}

/// Whether a folder is there.
pub(super) fn is_there(dir: &Path) -> Result<bool, NoAccess> {
    match fs::metadata(dir) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(no_access(dir, &error)),
    }
}

fn no_access(dir: &Path, error: &io::Error) -> NoAccess {
    let reason = if error.kind() == ErrorKind::PermissionDenied {
        "permission denied; run this as the user who runs the service".to_owned()
    } else {
        error.to_string()
    };
    NoAccess { dir: dir.to_owned(), reason }
}

/// The process that holds the embedded data of these settings, if one does. Opens and makes nothing.
pub(super) fn holder(config: &Config) -> Option<StartError> {
    let (store, bucket) = (config.data_dir.join("store"), config.data_dir.join("bucket"));
    let by = needs_store(config).then(|| EmbeddedStore::holder(&store)).flatten();
    if let Some(by) = by {
        return Some(OpenError::Held { dir: store, by }.into());
    }
    let is_held = config.objects.kind == BucketKind::Embedded && EmbeddedBucket::is_held(&bucket);
    is_held.then(|| bucket::OpenError::InUse { path: bucket }.into())
}

/// Refuses a data folder that is not for these settings: it holds other files, or data with another number of shards.
/// Makes nothing.
pub(super) fn check(config: &Config) -> Result<(), StartError> {
    if is_needed(config) {
        folder_owner::check(config)?;
        shards_note::check(config)?;
    }
    Ok(())
}

/// Notes in the data folder what is fixed for its life, if anything is kept in it.
pub(super) fn note_shards(config: &Config) -> Result<(), StartError> {
    if is_needed(config) { Ok(shards_note::put(config)?) } else { Ok(()) }
}

/// Prepares the data folder of these settings, if anything is kept in it.
pub(super) fn prepare_if_needed(config: &Config) -> Result<(), StartError> {
    if is_needed(config) { prepare(&config.data_dir) } else { Ok(()) }
}

/// Makes the folder if it is not there. One that others can read is closed to them, with one line in the log.
fn prepare(dir: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(dir);
    made.map_err(|source| StartError::DataDir { dir: dir.to_owned(), source })?;
    let open: Vec<_> = [dir.to_owned()]
        .into_iter()
        .chain(INNER.map(|name| dir.join(name)))
        .filter_map(|folder| Some((open_mode(&folder)?, folder)))
        .collect();
    if let Some(line) = tightened(&open) {
        tracing::warn!("{line}");
    }
    Ok(())
}

/// The mode of a folder, if others than its owner can use it.
fn open_mode(folder: &Path) -> Option<u32> {
    let mode = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?.permissions().mode();
    (mode & 0o077 != 0).then_some(mode & 0o7777)
}

/// Closes folders to others; says in one line what was done, or why not.
fn tightened(open: &[(u32, PathBuf)]) -> Option<String> {
    let mut parts = Vec::new();
    for (mode, folder) in open {
        let name = folder.display();
        if mode & STICKY != 0 {
            parts
                .push(format!("{name} (mode {mode:o}) is shared by all users: choose a data_dir of its own"));
            continue;
        }
        parts.push(match fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE)) {
            Ok(()) => {
                format!("{name} was open to other users (mode {mode:o}), its mode is {FOLDER_MODE:o} now")
            }
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                format!("{name} is open to other users (mode {mode:o}) and belongs to another: chmod 700 it")
            }
            Err(error) => format!("{name} is open to other users (mode {mode:o}) and stays so: {error}"),
        });
    }
    (!parts.is_empty()).then(|| format!("data folder: {}", parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o7777
    }

    fn open(folder: &Path, mode: u32) {
        fs::create_dir_all(folder).unwrap();
        fs::set_permissions(folder, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_new_folder_is_for_its_owner_alone() {
        let above = tempfile::tempdir().unwrap();
        let dir = above.path().join("a/b");
        prepare(&dir).unwrap();
        assert_eq!((mode(&above.path().join("a")), mode(&dir)), (0o700, 0o700));
        assert!(open_mode(&dir).is_none());
    }

    #[test]
    fn folders_that_are_there_are_tightened() {
        let dir = tempfile::tempdir().unwrap();
        let inner = INNER.map(|name| dir.path().join(name));
        for folder in inner.iter().map(PathBuf::as_path).chain([dir.path()]) {
            open(folder, 0o755);
        }
        prepare(dir.path()).unwrap();
        for folder in inner.iter().map(PathBuf::as_path).chain([dir.path()]) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn what_was_done_is_one_line_and_a_shared_folder_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, shared) = (dir.path().join("ours"), dir.path().join("shared"));
        open(&ours, 0o755);
        open(&shared, 0o1777);
        let line = tightened(&[(0o755, ours.clone()), (0o1777, shared.clone())]).unwrap();
        assert!(
            line.contains("(mode 755), its mode is 700 now; ") && line.contains("(mode 1777) is shared"),
            "{line}"
        );
        assert_eq!((mode(&ours), mode(&shared)), (0o700, 0o1777));
        assert_eq!(tightened(&[]), None);
    }

    #[test]
    fn a_folder_is_made_only_for_what_is_kept_in_it() {
        let mut config = Config::default();
        assert!(is_needed(&config) && needs_store(&config));
        config.ledger.kind = LedgerKind::Scylla;
        config.log.kind = LogKind::Nats;
        config.queue.kind = QueueKind::Sqs;
        assert!(is_needed(&config) && !needs_store(&config));
        config.objects.kind = BucketKind::S3;
        assert!(is_needed(&config), "the key of cursors");
        config.http.cursor_key_file = "key".into();
        assert!(!is_needed(&config));
    }
}
