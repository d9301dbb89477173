//! The end of an upload in parts: one object of them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;

use super::blocking::blocking;
use super::checksums::{self, OfParts, Whole};
use super::draft::{Draft, WriteError, hex};
use super::parts::PartSizes;
use super::record::{self, Cause, PartRecord, Record};
use super::room::NoRoom;
use super::store::{About, PutError, Store};
use super::uploads::{self, Upload};

/// Bytes of every part but the last, at least; as S3 has it.
const PART_BYTES_MIN: u64 = 5 << 20;
/// Bytes that are copied at once.
const COPY_BYTES: usize = 256 << 10;

/// Why parts did not become an object.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompleteError {
    /// There is no such upload of this key, and no object that came by it.
    #[error("there is no such upload")]
    NoSuchUpload,
    /// The list is empty, names a part that is not there, or one with another tag or length.
    #[error("the parts are not what was said")]
    InvalidPart,
    /// A part has another checksum than it was named with.
    #[error("the {name} of part {number} is not that of its bytes")]
    PartChecksum {
        /// The part.
        number: u16,
        /// The header that the checksum has elsewhere.
        name: &'static str,
    },
    /// The whole has another checksum than was named.
    #[error("{name} is not that of the parts together")]
    Checksum {
        /// The header of the checksum.
        name: &'static str,
    },
    /// The whole has another length than was named.
    #[error("the parts have {size_bytes} bytes together")]
    Size {
        /// What they have.
        size_bytes: u64,
    },
    /// The numbers do not rise.
    #[error("the numbers of the parts do not rise")]
    Order,
    /// A part that is not the last is too short.
    #[error("a part that is not the last has at least 5 MiB")]
    TooSmall,
    /// Together they are too long.
    #[error("an object has at most {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: u64,
    },
    /// There is another object under the key.
    #[error("there is an object under this key")]
    Exists,
    /// There was one, and it was deleted for good.
    #[error("the object of this key was deleted for good, and the key is not used again")]
    Deleted,
    /// Another completion of this upload, with other parts, is in flight.
    #[error("another completion of this upload is in flight")]
    Busy,
    /// The disk has no room for the object beside its parts.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Clone for CompleteError {
    fn clone(&self) -> Self {
        match self {
            Self::NoSuchUpload => Self::NoSuchUpload,
            Self::InvalidPart => Self::InvalidPart,
            Self::PartChecksum { number, name } => Self::PartChecksum { number: *number, name },
            Self::Checksum { name } => Self::Checksum { name },
            Self::Size { size_bytes } => Self::Size { size_bytes: *size_bytes },
            Self::Order => Self::Order,
            Self::TooSmall => Self::TooSmall,
            Self::TooLarge { bytes_max } => Self::TooLarge { bytes_max: *bytes_max },
            Self::Exists => Self::Exists,
            Self::Deleted => Self::Deleted,
            Self::Busy => Self::Busy,
            Self::NoRoom(no_room) => Self::NoRoom(*no_room),
            Self::Io(error) => Self::Io(io::Error::new(error.kind(), error.to_string())),
        }
    }
}

/// A request to make one object of the parts of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Completion {
    pub(super) key: String,
    pub(super) upload_id: String,
    pub(super) named: Named,
}

/// An object as it was named at its completion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub(super) parts: Vec<NamedPart>,
    /// Whether an object that is there gives way.
    pub(super) replaces: bool,
    pub(super) checksums: Whole,
    /// If it was said.
    pub(super) size_bytes: Option<u64>,
}

/// A part as it was named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NamedPart {
    pub(super) number: u16,
    /// Without quotes.
    pub(super) etag: String,
    /// If it was said.
    pub(super) size_bytes: Option<u64>,
    pub(super) checksums: Vec<checksums::Named>,
}

impl Store {
    /// Makes one object of the parts and forgets the upload. Repeating it after it succeeded is fine, and repeating it
    /// while it runs waits for its outcome: the bytes are copied once, however often it is asked for.
    pub(super) async fn complete(self: &Arc<Self>, asked: Completion) -> Result<Record, CompleteError> {
        let work = || {
            let (store, asked) = (Arc::clone(self), asked.clone());
            blocking("complete an upload", move || store.complete_upload(&asked))
        };
        self.joins.run(asked.clone(), Result::is_ok, work).await
    }

    fn complete_upload(&self, asked: &Completion) -> Result<Record, CompleteError> {
        let Completion { key, upload_id, named } = asked;
        let (key, upload_id) = (key.as_str(), upload_id.as_str());
        let turn = format!("{upload_id} complete");
        let Some(_turn) = self.turns.take(turn, 1) else { return Err(CompleteError::Busy) };
        let Some((folder, upload)) = self.find_upload(key, upload_id)? else {
            return self.completed_before(key, upload_id)?.ok_or(CompleteError::NoSuchUpload);
        };
        match self.assemble(&folder, upload, upload_id, named) {
            Ok(record) => {
                self.drop_upload(key, upload_id)?;
                Ok(record)
            }
            // The same request at the same time may have been faster.
            Err(refused @ (CompleteError::InvalidPart | CompleteError::Exists | CompleteError::Deleted)) => {
                self.completed_before(key, upload_id)?.ok_or(refused)
            }
            Err(refused) => Err(refused),
        }
    }

