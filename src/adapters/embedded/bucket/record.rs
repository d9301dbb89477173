//! An object's file: its bytes, then a record of what is known of them.
//!
//! The record stands last because digests are known last: the bytes are written once, start at 0, and a range of the
//! object is a range of the file. The end is `record as JSON | its length, 4 bytes big-endian | 8 bytes of magic`, so
//! a file that was cut anywhere does not read as an object.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::parts::PartSizes;
use crate::domain::file::Sha256;
use crate::domain::time::Timestamp;

/// Ends every file of ours; the last character counts versions of the format.
const MAGIC: &[u8; 8] = b"WHARFOB1";
const TAIL_BYTES: usize = 4 + MAGIC.len();
/// A record is a key, a type, some metadata, and up to 10,000 sizes of parts.
const RECORD_BYTES_MAX: usize = 256 << 10;

/// What made, or removed, an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// One PUT.
    Put,
    /// Parts were put together.
    CompleteMultipartUpload,
    /// The object of that sequence was removed. Such a record is only in the outbox.
    Delete {
        /// The removed object's.
        removes: u64,
    },
}

/// What is known of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) key: String,
    pub(super) size_bytes: u64,
    /// Without quotes.
    pub(super) etag: String,
    /// In base64, as S3 writes it.
    pub(super) sha256: String,
    pub(super) content_type: Option<String>,
    /// Names in lower case.
    pub(super) metadata: Vec<(String, String)>,
    pub(super) landed_at: Timestamp,
    /// Rises with every change of the bucket.
    pub(super) sequence: u64,
    pub(super) cause: Cause,
    /// The upload in parts that it came by.
    pub(super) upload_id: Option<String>,
    /// The sizes of its parts, if it came in parts.
    #[serde(default, skip_serializing_if = "PartSizes::is_empty")]
    pub(super) parts: PartSizes,
}

impl Record {
    /// The digest as bytes.
    pub(super) fn sha256(&self) -> Option<Sha256> {
        STANDARD.decode(&self.sha256).ok().and_then(|bytes| bytes.try_into().ok()).map(Sha256)
    }
}

/// What is known of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) size_bytes: u64,
    /// MD5 in hexadecimal.
    pub(super) etag: String,
    pub(super) landed_at: Timestamp,
}

/// Appends a record to the bytes that are in the file, where the file stands.
pub(super) fn append<T: Serialize>(file: &mut File, record: &T) -> io::Result<()> {
    let mut end = serde_json::to_vec(record)?;
    let length = u32::try_from(end.len()).ok().filter(|_| end.len() <= RECORD_BYTES_MAX);
    let length = length.ok_or_else(|| damaged("the record is too long"))?;
    end.extend_from_slice(&length.to_be_bytes());
    end.extend_from_slice(MAGIC);
    file.write_all(&end)
}

/// Reads the record at the end of a file, and how many bytes stand before it.
pub(super) fn read<T: DeserializeOwned>(file: &File) -> io::Result<(T, u64)> {
    let tail_bytes = u64::try_from(TAIL_BYTES).unwrap_or(u64::MAX);
    let tail_at = file.metadata()?.len().checked_sub(tail_bytes).ok_or_else(|| damaged("too short"))?;
    let mut tail = [0_u8; TAIL_BYTES];
    file.read_exact_at(&mut tail, tail_at)?;
    let (length, magic) = tail.split_at(4);
    if magic != MAGIC {
        return Err(damaged("it does not end as an object does"));
    }
    let length = length.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let record_bytes = usize::try_from(length).ok().filter(|bytes| *bytes <= RECORD_BYTES_MAX);
    let mut record = vec![0_u8; record_bytes.ok_or_else(|| damaged("the record is too long"))?];
    let record_at = tail_at.checked_sub(length).ok_or_else(|| damaged("too short"))?;
    file.read_exact_at(&mut record, record_at)?;
    let record = serde_json::from_slice(&record).map_err(|_| damaged("the record cannot be read"))?;
    Ok((record, record_at))
}

/// Opens an object's file and reads its record; none if it is not there.
pub(super) fn open(path: &std::path::Path) -> io::Result<Option<(File, Record)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (record, bytes) = read::<Record>(&file)?;
    if bytes == record.size_bytes { Ok(Some((file, record))) } else { Err(damaged("it has another length")) }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the object's file is damaged: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size_bytes: u64) -> Record {
        Record {
            key: "user/é".to_owned(),
            size_bytes,
            etag: "e".to_owned(),
            sha256: STANDARD.encode([7; 32]),
            content_type: Some("text/plain".to_owned()),
            metadata: vec![("name".to_owned(), "value".to_owned())],
            landed_at: Timestamp::from_millis(1_795_169_642_161),
            sequence: 9,
            cause: Cause::Delete { removes: 3 },
            upload_id: None,
            parts: PartSizes::default(),
        }
    }

    #[test]
    fn a_record_reads_back_from_behind_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"hello").unwrap();
        append(&mut file, &record(5)).unwrap();
        let (_, read) = open(&path).unwrap().unwrap();
        assert_eq!(read, record(5));
        assert_eq!(read.sha256(), Some(Sha256([7; 32])));
        assert_eq!(open(&dir.path().join("other")).unwrap().map(|(_, record)| record), None);
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_not_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"hello").unwrap();
        append(&mut file, &record(5)).unwrap();
        let length = file.metadata().unwrap().len();
        for cut in 0..length {
            file.set_len(cut).unwrap();
            assert!(open(&path).is_err(), "cut to {cut} bytes");
            let whole = std::fs::File::create(&path).unwrap();
            drop(whole);
            let mut again = File::options().write(true).read(true).open(&path).unwrap();
            again.write_all(b"hello").unwrap();
            append(&mut again, &record(5)).unwrap();
            file = again;
        }
        let mut longer = File::create(&path).unwrap();
        longer.write_all(b"hello!").unwrap();
        append(&mut longer, &record(5)).unwrap();
        assert!(open(&path).is_err(), "another length than the record says");
    }
}
