//! The stamp on a bucket: a small object under a key that no user's file has.

use aws_sdk_s3::primitives::ByteStream;

use super::failure::failed;
use super::port::S3Bucket;
use crate::adapters::aws;
use crate::adapters::stamp::{Stamp, StampError};

/// The key of the stamp. Files are below `user/`, and only those are notified, listed and swept.
const KEY: &str = "wharfinger/ledger";
/// Bytes of a stamp that are read.
const STAMP_BYTES_MAX: i64 = 1024;

impl S3Bucket {
    /// The stamp; none: nobody has put one yet.
    ///
    /// # Errors
    /// See [`StampError`].
    pub async fn stamp(&self) -> Result<Option<Stamp>, StampError> {
        let found = match self.s3.get_object().bucket(&*self.bucket).key(KEY).send().await {
            Ok(found) => found,
            Err(error) if aws::code(&error) == Some("NoSuchKey") => return Ok(None),
            Err(error) if aws::status(&error) == Some(403) => {
                return Err(StampError::Denied(format!("s3:GetObject on {}/{KEY}", self.bucket)));
            }
            Err(error) => return Err(StampError::Unavailable(failed(&error).to_string())),
        };
        if found.content_length().is_none_or(|length| length > STAMP_BYTES_MAX) {
            return Err(StampError::Unreadable(format!("{:?} bytes", found.content_length())));
        }
        let body = found.body.collect().await.map_err(|error| StampError::Unavailable(error.to_string()))?;
        Stamp::parse(&String::from_utf8_lossy(&body.into_bytes())).map(Some)
    }

    /// Puts the stamp, unless there is one.
    ///
    /// # Errors
    /// See [`StampError`].
    pub async fn put_stamp(&self, stamp: &Stamp) -> Result<(), StampError> {
        let body = ByteStream::from(stamp.to_text().into_bytes());
        let put = self.s3.put_object().bucket(&*self.bucket).key(KEY).if_none_match("*").body(body);
        match put.content_type("text/plain").send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(aws::status(&error), Some(409 | 412)) => Ok(()),
            Err(error) if aws::status(&error) == Some(403) => {
                Err(StampError::Denied(format!("s3:PutObject on {}/{KEY}", self.bucket)))
            }
            Err(error) => Err(StampError::Unavailable(failed(&error).to_string())),
        }
    }

    /// Removes the stamp, so that another ledger may put its own.
    ///
    /// # Errors
    /// See [`StampError`].
    pub async fn remove_stamp(&self) -> Result<(), StampError> {
        match self.s3.delete_object().bucket(&*self.bucket).key(KEY).send().await {
            Ok(_) => Ok(()),
            Err(error) if aws::status(&error) == Some(403) => {
                Err(StampError::Denied(format!("s3:DeleteObject on {}/{KEY}", self.bucket)))
            }
            Err(error) => Err(StampError::Unavailable(failed(&error).to_string())),
        }
    }

    /// Keeps everything else from using the bucket, for this reason; none: it may be used.
    pub fn hold(&self, reason: Option<String>) {
        self.hold.set(reason);
    }
}
