//! The store: puts an object in its place whole or not at all, removes it, finds it. Blocking.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use tokio::sync::Notify;

use super::assemble::{CompleteError, Completion};
use super::ballast::Ballast;
use super::draft::{Draft, Finished, PutTerms, TmpFile, WriteError};
use super::layout::{self, KeyError, Layout};
use super::options::{BucketOptions, OpenError};
use super::outbox;
use super::parts::PartSizes;
use super::record::{self, Cause, Record};
use super::room::{NoRoom, Room, RoomLimits};
use super::tombstones::Tombstones;
use super::visit::Turn;
use crate::adapters::embedded::free_space::FreeSpace;
use crate::adapters::embedded::held_file::HeldFile;
use crate::admission::{Flights, Shares};
use crate::limits::FIRST_BYTES;
use crate::ports::Clock;

/// Locks that keys share; two keys of one lock only wait for each other's sync.
const STRIPES: usize = 256;
/// Held by the process that has the bucket open.
const LOCK_FILE: &str = "lock";
/// Sequence numbers that are taken from the file at once.
const SEQUENCE_BLOCK: u64 = 1 << 20;

/// Why an object was not put in its place. Then it is not there, and no notification is sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum PutError {
    /// There is one, and it was not to be replaced.
    #[error("there is an object under this key")]
    Exists,
    /// There was one, and it was deleted for good.
    #[error("the object of this key was deleted for good, and the key is not used again")]
    Deleted,
    /// The key has no path.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The upload took longer than any upload may take.
    #[error("the upload took too long")]
    Late,
    /// The disk has no room for more.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The metadata of an object.
#[derive(Debug)]
pub(super) struct About {
    pub(super) key: String,
    pub(super) etag: String,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) cause: Cause,
    pub(super) upload_id: Option<String>,
    pub(super) parts: PartSizes,
    /// Whether an object that is there gives way.
    pub(super) replaces: bool,
}

/// The objects of one bucket.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) layout: Layout,
    pub(super) options: BucketOptions,
    pub(super) clock: Clock,
    sequence: Mutex<Sequence>,
    stripes: Vec<Mutex<()>>,
    /// Wakes who tells the queue.
    pub(super) news: Notify,
    pub(super) room: Arc<Room>,
    pub(super) ballast: Ballast,
    tombstones: Tombstones,
    /// Uploads in flight, one of a key, and one of a part.
    pub(super) turns: Arc<Shares<String>>,
    /// Parts that are being put together.
    pub(super) joins: Flights<Completion, Result<Record, CompleteError>>,
    /// Held for as long as the store is open.
    lock: HeldFile,
    root: PathBuf,
}

#[derive(Debug)]
struct Sequence {
    path: PathBuf,
    next: u64,
    /// No number from here on was given out, ever.
    reserved: u64,
}

impl Store {
    /// Opens the bucket in `root`, makes it if there is none, and clears what a crash left.
    pub(super) fn open(root: &Path, options: BucketOptions, clock: Clock) -> Result<Self, OpenError> {
        let io = || OpenError::io(root);
        // What users stored is nobody else's on this machine.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(io())?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(root.join(LOCK_FILE))
            .map_err(io())?;
        let lock = HeldFile::take(lock).map_err(|(_, error)| match error {
            fs::TryLockError::WouldBlock => OpenError::InUse { path: root.to_owned() },
            fs::TryLockError::Error(error) => io()(error),
        })?;
        let layout = Layout::open(root).map_err(io())?;
        // First the outbox, because what is in `tmp/` tells what was under way.
        outbox::forget_unfinished(&layout).map_err(io())?;
        layout.clear_tmp().map_err(io())?;
        let kept_for = options.tombstones_kept_for;
        let tombstones = Tombstones::open(layout.deleted().to_owned(), kept_for, clock.now()).map_err(io())?;
        let sequence = Sequence::open(root.join("sequence"), &clock)?;
        let ballast = Ballast::new(root);
        if let Err(error) = ballast.restore() {
            tracing::debug!("the bucket has no ballast, it is tried again when there is room: {error}");
        }
        let limits = RoomLimits {
            reserve_bytes: options.reserve_bytes,
            in_flight_bytes_max: options.in_flight_bytes_max,
            object_bytes_max: options.object_bytes_max,
        };
        let free = options.free_space.clone().unwrap_or_else(|| FreeSpace::of(root.to_owned()));
        Ok(Self {
            room: Room::new(free, limits),
            ballast,
            tombstones,
            turns: Shares::new(1),
            joins: Flights::default(),
            layout,
            options,
            clock,
            sequence: Mutex::new(sequence),
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            news: Notify::new(),
            lock,
            root: root.to_owned(),
        })
    }

