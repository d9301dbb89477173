//! A file's row: kind 0, seq 0.

use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, DeserializeValue, SerializeRow, SerializeValue};
use uuid::Uuid;

use crate::adapters::scylla::cells::{CellError, bigint, known, time, timestamp, unsigned};
use crate::domain::file::{File, Hop, Multipart, Reason, Sha256, Status, Visibility};
use crate::domain::ids::FileId;
use crate::domain::time::Timestamp;

/// A file's cells.
///
/// What is none is written as null, because a repeat of the row may take back what an earlier one said. That
/// costs a tombstone a cell, about six a row, until the server drops them (`gc_grace_seconds`).
#[derive(Clone, Debug, PartialEq, SerializeRow, DeserializeRow)]
pub(in crate::adapters::scylla) struct FileRow {
    file_id: Uuid,
    status: i8,
    reason: Option<String>,
    size_bytes: i64,
    filename: String,
    content_type: String,
    checksum_sha256: Option<Vec<u8>>,
    etag: Option<String>,
    visibility: i8,
    created_at: CqlTimestamp,
    processed_at: Option<CqlTimestamp>,
    trashed_at: Option<CqlTimestamp>,
    changed_at: CqlTimestamp,
    revision: i64,
    #[scylla(default_when_null)]
    hops: Vec<HopCell>,
    multipart: Option<MultipartCell>,
    traceparent: Option<String>,
}

/// Type `hop`.
#[derive(Clone, Debug, PartialEq, SerializeValue, DeserializeValue)]
struct HopCell {
    name: String,
    at: CqlTimestamp,
}

/// Type `multipart`.
#[derive(Clone, Debug, PartialEq, SerializeValue, DeserializeValue)]
struct MultipartCell {
    upload_id: String,
    chunk_bytes: i64,
}

impl TryFrom<&File> for FileRow {
    type Error = CellError;

    fn try_from(file: &File) -> Result<Self, CellError> {
        Ok(Self {
            file_id: file.file_id.uuid(),
            status: file.status.code(),
            reason: file.reason.map(|reason| reason.as_str().to_owned()),
            size_bytes: bigint("size_bytes", file.size_bytes)?,
            filename: file.filename.clone(),
            content_type: file.content_type.clone(),
            checksum_sha256: file.checksum_sha256.map(|sum| sum.0.to_vec()),
            etag: file.etag.clone(),
            visibility: file.visibility.code(),
            created_at: timestamp(file.created_at),
            processed_at: file.processed_at.map(timestamp),
            trashed_at: file.trashed_at.map(timestamp),
            changed_at: timestamp(file.changed_at),
            revision: i64::from(file.revision),
            hops: file.hops.iter().map(hop_cell).collect(),
            multipart: file.multipart.as_ref().map(MultipartCell::try_from).transpose()?,
            traceparent: file.traceparent.clone(),
        })
    }
}

impl TryFrom<FileRow> for File {
    type Error = CellError;

    fn try_from(row: FileRow) -> Result<Self, CellError> {
        Ok(Self {
            file_id: FileId::from_uuid(row.file_id),
            status: status(row.status)?,
            reason: row.reason.map(reason).transpose()?,
            size_bytes: unsigned("size_bytes", row.size_bytes)?,
            filename: row.filename,
            content_type: row.content_type,
            checksum_sha256: row.checksum_sha256.map(checksum).transpose()?,
            etag: row.etag,
            visibility: visibility(row.visibility)?,
            created_at: time("created_at", row.created_at)?,
            processed_at: row.processed_at.map(|at| time("processed_at", at)).transpose()?,
            trashed_at: row.trashed_at.map(|at| time("trashed_at", at)).transpose()?,
            changed_at: time("changed_at", row.changed_at)?,
            revision: unsigned("revision", row.revision)?,
            hops: row.hops.into_iter().map(hop).collect::<Result<_, _>>()?,
            multipart: row.multipart.map(Multipart::try_from).transpose()?,
            traceparent: row.traceparent,
        })
    }
}

/// A status out of its column.
pub(super) fn status(code: i8) -> Result<Status, CellError> {
    known("status", code, |code| Status::from_code(*code))
}

