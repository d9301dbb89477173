//! A file's row: kind 0, seq 0.

use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, DeserializeValue, SerializeRow, SerializeValue};
use uuid::Uuid;

use crate::adapters::scylla::cells::{Cell, CellError, bigint, known, time, timestamp, unsigned};
use crate::domain::entry::EntryKind;
use crate::domain::file::{File, Hop, Multipart, Reason, Sha256, Status, Visibility};
use crate::domain::ids::FileId;
use crate::domain::time::Timestamp;

/// A file's cells. Every write brings all of them, and leaves unset what is none: only `trashed_at` can go back to none,
/// and is null where it does.
#[derive(Clone, Debug, PartialEq, SerializeRow, DeserializeRow)]
pub(in crate::adapters::scylla) struct FileRow {
    file_id: Uuid,
    status: i8,
    reason: Cell<String>,
    size_bytes: i64,
    filename: String,
    content_type: String,
    checksum_sha256: Cell<Vec<u8>>,
    etag: Cell<String>,
    visibility: i8,
    created_at: CqlTimestamp,
    processed_at: Cell<CqlTimestamp>,
    trashed_at: Cell<CqlTimestamp>,
    changed_at: CqlTimestamp,
    revision: i64,
    #[scylla(default_when_null)]
    hops: Vec<HopCell>,
    multipart: Cell<MultipartCell>,
    traceparent: Cell<String>,
    uploads_end_at: Cell<CqlTimestamp>,
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

impl FileRow {
    /// The row of a file after these transitions of it.
    pub(in crate::adapters::scylla) fn after(
        file: &File,
        mut transitions: impl Iterator<Item = EntryKind>,
    ) -> Result<Self, CellError> {
        let leaves_trash = transitions.any(may_leave_trash);
        let multipart = file.multipart.as_ref().map(MultipartCell::try_from).transpose()?;
        Ok(Self {
            file_id: file.file_id.uuid(),
            status: file.status.code(),
            reason: Cell::kept(file.reason.map(|reason| reason.as_str().to_owned())),
            size_bytes: bigint("size_bytes", file.size_bytes)?,
            filename: file.filename.clone(),
            content_type: file.content_type.clone(),
            checksum_sha256: Cell::kept(file.checksum_sha256.map(|sum| sum.0.to_vec())),
            etag: Cell::kept(file.etag.clone()),
            visibility: file.visibility.code(),
            created_at: timestamp(file.created_at),
            processed_at: Cell::kept(file.processed_at.map(timestamp)),
            trashed_at: Cell::replaced(file.trashed_at.map(timestamp), leaves_trash),
            changed_at: timestamp(file.changed_at),
            revision: i64::from(file.revision),
            hops: file.hops.iter().map(hop_cell).collect(),
            multipart: Cell::kept(multipart),
            traceparent: Cell::kept(file.traceparent.clone()),
            uploads_end_at: Cell::kept(file.uploads_end_at.map(timestamp)),
        })
    }
}

/// Whether a transition may take a file out of the trash, and with that its `trashed_at`.
const fn may_leave_trash(kind: EntryKind) -> bool {
    match kind {
        EntryKind::Restored | EntryKind::Deleted => true,
        EntryKind::Reserved
        | EntryKind::Processed
        | EntryKind::Failed
        | EntryKind::Expired
        | EntryKind::Cancelled
        | EntryKind::Updated
        | EntryKind::Trashed
        | EntryKind::Purged
        | EntryKind::QuotaChanged
        | EntryKind::StateChanged => false,
    }
}

impl TryFrom<FileRow> for File {
    type Error = CellError;

