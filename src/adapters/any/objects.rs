//! Any bucket.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::ids::ObjectKey;
use crate::ports::{ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor, UploadPage};

/// A bucket that a test brings. Cheap to clone.
#[derive(Clone)]
pub struct AnyObjects(Arc<dyn Erased>);

impl AnyObjects {
    /// Takes a bucket.
    #[must_use]
    pub fn new(objects: impl ObjectsPort + 'static) -> Self {
        Self(Arc::new(objects))
    }
}

impl fmt::Debug for AnyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyObjects")
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ObjectsError>>;
type Metadata = Vec<(String, String)>;

/// The port without its types of futures.
trait Erased: Send + Sync {
    fn head(&self, key: ObjectKey) -> Answer<'_, Option<ObjectMeta>>;
    fn first(&self, key: ObjectKey) -> Answer<'_, Option<Vec<u8>>>;
    fn delete(&self, key: ObjectKey) -> Answer<'_, ()>;
    fn list(&self, prefix: String, after: Option<String>) -> Answer<'_, ObjectPage>;
    fn create<'a>(&'a self, key: ObjectKey, content_type: &'a str, metadata: Metadata) -> Answer<'a, String>;
    fn parts<'a>(&'a self, key: ObjectKey, upload_id: &'a str) -> Answer<'a, Vec<Part>>;
    fn complete<'a>(&'a self, key: ObjectKey, upload_id: &'a str, parts: Vec<Part>) -> Answer<'a, ()>;
    fn abort<'a>(&'a self, key: ObjectKey, upload_id: &'a str) -> Answer<'a, ()>;
    fn uploads(&self, prefix: String, after: Option<UploadCursor>) -> Answer<'_, UploadPage>;
}

impl<O: ObjectsPort> Erased for O {
    fn head(&self, key: ObjectKey) -> Answer<'_, Option<ObjectMeta>> {
        Box::pin(ObjectsPort::head(self, key))
    }

    fn first(&self, key: ObjectKey) -> Answer<'_, Option<Vec<u8>>> {
        Box::pin(self.first_bytes(key))
    }

    fn delete(&self, key: ObjectKey) -> Answer<'_, ()> {
        Box::pin(ObjectsPort::delete(self, key))
    }

    fn list(&self, prefix: String, after: Option<String>) -> Answer<'_, ObjectPage> {
        Box::pin(ObjectsPort::list(self, prefix, after))
    }

    fn create<'a>(&'a self, key: ObjectKey, content_type: &'a str, metadata: Metadata) -> Answer<'a, String> {
        Box::pin(self.create_multipart(key, content_type, metadata))
    }

    fn parts<'a>(&'a self, key: ObjectKey, upload_id: &'a str) -> Answer<'a, Vec<Part>> {
        Box::pin(self.list_parts(key, upload_id))
    }

    fn complete<'a>(&'a self, key: ObjectKey, upload_id: &'a str, parts: Vec<Part>) -> Answer<'a, ()> {
        Box::pin(self.complete_multipart(key, upload_id, parts))
    }

    fn abort<'a>(&'a self, key: ObjectKey, upload_id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.abort_multipart(key, upload_id))
    }

    fn uploads(&self, prefix: String, after: Option<UploadCursor>) -> Answer<'_, UploadPage> {
        Box::pin(self.list_uploads(prefix, after))
    }
}

impl ObjectsPort for AnyObjects {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        self.0.head(key).await
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        self.0.first(key).await
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        self.0.delete(key).await
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        self.0.list(prefix, after).await
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Metadata,
    ) -> Result<String, ObjectsError> {
        self.0.create(key, content_type, metadata).await
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        self.0.parts(key, upload_id).await
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        self.0.complete(key, upload_id, parts).await
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        self.0.abort(key, upload_id).await
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        self.0.uploads(prefix, after).await
    }
}
