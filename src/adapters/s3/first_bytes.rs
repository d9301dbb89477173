//! The first bytes of an object, by one ranged GET.

use aws_sdk_s3::primitives::ByteStream;
use tokio::io::AsyncReadExt as _;

use super::failure::failed;
use super::port::S3Bucket;
use crate::adapters::aws;
use crate::domain::ids::ObjectKey;
use crate::limits::FIRST_BYTES;
use crate::ports::ObjectsError;

impl S3Bucket {
    pub(super) async fn get_first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        let range = format!("bytes=0-{}", FIRST_BYTES - 1);
        let got = self.s3.get_object().bucket(&*self.bucket).key(key.to_string()).range(range).send().await;
        match got {
            Ok(found) => {
                self.seen();
                read(found.body).await.map(Some)
            }
            // An empty object has no bytes in any range.
            Err(error) if aws::status(&error) == Some(416) => Ok(Some(Vec::new())),
            Err(error) if aws::code(&error) == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// No more than asked for, also from a server that ignores ranges.
async fn read(body: ByteStream) -> Result<Vec<u8>, ObjectsError> {
    let mut bytes = Vec::with_capacity(FIRST_BYTES);
    let limit = u64::try_from(FIRST_BYTES).unwrap_or(u64::MAX);
    let taken = body.into_async_read().take(limit).read_to_end(&mut bytes).await;
    taken.map_err(|error| ObjectsError::Unavailable { reason: format!("cannot read an object: {error}") })?;
    Ok(bytes)
}
