//! The one write as a batch: the account under its only condition, then files, then entries.

use scylla::SerializeRow;
use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::batch::{Batch, BatchType};
use uuid::Uuid;

use super::cells::{CellError, bigint};
use super::rows::{AccountRow, EntryRow, FileRow, RequestRow};
use super::statements::Statements;
use crate::domain::draft::Write;
use crate::domain::ids::OpId;

/// How long a remembered request is kept: its day, and an hour for clocks that differ. Readers check the time too.
const REQUEST_TTL_SECS: i32 = 25 * 3600;

/// What is bound to one statement of the batch.
#[derive(Debug)]
pub(super) enum Bound {
    Account(Box<PutAccount>),
    Anchor(PutAnchor),
    File(Box<PutFile>),
    Forgotten(DropFile),
    ForgottenRange(DropFiles),
    Request(Box<PutRequest>),
    Trimmed(TrimEntries),
    Entry(Box<PutEntry>),
}

/// Moves the account from `expected`; none: nothing was ever written (null equals null under `IF`).
#[derive(Debug, SerializeRow)]
pub(super) struct PutAccount {
    user_id: Uuid,
    expected: Option<i64>,
    expected_op: Option<Uuid>,
    #[scylla(flatten)]
    account: AccountRow,
}

/// The row that an account is read by.
#[derive(Debug, SerializeRow)]
pub(super) struct PutAnchor {
    user_id: Uuid,
}

#[derive(Debug, SerializeRow)]
pub(super) struct PutFile {
    user_id: Uuid,
    #[scylla(flatten)]
    file: FileRow,
}

#[derive(Debug, SerializeRow)]
pub(super) struct DropFile {
    user_id: Uuid,
    file_id: Uuid,
}

#[derive(Debug, SerializeRow)]
pub(super) struct DropFiles {
    user_id: Uuid,
    first: Uuid,
    last: Uuid,
}

#[derive(Debug, SerializeRow)]
pub(super) struct PutRequest {
    user_id: Uuid,
    ttl_secs: i32,
    #[scylla(flatten)]
    request: RequestRow,
}

#[derive(Debug, SerializeRow)]
pub(super) struct TrimEntries {
    user_id: Uuid,
    last: i64,
}

#[derive(Debug, SerializeRow)]
pub(super) struct PutEntry {
    user_id: Uuid,
    ttl_secs: i32,
    #[scylla(flatten)]
    entry: EntryRow,
}

impl SerializeRow for Bound {
    fn serialize(
        &self,
        context: &RowSerializationContext<'_>,
        writer: &mut RowWriter,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Account(row) => row.serialize(context, writer),
            Self::Anchor(row) => row.serialize(context, writer),
            Self::File(row) => row.serialize(context, writer),
            Self::Forgotten(row) => row.serialize(context, writer),
            Self::ForgottenRange(row) => row.serialize(context, writer),
            Self::Request(row) => row.serialize(context, writer),
            Self::Trimmed(row) => row.serialize(context, writer),
            Self::Entry(row) => row.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// Every row of a write, in the order of the batch. Entries live for `ttl_secs`, 0 for ever.
pub(super) fn rows(write: &Write, ttl_secs: i32) -> Result<Vec<Bound>, CellError> {
    let user_id = write.account.user.uuid();
    let expected = write.expected.map(|version| bigint("version", version)).transpose()?;
    let account = AccountRow::after(&write.account, write.entries.iter().map(|entry| entry.kind))?;
    // First: its key routes the batch, and its condition decides it.
    let expected_op = write.expected_op.map(OpId::uuid);
    let put = PutAccount { user_id, expected, expected_op, account };
    let mut rows = vec![Bound::Account(Box::new(put))];
    if expected.is_none() {
        rows.push(Bound::Anchor(PutAnchor { user_id }));
    }
    for file in &write.files {
        let moves = write.entries.iter().filter(|entry| entry.file_id == Some(file.file_id));
        let file = FileRow::after(file, moves.map(|entry| entry.kind))?;
        rows.push(Bound::File(Box::new(PutFile { user_id, file })));
    }
    for range in &write.forgotten {
        let (first, last) = (range.first.uuid(), range.last.uuid());
        rows.push(if first == last {
            Bound::Forgotten(DropFile { user_id, file_id: first })
        } else {
            Bound::ForgottenRange(DropFiles { user_id, first, last })
        });
    }
    for request in &write.requests {
        let request = RequestRow::from(request);
        rows.push(Bound::Request(Box::new(PutRequest { user_id, ttl_secs: REQUEST_TTL_SECS, request })));
    }
    if let Some(trimmed) = &write.trimmed {
        rows.push(Bound::Trimmed(TrimEntries { user_id, last: bigint("seq", *trimmed.end())? }));
    }
    for entry in &write.entries {
        rows.push(Bound::Entry(Box::new(PutEntry { user_id, ttl_secs, entry: EntryRow::try_from(entry)? })));
    }
    Ok(rows)
}

/// The batch that takes these rows. The server gives it its timestamp: conditional writes are ordered by it.
pub(super) fn batch(rows: &[Bound], statements: &Statements, profile: &ExecutionProfileHandle) -> Batch {
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.set_execution_profile_handle(Some(profile.clone()));
    batch.set_is_idempotent(false);
    for row in rows {
        batch.append_statement(match row {
            Bound::Account(_) => statements.put_account.clone(),
            Bound::Anchor(_) => statements.put_anchor.clone(),
            Bound::File(_) => statements.put_file.clone(),
            Bound::Forgotten(_) => statements.drop_file.clone(),
            Bound::ForgottenRange(_) => statements.drop_files.clone(),
            Bound::Request(_) => statements.put_request.clone(),
            Bound::Trimmed(_) => statements.trim_entries.clone(),
            Bound::Entry(_) => statements.put_entry.clone(),
        });
    }
    batch
}
