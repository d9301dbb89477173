//! Every statement on `user_ledger`, prepared once. Marker names are the field names of the rows bound to them.

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;

use super::session::Profiles;

// The account. LIMIT 1: every row repeats the static columns. No restriction on the rest of the key: where it
// matched no row, the static columns would be hidden too.
const LOAD: &str = "SELECT version, published, epoch, used_bytes, reserved_bytes, trashed_bytes, file_count, \
     deleting_count, quota_bytes, subject, state, pending, idempotency FROM user_ledger WHERE user_id = ? LIMIT 1";
const SCAN: &str = "SELECT DISTINCT user_id, version, published, used_bytes, reserved_bytes, trashed_bytes, \
     file_count, deleting_count, quota_bytes, state, pending FROM user_ledger WHERE token(user_id) > ? LIMIT ?";
const PUT_ACCOUNT: &str = "UPDATE user_ledger SET version = :version, published = :published, epoch = :epoch, \
     op_id = :op_id, used_bytes = :used_bytes, reserved_bytes = :reserved_bytes, \
     trashed_bytes = :trashed_bytes, file_count = :file_count, \
     deleting_count = :deleting_count, quota_bytes = :quota_bytes, \
     subject = :subject, state = :state, pending = :pending, idempotency = :idempotency \
     WHERE user_id = :user_id IF version = :expected";

// Files: kind 0, seq 0.
macro_rules! select_file {
    ($rest:literal) => {
        concat!(
            "SELECT file_id, status, reason, size_bytes, filename, content_type, checksum_sha256, etag, \
             visibility, created_at, processed_at, trashed_at, changed_at, revision, hops, multipart, \
             traceparent FROM user_ledger WHERE user_id = ? AND kind = 0 AND seq = 0 ",
            $rest
        )
    };
}
const FILE: &str = select_file!("AND file_id = ?");
const FILES: &str = select_file!("LIMIT ?");
const FILES_BEFORE: &str = select_file!("AND file_id < ? LIMIT ?");
const PUT_FILE: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id, status, reason, size_bytes, \
     filename, content_type, checksum_sha256, etag, visibility, created_at, processed_at, trashed_at, \
     changed_at, revision, hops, multipart, traceparent) VALUES (:user_id, 0, 0, :file_id, :status, :reason, \
     :size_bytes, :filename, :content_type, :checksum_sha256, :etag, :visibility, :created_at, \
     :processed_at, :trashed_at, :changed_at, :revision, :hops, :multipart, :traceparent)";
const DROP_FILE: &str = "DELETE FROM user_ledger WHERE user_id = :user_id AND kind = 0 AND seq = 0 \
     AND file_id = :file_id";

// Entries: kind 1, seq the version. Stored newest first.
macro_rules! select_entry {
    ($rest:literal) => {
        concat!(
            "SELECT seq, file_id, entry_kind, entry_op, at, size_bytes, status, reason, visibility, \
             revision, used_after, reserved_after, trashed_after, count_after, limit_after, state_after, \
             threshold_percent FROM user_ledger WHERE user_id = ? AND kind = 1 ",
            $rest
        )
    };
}
const ENTRY: &str = select_entry!("AND seq = ? LIMIT 1");
const ENTRIES_AFTER: &str = select_entry!("AND seq > ? ORDER BY kind DESC, seq ASC, file_id ASC LIMIT ?");
const ENTRIES_BEFORE: &str = select_entry!("AND seq < ? LIMIT ?");
const PUT_ENTRY: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id, entry_kind, entry_op, at, \
     size_bytes, status, reason, visibility, revision, used_after, reserved_after, trashed_after, count_after, \
     limit_after, state_after, threshold_percent) VALUES (:user_id, 1, :seq, :file_id, :entry_kind, :entry_op, :at, \
     :size_bytes, :status, :reason, :visibility, :revision, :used_after, :reserved_after, :trashed_after, \
     :count_after, :limit_after, :state_after, :threshold_percent) USING TTL :ttl_secs";

/// The prepared statements, each with the profile it needs.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    pub(super) load: PreparedStatement,
    pub(super) file: PreparedStatement,
    pub(super) files: PreparedStatement,
    pub(super) files_before: PreparedStatement,
    pub(super) entry: PreparedStatement,
    pub(super) entries_after: PreparedStatement,
    pub(super) entries_before: PreparedStatement,
    pub(super) scan: PreparedStatement,
    pub(super) put_account: PreparedStatement,
    pub(super) put_file: PreparedStatement,
    pub(super) drop_file: PreparedStatement,
    pub(super) put_entry: PreparedStatement,
}

impl Statements {
    /// Prepares all of them on every node. The session must be in the keyspace.
    pub(super) async fn prepare(session: &Session, profiles: &Profiles) -> Result<Self, PrepareError> {
        let linear = |text| prepared(session, text, &profiles.linear);
        let read = |text| prepared(session, text, &profiles.read);
        let write = |text| prepared(session, text, &profiles.write);
        Ok(Self {
            load: linear(LOAD).await?,
            file: read(FILE).await?,
            files: read(FILES).await?,
            files_before: read(FILES_BEFORE).await?,
            entry: linear(ENTRY).await?,
            entries_after: read(ENTRIES_AFTER).await?,
            entries_before: read(ENTRIES_BEFORE).await?,
            scan: read(SCAN).await?,
            put_account: write(PUT_ACCOUNT).await?,
            put_file: write(PUT_FILE).await?,
            drop_file: write(DROP_FILE).await?,
            put_entry: write(PUT_ENTRY).await?,
        })
    }
}

async fn prepared(
    session: &Session,
    text: &str,
    profile: &ExecutionProfileHandle,
) -> Result<PreparedStatement, PrepareError> {
    let mut statement = session.prepare(text).await?;
    statement.set_execution_profile_handle(Some(profile.clone()));
    statement.set_is_idempotent(text.starts_with("SELECT"));
    Ok(statement)
}
