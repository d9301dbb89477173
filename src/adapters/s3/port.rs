//! The bucket's port on S3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumMode, EncodingType, Object};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::time::Instant;

use super::client;
use super::failure::{failed, failed_head};
use super::options::S3Options;
use super::skew::{Skew, timestamp};
use crate::adapters::aws;
use crate::adapters::stamp::Hold;
use crate::domain::file::Sha256;
use crate::domain::ids::ObjectKey;
use crate::ports::{
    Clock, ListedObject, ObjectMeta, ObjectPage, ObjectsError, ObjectsPort, Part, UploadCursor, UploadPage,
};

/// Keys of one page.
const PAGE_MAX: i32 = 1000;
/// For how long the bucket itself counts as there after it was seen.
const SEEN_WITHIN: Duration = Duration::from_secs(60);

/// A bucket on S3. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3Bucket {
    pub(super) s3: Client,
    pub(super) bucket: Arc<str>,
    pub(super) skew: Skew,
    /// Set while it is not known to belong to our ledger.
    pub(super) hold: Hold,
    /// When something proved last that the bucket itself is there.
    seen_at: Arc<Mutex<Option<Instant>>>,
}

impl S3Bucket {
    /// A bucket with these options. Asks nobody yet: what is wrong shows at the first use.
    pub async fn open(options: &S3Options, clock: Clock) -> Self {
        let skew = Skew::new(clock);
        Self {
            s3: client::client(options, skew.clone()).await,
            bucket: options.bucket.as_str().into(),
            skew,
            hold: Hold::default(),
            seen_at: Arc::default(),
        }
    }

    /// Whether the bucket is known to belong to our ledger.
    fn usable(&self) -> Result<(), ObjectsError> {
        self.hold.check().map_err(|reason| ObjectsError::Unavailable { reason })
    }

    /// Notes that the bucket itself is there.
    pub(super) fn seen(&self) {
        *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the bucket itself is there: a HEAD answers 404 for a missing bucket as for a missing object, and a
    /// missing object ends a reservation.
    async fn check_bucket(&self) -> Result<(), ObjectsError> {
        let seen_at = *self.seen_at.lock().unwrap_or_else(PoisonError::into_inner);
        if seen_at.is_some_and(|seen_at| seen_at.elapsed() < SEEN_WITHIN) {
            return Ok(());
        }
        match self.s3.head_bucket().bucket(&*self.bucket).send().await {
            Ok(_) => {
                self.seen();
                Ok(())
            }
            Err(error) if aws::status(&error) == Some(404) => {
                Err(ObjectsError::Unavailable { reason: format!("there is no bucket {}", self.bucket) })
            }
            Err(error) => Err(failed_head(&error)),
        }
    }
}

impl ObjectsPort for S3Bucket {
    async fn head(&self, key: ObjectKey) -> Result<Option<ObjectMeta>, ObjectsError> {
        self.usable()?;
        let head = self.s3.head_object().bucket(&*self.bucket).key(key.to_string());
        match head.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(found) => {
                self.seen();
                meta(&found).map(Some)
            }
            Err(error) if aws::status(&error) == Some(404) => self.check_bucket().await.map(|()| None),
            Err(error) => Err(failed_head(&error)),
        }
    }

    async fn first_bytes(&self, key: ObjectKey) -> Result<Option<Vec<u8>>, ObjectsError> {
        self.usable()?;
        match self.get_first_bytes(key).await? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.check_bucket().await.map(|()| None),
        }
    }

    async fn delete(&self, key: ObjectKey) -> Result<(), ObjectsError> {
        self.usable()?;
        let deleted = self.s3.delete_object().bucket(&*self.bucket).key(key.to_string()).send().await;
        match deleted {
            Ok(_) => {
                self.seen();
                Ok(())
            }
            Err(error) if aws::code(&error) == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn list(&self, prefix: String, after: Option<String>) -> Result<ObjectPage, ObjectsError> {
        self.usable()?;
        let listed = self
            .s3
            .list_objects_v2()
            .bucket(&*self.bucket)
            .prefix(prefix)
            .set_start_after(after)
            .max_keys(PAGE_MAX)
            // A key may hold what XML cannot.
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        self.seen();
        let is_encoded = listed.encoding_type == Some(EncodingType::Url);
        let objects = listed.contents.unwrap_or_default().into_iter();
        Ok(ObjectPage {
            objects: objects.map(|object| listed_object(object, is_encoded)).collect::<Result<_, _>>()?,
            is_truncated: listed.is_truncated.unwrap_or(false),
        })
    }

    async fn create_multipart(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        self.usable()?;
        self.start_parts(key, content_type, metadata).await
    }

    async fn list_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        self.usable()?;
        self.all_parts(key, upload_id).await
    }

    async fn complete_multipart(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        self.usable()?;
        self.join_parts(key, upload_id, parts).await
    }

    async fn abort_multipart(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        self.usable()?;
        self.drop_parts(key, upload_id).await
    }

    async fn list_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        self.usable()?;
        self.open_uploads(prefix, after).await
    }
}