/// A reason out of its column.
pub(super) fn reason(word: String) -> Result<Reason, CellError> {
    known("reason", word, |word| Reason::parse(word))
}

/// A visibility out of its column.
pub(super) fn visibility(code: i8) -> Result<Visibility, CellError> {
    known("visibility", code, |code| Visibility::from_code(*code))
}

fn checksum(bytes: Vec<u8>) -> Result<Sha256, CellError> {
    let length = bytes.len();
    let sum = <[u8; 32]>::try_from(bytes);
    sum.map(Sha256).map_err(|_| CellError::new("checksum_sha256", format!("{length} bytes long")))
}

fn hop_cell((hop, at): &(Hop, Timestamp)) -> HopCell {
    HopCell { name: hop.as_str().to_owned(), at: timestamp(*at) }
}

fn hop(cell: HopCell) -> Result<(Hop, Timestamp), CellError> {
    let find = |name: &String| Hop::ALL.into_iter().find(|hop| hop.as_str() == name);
    Ok((known("hops.name", cell.name, find)?, time("hops.at", cell.at)?))
}

impl TryFrom<&Multipart> for MultipartCell {
    type Error = CellError;

    fn try_from(multipart: &Multipart) -> Result<Self, CellError> {
        let chunk_bytes = bigint("multipart.chunk_bytes", multipart.chunk_bytes)?;
        Ok(Self { upload_id: multipart.upload_id.clone(), chunk_bytes })
    }
}

impl TryFrom<MultipartCell> for Multipart {
    type Error = CellError;

    fn try_from(cell: MultipartCell) -> Result<Self, CellError> {
        let chunk_bytes = unsigned("multipart.chunk_bytes", cell.chunk_bytes)?;
        Ok(Self { upload_id: cell.upload_id, chunk_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> File {
        File {
            file_id: FileId::from_uuid(Uuid::from_u128(1)),
            status: Status::Pending,
            reason: None,
            size_bytes: 3,
            filename: "a b.txt".to_owned(),
            content_type: "text/plain".to_owned(),
            checksum_sha256: None,
            etag: None,
            visibility: Visibility::Private,
            created_at: Timestamp::from_millis(1),
            processed_at: None,
            trashed_at: None,
            changed_at: Timestamp::from_millis(2),
            revision: 1,
            hops: Vec::new(),
            multipart: None,
            traceparent: None,
        }
    }

    fn full() -> File {
        File {
            status: Status::Trashed,
            reason: Some(Reason::Malware),
            checksum_sha256: Some(Sha256([9; 32])),
            etag: Some("e".to_owned()),
            visibility: Visibility::Team,
            processed_at: Some(Timestamp::from_millis(3)),
            trashed_at: Some(Timestamp::from_millis(4)),
            revision: u32::MAX,
            hops: Hop::ALL.map(|hop| (hop, Timestamp::from_millis(5))).to_vec(),
            multipart: Some(Multipart { upload_id: "u".to_owned(), chunk_bytes: 8 << 20 }),
            traceparent: Some("00-1-2-01".to_owned()),
            ..bare()
        }
    }

    fn row() -> FileRow {
        FileRow::try_from(&full()).unwrap()
    }

    fn refused(row: FileRow, expected: &str) {
        assert_eq!(File::try_from(row).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_file_reads_back() {
        for file in [bare(), full()] {
            assert_eq!(File::try_from(FileRow::try_from(&file).unwrap()), Ok(file));
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_not_guessed_at() {
        refused(FileRow { status: 6, ..row() }, "status cannot be 6");
        refused(FileRow { visibility: -1, ..row() }, "visibility cannot be -1");
        refused(FileRow { reason: Some("bored".to_owned()), ..row() }, "reason cannot be bored");
        refused(FileRow { revision: 1 << 32, ..row() }, "revision cannot be 4294967296");
        refused(
            FileRow { checksum_sha256: Some(vec![1]), ..row() },
            "checksum_sha256 cannot be 1 bytes long",
        );
        let hops = vec![HopCell { name: "lost".to_owned(), at: CqlTimestamp(1) }];
        refused(FileRow { hops, ..row() }, "hops.name cannot be lost");
    }
}
