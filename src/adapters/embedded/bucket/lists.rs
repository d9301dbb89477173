//! Lists as S3 has them: what they are asked with, and their pages.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, EncodingType, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput,
    MultipartUpload, Object, Part,
};
use s3s::{S3Result, s3_error};

use super::answers;
use super::list::{Item, Listing, Page};
use super::record::PartRecord;
use crate::ports::{ListedUpload, UploadPage};

/// Items of one page, and keys of one `DeleteObjects`, as S3 has it.
pub(super) const PAGE_MAX: usize = 1000;
/// What `encoding-type=url` keeps.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// A listing from the start, as it was asked for.
pub(super) fn asked(
    prefix: Option<String>,
    delimiter: Option<&str>,
    max_keys: Option<i32>,
) -> S3Result<Listing> {
    let is_folded = match delimiter {
        None | Some("") => false,
        Some("/") => true,
        Some(_) => return Err(s3_error!(NotImplemented, "the only delimiter is a slash")),
    };
    let items_max = page_size(max_keys, "max-keys")?;
    Ok(Listing { prefix: prefix.unwrap_or_default(), after: None, is_folded, items_max })
}

/// How many items a page has at most. None may be asked for, which gives an empty page.
pub(super) fn page_size(asked: Option<i32>, name: &str) -> S3Result<usize> {
    let Some(asked) = asked else { return Ok(PAGE_MAX) };
    let size = usize::try_from(asked)
        .map_err(|_| s3_error!(InvalidArgument, "{name} is a number from 0 to {}", i32::MAX))?;
    Ok(size.min(PAGE_MAX))
}

/// Where a page goes on, by the token of the one before.
pub(super) fn place(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    place.ok_or_else(|| s3_error!(InvalidArgument, "this is not a continuation token"))
}

/// How the names of a list are written.
struct KeyEncoding {
    is_encoded: bool,
}

impl KeyEncoding {
    fn new(encoding: Option<&EncodingType>) -> Self {
        Self { is_encoded: encoding.is_some_and(|kind| kind.as_str() == EncodingType::URL) }
    }

    fn text(&self, text: String) -> String {
        if self.is_encoded { utf8_percent_encode(&text, KEPT).to_string() } else { text }
    }

    /// Objects and folders of a page.
    fn items(&self, items: Vec<Item>) -> (Vec<Object>, Vec<CommonPrefix>) {
        let (mut objects, mut folders) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Object(record) => objects.push(Object {
                    e_tag: Some(answers::etag(&record.etag)),
                    key: Some(self.text(record.key)),
                    last_modified: Some(answers::timestamp(record.landed_at)),
                    size: answers::length(record.size_bytes),
                    ..Object::default()
                }),
                Item::Folder(name) => folders.push(CommonPrefix { prefix: Some(self.text(name)) }),
            }
        }
        (objects, folders)
    }
}

/// What the next page starts above.
fn next(page: &Page) -> Option<String> {
    page.items.last().filter(|_| page.is_truncated).map(|item| item.name().to_owned())
}

/// As many as were asked for, in the words of an answer.
fn echoed(asked: Option<i32>) -> Option<i32> {
    let max = i32::try_from(PAGE_MAX).unwrap_or(i32::MAX);
    Some(asked.unwrap_or(max).clamp(0, max))
}

/// A page of `ListObjects`.
pub(super) fn first_version(page: Page, input: ListObjectsInput) -> ListObjectsOutput {
    let writing = KeyEncoding::new(input.encoding_type.as_ref());
    let (next_marker, is_truncated) = (next(&page), page.is_truncated);
    let (contents, folders) = writing.items(page.items);
    ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(writing.text(input.prefix.unwrap_or_default())),
        marker: Some(writing.text(input.marker.unwrap_or_default())),
        max_keys: echoed(input.max_keys),
        is_truncated: Some(is_truncated),
        next_marker: next_marker.map(|name| writing.text(name)),
        contents: Some(contents),
        common_prefixes: Some(folders),
        delimiter: input.delimiter.map(|text| writing.text(text)),
        encoding_type: input.encoding_type,
        request_charged: None,
    }
}

/// A page of `ListObjectsV2`.
pub(super) fn second_version(page: Page, input: ListObjectsV2Input) -> ListObjectsV2Output {
    let writing = KeyEncoding::new(input.encoding_type.as_ref());
    let (token, is_truncated) = (next(&page).map(|name| URL_SAFE_NO_PAD.encode(name)), page.is_truncated);
    let key_count = i32::try_from(page.items.len()).ok();
    let (contents, folders) = writing.items(page.items);
    ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(writing.text(input.prefix.unwrap_or_default())),
        max_keys: echoed(input.max_keys),
        key_count,
        continuation_token: input.continuation_token,
        is_truncated: Some(is_truncated),
        next_continuation_token: token,
        contents: Some(contents),
        common_prefixes: Some(folders),
        delimiter: input.delimiter.map(|text| writing.text(text)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|text| writing.text(text)),
        request_charged: None,
    }
}

/// A page of uploads in parts.
pub(super) fn uploads(page: UploadPage, input: ListMultipartUploadsInput) -> ListMultipartUploadsOutput {
    let writing = KeyEncoding::new(input.encoding_type.as_ref());
    let (next_key_marker, next_upload_id_marker) =
        page.next.map(|next| (writing.text(next.key), next.upload_id)).unzip();
    let upload = |upload: ListedUpload| MultipartUpload {
        initiated: Some(answers::timestamp(upload.started_at)),
        key: Some(writing.text(upload.key)),
        upload_id: Some(upload.upload_id),
        ..MultipartUpload::default()
    };
    ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(|text| writing.text(text)),
        key_marker: input.key_marker.map(|text| writing.text(text)),
        upload_id_marker: input.upload_id_marker,
        max_uploads: echoed(input.max_uploads),
        is_truncated: Some(next_key_marker.is_some()),
        next_key_marker,
        next_upload_id_marker,
        uploads: Some(page.uploads.into_iter().map(upload).collect()),
        encoding_type: input.encoding_type,
        ..ListMultipartUploadsOutput::default()
    }
}

/// The parts of an upload above the marker.
pub(super) fn parts(all: Vec<(u16, PartRecord)>, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let marker = input.part_number_marker.unwrap_or(0);
    let count = page_size(input.max_parts, "max-parts")?;
    let mut above = all.into_iter().filter(|(number, _)| i32::from(*number) > marker);
    let page: Vec<_> = above.by_ref().take(count).collect();
    // A page of none has no end to go on from.
    let is_truncated = !page.is_empty() && above.next().is_some();
    let last = page.last().map(|(number, _)| i32::from(*number)).filter(|_| is_truncated);
    let part = |(number, part): (u16, PartRecord)| Part {
        e_tag: Some(answers::etag(&part.etag)),
        last_modified: Some(answers::timestamp(part.landed_at)),
        part_number: Some(i32::from(number)),
        size: answers::length(part.size_bytes),
        ..Part::default()
    };
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        max_parts: echoed(input.max_parts),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: last,
        is_truncated: Some(is_truncated),
        parts: Some(page.into_iter().map(part).collect()),
        ..ListPartsOutput::default()
    })
}
