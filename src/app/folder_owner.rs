//! Whether a data folder may be used: it is new, empty, or holds data of this program. Looks only, changes nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::Config;

/// Files that this program makes in its data folder.
const FILES: [&str; 6] =
    ["bucket-ledger-id", "cursor.key", "dev-issuer.key", "operator.sock", "running.json", "shards"];
/// Folders that it makes there, each with the names that are in one of ours. The bucket's may be prepared by hand.
const FOLDERS: [(&str, &[&str]); 2] =
    [("store", &["owner.lock", "engine"]), ("bucket", &["lock", "ledger-id", "credentials.json", "adopt"])];
/// What a new file system has, and what a start that was cut off leaves.
const IGNORED: [&str; 2] = ["lost+found", "shards.new"];

/// A folder with files of others. Its mode is not changed, and nothing is made in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} holds other files ({example}); name a new or an empty folder (data_dir, or --data)", dir.display())]
pub struct ForeignFolder {
    dir: PathBuf,
    example: String,
}

/// Refuses a data folder that holds other files and no data of this program.
pub(super) fn check(config: &Config) -> Result<(), ForeignFolder> {
    let dir = &config.data_dir;
    // A folder that is not there or cannot be read is reported by whoever makes or opens it.
    let Ok(entries) = fs::read_dir(dir) else { return Ok(()) };
    let named = config.auth.issuers.iter().map(|issuer| &issuer.key_file);
    let named: Vec<_> =
        named.filter(|file| file.parent() == Some(dir)).filter_map(|file| file.file_name()).collect();
    let mut example = None;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if is_ours(&entry.path()) {
            return Ok(());
        }
        let text = name.to_string_lossy().into_owned();
        let is_unfinished_key = text.starts_with("cursor.") && text.ends_with(".new");
        // Settings may lie beside the data that they are about.
        let is_known = text.ends_with(".toml") || IGNORED.contains(&text.as_str());
        if !named.contains(&name.as_os_str()) && !is_unfinished_key && !is_known {
            example = example.or(Some(text));
        }
    }
    example.map_or(Ok(()), |example| Err(ForeignFolder { dir: dir.clone(), example }))
}

fn is_ours(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    if FILES.contains(&name) {
        return true;
    }
    FOLDERS.iter().filter(|(folder, _)| *folder == name).any(|(_, inner)| {
        inner.iter().any(|inner| match fs::symlink_metadata(path.join(inner)) {
            Ok(_) => true,
            // It may be ours: the start reports what cannot be read.
            Err(error) => error.kind() == ErrorKind::PermissionDenied,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{IssuerAlgorithm, IssuerSettings};

    fn issuer(key_file: PathBuf) -> IssuerSettings {
        IssuerSettings {
            issuer: "i".to_owned(),
            audience: "a".to_owned(),
            algorithm: IssuerAlgorithm::HS256,
            key_file,
            kid: None,
            roles_claim: "roles".to_owned(),
            subject: None,
        }
    }

    /// Whether a folder with these files is refused, and with which example.
    fn refused(files: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("data");
        fs::create_dir(&dir).unwrap();
        for file in files {
            fs::create_dir_all(dir.join(file).parent().unwrap()).unwrap();
            fs::write(dir.join(file), "").unwrap();
        }
        let mut config = Config { data_dir: dir.clone(), ..Config::default() };
        config.auth.issuers = vec![issuer(dir.join("tokens.key")), issuer("/etc/other.key".into())];
        check(&config).err().map(|ForeignFolder { example, .. }| example)
    }

    #[test]
    fn a_folder_with_other_files_alone_is_refused() {
        assert_eq!(refused(&["notes.txt"]).as_deref(), Some("notes.txt"));
        assert_eq!(refused(&["store/index.js"]).as_deref(), Some("store"), "a store of something else");
        assert_eq!(refused(&["other.key"]).as_deref(), Some("other.key"));
    }

    #[test]
    fn a_new_an_empty_and_our_own_folder_are_used() {
        let none = Config { data_dir: "/nowhere/at/all".into(), ..Config::default() };
        assert_eq!(check(&none), Ok(()));
        for ours in [
            [].as_slice(),
            &["lost+found/x"],
            &["tokens.key"],
            &["wharf.toml"],
            &["cursor.12.new"],
            &["notes.txt", "dev-issuer.key"],
            &["notes.txt", "cursor.key"],
            &["notes.txt", "store/owner.lock"],
            &["bucket/adopt"],
            &["bucket/credentials.json"],
        ] {
            assert_eq!(refused(ours), None, "{ours:?}");
        }
    }
}