    fn assemble(
        &self,
        folder: &Path,
        upload: Upload,
        upload_id: &str,
        named: &Named,
    ) -> Result<Record, CompleteError> {
        let size_bytes = check(folder, named, self.options.object_bytes_max)?;
        if !named.replaces {
            self.expect_none(&upload.key).map_err(put_failed)?;
        }
        let whole = &named.checksums;
        let wanted = checksums::hasher(|name| {
            name != checksums::SHA256 && whole.of_bytes.iter().any(|(wanted, _)| *wanted == name)
        });
        let mut draft = self.draft(wanted, size_bytes, None).map_err(write_failed)?;
        let mut tags = Md5::new();
        let mut parts = PartSizes::default();
        let mut of_parts = OfParts::new(&whole.of_parts);
        for part in &named.parts {
            let wanted = checksums::hasher(|name| {
                of_parts.wants(name) || part.checksums.iter().any(|(wanted, _)| *wanted == name)
            });
            let (md5, size_bytes, found) = copy(folder, part, &mut draft, wanted)?;
            if let Some(name) = checksums::different(&part.checksums, &found) {
                return Err(CompleteError::PartChecksum { number: part.number, name });
            }
            tags.update(&md5);
            parts.push(size_bytes);
            of_parts.push(&found);
        }
        let finished = draft.finish();
        let other = checksums::different(&whole.of_bytes, &finished.checksums());
        if let Some(name) = other.or_else(|| of_parts.different()) {
            return Err(CompleteError::Checksum { name });
        }
        let Upload { key, content_type, metadata, started_at: _ } = upload;
        let about = About {
            key,
            etag: format!("{}-{}", hex(&tags.finalize()), named.parts.len()),
            content_type,
            metadata,
            cause: Cause::CompleteMultipartUpload,
            upload_id: Some(upload_id.to_owned()),
            parts,
            replaces: named.replaces,
        };
        self.put(finished, about).map_err(put_failed)
    }

    /// The object, if it came by this upload.
    fn completed_before(&self, key: &str, upload_id: &str) -> io::Result<Option<Record>> {
        let found = self.find(key)?.map(|(_, record)| record);
        Ok(found.filter(|record| record.upload_id.as_deref() == Some(upload_id)))
    }
}

fn put_failed(refused: PutError) -> CompleteError {
    match refused {
        PutError::Exists => CompleteError::Exists,
        PutError::Deleted => CompleteError::Deleted,
        PutError::Key(_) => CompleteError::NoSuchUpload,
        PutError::Late => CompleteError::Io(io::Error::from(io::ErrorKind::TimedOut)),
        PutError::NoRoom(no_room) => CompleteError::NoRoom(no_room),
        PutError::Io(error) => CompleteError::Io(error),
    }
}

fn write_failed(refused: WriteError) -> CompleteError {
    match refused {
        WriteError::TooLarge { bytes_max } => CompleteError::TooLarge { bytes_max },
        WriteError::NoRoom(no_room) => CompleteError::NoRoom(no_room),
        WriteError::Io(error) => CompleteError::Io(error),
    }
}

/// Refuses before anything is copied; returns how many bytes the object will have.
fn check(folder: &Path, named: &Named, bytes_max: u64) -> Result<u64, CompleteError> {
    let parts = &named.parts;
    if parts.is_empty() {
        return Err(CompleteError::InvalidPart);
    }
    if parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(CompleteError::Order);
    }
    let mut size_bytes = 0_u64;
    for (at, part) in parts.iter().enumerate() {
        let (_, found, _) = open(folder, part)?;
        size_bytes = size_bytes.saturating_add(found.size_bytes);
        if found.size_bytes < PART_BYTES_MIN && at + 1 < parts.len() {
            return Err(CompleteError::TooSmall);
        }
    }
    if size_bytes > bytes_max {
        return Err(CompleteError::TooLarge { bytes_max });
    }
    match named.size_bytes {
        Some(named) if named != size_bytes => Err(CompleteError::Size { size_bytes }),
        Some(_) | None => Ok(size_bytes),
    }
}

/// Opens a part and sees that it is the one that was named.
fn open(folder: &Path, named: &NamedPart) -> Result<(File, PartRecord, u64), CompleteError> {
    let file = match File::open(folder.join(uploads::part_name(named.number))) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(CompleteError::InvalidPart),
        Err(error) => return Err(error.into()),
    };
    let (found, bytes) = record::read::<PartRecord>(&file)?;
    let is_named = found.etag == named.etag && named.size_bytes.is_none_or(|size| size == found.size_bytes);
    if is_named && bytes == found.size_bytes {
        Ok((file, found, bytes))
    } else {
        Err(CompleteError::InvalidPart)
    }
}

/// Copies a part's bytes; returns their MD5, how many they are, and the checksums that are wanted.
fn copy(
    folder: &Path,
    named: &NamedPart,
    draft: &mut Draft,
    mut wanted: ChecksumHasher,
) -> Result<([u8; 16], u64, Checksum), CompleteError> {
    let (file, _, bytes) = open(folder, named)?;
    let mut from = file.take(bytes);
    let mut md5 = Md5::new();
    let mut buffer = vec![0_u8; COPY_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((md5.finalize(), bytes, wanted.finalize()));
        }
        md5.update(&buffer[..read]);
        wanted.update(&buffer[..read]);
        draft.write(&buffer[..read]).map_err(write_failed)?;
    }
}
