//! The data of an event: the file or the account as its entry left it. Fields are in the order of their names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::EventSource;
use crate::domain::entry::{Entry, EntryKind};
use crate::domain::file::{File, Reason, Status, Visibility};
use crate::domain::ids::{FileId, ObjectKey, UserId};

/// The `data` of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Data {
    File(FileData),
    Account(AccountData),
}

/// A file after a change; what its row alone knows is left out when the row is forgotten.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct FileData {
    /// Null while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum_sha256: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    file_id: Option<FileId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectData>,
    reason: Option<&'static str>,
    revision: u32,
    size_bytes: u64,
    status: Option<&'static str>,
    usage: UsageData,
    user_id: UserId,
    visibility: Visibility,
}

/// Where a file's bytes are, or will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct ObjectData {
    bucket: String,
    etag: Option<String>,
    key: String,
}

/// An account after a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AccountData {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_percent: Option<u8>,
    usage: UsageData,
    user_id: UserId,
}

/// The sums after a change.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct UsageData {
    file_count: u32,
    limit_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    used_bytes: u64,
}

impl FileData {
    pub(super) fn of(source: &EventSource, user: UserId, entry: &Entry, row: Option<&File>) -> Self {
        let ended = (entry.kind == EntryKind::Expired).then_some("expired");
        // The row may be newer: an earlier event does not carry what the object added later.
        let had_object = !matches!(entry.status, Some(Status::Pending | Status::Expired));
        let object = |row: &File| ObjectData {
            bucket: source.bucket.clone(),
            etag: row.etag.clone().filter(|_| had_object),
            key: ObjectKey { user, file: row.file_id }.to_string(),
        };
        let checksum =
            |row: &File| row.checksum_sha256.filter(|_| had_object).map(|sum| STANDARD.encode(sum.0));
        Self {
            checksum_sha256: row.map(checksum),
            content_type: row.map(|row| row.content_type.clone()),
            file_id: entry.file_id,
            filename: row.filter(|_| !source.redact_names).map(|row| row.filename.clone()),
            object: row.map(object),
            reason: entry.reason.map(Reason::as_str).or(ended),
            revision: entry.revision,
            size_bytes: entry.size_bytes,
            status: entry
                .status
                .map(|status| status.public_status(entry.reason).as_str().unwrap_or("deleted")),
            usage: UsageData::of(entry),
            user_id: user,
            visibility: entry.visibility,
        }
    }
}

impl AccountData {
    pub(super) fn of(user: UserId, entry: &Entry, threshold_percent: Option<u8>) -> Self {
        Self { state: entry.state.as_str(), threshold_percent, usage: UsageData::of(entry), user_id: user }
    }
}

impl UsageData {
    const fn of(entry: &Entry) -> Self {
        Self {
            file_count: entry.totals.file_count,
            limit_bytes: entry.limit_bytes,
            reserved_bytes: entry.totals.reserved_bytes,
            trashed_bytes: entry.totals.trashed_bytes,
            used_bytes: entry.totals.used_bytes,
        }
    }
}