    fn try_from(row: FileRow) -> Result<Self, CellError> {
        let uploads_end_at = row.uploads_end_at.into_option();
        Ok(Self {
            file_id: FileId::from_uuid(row.file_id),
            status: status(row.status)?,
            reason: row.reason.into_option().map(reason).transpose()?,
            size_bytes: unsigned("size_bytes", row.size_bytes)?,
            filename: row.filename,
            content_type: row.content_type,
            checksum_sha256: row.checksum_sha256.into_option().map(checksum).transpose()?,
            etag: row.etag.into_option(),
            visibility: visibility(row.visibility)?,
            created_at: time("created_at", row.created_at)?,
            processed_at: row.processed_at.into_option().map(|at| time("processed_at", at)).transpose()?,
            trashed_at: row.trashed_at.into_option().map(|at| time("trashed_at", at)).transpose()?,
            changed_at: time("changed_at", row.changed_at)?,
            revision: unsigned("revision", row.revision)?,
            hops: row.hops.into_iter().map(hop).collect::<Result<_, _>>()?,
            multipart: row.multipart.into_option().map(Multipart::try_from).transpose()?,
            traceparent: row.traceparent.into_option(),
            uploads_end_at: uploads_end_at.map(|at| time("uploads_end_at", at)).transpose()?,
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::account::{Account, Change, Reservation, Transition};
    use crate::domain::decide::{Observed, Rules, Settlement};
    use crate::domain::ids::UserId;
    use crate::domain::transitions::{FilePatch, Removal};

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
            uploads_end_at: None,
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
            uploads_end_at: Some(Timestamp::from_millis(6)),
            ..bare()
        }
    }

    fn row() -> FileRow {
        FileRow::after(&full(), [].into_iter()).unwrap()
    }

    fn refused(row: FileRow, expected: &str) {
        assert_eq!(File::try_from(row).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_file_reads_back() {
        for file in [bare(), full()] {
            assert_eq!(File::try_from(FileRow::after(&file, [].into_iter()).unwrap()), Ok(file));
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_not_guessed_at() {
        refused(FileRow { status: 6, ..row() }, "status cannot be 6");
        refused(FileRow { visibility: -1, ..row() }, "visibility cannot be -1");
        refused(FileRow { reason: Cell::kept(Some("bored".to_owned())), ..row() }, "reason cannot be bored");
        refused(FileRow { revision: 1 << 32, ..row() }, "revision cannot be 4294967296");
        refused(
            FileRow { checksum_sha256: Cell::kept(Some(vec![1])), ..row() },
            "checksum_sha256 cannot be 1 bytes long",
        );
        let hops = vec![HopCell { name: "lost".to_owned(), at: CqlTimestamp(1) }];
        refused(FileRow { hops, ..row() }, "hops.name cannot be lost");
    }

    /// A value that a later version of a row does not have must be overwritten, or it would come back: every move of the
    /// domain, from every state that moves lead to.
    #[test]
    fn only_a_file_that_leaves_the_trash_loses_a_value() {
        let account = Account::new(UserId::from_subject("https://issuer.example", "ann").unwrap());
        let (now, later) = (Timestamp::from_millis(10), Timestamp::from_millis(u64::MAX >> 1));
        let mut open = vec![File { multipart: full().multipart, traceparent: full().traceparent, ..bare() }];
        let mut lost = BTreeSet::<(i8, &str)>::new();
        for _ in 0..6 {
            let mut reached = Vec::new();
            for row in open {
                for (kind, after) in moves(&account, &row, now, later) {
                    lost.extend(values_lost(&row, &after).into_iter().map(|column| (kind.code(), column)));
                    reached.push(after);
                }
            }
            open = reached;
        }
        let expected = EntryKind::ALL.into_iter().filter(|kind| may_leave_trash(*kind));
        assert_eq!(lost, expected.map(|kind| (kind.code(), "trashed_at")).collect());
    }

    fn moves(account: &Account, row: &File, now: Timestamp, later: Timestamp) -> Vec<(EntryKind, File)> {
        let mut account = account.clone();
        if row.status == Status::Pending {
            let reservation = Reservation { size_bytes: row.size_bytes, release_at: now };
            account.pending.insert(row.file_id, reservation);
        }
        let patch = FilePatch { filename: Some(format!("{}+", row.filename)), ..FilePatch::default() };
        let settled = |size_bytes, checksum_sha256| {
            let seen = Observed {
                size_bytes,
                etag: "e".to_owned(),
                checksum_sha256,
                content_type: None,
                landed_at: now,
                seen_at: now,
                inspected_at: now,
                rejected: None,
            };
            match account.settle(row, &seen, &Rules::default(), now) {
                Settlement::Transition(transition) => Some(*transition),
                Settlement::Done | Settlement::Remove => None,
            }
        };
        let all = [
            row.remove(Removal::Trash, now),
            row.remove(Removal::Permanent, now),
            row.restore(now).ok().flatten(),
            row.update(&patch, now).ok().flatten(),
            row.purged(now),
            settled(row.size_bytes, Some(Sha256([3; 32]))),
            settled(row.size_bytes, None),
            settled(row.size_bytes + 1, None),
            account.expire(row, later),
        ];
        let after = |transition: Transition| match transition.change {
            Change::File { after, .. } => (transition.kind, *after),
            Change::Quota(_) | Change::State(_) => panic!("it is about a file"),
        };
        all.into_iter().flatten().map(after).collect()
    }

    fn values_lost(before: &File, after: &File) -> Vec<&'static str> {
        let File { reason, checksum_sha256, etag, processed_at, trashed_at, multipart, traceparent, .. } =
            before;
        let pairs = [
            ("reason", reason.is_some() && after.reason.is_none()),
            ("checksum_sha256", checksum_sha256.is_some() && after.checksum_sha256.is_none()),
            ("etag", etag.is_some() && after.etag.is_none()),
            ("processed_at", processed_at.is_some() && after.processed_at.is_none()),
            ("trashed_at", trashed_at.is_some() && after.trashed_at.is_none()),
            ("multipart", multipart.is_some() && after.multipart.is_none()),
            ("traceparent", traceparent.is_some() && after.traceparent.is_none()),
        ];
        pairs.into_iter().filter(|(_, is_lost)| *is_lost).map(|(column, _)| column).collect()
    }
}
