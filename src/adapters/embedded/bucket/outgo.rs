//! What the endpoint answers with: bytes, what is known of them, pages.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::stream;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    ChecksumMode, ChecksumType, CommonPrefix, ETagCondition, EncodingType, GetObjectOutput, HeadObjectOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, Metadata, MultipartUpload, Object, Part, Range, StreamingBlob,
};
use s3s::{S3ErrorCode, S3Response, S3Result, s3_error};

use super::answers;
use super::blocking::blocking;
use super::list::{Item, Page};
use super::record::{PartRecord, Record};
use crate::ports::{ListedUpload, UploadPage};

/// Bytes that are read at once.
const READ_BYTES: u64 = 256 << 10;
/// What `encoding-type=url` keeps.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// An object's bytes, or a range of them.
pub(super) fn get(
    file: File,
    record: Record,
    range: Option<Range>,
    mode: Option<&ChecksumMode>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let size = record.size_bytes;
    let wanted = match range {
        Some(range) => range.check(size).map_err(|_| s3_error!(InvalidRange))?,
        None => 0..size,
    };
    let content_range =
        range.map(|_| format!("bytes {}-{}/{size}", wanted.start, wanted.end.saturating_sub(1)));
    // A checksum is of the whole object, so a range has none.
    let has_checksum = content_range.is_none() && is_asked(mode);
    let about = head(record, mode).output;
    Ok(S3Response::new(GetObjectOutput {
        accept_ranges: about.accept_ranges,
        body: Some(bytes(file, wanted.clone())),
        checksum_sha256: about.checksum_sha256.filter(|_| has_checksum),
        checksum_type: about.checksum_type.filter(|_| has_checksum),
        content_length: answers::length(wanted.end.saturating_sub(wanted.start)),
        content_range,
        content_type: about.content_type,
        e_tag: about.e_tag,
        last_modified: about.last_modified,
        metadata: about.metadata,
        ..GetObjectOutput::default()
    }))
}

/// What is known of an object.
pub(super) fn head(record: Record, mode: Option<&ChecksumMode>) -> S3Response<HeadObjectOutput> {
    let metadata: Metadata = record.metadata.into_iter().collect();
    let is_asked = is_asked(mode);
    S3Response::new(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        checksum_sha256: is_asked.then_some(record.sha256),
        checksum_type: is_asked.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT)),
        content_length: answers::length(record.size_bytes),
        content_type: record.content_type,
        e_tag: Some(answers::etag(&record.etag)),
        last_modified: Some(answers::timestamp(record.landed_at)),
        metadata: Some(metadata),
        ..HeadObjectOutput::default()
    })
}

fn is_asked(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED))
}

/// `If-Match` and `If-None-Match` of a read.
pub(super) fn check_conditions(
    record: &Record,
    matches: Option<&ETagCondition>,
    none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is_same = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == record.etag,
    };
    if matches.is_some_and(|condition| !is_same(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if none_match.is_some_and(is_same) { Err(S3ErrorCode::NotModified.into()) } else { Ok(()) }
}

/// A range of a file, read as it is taken.
fn bytes(file: File, range: std::ops::Range<u64>) -> StreamingBlob {
    let start = (Arc::new(file), range);
    StreamingBlob::wrap(stream::try_unfold(start, |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start.saturating_add(READ_BYTES));
        let (reads, from) = (Arc::clone(&file), range.start);
        let read = move || {
            let length = usize::try_from(end - from).map_err(io::Error::other)?;
            let mut buffer = vec![0_u8; length];
            reads.read_exact_at(&mut buffer, from).map(|()| buffer)
        };
        let buffer: Vec<u8> = blocking("read an object", read).await?;
        Ok::<_, io::Error>(Some((Bytes::from(buffer), (file, end..range.end))))
    }))
}

/// A page of keys.
pub(super) fn page(page: Page, input: ListObjectsV2Input, max_keys: i32) -> ListObjectsV2Output {
    let is_encoded = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
    let text = |text: String| {
        if is_encoded { utf8_percent_encode(&text, KEPT).to_string() } else { text }
    };
    let next = page.items.last().filter(|_| page.is_truncated);
    let next_continuation_token = next.map(|item| URL_SAFE_NO_PAD.encode(item.name()));
    let key_count = i32::try_from(page.items.len()).ok();
    let (mut contents, mut folders) = (Vec::new(), Vec::new());
    for item in page.items {
        match item {
            Item::Object(record) => contents.push(Object {
                e_tag: Some(answers::etag(&record.etag)),
                key: Some(text(record.key)),
                last_modified: Some(answers::timestamp(record.landed_at)),
                size: answers::length(record.size_bytes),
                ..Object::default()
            }),
            Item::Folder(name) => folders.push(CommonPrefix { prefix: Some(text(name)) }),
        }
    }
    ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(text(input.prefix.unwrap_or_default())),
        max_keys: Some(max_keys),
        key_count,
        continuation_token: input.continuation_token,
        is_truncated: Some(page.is_truncated),
        next_continuation_token,
        contents: Some(contents),
        common_prefixes: Some(folders),
        delimiter: input.delimiter.map(text),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(text),
        request_charged: None,
    }
}

/// A page of uploads in parts.
pub(super) fn uploads(
    page: UploadPage,
    input: ListMultipartUploadsInput,
    uploads_max: i32,
) -> ListMultipartUploadsOutput {
    let is_encoded = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
    let text = |text: String| {
        if is_encoded { utf8_percent_encode(&text, KEPT).to_string() } else { text }
    };
    let (next_key_marker, next_upload_id_marker) =
        page.next.map(|next| (text(next.key), next.upload_id)).unzip();
    let upload = |upload: ListedUpload| MultipartUpload {
        initiated: Some(answers::timestamp(upload.started_at)),
        key: Some(text(upload.key)),
        upload_id: Some(upload.upload_id),
        ..MultipartUpload::default()
    };
    ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(text),
        key_marker: input.key_marker.map(text),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(uploads_max),
        is_truncated: Some(next_key_marker.is_some()),
        next_key_marker,
        next_upload_id_marker,
        uploads: Some(page.uploads.into_iter().map(upload).collect()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    }
}

/// The parts of an upload above the marker.
pub(super) fn parts(all: Vec<(u16, PartRecord)>, input: ListPartsInput) -> ListPartsOutput {
    let above = input.part_number_marker.unwrap_or(0);
    let parts_max = input.max_parts.unwrap_or(1000).clamp(0, 1000);
    let mut above = all.into_iter().filter(|(number, _)| i32::from(*number) > above);
    let page: Vec<_> = above.by_ref().take(usize::try_from(parts_max).unwrap_or(0)).collect();
    let is_truncated = above.next().is_some();
    let last = page.last().map(|(number, _)| i32::from(*number)).filter(|_| is_truncated);
    let part = |(number, part): (u16, PartRecord)| Part {
        e_tag: Some(answers::etag(&part.etag)),
        last_modified: Some(answers::timestamp(part.landed_at)),
        part_number: Some(i32::from(number)),
        size: answers::length(part.size_bytes),
        ..Part::default()
    };
    ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: Some(parts_max),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: last,
        is_truncated: Some(is_truncated),
        parts: Some(page.into_iter().map(part).collect()),
        ..ListPartsOutput::default()
    }
}