fn meta(found: &HeadObjectOutput) -> Result<ObjectMeta, ObjectsError> {
    let lacks = |what: &str| ObjectsError::Unavailable { reason: format!("an object without {what}") };
    let size = found.content_length().and_then(|length| u64::try_from(length).ok());
    let landed_at = found.last_modified().copied().and_then(timestamp);
    Ok(ObjectMeta {
        size_bytes: size.ok_or_else(|| lacks("length"))?,
        etag: unquoted(found.e_tag().ok_or_else(|| lacks("etag"))?),
        checksum_sha256: found.checksum_sha256().and_then(sha256),
        content_type: found.content_type().map(str::to_owned),
        landed_at: landed_at.ok_or_else(|| lacks("date"))?,
    })
}

fn listed_object(object: Object, is_encoded: bool) -> Result<ListedObject, ObjectsError> {
    let refused = |reason: &str| ObjectsError::Unavailable { reason: format!("a listed object {reason}") };
    let key = object.key.ok_or_else(|| refused("without a key"))?;
    let landed_at = object.last_modified.and_then(timestamp);
    Ok(ListedObject {
        key: if is_encoded { decoded(&key).ok_or_else(|| refused("whose key is not UTF-8"))? } else { key },
        size_bytes: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        etag: object.e_tag.as_deref().map(unquoted),
        landed_at: landed_at.ok_or_else(|| refused("without a date"))?,
    })
}

/// A key as it is sent with `encoding-type=url`: a form's encoding.
fn decoded(key: &str) -> Option<String> {
    percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The digest of the whole object; that of an object made of parts (`…-3`) is one of their digests.
fn sha256(base64: &str) -> Option<Sha256> {
    STANDARD.decode(base64).ok()?.try_into().ok().map(Sha256)
}

pub(super) fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_digest_of_a_whole_object_counts() {
        let whole = "Pss1XKwEkPGabjWz4O3BTuUk0uNRFwzhkHJGyRvw5pM=";
        assert!(sha256(whole).is_some());
        assert_eq!(sha256(&format!("{whole}-3")), None);
        assert_eq!(sha256("PssX"), None);
        assert_eq!(sha256("?"), None);
    }

    #[test]
    fn keys_come_as_forms_send_them() {
        let check = |sent: &str, key: Option<&str>| assert_eq!(decoded(sent).as_deref(), key);
        check("user/a-b", Some("user/a-b"));
        check("a+b%2Bc%0A%F0%9F%A6%80", Some("a b+c\n🦀"));
        check("%FF", None);
    }

    #[test]
    fn an_object_without_what_must_be_known_is_not_taken() {
        let whole = HeadObjectOutput::builder()
            .content_length(5)
            .e_tag("\"abc\"")
            .last_modified(aws_sdk_s3::primitives::DateTime::from_secs(1_700_000_000));
        let known = meta(&whole.clone().build()).unwrap();
        assert_eq!(
            (known.size_bytes, known.etag.as_str(), known.landed_at.as_secs()),
            (5, "abc", 1_700_000_000)
        );
        for broken in [
            whole.clone().set_content_length(None),
            whole.clone().set_content_length(Some(-1)),
            whole.clone().set_e_tag(None),
            whole.set_last_modified(None),
        ] {
            assert!(meta(&broken.build()).is_err());
        }
    }
}
