//! The operations of S3 that we answer besides reads (`read`); `s3s` answers all others with `NotImplemented`.

use std::sync::Arc;

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, BucketLocationConstraint, Checksum,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETagCondition, Error as DeleteError, GetBucketLocationInput,
    GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput,
    PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::answers;
use super::assemble::{Completion, Named, NamedPart};
use super::blocking::blocking;
use super::checksums::{self, Whole};
use super::draft::hex;
use super::intake::{self, DeclaredBytes};
use super::list::{Listing, Page};
use super::lists;
use super::parts::PartSizes;
use super::record::Cause;
use super::store::{About, Store};
use super::uploads::Upload;
use super::visit;
use crate::ports::UploadCursor;

/// The checksums of an input or of a part, whose types have the same fields.
macro_rules! declared {
    ($from:expr) => {
        Checksum {
            checksum_crc32: $from.checksum_crc32.clone(),
            checksum_crc32c: $from.checksum_crc32c.clone(),
            checksum_crc64nvme: $from.checksum_crc64nvme.clone(),
            checksum_sha1: $from.checksum_sha1.clone(),
            checksum_sha256: $from.checksum_sha256.clone(),
            checksum_type: None,
        }
    };
}

/// S3 in front of a store.
pub(super) struct Api {
    pub(super) store: Arc<Store>,
}

impl Api {
    /// There is one bucket.
    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.store.options.bucket { Ok(()) } else { Err(answers::no_such_bucket()) }
    }

    async fn list(&self, listing: Listing) -> S3Result<Page> {
        let store = Arc::clone(&self.store);
        blocking("list objects", move || store.list(&listing)).await.map_err(answers::internal)
    }

    async fn remove(&self, key: String) -> S3Result<()> {
        let store = Arc::clone(&self.store);
        blocking("remove an object", move || store.delete(&key)).await.map_err(answers::internal)
    }
}

/// Whether an object that is there gives way; other conditions than `If-None-Match: *` are not for writes here.
fn replaces(none_match: Option<&ETagCondition>, matches: Option<&ETagCondition>) -> S3Result<bool> {
    match (none_match, matches) {
        (None, None) => Ok(true),
        (Some(ETagCondition::Any), None) => Ok(false),
        (Some(ETagCondition::ETag(_)), _) | (_, Some(_)) => {
            Err(s3_error!(NotImplemented, "of the conditions, only If-None-Match: * is for writes"))
        }
    }
}

/// Metadata in an order of its own: a map has none.
fn sorted(metadata: Option<s3s::dto::Metadata>) -> Vec<(String, String)> {
    let mut metadata: Vec<_> = metadata.unwrap_or_default().into_iter().collect();
    metadata.sort_unstable();
    metadata
}

