//! The bucket, as far as we touch it ourselves. Bytes never pass through here.

use std::future::Future;

use crate::domain::file::Sha256;
use crate::domain::ids::ObjectKey;
use crate::domain::time::Timestamp;

/// A bucket.
///
/// Contract: an object is there whole or not at all. `head`, `delete` and `list` see every change that
/// returned before. Deleting a missing object succeeds. Checked by `contract::objects`.
pub trait ObjectsPort: Send + Sync {
    /// The bucket's record of an object; none if it is not there.
    fn head(&self, key: ObjectKey) -> impl Future<Output = Result<Option<ObjectMeta>, ObjectsError>> + Send;

    /// The first bytes of an object, at most [`FIRST_BYTES`](crate::limits::FIRST_BYTES); none if it is not there.
    fn first_bytes(
        &self,
        key: ObjectKey,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, ObjectsError>> + Send;

    /// Removes an object for good. The bucket may refuse signed uploads of its key from then on.
    fn delete(&self, key: ObjectKey) -> impl Future<Output = Result<(), ObjectsError>> + Send;

    /// Keys that start with `prefix` and are above `after`, in order, at most 1000.
    fn list(
        &self,
        prefix: String,
        after: Option<String>,
    ) -> impl Future<Output = Result<ObjectPage, ObjectsError>> + Send;

    /// Starts an upload in parts; returns the bucket's name of it. Metadata as for a whole upload.
    fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> impl Future<Output = Result<String, ObjectsError>> + Send;

    /// The parts that are there, in order.
    fn list_parts(
        &self,
        key: ObjectKey,
        upload_id: &str,
    ) -> impl Future<Output = Result<Vec<Part>, ObjectsError>> + Send;

    /// Makes one object of the parts, if there is none under the key yet. Repeating it is fine.
    fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> impl Future<Output = Result<(), ObjectsError>> + Send;

    /// Gives an upload in parts up and frees their bytes. Repeating it is fine.
    fn abort_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
    ) -> impl Future<Output = Result<(), ObjectsError>> + Send;

    /// Uploads in parts that were neither completed nor aborted, whose keys start with `prefix`, at most 1000.
    fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> impl Future<Output = Result<UploadPage, ObjectsError>> + Send;
}

/// The position of a list of uploads: after this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadCursor {
    /// The last key.
    pub key: String,
    /// The last of its uploads.
    pub upload_id: String,
}

/// An upload in parts that is neither completed nor aborted. Raw, as [`ListedObject`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedUpload {
    /// The whole key.
    pub key: String,
    /// The bucket's name of it.
    pub upload_id: String,
    /// When it was begun.
    pub started_at: Timestamp,
}

/// Some uploads of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPage {
    /// In order of their keys.
    pub uploads: Vec<ListedUpload>,
    /// The next position; none: that was all.
    pub next: Option<UploadCursor>,
}

/// The bucket's record of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Its length.
    pub size_bytes: u64,
    /// Without quotes.
    pub etag: String,
    /// If the bucket knows it.
    pub checksum_sha256: Option<Sha256>,
    /// As stored with it.
    pub content_type: Option<String>,
    /// When it was complete, by the bucket's clock.
    pub landed_at: Timestamp,
}

/// Some keys of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPage {
    /// In order of their keys.
    pub objects: Vec<ListedObject>,
    /// Whether there are more above the last.
    pub is_truncated: bool,
}

/// A key of a bucket. Raw: the bucket may hold keys that are not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// The whole key.
    pub key: String,
    /// The object's length.
    pub size_bytes: u64,
    /// Without quotes; none if the list does not say.
    pub etag: Option<String>,
    /// When it was complete.
    pub landed_at: Timestamp,
}

/// One part of an upload in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u16,
    /// Its length.
    pub size_bytes: u64,
    /// Without quotes.
    pub etag: String,
}

/// Why the bucket did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectsError {
    /// Worth repeating, after a pause.
    #[error("the bucket does not answer: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// The upload in parts is not there, or its parts differ from the request.
    #[error("the bucket refused: {reason}")]
    Refused {
        /// For the log.
        reason: String,
    },
}
