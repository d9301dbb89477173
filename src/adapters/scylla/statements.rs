//! Every statement on `user_ledger`, prepared once. Marker names are the field names of the rows bound to them.

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::errors::PrepareError;
use scylla::statement::prepared::PreparedStatement;

use super::session::Profiles;

/// The key of an account's anchor row within its partition: kind -1, which sorts before everything else.
macro_rules! anchor {
    () => {
        "kind = -1 AND seq = 0 AND file_id = 00000000-0000-0000-0000-000000000000"
    };
}

// The account: its static columns, through its anchor row by the full primary key. Whatever else was deleted from the
// partition is not looked at. `kind` is there because the servers name a whole key only where more than static columns
// is asked for. An earlier release wrote no anchors: without one, any row will do, and there may be none.
macro_rules! select_account {
    ($rest:expr) => {
        concat!(
            "SELECT kind, version, published, epoch, op_id, history_floor, row_count, used_bytes, reserved_bytes, \
             trashed_bytes, file_count, deleting_count, quota_bytes, subject, state, pending FROM user_ledger \
             WHERE user_id = ? ",
            $rest
        )
    };
}
const LOAD: &str = select_account!(concat!("AND ", anchor!()));
const LOAD_WITHOUT_ANCHOR: &str = select_account!("LIMIT 1");
pub(super) const ADD_ANCHOR: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id) \
     VALUES (?, -1, 0, 00000000-0000-0000-0000-000000000000) IF NOT EXISTS";
const PUT_ANCHOR: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id) \
     VALUES (:user_id, -1, 0, 00000000-0000-0000-0000-000000000000)";

// Accounts between two tokens, in the order of the ring, also by the full key.
macro_rules! between_tokens {
    ($columns:literal, $rest:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM user_ledger WHERE token(user_id) > ? AND token(user_id) <= ? AND ",
            $rest,
            " LIMIT ? ALLOW FILTERING"
        )
    };
}
const SCAN: &str = between_tokens!(
    "kind, user_id, version, published, used_bytes, reserved_bytes, trashed_bytes, file_count, deleting_count, \
     row_count, quota_bytes, state, pending",
    anchor!()
);
// Whose partition it is, where the anchor cannot be read or is not there: by the newest entry, or a file.
pub(super) const USERS_WITH_ENTRIES: &str = between_tokens!("user_id", "kind = 1 PER PARTITION LIMIT 1");
const USERS_WITH_FILES: &str = between_tokens!("user_id", "kind = 0 PER PARTITION LIMIT 1");
pub(super) const USERS_WITH_ANCHOR: &str = between_tokens!("user_id", anchor!());
const PUT_ACCOUNT: &str = "UPDATE user_ledger SET version = :version, published = :published, epoch = :epoch, \
     op_id = :op_id, history_floor = :history_floor, row_count = :row_count, used_bytes = :used_bytes, \
     reserved_bytes = :reserved_bytes, \
     trashed_bytes = :trashed_bytes, file_count = :file_count, \
     deleting_count = :deleting_count, quota_bytes = :quota_bytes, \
     subject = :subject, state = :state, pending = :pending \
     WHERE user_id = :user_id IF version = :expected AND op_id = :expected_op";

// Files: kind 0, seq 0.
macro_rules! select_file {
    ($rest:literal) => {
        concat!(
            "SELECT file_id, status, reason, size_bytes, filename, content_type, checksum_sha256, etag, \
             visibility, created_at, processed_at, trashed_at, changed_at, revision, hops, multipart, \
             traceparent, uploads_end_at FROM user_ledger WHERE user_id = ? AND kind = 0 AND seq = 0 ",
            $rest
        )
    };
}
const FILE: &str = select_file!("AND file_id = ?");
const FILES: &str = select_file!("LIMIT ?");
const FILES_BEFORE: &str = select_file!("AND file_id < ? LIMIT ?");
const FILES_FROM: &str = select_file!("AND file_id >= ? LIMIT ?");
const FILES_BETWEEN: &str = select_file!("AND file_id >= ? AND file_id < ? LIMIT ?");
const PUT_FILE: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id, status, reason, size_bytes, \
     filename, content_type, checksum_sha256, etag, visibility, created_at, processed_at, trashed_at, \
     changed_at, revision, hops, multipart, traceparent, uploads_end_at) \
     VALUES (:user_id, 0, 0, :file_id, :status, :reason, \
     :size_bytes, :filename, :content_type, :checksum_sha256, :etag, :visibility, :created_at, \
     :processed_at, :trashed_at, :changed_at, :revision, :hops, :multipart, :traceparent, :uploads_end_at)";