    /// Refuses when the folder is not the one that was opened: it was deleted, or another is in its place. Then nothing can
    /// be reported of a missing object.
    pub(super) fn expect_in_place(&self) -> io::Result<()> {
        let found = match fs::metadata(self.root.join(LOCK_FILE)) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let ours = self.lock.identity()?;
        if found.is_some_and(|found| (found.dev(), found.ino()) == ours) {
            return Ok(());
        }
        let text = format!("the folder {} of the bucket was deleted or replaced", self.root.display());
        Err(io::Error::other(text))
    }

    /// Whether a process has the bucket in `root` open.
    pub(super) fn is_held(root: &Path) -> bool {
        File::open(root.join(LOCK_FILE)).is_ok_and(|lock| HeldFile::is_held(&lock))
    }

    /// A file for so many bytes on their way in, if there is room for them.
    pub(super) fn draft(
        &self,
        asked: ChecksumHasher,
        size_bytes: u64,
        turn: Option<Turn>,
    ) -> Result<Draft, WriteError> {
        self.expect_in_place()?;
        let promise = self.room.promise(size_bytes)??;
        let terms = PutTerms { promise, turn };
        Ok(Draft::create(&self.layout, self.options.object_bytes_max, asked, terms)?)
    }

    /// Refuses what would not be put in its place anyway, before anything is taken for it.
    pub(super) fn expect_none(&self, key: &str) -> Result<(), PutError> {
        if fs::exists(self.layout.object(key)?)? {
            return Err(PutError::Exists);
        }
        if self.tombstones.contains(key, self.clock.now())? { Err(PutError::Deleted) } else { Ok(()) }
    }

    /// Puts an object in its place. It is durable, with the news of it, when this returns.
    ///
    /// Every line may be the last: what is linked to its place was synced before, and the link in the outbox is
    /// durable before the object can be seen.
    pub(super) fn put(&self, finished: Finished, about: About) -> Result<Record, PutError> {
        let place = self.layout.object(&about.key)?;
        let _turn = self.turn(&about.key);
        // Saves the syncs of a repeat; what decides is the link. Tombstones are added in a turn as well.
        if !about.replaces {
            self.expect_none(&about.key)?;
        }
        let record = Record {
            key: about.key,
            size_bytes: finished.size_bytes,
            etag: about.etag,
            sha256: STANDARD.encode(finished.sha256),
            content_type: about.content_type,
            metadata: about.metadata,
            landed_at: self.clock.now(),
            sequence: self.next_sequence()?,
            cause: about.cause,
            upload_id: about.upload_id,
            parts: about.parts,
        };
        let Finished { mut file, tmp, turn: in_time, .. } = finished;
        let synced = record::append(&mut file, &record).and_then(|()| file.sync_all());
        synced.inspect_err(|error| self.room.note(error))?;
        if in_time.as_ref().is_some_and(Turn::is_over) {
            return Err(PutError::Late);
        }
        let marker = self.layout.marker(record.sequence);
        let linked = fs::hard_link(tmp.path(), &marker)
            .and_then(|()| layout::sync_folder(self.layout.outbox()))
            .map_err(PutError::Io)
            .and_then(|()| self.link(tmp.path(), &place, about.replaces));
        if let Err(refused) = linked {
            // Before the file in `tmp/` goes: the two links show that the attempt failed.
            layout::remove(&marker)?;
            return Err(refused);
        }
        // From here on it can be seen, so the news stays, even if the disk now fails.
        layout::sync_folder(place.parent().unwrap_or(self.layout.objects()))?;
        drop(tmp);
        self.news.notify_one();
        Ok(record)
    }

