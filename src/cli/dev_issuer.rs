//! The issuer of a laptop: a key in the data folder, tokens made on the spot.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::config::{IssuerAlgorithm, IssuerSettings};
use crate::domain::time::Timestamp;

/// The `iss` of its tokens.
pub(super) const ISSUER: &str = "wharfinger-dev";
/// The `aud` of its tokens.
const AUDIENCE: &str = "wharfinger";
/// The claim with the roles.
const ROLES_CLAIM: &str = "roles";
/// The key's name in the data folder.
const KEY_FILE: &str = "dev-issuer.key";
/// What a service keeps in its data folder.
const DATA: [&str; 3] = ["store", "bucket", "running.json"];
/// Bytes of the key: as many as SHA-256 gives.
const KEY_BYTES: usize = 32;
/// Who may read the key: its owner.
const KEY_MODE: u32 = 0o600;
/// Who may look into a data folder that is made here.
const FOLDER_MODE: u32 = 0o700;

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub(super) enum DevIssuerError {
    #[error("cannot make the data folder {}: {source}; choose another with --data", .path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}: {source}; choose another folder with --data", .path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot read {}: {}", .path.display(), read_advice(.source))]
    Read { path: PathBuf, source: std::io::Error },
    #[error("there is no {}; run `wharfinger dev` once, or name its data folder with --data", .path.display())]
    Missing { path: PathBuf },
    #[error("there is no {}: the data there is not of `wharfinger dev`; name the settings of its service with --config FILE", .path.display())]
    NotDev { path: PathBuf },
    #[error("{} can be read by others (mode {mode:o}); chmod 600 it, or delete it to get a new key", .path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is not a key of {KEY_BYTES} bytes; delete it to get a new one", .path.display())]
    Damaged { path: PathBuf },
    #[error("cannot draw a random key")]
    Random,
    #[error("cannot sign a token: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// Why a key cannot be read, and what to do about it.
fn read_advice(error: &std::io::Error) -> String {
    if error.kind() == ErrorKind::PermissionDenied {
        "permission denied; run this as the user who runs `wharfinger dev`".to_owned()
    } else {
        error.to_string()
    }
}

impl DevIssuerError {
    /// Whether the key is another user's of this machine.
    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied)
    }
}

/// What a token says.
#[derive(Debug, Serialize)]
struct DevClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    roles: &'a [String],
    iat: u64,
    exp: u64,
}

/// Signs tokens for this machine.
pub(super) struct DevIssuer {
    key: EncodingKey,
}

impl DevIssuer {
    /// Opens the issuer of a data folder.
    pub(super) fn open(folder: &Path) -> Result<Self, DevIssuerError> {
        let path = key_path(folder);
        let file = File::open(&path).map_err(|source| {
            let path = path.clone();
            if source.kind() != ErrorKind::NotFound {
                return DevIssuerError::Read { path, source };
            }
            let has_data = DATA.iter().any(|name| folder.join(name).exists());
            if has_data { DevIssuerError::NotDev { path } } else { DevIssuerError::Missing { path } }
        })?;
        let failed = |source| DevIssuerError::Read { path: path.clone(), source };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(DevIssuerError::Exposed { path, mode });
        }
        let mut key = Vec::with_capacity(KEY_BYTES + 1);
        let limit = u64::try_from(KEY_BYTES + 1).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut key).map_err(failed)?;
        if key.len() != KEY_BYTES {
            return Err(DevIssuerError::Damaged { path });
        }
        Ok(Self { key: EncodingKey::from_secret(&key) })
    }

    /// Opens the issuer of a data folder, making folder and key if they are not there.
    pub(super) fn open_or_create(folder: &Path) -> Result<Self, DevIssuerError> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(|source| DevIssuerError::Folder { path: folder.to_owned(), source })?;
        match Self::open(folder) {
            Err(DevIssuerError::Missing { path } | DevIssuerError::NotDev { path }) => {
                create_key(&path)?;
                Self::open(folder)
            }
            opened => opened,
        }
    }

    /// A token for `subject` with these roles, from `now` for `ttl`.
    pub(super) fn mint(
        &self,
        subject: &str,
        roles: &[String],
        now: Timestamp,
        ttl: Duration,
    ) -> Result<String, DevIssuerError> {
        let (iat, exp) = (now.as_secs(), now.after(ttl).as_secs());
        let claims = DevClaims { iss: ISSUER, aud: AUDIENCE, sub: subject, roles, iat, exp };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)?)
    }
}

/// Where the key of a data folder is.
pub(super) fn key_path(folder: &Path) -> PathBuf {
    folder.join(KEY_FILE)
}

/// The settings that make a service accept the tokens of the issuer of a data folder.
pub(super) fn settings(folder: &Path) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithm: IssuerAlgorithm::HS256,
        key_file: key_path(folder),
        kid: None,
        roles_claim: ROLES_CLAIM.to_owned(),
        subject: None,
    }
}

/// Makes the key. Losing a race against another process is fine: then its key counts.
fn create_key(path: &Path) -> Result<(), DevIssuerError> {
    let mut key = [0_u8; KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| DevIssuerError::Random)?;
    let failed = |source| DevIssuerError::Write { path: path.to_owned(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(KEY_MODE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    file.write_all(&key).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a key would be refused at the next start; the first error is the one to report.
        drop(std::fs::remove_file(path));
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation, decode};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_169_642_161);

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a/b");
        DevIssuer::open_or_create(&data).unwrap();
        let path = data.join(KEY_FILE);
        let key = std::fs::read(&path).unwrap();
        assert_eq!(key.len(), KEY_BYTES);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        DevIssuer::open_or_create(&data).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), key);
    }

    fn check_refused(bytes: &[u8], mode: u32, expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = DevIssuer::open_or_create(folder.path()).err().expect("is refused").to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it was");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        check_refused(&[7; 32], 0o640, "mode 640");
        check_refused(&[7; 32], 0o604, "mode 604");
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        check_refused(&[7; 31], 0o600, "not a key of 32 bytes");
        check_refused(&[7; 33], 0o600, "not a key of 32 bytes");
        check_refused(&[], 0o600, "not a key of 32 bytes");
    }

    #[test]
    fn a_token_says_what_was_asked_and_verifies_with_the_key_file() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::open_or_create(folder.path()).unwrap();
        let roles = ["admin".to_owned()];
        let token = issuer.mint("dev-admin", &roles, NOW, Duration::from_secs(60)).unwrap();
        let settings = settings(folder.path());
        let key = DecodingKey::from_secret(&std::fs::read(&settings.key_file).unwrap());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[&settings.audience]);
        validation.set_issuer(&[&settings.issuer]);
        validation.validate_exp = false;
        let claims = decode::<serde_json::Value>(&token, &key, &validation).unwrap().claims;
        let expected = serde_json::json!({
            "iss": "wharfinger-dev", "aud": "wharfinger", "sub": "dev-admin", "roles": ["admin"],
            "iat": 1_795_169_642, "exp": 1_795_169_702,
        });
        assert_eq!(claims, expected);
    }
}
