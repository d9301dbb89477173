//! A bucket that fails on purpose.

use std::future::Future;

use super::call::{Trouble, carry_out};
use super::fault::{Op, REASON};
use super::plan::Plan;
use wharfinger::adapters::embedded::bucket::EmbeddedBucket;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::{ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor, UploadPage};

/// An embedded bucket that fails as planned. Cheap to clone. Its endpoint, for clients, does not fail.
#[derive(Clone, Debug)]
pub(crate) struct FaultyObjects {
    inner: EmbeddedBucket,
    plan: Plan,
}

impl FaultyObjects {
    /// This bucket under this plan.
    #[must_use]
    pub(crate) const fn new(inner: EmbeddedBucket, plan: Plan) -> Self {
        Self { inner, plan }
    }

    async fn call<T, F>(&self, op: Op, claimed: Option<T>, run: impl Fn() -> F) -> Result<T, ObjectsError>
    where
        F: Future<Output = Result<T, ObjectsError>>,
    {
        carry_out(self.plan.fault(op).await, claimed, objects_error, run).await
    }
}

impl ObjectsPort for FaultyObjects {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        self.call(Op::Head, None, || self.inner.head(key)).await
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        self.call(Op::FirstBytes, None, || self.inner.first_bytes(key)).await
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        self.call(Op::ObjectDelete, Some(()), || self.inner.delete(key)).await
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        self.call(Op::List, None, || self.inner.list(prefix.clone(), after.clone())).await
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        let run = || self.inner.create_multipart(key, content_type, metadata.clone());
        self.call(Op::CreateMultipart, None, run).await
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        self.call(Op::ListParts, None, || self.inner.list_parts(key, upload_id)).await
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        let run = || self.inner.complete_multipart(key, upload_id, parts.clone());
        self.call(Op::CompleteMultipart, Some(()), run).await
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        self.call(Op::AbortMultipart, Some(()), || self.inner.abort_multipart(key, upload_id)).await
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        let run = || self.inner.list_uploads(prefix.clone(), after.clone());
        self.call(Op::ListUploads, None, run).await
    }
}

fn objects_error(trouble: Trouble) -> ObjectsError {
    match trouble {
        Trouble::Unavailable | Trouble::Unknown => ObjectsError::Unavailable { reason: REASON.to_owned() },
        Trouble::Corrupt => ObjectsError::Refused { reason: REASON.to_owned() },
    }
}
