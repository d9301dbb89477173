//! The end of an upload in parts: one object of them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};

use super::draft::{Draft, WriteError, hex};
use super::parts::PartSizes;
use super::record::{self, Cause, PartRecord, Record};
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
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A part as it was named.
#[derive(Clone, Debug)]
pub(super) struct NamedPart {
    pub(super) number: u16,
    /// Without quotes.
    pub(super) etag: String,
    /// If it was said.
    pub(super) size_bytes: Option<u64>,
}

impl Store {
    /// Makes one object of the parts and forgets the upload. Repeating it after it succeeded is fine.
    pub(super) fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        named: &[NamedPart],
        replaces: bool,
    ) -> Result<Record, CompleteError> {
        let Some((folder, upload)) = self.find_upload(key, upload_id)? else {
            return self.completed_before(key, upload_id)?.ok_or(CompleteError::NoSuchUpload);
        };
        match self.assemble(&folder, upload, upload_id, (named, replaces)) {
            Ok(record) => {
                self.drop_upload(key, upload_id)?;
                Ok(record)
            }
            // The same request at the same time may have been faster.
            Err(refused @ (CompleteError::InvalidPart | CompleteError::Exists)) => {
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
        (named, replaces): (&[NamedPart], bool),
    ) -> Result<Record, CompleteError> {
        check(folder, named, self.options.object_bytes_max)?;
        let mut draft = self.draft(ChecksumHasher::default())?;
        let mut tags = Md5::new();
        let mut parts = PartSizes::default();
        for part in named {
            let (md5, size_bytes) = copy(folder, part, &mut draft)?;
            tags.update(&md5);
            parts.push(size_bytes);
        }
        let Upload { key, content_type, metadata, started_at: _ } = upload;
        let about = About {
            key,
            etag: format!("{}-{}", hex(&tags.finalize()), named.len()),
            content_type,
            metadata,
            cause: Cause::CompleteMultipartUpload,
            upload_id: Some(upload_id.to_owned()),
            parts,
            replaces,
        };
        self.put(draft.finish(), about).map_err(|refused| match refused {
            PutError::Exists => CompleteError::Exists,
            PutError::Key(_) => CompleteError::NoSuchUpload,
            PutError::Io(error) => CompleteError::Io(error),
        })
    }

    /// The object, if it came by this upload.
    fn completed_before(&self, key: &str, upload_id: &str) -> io::Result<Option<Record>> {
        let found = self.find(key)?.map(|(_, record)| record);
        Ok(found.filter(|record| record.upload_id.as_deref() == Some(upload_id)))
    }
}

/// Refuses before anything is copied.
fn check(folder: &Path, named: &[NamedPart], bytes_max: u64) -> Result<(), CompleteError> {
    if named.is_empty() {
        return Err(CompleteError::InvalidPart);
    }
    if named.windows(2).any(|pair| pair[0].number >= pair[1].number) {
        return Err(CompleteError::Order);
    }
    let mut size_bytes = 0_u64;
    for (at, part) in named.iter().enumerate() {
        let (_, found, _) = open(folder, part)?;
        size_bytes = size_bytes.saturating_add(found.size_bytes);
        if found.size_bytes < PART_BYTES_MIN && at + 1 < named.len() {
            return Err(CompleteError::TooSmall);
        }
    }
    if size_bytes > bytes_max { Err(CompleteError::TooLarge { bytes_max }) } else { Ok(()) }
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

/// Copies a part's bytes; returns their MD5 and how many they are.
fn copy(folder: &Path, named: &NamedPart, draft: &mut Draft) -> Result<([u8; 16], u64), CompleteError> {
    let (file, _, bytes) = open(folder, named)?;
    let mut from = file.take(bytes);
    let mut md5 = Md5::new();
    let mut buffer = vec![0_u8; COPY_BYTES];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok((md5.finalize(), bytes));
        }
        md5.update(&buffer[..read]);
        draft.write(&buffer[..read]).map_err(|error| match error {
            WriteError::TooLarge { bytes_max } => CompleteError::TooLarge { bytes_max },
            WriteError::Io(error) => CompleteError::Io(error),
        })?;
    }
}
