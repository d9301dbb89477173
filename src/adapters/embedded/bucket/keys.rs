//! The endpoint's one access key, made at the first start.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::options::OpenError;
use super::store::write_whole;
use crate::adapters::sigv4::Credentials;

/// What an access key is made of.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    access_key: String,
    secret_key: String,
}

/// Reads the key of the bucket in `root`, or makes one that only this user can read.
pub(super) fn open(root: &Path) -> Result<Credentials, OpenError> {
    let path = root.join("credentials.json");
    let io = || OpenError::io(&path);
    let keys = match fs::read(&path) {
        Ok(text) => {
            // It may have been copied with other permissions.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(io())?;
            serde_json::from_slice(&text)
                .map_err(|error| OpenError::Damaged { path: path.clone(), reason: error.to_string() })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let keys = make().map_err(io())?;
            let text = serde_json::to_vec_pretty(&keys).map_err(io::Error::from).map_err(io())?;
            write_whole(&path, &text).map_err(io())?;
            keys
        }
        Err(error) => return Err(io()(error)),
    };
    Ok(Credentials::new(keys.access_key, keys.secret_key))
}

fn make() -> io::Result<Keys> {
    let mut random = [0_u8; 46];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    let (name, secret) = random.split_at(16);
    let letters = name.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let access_key = "WHRF".chars().chain(letters).collect();
    Ok(Keys { access_key, secret_key: URL_SAFE_NO_PAD.encode(secret) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let path = dir.path().join("credentials.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let second = open(dir.path()).unwrap();
        assert_eq!(first.access_key(), second.access_key());
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert_eq!((first.access_key().len(), first.expose_secret().len()), (20, 40));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let other = tempfile::tempdir().unwrap();
        assert_ne!(open(other.path()).unwrap().expose_secret(), first.expose_secret());
    }

    #[test]
    fn a_damaged_key_is_not_replaced_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("credentials.json"), "{").unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Damaged { .. })));
    }
}
