//! The key that seals the cursors of lists.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::{hmac, rand};

use crate::config::Config;

/// Bytes of a key at least.
const KEY_BYTES_MIN: usize = 32;
/// The file under the data folder, if the settings name none.
const FILE_NAME: &str = "cursor.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum CursorKeyError {
    /// It cannot be read or made.
    #[error("cannot open {}: {source}; give this user access to it, or name another file", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can be guessed.
    #[error("{} has {found} bytes, at least {} are needed", path.display(), KEY_BYTES_MIN)]
    Short {
        /// The file.
        path: PathBuf,
        /// How many it has.
        found: usize,
    },
}

/// The key in the file that the settings name, or the one under the data folder, which is made at first.
pub(super) fn load(config: &Config) -> Result<[u8; 32], CursorKeyError> {
    let named = &config.http.cursor_key_file;
    if !named.as_os_str().is_empty() {
        return read(named);
    }
    let path = config.data_dir.join(FILE_NAME);
    make(&path).map_err(|source| CursorKeyError::Io { path: path.clone(), source })?;
    read(&path)
}

fn read(path: &Path) -> Result<[u8; 32], CursorKeyError> {
    let bytes = fs::read(path).map_err(|source| CursorKeyError::Io { path: path.to_owned(), source })?;
    if bytes.len() < KEY_BYTES_MIN {
        return Err(CursorKeyError::Short { path: path.to_owned(), found: bytes.len() });
    }
    let mut key = [0; 32];
    let from = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    key.copy_from_slice(hmac::sign(&from, b"wharfinger list cursor v1").as_ref());
    Ok(key)
}

/// Makes a key, whole or not at all; leaves one that is there.
fn make(path: &Path) -> io::Result<()> {
    if fs::exists(path)? {
        return Ok(());
    }
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut bytes = [0; KEY_BYTES_MIN];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let linked = match fs::hard_link(&new, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&new)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, named: &str) -> Config {
        let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
        config.http.cursor_key_file = named.into();
        config
    }

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = load(&config(folder.path(), "")).unwrap();
        assert_eq!(load(&config(folder.path(), "")).unwrap(), first);
        assert_ne!(load(&config(other.path(), "")).unwrap(), first);
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn a_named_key_is_read_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("key");
        let config = config(folder.path(), named.to_str().unwrap());
        assert!(matches!(load(&config), Err(CursorKeyError::Io { .. })));
        fs::write(&named, [7; 31]).unwrap();
        assert!(load(&config).unwrap_err().to_string().ends_with("has 31 bytes, at least 32 are needed"));
        fs::write(&named, [7; 32]).unwrap();
        let first = load(&config).unwrap();
        fs::write(&named, [8; 32]).unwrap();
        assert_ne!(load(&config).unwrap(), first);
    }
}
