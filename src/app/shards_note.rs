//! The number of shards that a data folder was made with. It is fixed for the life of a deployment: with another number
//! the events of a user would go to another subject, and lose their order.

use std::io;
use std::path::{Path, PathBuf};

use super::note;
use crate::config::Config;

/// The note's name in the data folder.
const FILE: &str = "shards";

/// Why the shards of the settings are not used.
#[derive(Debug, thiserror::Error)]
pub enum ShardsNoteError {
    /// The data was made with another number.
    #[error(
        "{asked} is not the number that the data in {} was made with, which is {kept}; it is fixed for the life of a \
         deployment: say shards = {kept}, or name another folder (data_dir, or --data)", dir.display()
    )]
    Changed {
        /// The data folder.
        dir: PathBuf,
        /// The number in its note.
        kept: u16,
        /// The number in the settings.
        asked: u16,
    },
    /// The note cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Refuses another number than that of the data folder. Makes nothing.
pub(super) fn check(config: &Config) -> Result<(), ShardsNoteError> {
    match read(&config.data_dir.join(FILE))? {
        Some(kept) if kept != config.shards => {
            Err(ShardsNoteError::Changed { dir: config.data_dir.clone(), kept, asked: config.shards })
        }
        Some(_) | None => Ok(()),
    }
}

/// Notes the number in a data folder that has no note yet; the folder was checked.
pub(super) fn put(config: &Config) -> Result<(), ShardsNoteError> {
    let path = config.data_dir.join(FILE);
    if read(&path)?.is_some() {
        return Ok(());
    }
    note::write(&path, config.shards).map_err(|source| ShardsNoteError::Io { path, source })
}

fn read(path: &Path) -> Result<Option<u16>, ShardsNoteError> {
    note::read(path).map_err(|source| ShardsNoteError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_first_number_counts_and_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let with = |shards| Config { data_dir: folder.path().to_owned(), shards, ..Config::default() };
        check(&with(64)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a check makes nothing");
        put(&with(64)).unwrap();
        put(&with(64)).unwrap();
        check(&with(64)).unwrap();
        let text = check(&with(8)).unwrap_err().to_string();
        assert!(text.starts_with("8 is not the number") && text.contains("which is 64;"), "{text}");
        fs::write(folder.path().join(FILE), "many").unwrap();
        assert!(matches!(check(&with(64)), Err(ShardsNoteError::Io { .. })));
    }
}
