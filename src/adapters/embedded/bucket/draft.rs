//! Bytes on their way in: a file under `tmp/` that is hashed while it is written.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::Checksum;

use super::layout::{self, Layout};
use super::room::{NoRoom, Promise};
use super::visit::Turn;

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// More than an object may have.
    #[error("an object has at most {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: u64,
    },
    /// The disk has no room for it.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A file under `tmp/`; it is removed when this is dropped, if it is still there.
#[derive(Debug)]
pub(super) struct TmpFile(PathBuf);

impl TmpFile {
    /// A file about to be made.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TmpFile {
    fn drop(&mut self) {
        if let Err(error) = layout::remove(&self.0) {
            // Harmless: it is removed when the bucket is opened the next time.
            tracing::debug!("left a file in tmp: {error}");
        }
    }
}

/// What a file is written under.
pub(super) struct PutTerms {
    /// Room for its bytes.
    pub(super) promise: Promise,
    /// Of an upload: its turn.
    pub(super) turn: Option<Turn>,
}

/// Bytes that are being written.
pub(super) struct Draft {
    file: File,
    tmp: TmpFile,
    terms: PutTerms,
    size_bytes: u64,
    bytes_max: u64,
    md5: Md5,
    sha256: digest::Context,
    asked: ChecksumHasher,
}

/// Bytes that are all written; not durable yet.
pub(super) struct Finished {
    pub(super) file: File,
    pub(super) tmp: TmpFile,
    pub(super) turn: Option<Turn>,
    pub(super) size_bytes: u64,
    pub(super) md5: [u8; 16],
    pub(super) sha256: [u8; 32],
    /// The checksums that were asked for.
    pub(super) asked: Checksum,
}

impl Finished {
    /// SHA-256 and the checksums that were asked for, as headers have them.
    pub(super) fn checksums(&self) -> Checksum {
        Checksum { checksum_sha256: Some(STANDARD.encode(self.sha256)), ..self.asked.clone() }
    }
}

impl Draft {
    /// Starts a file for at most `bytes_max` bytes. `asked` are checksums to compute besides MD5 and SHA-256.
    pub(super) fn create(
        layout: &Layout,
        bytes_max: u64,
        asked: ChecksumHasher,
        terms: PutTerms,
    ) -> io::Result<Self> {
        let path = layout.tmp();
        let file = File::options().write(true).read(true).create_new(true).open(&path);
        let file = file.inspect_err(|error| terms.promise.note(error))?;
        let tmp = TmpFile(path);
        let sha256 = digest::Context::new(&digest::SHA256);
        Ok(Self { file, tmp, terms, size_bytes: 0, bytes_max, md5: Md5::new(), sha256, asked })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.size_bytes = self.size_bytes.saturating_add(count);
        if self.size_bytes > self.bytes_max {
            return Err(WriteError::TooLarge { bytes_max: self.bytes_max });
        }
        self.file.write_all(bytes).inspect_err(|error| self.terms.promise.note(error))?;
        self.terms.promise.filled(count);
        self.md5.update(bytes);
        self.sha256.update(bytes);
        self.asked.update(bytes);
        Ok(())
    }

    pub(super) fn finish(self) -> Finished {
        let mut sha256 = [0_u8; 32];
        sha256.copy_from_slice(self.sha256.finish().as_ref());
        Finished {
            file: self.file,
            tmp: self.tmp,
            turn: self.terms.turn,
            size_bytes: self.size_bytes,
            md5: self.md5.finalize(),
            sha256,
            asked: self.asked.finalize(),
        }
    }
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    use super::super::room::{Room, RoomLimits};
    use super::*;
    use crate::adapters::embedded::FreeSpace;

    fn terms() -> PutTerms {
        let limits =
            RoomLimits { reserve_bytes: 0, in_flight_bytes_max: u64::MAX, object_bytes_max: u64::MAX };
        let room = Room::new(FreeSpace::fixed(Arc::new(AtomicU64::new(100))), limits);
        PutTerms { promise: room.promise(5).unwrap().unwrap(), turn: None }
    }

    #[test]
    fn digests_are_of_all_that_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let mut draft = Draft::create(&layout, 5, ChecksumHasher::default(), terms()).unwrap();
        draft.write(b"he").unwrap();
        draft.write(b"llo").unwrap();
        let finished = draft.finish();
        assert_eq!(hex(&finished.md5), "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(hex(&finished.sha256[..4]), "2cf24dba");
        assert_eq!(finished.size_bytes, 5);
    }

    #[test]
    fn a_draft_that_is_given_up_or_too_long_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::open(dir.path()).unwrap();
        let mut draft = Draft::create(&layout, 4, ChecksumHasher::default(), terms()).unwrap();
        assert!(matches!(draft.write(b"hello"), Err(WriteError::TooLarge { bytes_max: 4 })));
        drop(draft);
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
    }
}