const DROP_FILE: &str = "DELETE FROM user_ledger WHERE user_id = :user_id AND kind = 0 AND seq = 0 \
     AND file_id = :file_id";
const DROP_FILES: &str = "DELETE FROM user_ledger WHERE user_id = :user_id AND kind = 0 AND seq = 0 \
     AND file_id >= :first AND file_id <= :last";

// Remembered requests: kind 2, seq the hash of the key. Read by full key only.
const REQUEST: &str = "SELECT seq, request_body, at, request_files FROM user_ledger \
     WHERE user_id = ? AND kind = 2 AND seq = ? AND file_id = 00000000-0000-0000-0000-000000000000";
const PUT_REQUEST: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id, request_body, at, request_files) \
     VALUES (:user_id, 2, :seq, 00000000-0000-0000-0000-000000000000, :request_body, :at, :request_files) \
     USING TTL :ttl_secs";

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
const ENTRIES_BEFORE: &str = select_entry!("AND seq > ? AND seq < ? LIMIT ?");
// From the beginning, so that all trims of a user are one range in the end.
const TRIM_ENTRIES: &str = "DELETE FROM user_ledger WHERE user_id = :user_id AND kind = 1 AND seq <= :last";
const PUT_ENTRY: &str = "INSERT INTO user_ledger (user_id, kind, seq, file_id, entry_kind, entry_op, at, \
     size_bytes, status, reason, visibility, revision, used_after, reserved_after, trashed_after, count_after, \
     limit_after, state_after, threshold_percent) VALUES (:user_id, 1, :seq, :file_id, :entry_kind, :entry_op, :at, \
     :size_bytes, :status, :reason, :visibility, :revision, :used_after, :reserved_after, :trashed_after, \
     :count_after, :limit_after, :state_after, :threshold_percent) USING TTL :ttl_secs";

/// The prepared statements, each with the profile it needs.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    pub(super) load: PreparedStatement,
    pub(super) load_without_anchor: PreparedStatement,
    pub(super) file: PreparedStatement,
    pub(super) files: PreparedStatement,
    pub(super) files_before: PreparedStatement,
    pub(super) files_from: PreparedStatement,
    pub(super) files_between: PreparedStatement,
    pub(super) entry: PreparedStatement,
    pub(super) entries_after: PreparedStatement,
    pub(super) entries_before: PreparedStatement,
    pub(super) scan: PreparedStatement,
    pub(super) users_with_entries: PreparedStatement,
    pub(super) users_with_files: PreparedStatement,
    pub(super) add_anchor: PreparedStatement,
    pub(super) put_anchor: PreparedStatement,
    pub(super) put_account: PreparedStatement,
    pub(super) put_file: PreparedStatement,
    pub(super) drop_file: PreparedStatement,
    pub(super) drop_files: PreparedStatement,
    pub(super) request: PreparedStatement,
    pub(super) put_request: PreparedStatement,
    pub(super) trim_entries: PreparedStatement,
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
            load_without_anchor: linear(LOAD_WITHOUT_ANCHOR).await?,
            file: read(FILE).await?,
            files: read(FILES).await?,
            files_before: read(FILES_BEFORE).await?,
            files_from: read(FILES_FROM).await?,
            files_between: read(FILES_BETWEEN).await?,
            entry: linear(ENTRY).await?,
            entries_after: read(ENTRIES_AFTER).await?,
            entries_before: read(ENTRIES_BEFORE).await?,
            scan: read(SCAN).await?,
            users_with_entries: read(USERS_WITH_ENTRIES).await?,
            users_with_files: read(USERS_WITH_FILES).await?,
            add_anchor: write(ADD_ANCHOR).await?,
            put_anchor: write(PUT_ANCHOR).await?,
            put_account: write(PUT_ACCOUNT).await?,
            put_file: write(PUT_FILE).await?,
            drop_file: write(DROP_FILE).await?,
            drop_files: write(DROP_FILES).await?,
            request: linear(REQUEST).await?,
            put_request: write(PUT_REQUEST).await?,
            trim_entries: write(TRIM_ENTRIES).await?,
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
