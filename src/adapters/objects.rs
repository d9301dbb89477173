//! Every bucket we ship, as one type.

use crate::adapters::any::AnyObjects;
use crate::adapters::embedded::bucket::EmbeddedBucket;
use crate::adapters::faulty::FaultyObjects;
#[cfg(feature = "aws")]
use crate::adapters::s3::S3Bucket;
use crate::domain::ids::ObjectKey;
use crate::ports::{ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor, UploadPage};

/// Every bucket we ship. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Objects {
    /// In this process, under the data folder.
    Embedded(EmbeddedBucket),
    /// Amazon S3.
    #[cfg(feature = "aws")]
    S3(S3Bucket),
    /// Embedded, and failing on purpose. For tests: no setting leads here.
    Faulty(FaultyObjects),
    /// Whatever a test brings. No setting leads here.
    Any(AnyObjects),
}

impl ObjectsPort for Objects {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.head(key).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.head(key)).await,
            Self::Faulty(bucket) => bucket.head(key).await,
            Self::Any(bucket) => bucket.head(key).await,
        }
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.first_bytes(key).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.first_bytes(key)).await,
            Self::Faulty(bucket) => bucket.first_bytes(key).await,
            Self::Any(bucket) => bucket.first_bytes(key).await,
        }
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.delete(key).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.delete(key)).await,
            Self::Faulty(bucket) => bucket.delete(key).await,
            Self::Any(bucket) => bucket.delete(key).await,
        }
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.list(prefix, after).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.list(prefix, after)).await,
            Self::Faulty(bucket) => bucket.list(prefix, after).await,
            Self::Any(bucket) => bucket.list(prefix, after).await,
        }
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.create_multipart(key, content_type, metadata).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.create_multipart(key, content_type, metadata)).await,
            Self::Faulty(bucket) => bucket.create_multipart(key, content_type, metadata).await,
            Self::Any(bucket) => bucket.create_multipart(key, content_type, metadata).await,
        }
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.list_parts(key, upload_id).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.list_parts(key, upload_id)).await,
            Self::Faulty(bucket) => bucket.list_parts(key, upload_id).await,
            Self::Any(bucket) => bucket.list_parts(key, upload_id).await,
        }
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.complete_multipart(key, upload_id, parts).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.complete_multipart(key, upload_id, parts)).await,
            Self::Faulty(bucket) => bucket.complete_multipart(key, upload_id, parts).await,
            Self::Any(bucket) => bucket.complete_multipart(key, upload_id, parts).await,
        }
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.abort_multipart(key, upload_id).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.abort_multipart(key, upload_id)).await,
            Self::Faulty(bucket) => bucket.abort_multipart(key, upload_id).await,
            Self::Any(bucket) => bucket.abort_multipart(key, upload_id).await,
        }
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        match self {
            Self::Embedded(bucket) => bucket.list_uploads(prefix, after).await,
            #[cfg(feature = "aws")]
            Self::S3(bucket) => Box::pin(bucket.list_uploads(prefix, after)).await,
            Self::Faulty(bucket) => bucket.list_uploads(prefix, after).await,
            Self::Any(bucket) => bucket.list_uploads(prefix, after).await,
        }
    }
}