/// The header that announces trailers.
fn trailer<T>(request: &S3Request<T>) -> Option<String> {
    request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// How many bytes the object of a request has, by its own word: of a body in signed chunks (`aws-chunked`) the bytes
/// in the chunks, whether or not the length of the encoded body is known.
fn length<T>(request: &S3Request<T>, content_length: Option<i64>) -> Option<i64> {
    let decoded = || request.headers.get("x-amz-decoded-content-length")?.to_str().ok()?.parse().ok();
    let is_decoded = request.trailing_headers.is_some();
    content_length.or_else(|| if is_decoded { decoded() } else { None })
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let (trailer, length_bytes) = (trailer(&request), length(&request, request.input.content_length));
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let replaces = replaces(input.if_none_match.as_ref(), input.if_match.as_ref())?;
        if input.sse_customer_algorithm.is_some() || input.server_side_encryption.is_some() {
            return Err(s3_error!(NotImplemented, "objects are not encrypted here"));
        }
        let declared = DeclaredBytes {
            length_bytes,
            md5: input.content_md5,
            checksum: declared!(input),
            trailer,
            trailing: request.trailing_headers,
        };
        let turn = visit::turn(&self.store, &mut request.extensions, input.key.clone())?;
        if !replaces {
            let (store, key) = (Arc::clone(&self.store), input.key.clone());
            let look = move || store.expect_none(&key);
            blocking("look for an object", look).await.map_err(answers::put_failed)?;
        }
        let (finished, sums) = intake::receive(&self.store, (input.body, turn), declared).await?;
        let about = About {
            key: input.key,
            etag: hex(&finished.md5),
            content_type: input.content_type,
            metadata: sorted(input.metadata),
            cause: Cause::Put,
            upload_id: None,
            parts: PartSizes::default(),
            replaces,
        };
        let store = Arc::clone(&self.store);
        let put = move || store.put(finished, about);
        let record = blocking("keep an object", put).await.map_err(answers::put_failed)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(answers::etag(&record.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..PutObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.check_bucket(&request.input.bucket)?;
        if request.input.if_match.is_some() {
            return Err(s3_error!(NotImplemented, "removals have no conditions here"));
        }
        self.remove(request.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let asked = request.input.delete;
        if asked.objects.len() > lists::PAGE_MAX {
            return Err(s3_error!(MalformedXML));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for object in asked.objects {
            match self.remove(object.key.clone()).await {
                Ok(()) => {
                    deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
                }
                Err(error) => errors.push(DeleteError {
                    key: Some(object.key),
                    code: Some(error.code().as_str().to_owned()),
                    ..DeleteError::default()
                }),
            }
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: (asked.quiet != Some(true)).then_some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let asked = lists::asked(input.prefix.clone(), input.delimiter.as_deref(), input.max_keys)?;
        let page = self.list(Listing { after: input.marker.clone(), ..asked }).await?;
        Ok(S3Response::new(lists::first_version(page, input)))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let after = match &input.continuation_token {
            Some(token) => Some(lists::place(token)?),
            None => input.start_after.clone(),
        };
        let asked = lists::asked(input.prefix.clone(), input.delimiter.as_deref(), input.max_keys)?;
        let page = self.list(Listing { after, ..asked }).await?;
        Ok(S3Response::new(lists::second_version(page, input)))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let upload = Upload {
            key: input.key.clone(),
            content_type: input.content_type,
            metadata: sorted(input.metadata),
            started_at: self.store.clock.now(),
        };
        let store = Arc::clone(&self.store);
        let start = move || store.start_upload(&upload);
        let upload_id = blocking("start an upload", start).await.map_err(answers::put_failed)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (trailer, length_bytes) = (trailer(&request), length(&request, request.input.content_length));
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let number = u16::try_from(input.part_number).map_err(|_| s3_error!(InvalidArgument))?;
        let (key, upload_id) = (input.key, input.upload_id);
        let turn = format!("{upload_id} part {number}");
        let turn = visit::turn(&self.store, &mut request.extensions, turn)?;
        let looked = {
            let (store, key, upload_id) = (Arc::clone(&self.store), key.clone(), upload_id.clone());
            move || store.find_upload(&key, &upload_id).map(|found| found.is_some())
        };
        // Before the bytes are taken in.
        if !blocking("find an upload", looked).await.map_err(answers::internal)? {
            return Err(s3_error!(NoSuchUpload));
        }
        let declared = DeclaredBytes {
            length_bytes,
            md5: input.content_md5,
            checksum: declared!(input),
            trailer,
            trailing: request.trailing_headers,
        };
        let (finished, sums) = intake::receive(&self.store, (input.body, turn), declared).await?;
        let store = Arc::clone(&self.store);
        let put = move || store.put_part(&key, &upload_id, number, finished);
        let part = blocking("keep a part", put).await.map_err(answers::part_failed)?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(answers::etag(&part.etag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            ..UploadPartOutput::default()
        }))
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let (store, key) = (Arc::clone(&self.store), request.input.key.clone());
        let upload_id = request.input.upload_id.clone();
        let parts = move || store.parts(&key, &upload_id);
        let parts = blocking("list parts", parts).await.map_err(answers::part_failed)?;
        Ok(S3Response::new(lists::parts(parts, request.input)?))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        if input.delimiter.as_deref().is_some_and(|delimiter| !delimiter.is_empty()) {
            return Err(s3_error!(NotImplemented, "uploads are listed without a delimiter"));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        // Without an upload's id the marker is above every upload of its key, as S3 has it.
        let after = input.key_marker.clone().filter(|key| !key.is_empty()).map(|key| UploadCursor {
            key,
            upload_id: input.upload_id_marker.clone().unwrap_or_else(|| char::MAX.to_string()),
        });
        let count = lists::page_size(input.max_uploads, "max-uploads")?;
        let store = Arc::clone(&self.store);
        let list = move || store.open_uploads(&prefix, after.as_ref(), count);
        let page = blocking("list uploads", list).await.map_err(answers::internal)?;
        Ok(S3Response::new(lists::uploads(page, input)))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let replaces = replaces(input.if_none_match.as_ref(), input.if_match.as_ref())?;
        let checksums = Whole::new(&declared!(input));
        let mut parts = Vec::new();
        for part in input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default() {
            let number = part.part_number.and_then(|number| u16::try_from(number).ok());
            let (Some(number), Some(etag)) = (number, part.e_tag.clone()) else {
                return Err(s3_error!(InvalidPart));
            };
            let checksums = checksums::named(&declared!(part));
            parts.push(NamedPart { number, etag: etag.into_value(), size_bytes: None, checksums });
        }
        let size_bytes = input.mpu_object_size.map(u64::try_from).transpose();
        let size_bytes = size_bytes.map_err(|_| s3_error!(InvalidArgument))?;
        let named = Named { parts, replaces, checksums, size_bytes };
        let asked = Completion { key: input.key.clone(), upload_id: input.upload_id, named };
        let record = self.store.complete(asked).await.map_err(answers::complete_failed)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(answers::etag(&record.etag)),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let store = Arc::clone(&self.store);
        let give_up = move || store.drop_upload(&input.key, &input.upload_id);
        if blocking("give an upload up", give_up).await.map_err(answers::internal)? {
            Ok(S3Response::new(AbortMultipartUploadOutput::default()))
        } else {
            Err(s3_error!(NoSuchUpload))
        }
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&request.input.bucket)?;
        let bucket_region = Some(self.store.options.region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..HeadBucketOutput::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.check_bucket(&request.input.bucket)?;
        // S3's first region has no name here.
        let region = Some(self.store.options.region.clone()).filter(|region| region != "us-east-1");
        let location_constraint = region.map(BucketLocationConstraint::from);
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = Bucket {
            name: Some(self.store.options.bucket.clone()),
            bucket_region: Some(self.store.options.region.clone()),
            ..Bucket::default()
        };
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(vec![bucket]), ..ListBucketsOutput::default() }))
    }
}
