//! Uploads in parts on S3.

use aws_sdk_s3::config::Builder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MultipartUpload};

use super::client::TIMEOUTS_COMPLETE;
use super::failure::failed;
use super::port::{S3Bucket, unquoted};
use super::skew::timestamp;
use crate::adapters::aws;
use crate::domain::ids::ObjectKey;
use crate::ports::{
    ListedUpload, ObjectMeta, ObjectsError, ObjectsPort as _, Part, UploadCursor, UploadPage,
};

/// Pages of parts that are read: S3 takes 10,000 parts, 1000 on a page.
const PAGES_MAX: usize = 10;

impl S3Bucket {
    pub(super) async fn start_parts(
        &self,
        key: ObjectKey,
        content_type: &str,
        metadata: Vec<(String, String)>,
    ) -> Result<String, ObjectsError> {
        let created = self
            .s3
            .create_multipart_upload()
            .bucket(&*self.bucket)
            .key(key.to_string())
            .content_type(content_type)
            .set_metadata(Some(metadata.into_iter().collect()))
            .send()
            .await
            .map_err(|error| failed(&error))?;
        self.seen();
        let lacks_id = || ObjectsError::Unavailable { reason: "an upload in parts without an id".to_owned() };
        created.upload_id.ok_or_else(lacks_id)
    }

    pub(super) async fn all_parts(&self, key: ObjectKey, upload_id: &str) -> Result<Vec<Part>, ObjectsError> {
        let mut parts = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let listed = self
                .s3
                .list_parts()
                .bucket(&*self.bucket)
                .key(key.to_string())
                .upload_id(upload_id)
                .set_part_number_marker(after)
                .send()
                .await
                .map_err(|error| failed(&error))?;
            parts.extend(listed.parts().iter().map(part).collect::<Result<Vec<_>, _>>()?);
            match (listed.is_truncated, listed.next_part_number_marker) {
                (Some(true), Some(next)) => after = Some(next),
                _ => return Ok(parts),
            }
        }
        Err(ObjectsError::Refused { reason: "an upload of more parts than there can be".to_owned() })
    }

    pub(super) async fn join_parts(
        &self,
        key: ObjectKey,
        upload_id: &str,
        parts: Vec<Part>,
    ) -> Result<(), ObjectsError> {
        if parts.is_empty() {
            return Err(ObjectsError::Refused { reason: "an upload of no parts".to_owned() });
        }
        let size_bytes: u64 = parts.iter().map(|part| part.size_bytes).sum();
        let named = |part: &Part| {
            let number = i32::from(part.number);
            CompletedPart::builder().part_number(number).e_tag(format!("\"{}\"", part.etag)).build()
        };
        let named = parts.iter().map(named).collect();
        let completed = self
            .s3
            .complete_multipart_upload()
            .bucket(&*self.bucket)
            .key(key.to_string())
            .upload_id(upload_id)
            .if_none_match("*")
            .set_mpu_object_size(i64::try_from(size_bytes).ok())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(named)).build())
            .customize()
            .config_override(Builder::default().timeout_config(TIMEOUTS_COMPLETE.to_sdk()))
            .send()
            .await;
        let Err(error) = completed else { return Ok(()) };
        let refused = failed(&error);
        match aws::code(&error) {
            // An earlier try, or another at the same time, may have made the object.
            Some("NoSuchUpload" | "PreconditionFailed" | "ConditionalRequestConflict") => {
                match self.head(key).await? {
                    Some(object) if is_made_of(&object, &parts, size_bytes) => Ok(()),
                    Some(_) => Err(ObjectsError::Refused { reason: "another object is there".to_owned() }),
                    None => Err(refused),
                }
            }
            _ => Err(refused),
        }
    }

    pub(super) async fn open_uploads(
        &self,
        prefix: String,
        after: Option<UploadCursor>,
    ) -> Result<UploadPage, ObjectsError> {
        let (key, upload_id) = after.map(|after| (after.key, after.upload_id)).unzip();
        let listed = self
            .s3
            .list_multipart_uploads()
            .bucket(&*self.bucket)
            .prefix(prefix)
            .set_key_marker(key)
            .set_upload_id_marker(upload_id)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        self.seen();
        let uploads = listed.uploads().iter().map(upload).collect::<Result<Vec<_>, _>>()?;
        let is_truncated = listed.is_truncated == Some(true);
        let last = uploads.last().filter(|_| is_truncated);
        let next = last.map(|last| UploadCursor { key: last.key.clone(), upload_id: last.upload_id.clone() });
        Ok(UploadPage { uploads, next })
    }

    pub(super) async fn drop_parts(&self, key: ObjectKey, upload_id: &str) -> Result<(), ObjectsError> {
        let abort = self.s3.abort_multipart_upload().bucket(&*self.bucket).key(key.to_string());
        match abort.upload_id(upload_id).send().await {
            Ok(_) => Ok(()),
            Err(error) if aws::code(&error) == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Whether an object is what these parts make. Its etag ends in the number of its parts; and a key is used once.
fn is_made_of(object: &ObjectMeta, parts: &[Part], size_bytes: u64) -> bool {
    let of_parts = object.etag.rsplit_once('-').and_then(|(_, count)| count.parse().ok());
    object.size_bytes == size_bytes && of_parts == Some(parts.len())
}

fn part(listed: &aws_sdk_s3::types::Part) -> Result<Part, ObjectsError> {
    let number = listed.part_number().and_then(|number| u16::try_from(number).ok());
    let size_bytes = listed.size().and_then(|size| u64::try_from(size).ok());
    match (number, size_bytes, listed.e_tag()) {
        (Some(number), Some(size_bytes), Some(etag)) => Ok(Part { number, size_bytes, etag: unquoted(etag) }),
        _ => Err(ObjectsError::Unavailable { reason: "a part without number, size or etag".to_owned() }),
    }
}

fn upload(listed: &MultipartUpload) -> Result<ListedUpload, ObjectsError> {
    match (listed.key(), listed.upload_id(), listed.initiated().copied().and_then(timestamp)) {
        (Some(key), Some(upload_id), Some(started_at)) => {
            Ok(ListedUpload { key: key.to_owned(), upload_id: upload_id.to_owned(), started_at })
        }
        _ => Err(ObjectsError::Unavailable { reason: "an upload without key, id or date".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn an_object_of_these_parts_is_told_from_another() {
        let parts: Vec<Part> =
            (1..=3).map(|number| Part { number, size_bytes: 5, etag: "e".to_owned() }).collect();
        let check = |size_bytes: u64, etag: &str, expected| {
            let landed_at = Timestamp::from_millis(0);
            let etag = etag.to_owned();
            let object =
                ObjectMeta { size_bytes, etag, checksum_sha256: None, content_type: None, landed_at };
            assert_eq!(is_made_of(&object, &parts, 15), expected, "{object:?}");
        };
        check(15, "abc-3", true);
        check(15, "abc-2", false);
        check(15, "abc", false);
        check(14, "abc-3", false);
    }
}
