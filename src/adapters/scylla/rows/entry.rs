//! An entry: kind 1, seq the version it made.

use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, SerializeRow};
use uuid::Uuid;

use super::file::{reason, status, visibility};
use crate::adapters::scylla::cells::{Cell, CellError, bigint, known, time, timestamp, unsigned};
use crate::domain::account::AccountState;
use crate::domain::entry::{Entry, EntryKind, Totals};
use crate::domain::file::Status;
use crate::domain::ids::{FileId, OpId};

/// An entry's cells. They are written once: `IF version` lets nobody else make the same version.
#[derive(Clone, Debug, PartialEq, SerializeRow, DeserializeRow)]
pub(in crate::adapters::scylla) struct EntryRow {
    seq: i64,
    file_id: Uuid,
    entry_kind: i8,
    entry_op: Uuid,
    at: CqlTimestamp,
    size_bytes: i64,
    status: Cell<i8>,
    reason: Cell<String>,
    visibility: i8,
    revision: i64,
    used_after: i64,
    reserved_after: i64,
    trashed_after: i64,
    count_after: i64,
    limit_after: i64,
    state_after: i8,
    threshold_percent: Cell<i8>,
}

impl TryFrom<&Entry> for EntryRow {
    type Error = CellError;

    fn try_from(entry: &Entry) -> Result<Self, CellError> {
        let percent = entry.threshold_percent.map(i8::try_from).transpose();
        Ok(Self {
            seq: bigint("seq", entry.version)?,
            file_id: entry.file_id.map_or(Uuid::nil(), FileId::uuid),
            entry_kind: entry.kind.code(),
            entry_op: entry.op.uuid(),
            at: timestamp(entry.at),
            size_bytes: bigint("size_bytes", entry.size_bytes)?,
            status: Cell::kept(entry.status.map(Status::code)),
            reason: Cell::kept(entry.reason.map(|reason| reason.as_str().to_owned())),
            visibility: entry.visibility.code(),
            revision: i64::from(entry.revision),
            used_after: bigint("used_after", entry.totals.used_bytes)?,
            reserved_after: bigint("reserved_after", entry.totals.reserved_bytes)?,
            trashed_after: bigint("trashed_after", entry.totals.trashed_bytes)?,
            count_after: i64::from(entry.totals.file_count),
            limit_after: bigint("limit_after", entry.limit_bytes)?,
            state_after: entry.state.code(),
            threshold_percent: Cell::kept(
                percent.map_err(|_| CellError::new("threshold_percent", "over 127"))?,
            ),
        })
    }
}

impl TryFrom<EntryRow> for Entry {
    type Error = CellError;

    fn try_from(row: EntryRow) -> Result<Self, CellError> {
        let percent = row
            .threshold_percent
            .into_option()
            .map(|percent| unsigned("threshold_percent", i64::from(percent)));
        Ok(Self {
            version: unsigned("seq", row.seq)?,
            kind: known("entry_kind", row.entry_kind, |code| EntryKind::from_code(*code))?,
            file_id: Some(row.file_id).filter(|file| !file.is_nil()).map(FileId::from_uuid),
            at: time("at", row.at)?,
            op: OpId::from_uuid(row.entry_op),
            size_bytes: unsigned("size_bytes", row.size_bytes)?,
            status: row.status.into_option().map(status).transpose()?,
            reason: row.reason.into_option().map(reason).transpose()?,
            visibility: visibility(row.visibility)?,
            revision: unsigned("revision", row.revision)?,
            totals: Totals {
                used_bytes: unsigned("used_after", row.used_after)?,
                reserved_bytes: unsigned("reserved_after", row.reserved_after)?,
                trashed_bytes: unsigned("trashed_after", row.trashed_after)?,
                file_count: unsigned("count_after", row.count_after)?,
            },
            limit_bytes: unsigned("limit_after", row.limit_after)?,
            state: known("state_after", row.state_after, |code| AccountState::from_code(*code))?,
            threshold_percent: percent.transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::file::{Reason, Visibility};
    use crate::domain::time::Timestamp;

    fn entry() -> Entry {
        Entry {
            version: 12,
            kind: EntryKind::Failed,
            file_id: Some(FileId::from_uuid(Uuid::from_u128(3))),
            at: Timestamp::from_millis(44),
            op: OpId::from_uuid(Uuid::from_u128(5)),
            size_bytes: 6,
            status: Some(Status::Deleting),
            reason: Some(Reason::Size),
            visibility: Visibility::PublicLink,
            revision: 7,
            totals: Totals { used_bytes: 1, reserved_bytes: 2, trashed_bytes: 3, file_count: 4 },
            limit_bytes: 1 << 62,
            state: AccountState::Suspended,
            threshold_percent: Some(95),
        }
    }

    #[test]
    fn an_entry_reads_back() {
        let of_account = Entry {
            kind: EntryKind::QuotaChanged,
            file_id: None,
            status: None,
            reason: None,
            threshold_percent: None,
            ..entry()
        };
        for entry in [entry(), of_account] {
            assert_eq!(Entry::try_from(EntryRow::try_from(&entry).unwrap()), Ok(entry));
        }
    }

    #[test]
    fn what_cannot_be_stored_or_understood_is_refused() {
        let huge = Entry { limit_bytes: u64::MAX, ..entry() };
        assert_eq!(EntryRow::try_from(&huge), Err(CellError::new("limit_after", u64::MAX)));
        let newer = EntryRow { entry_kind: 12, ..EntryRow::try_from(&entry()).unwrap() };
        assert_eq!(Entry::try_from(newer), Err(CellError::new("entry_kind", 12)));
    }
}
