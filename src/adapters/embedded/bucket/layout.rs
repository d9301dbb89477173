//! The bucket's folder: where what is, how a key becomes a path, and what makes a change durable.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of a path's element that file systems take.
const NAME_BYTES_MAX: usize = 255;
/// Bytes of a key, as S3 has it.
const KEY_BYTES_MAX: usize = 1024;
/// Folders that are remembered as durable; more only cost a sync.
const DURABLE_MAX: usize = 65_536;

/// Ends the file name of an object, which tells it from a folder: no encoded element holds it.
const OBJECT_MARK: char = '=';
/// The folder of an element without characters: no other element is encoded so.
const EMPTY_ELEMENT: &str = "%";

/// A key that has no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 1024 bytes, and what is between two of its slashes fits in a file name")]
pub(super) struct KeyError;

/// The folders of one bucket.
#[derive(Debug)]
pub(super) struct Layout {
    objects: PathBuf,
    uploads: PathBuf,
    outbox: PathBuf,
    tmp: PathBuf,
    deleted: PathBuf,
    tmp_count: AtomicU64,
    durable: Mutex<HashSet<PathBuf>>,
}

impl Layout {
    /// Makes the folders that are missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let sub = |name: &str| root.join(name);
        let layout = Self {
            objects: sub("objects"),
            uploads: sub("uploads"),
            outbox: sub("outbox"),
            tmp: sub("tmp"),
            deleted: sub("deleted"),
            tmp_count: AtomicU64::new(0),
            durable: Mutex::default(),
        };
        for folder in [&layout.objects, &layout.uploads, &layout.outbox, &layout.tmp, &layout.deleted] {
            fs::create_dir_all(folder)?;
        }
        sync_folder(root)?;
        Ok(layout)
    }

    /// Removes what a crash left in `tmp/`. Only before anything is written.
    pub(super) fn clear_tmp(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.tmp)? {
            remove(&entry?.path())?;
        }
        Ok(())
    }

    pub(super) fn objects(&self) -> &Path {
        &self.objects
    }

    pub(super) fn outbox(&self) -> &Path {
        &self.outbox
    }

    /// The folder of an upload in parts. The id must be one of ours.
    pub(super) fn upload(&self, upload_id: &str) -> PathBuf {
        self.uploads.join(upload_id)
    }

    pub(super) fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// The folder of the tombstones.
    pub(super) fn deleted(&self) -> &Path {
        &self.deleted
    }

    /// A path under `tmp/` that nobody else was given.
    pub(super) fn tmp(&self) -> PathBuf {
        self.tmp.join(self.tmp_count.fetch_add(1, Ordering::Relaxed).to_string())
    }

    /// The link in the outbox of what happened as the `sequence`-th.
    pub(super) fn marker(&self, sequence: u64) -> PathBuf {
        self.outbox.join(format!("{sequence:020}"))
    }

    /// The path of an object.
    pub(super) fn object(&self, key: &str) -> Result<PathBuf, KeyError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyError);
        }
        let (folders, name) = key.rsplit_once('/').map_or((None, key), |(above, name)| (Some(above), name));
        let mut path = self.objects.clone();
        for element in folders.into_iter().flat_map(|folders| folders.split('/')) {
            path.push(if element.is_empty() { EMPTY_ELEMENT.to_owned() } else { encode(element)? });
        }
        let mut name = encode(name)?;
        name.push(OBJECT_MARK);
        if name.len() > NAME_BYTES_MAX {
            return Err(KeyError);
        }
        path.push(name);
        Ok(path)
    }

    /// Makes the folders above an object, durably.
    pub(super) fn prepare(&self, object: &Path) -> io::Result<()> {
        let folder = object.parent().unwrap_or(&self.objects);
        if self.durable().contains(folder) {
            return Ok(());
        }
        let below = folder.strip_prefix(&self.objects).unwrap_or(Path::new(""));
        let mut path = self.objects.clone();
        for element in below {
            let above = path.clone();
            path.push(element);
            if let Err(refused) = fs::create_dir(&path)
                && refused.kind() != io::ErrorKind::AlreadyExists
            {
                return Err(refused);
            }
            // Also if it was there: the process that made it may have died before the sync.
            sync_folder(&above)?;
        }
        let mut durable = self.durable();
        if durable.len() >= DURABLE_MAX {
            durable.clear();
        }
        durable.insert(folder.to_owned());
        Ok(())
    }

    fn durable(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a name in a folder under `objects/` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// The last part of a key.
    Object(String),
    /// A part of keys that a slash follows.
    Folder(String),
}

/// Reads a name back; none if it is not ours.
pub(super) fn element(name: &str) -> Option<Element> {
    match name.strip_suffix(OBJECT_MARK) {
        Some(name) => decode(name).map(Element::Object),
        None if name == EMPTY_ELEMENT => Some(Element::Folder(String::new())),
        None => decode(name).map(Element::Folder),
    }
}

/// Keeps `a-z 0-9 - _` and dots that are not first; so no name is `.` or `..`, and none depends on case.
fn encode(element: &str) -> Result<String, KeyError> {
    let mut name = String::with_capacity(element.len() + 1);
    for (at, byte) in element.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            b'.' if at > 0 => name.push('.'),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() <= NAME_BYTES_MAX { Ok(name) } else { Err(KeyError) }
}

fn decode(name: &str) -> Option<String> {
    percent_encoding::percent_decode_str(name).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// Makes what was linked, renamed or removed in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file or a folder with all in it; fine if it is gone.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(layout: &Layout, key: &str) -> String {
        let path = layout.object(key).unwrap();
        let mut back = String::new();
        for name in path.strip_prefix(layout.objects()).unwrap() {
            match element(name.to_str().unwrap()).unwrap() {
                Element::Object(part) => back.push_str(&part),
                Element::Folder(part) => back = back + &part + "/",
            }
        }
        back
    }

    #[test]
    fn every_key_has_its_own_path_below_objects_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let mut paths = HashSet::new();
        let keys = [
            "a",
            "A",
            "a/b",
            "a=/b",
            "a%",
            "a%3d",
            "/",
            "//",
            "a/",
            "/a",
            ".",
            "..",
            "../../etc/passwd",
            "...",
            "a..",
            "é",
            "\0",
            "a b+c",
            "%",
            "=",
            "user/0199a3c4/0199a3c5",
        ];
        for key in keys {
            let path = layout.object(key).unwrap();
            assert!(
                path.components()
                    .all(|c| matches!(c, std::path::Component::Normal(_) | std::path::Component::RootDir)),
                "{path:?}"
            );
            assert!(path.starts_with(layout.objects()), "{path:?}");
            assert_eq!(read_back(&layout, key), key);
            assert!(paths.insert(path), "{key:?}");
        }
    }

    #[test]
    fn a_key_without_a_path_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        for bad in ["", &"k".repeat(1025), &"k".repeat(255), &"É".repeat(43)] {
            assert_eq!(layout.object(bad), Err(KeyError), "{bad}");
        }
        assert!(layout.object(&"k".repeat(254)).is_ok());
    }

    #[test]
    fn what_was_left_in_tmp_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tmp/folder")).unwrap();
        fs::write(dir.path().join("tmp/folder/part"), b"x").unwrap();
        fs::write(dir.path().join("tmp/7"), b"x").unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        layout.clear_tmp().unwrap();
        assert_eq!(fs::read_dir(&layout.tmp).unwrap().count(), 0);
    }
}