    /// Links a synced file to its place; refuses by itself if something is there.
    fn link(&self, tmp: &Path, place: &Path, replaces: bool) -> Result<(), PutError> {
        self.layout.prepare(place)?;
        let linked = if replaces { fs::rename(tmp, place) } else { fs::hard_link(tmp, place) };
        linked.map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists { PutError::Exists } else { PutError::Io(error) }
        })
    }

    /// Finds an object: its file, whose first bytes are the object's, and what is known of it.
    pub(super) fn find(&self, key: &str) -> io::Result<Option<(File, Record)>> {
        match self.layout.object(key) {
            Ok(place) => match record::open(&place)? {
                None => self.expect_in_place().map(|()| None),
                found => Ok(found),
            },
            Err(KeyError) => Ok(None),
        }
    }

    /// The first bytes of an object, at most [`FIRST_BYTES`].
    pub(super) fn first_bytes(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        let Some((file, record)) = self.find(key)? else { return Ok(None) };
        let length = usize::try_from(record.size_bytes).map_or(FIRST_BYTES, |size| size.min(FIRST_BYTES));
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(bytes))
    }

    /// Removes an object, durably; nothing happens if it is not there.
    pub(super) fn delete(&self, key: &str) -> io::Result<()> {
        self.delete_if_there(key, false)
    }

    /// The same, and from then on no upload that expects the key to be unused is taken for it.
    pub(super) fn delete_for_good(&self, key: &str) -> io::Result<()> {
        self.delete_if_there(key, true)
    }

    fn delete_if_there(&self, key: &str, is_for_good: bool) -> io::Result<()> {
        let Ok(place) = self.layout.object(key) else { return Ok(()) };
        let _turn = self.turn(key);
        // A removal frees room, so it must not need any that is not there.
        self.ballast.with_room(|| self.delete_at(&place, key, is_for_good))
    }

    fn delete_at(&self, place: &Path, key: &str, is_for_good: bool) -> io::Result<()> {
        let removes = match record::open(place) {
            Ok(None) => return self.expect_in_place(),
            Ok(Some((_, record))) => record.sequence,
            // A damaged object can be removed like any other.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => 0,
            Err(error) => return Err(error),
        };
        if is_for_good {
            self.tombstones.add(key, self.clock.now())?;
        }
        let news = Record {
            key: key.to_owned(),
            size_bytes: 0,
            etag: String::new(),
            sha256: String::new(),
            content_type: None,
            metadata: Vec::new(),
            landed_at: self.clock.now(),
            sequence: self.next_sequence()?,
            cause: Cause::Delete { removes },
            upload_id: None,
            parts: PartSizes::default(),
        };
        let tmp = TmpFile::new(self.layout.tmp());
        let mut file = File::create_new(tmp.path())?;
        record::append(&mut file, &news)?;
        file.sync_all()?;
        fs::rename(tmp.path(), self.layout.marker(news.sequence))?;
        layout::sync_folder(self.layout.outbox())?;
        fs::remove_file(place)?;
        layout::sync_folder(place.parent().unwrap_or(self.layout.objects()))?;
        self.news.notify_one();
        Ok(())
    }

    /// One change of a key at a time.
    fn turn(&self, key: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let stripes = u64::try_from(self.stripes.len()).unwrap_or(1);
        let at = usize::try_from(hasher.finish() % stripes).unwrap_or(0);
        self.stripes[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_sequence(&self) -> io::Result<u64> {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

impl Sequence {
    fn open(path: PathBuf, clock: &Clock) -> Result<Self, OpenError> {
        let reserved = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| OpenError::Damaged {
                path: path.clone(),
                reason: "it is not a number".to_owned(),
            })?,
            // A new bucket in the place of one that was thrown away starts above it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => clock.now().as_millis() << 20,
            Err(error) => return Err(OpenError::Io { path, source: error }),
        };
        Ok(Self { path, next: reserved, reserved })
    }

    fn next(&mut self) -> io::Result<u64> {
        if self.next == self.reserved {
            self.reserve(self.reserved + SEQUENCE_BLOCK)?;
        }
        self.next += 1;
        Ok(self.next)
    }

    fn reserve(&mut self, up_to: u64) -> io::Result<()> {
        write_whole(&self.path, up_to.to_string().as_bytes())?;
        self.reserved = up_to;
        Ok(())
    }
}

/// Writes a small file so that it is there whole, or as it was.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    layout::remove(&new)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    layout::sync_folder(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::super::checksums;
    use super::super::list::Listing;
    use super::*;

    /// Whether the store answers, and does not take what is gone with its folder for objects that are not there.
    fn check(store: &Store, is_answered: bool) {
        let listing = Listing { prefix: String::new(), after: None, is_folded: false, items_max: 10 };
        assert_eq!(store.find("a").is_ok_and(|found| found.is_none()), is_answered, "find");
        assert_eq!(store.delete("a").is_ok(), is_answered, "delete");
        assert_eq!(store.list(&listing).is_ok(), is_answered, "list");
        assert_eq!(store.draft(checksums::hasher(|_| false), 1, None).is_ok(), is_answered, "draft");
    }

    #[test]
    fn nothing_is_said_of_objects_while_the_folder_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (root, moved) = (dir.path().join("bucket"), dir.path().join("moved"));
        let store = Store::open(&root, BucketOptions::default(), Clock::System).unwrap();
        check(&store, true);
        fs::rename(&root, &moved).unwrap();
        check(&store, false);
        let other = Store::open(&root, BucketOptions::default(), Clock::System).unwrap();
        check(&store, false);
        drop(other);
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&moved, &root).unwrap();
        check(&store, true);
    }
}
