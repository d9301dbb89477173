//! Every bucket we ship, as one type.

use std::sync::Arc;

use super::backends::backends;
use crate::adapters::embedded::bucket::EmbeddedBucket;
#[cfg(feature = "aws")]
use crate::adapters::s3::S3Bucket;
use crate::domain::ids::ObjectKey;
use crate::ports::{ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor, UploadPage};

backends! {
    /// The bucket that the settings chose. Cheap to clone.
    #[derive(Clone)]
    pub enum Objects: ObjectsPort {
        /// In this process, under the data folder.
        Embedded(EmbeddedBucket) => inline,
        /// Amazon S3.
        S3(S3Bucket) if "aws" => boxed,
    }
    custom Arc<dyn CustomObjects>;

    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError>;
    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError>;
    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError>;
    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError>;
    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError>;
    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError>;
    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError>;
    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError>;
    async fn list_uploads(&self, prefix: String, after: Option<UploadCursor>) -> Result<UploadPage, ObjectsError>;
}

impl Objects {
    /// Takes any other implementation of the port.
    #[must_use]
    pub fn custom(objects: impl ObjectsPort + 'static) -> Self {
        Self::Custom(Arc::new(objects))
    }
}
