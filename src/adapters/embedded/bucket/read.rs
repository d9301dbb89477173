//! `GET` and `HEAD` of an object.
//!
//! A route of its own behind the signature check of `s3s`, whose answers to a read are not those of S3: it refuses
//! lists of tags and large numbers in a range, ignores dates, and sends no headers with 304 and 416.

use std::sync::Arc;

use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, RANGE,
};
use hyper::http::Extensions;
use hyper::{Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::path::{self, S3Path};
use s3s::route::S3Route;
use s3s::{Body, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::answers;
use super::blocking::blocking;
use super::conditions::{self, ConditionResult, Validators};
use super::failure::Failure;
use super::outgo;
use super::query;
use super::ranges::{self, Selected};
use super::record::Record;
use super::store::Store;
use super::uploads::PART_NUMBER_MAX;

/// Parameters that select something else than the bytes of an object; `s3s` handles those requests.
const OTHER_READS: [&str; 7] =
    ["attributes", "acl", "legal-hold", "retention", "tagging", "torrent", "uploadId"];
/// The parameters that a signed URL may set headers of the answer with.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-cache-control", CACHE_CONTROL),
    ("response-content-disposition", CONTENT_DISPOSITION),
    ("response-content-encoding", CONTENT_ENCODING),
    ("response-content-language", CONTENT_LANGUAGE),
    ("response-content-type", CONTENT_TYPE),
    ("response-expires", EXPIRES),
];
/// Headers of the 200 that a 304 repeats (RFC 9110 section 15.4.5).
const OF_NOT_MODIFIED: [HeaderName; 4] = [CACHE_CONTROL, ETAG, EXPIRES, LAST_MODIFIED];
/// The type of an object that came without one, as S3 has it.
const TYPE_DEFAULT: HeaderValue = HeaderValue::from_static("binary/octet-stream");
const CHECKSUM_MODE: &str = "x-amz-checksum-mode";
const PARTS_COUNT: HeaderName = HeaderName::from_static("x-amz-mp-parts-count");

/// Answers reads from a store.
pub(super) struct Reads {
    pub(super) store: Arc<Store>,
}

/// The bytes that an answer is about.
struct Slice {
    range: std::ops::Range<u64>,
    /// Whether the answer says that they are a part of the object.
    is_partial: bool,
}

#[async_trait::async_trait]
impl S3Route for Reads {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        let is_read = match method.as_str() {
            "HEAD" => true,
            "GET" => {
                let mut names = query::parameters(uri.query().unwrap_or_default());
                !names.any(|(name, _)| OTHER_READS.contains(&name.as_str()))
            }
            _ => false,
        };
        is_read && object(uri).is_some()
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let (bucket, key) = object(&request.uri).ok_or_else(|| s3_error!(InvalidURI))?;
        if bucket != self.store.options.bucket {
            return Err(answers::no_such_bucket());
        }
        let asked = Asked::new(&request)?;
        let store = Arc::clone(&self.store);
        let found = blocking("find an object", move || store.find(&key)).await.map_err(answers::internal)?;
        let (file, record) = found.ok_or_else(answers::no_such_key)?;
        let validators =
            Validators { etag: &record.etag, modified_secs: record.landed_at.as_millis() / 1000 };
        match conditions::check(&request.headers, validators) {
            ConditionResult::Proceed => {}
            ConditionResult::NotModified => return Ok(asked.not_modified(&record)),
            ConditionResult::Failed(condition) => {
                let why = format!("the condition {condition} does not hold");
                let failed = Failure::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", why);
                return Ok(failed.with("Condition", condition).into_s3());
            }
        }
        let slice = match asked.slice(&request.headers, &record, validators) {
            Ok(slice) => slice,
            Err(refused) => return Ok(refused.into_s3()),
        };
        let headers = asked.headers(&record, &slice);
        let status = if slice.is_partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let body = if request.method == Method::HEAD {
            Body::empty()
        } else {
            Body::from(outgo::bytes(file, slice.range))
        };
        Ok(S3Response { headers, ..S3Response::with_status(body, status) })
    }
}

/// Bucket and key of a path.
fn object(uri: &Uri) -> Option<(String, String)> {
    let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
    match path::parse_path_style(&path).ok()? {
        S3Path::Object { bucket, key } => Some((bucket.into(), key.into())),
        S3Path::Root | S3Path::Bucket { .. } => None,
    }
}

/// The parameters of a read, besides its conditions and its range.
struct Asked {
    overrides: HeaderMap,
    part_number: Option<u32>,
    /// Whether checksums are to be answered.
    has_checksum: bool,
}

impl Asked {
    fn new(request: &S3Request<Body>) -> S3Result<Self> {
        let query = request.uri.query().unwrap_or_default();
        if query::value(query, "versionId").is_some_and(|version| version != "null") {
            return Err(s3_error!(NoSuchVersion, "objects have no versions here"));
        }
        let mut overrides = HeaderMap::new();
        for (parameter, name) in OVERRIDES {
            if let Some(value) = query::value(query, parameter) {
                let refused = |_| invalid(&format!("{parameter} has no value that a header can hold"));
                overrides.insert(name, HeaderValue::try_from(value).map_err(refused)?);
            }
        }
        let number = query::value(query, "partNumber").map(|number| part_number(&number)).transpose()?;
        if number.is_some() && request.headers.contains_key(RANGE) {
            return Err(s3_error!(InvalidRequest, "a request has a Range or a partNumber, not both"));
        }
        let mode = request.headers.get(CHECKSUM_MODE);
        let has_checksum = mode.is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"enabled"));
        Ok(Self { overrides, part_number: number, has_checksum })
    }

    fn slice(
        &self,
        headers: &HeaderMap,
        record: &Record,
        validators: Validators<'_>,
    ) -> Result<Slice, Failure> {
        let size = record.size_bytes;
        let whole = Slice { range: 0..size, is_partial: false };
        if let Some(number) = self.part_number {
            let range = if record.parts.is_empty() {
                (number == 1).then_some(0..size)
            } else {
                record.parts.range(number)
            };
            // An empty part has no position that `Content-Range` could say.
            let slice = range.map(|range| Slice { is_partial: !range.is_empty(), range });
            return slice.ok_or_else(|| no_such_part(number, record));
        }
        if !conditions::lets_range(headers, validators) {
            return Ok(whole);
        }
        match ranges::select(headers, size) {
            Selected::Whole => Ok(whole),
            Selected::Part(range) => Ok(Slice { range, is_partial: true }),
            Selected::Unsatisfiable => Err(no_such_range(headers, size)),
        }
    }

    /// The headers of a 200 or 206.
    fn headers(&self, record: &Record, slice: &Slice) -> HeaderMap {
        let Slice { range, is_partial } = slice;
        let mut headers = self.about(record);
        let mut set = |name: HeaderName, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set(CONTENT_LENGTH, range.end.saturating_sub(range.start).to_string());
        if *is_partial {
            let last = range.end.saturating_sub(1);
            set(CONTENT_RANGE, format!("bytes {}-{last}/{}", range.start, record.size_bytes));
        } else if self.has_checksum {
            // A checksum is of the whole object, so a range has none.
            set(HeaderName::from_static("x-amz-checksum-sha256"), record.sha256.clone());
            set(HeaderName::from_static("x-amz-checksum-type"), "FULL_OBJECT".to_owned());
        }
        if self.part_number.is_some() && !record.parts.is_empty() {
            set(PARTS_COUNT, record.parts.count().to_string());
        }
        for (name, value) in &record.metadata {
            if let Ok(name) = HeaderName::try_from(format!("x-amz-meta-{name}")) {
                set(name, outgo::metadata_value(value));
            }
        }
        headers
    }

    /// The headers that do not depend on the selected bytes.
    fn about(&self, record: &Record) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        let content_type = record.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
        headers.insert(CONTENT_TYPE, content_type.unwrap_or(TYPE_DEFAULT));
        if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", record.etag)) {
            headers.insert(ETAG, etag);
        }
        if let Ok(modified) = HeaderValue::try_from(answers::http_date(record.landed_at)) {
            headers.insert(LAST_MODIFIED, modified);
        }
        headers.extend(self.overrides.clone());
        headers
    }

    fn not_modified(&self, record: &Record) -> S3Response<Body> {
        let about = self.about(record);
        let kept = OF_NOT_MODIFIED.into_iter();
        let headers = kept.filter_map(|name| about.get(&name).cloned().map(|value| (name, value))).collect();
        S3Response { headers, ..S3Response::with_status(Body::empty(), StatusCode::NOT_MODIFIED) }
    }
}

fn part_number(number: &str) -> S3Result<u32> {
    let refused = || invalid("a part number is a number from 1 to 10000");
    number.parse().ok().filter(|number| (1..=u32::from(PART_NUMBER_MAX)).contains(number)).ok_or_else(refused)
}

fn invalid(why: &str) -> S3Error {
    s3_error!(InvalidArgument, "{why}")
}

fn no_such_range(headers: &HeaderMap, size: u64) -> Failure {
    let asked = headers.get(RANGE).map(|range| String::from_utf8_lossy(range.as_bytes()).into_owned());
    let why = "the object has no bytes in this range";
    Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", why)
        .with("RangeRequested", asked.unwrap_or_default())
        .with("ActualObjectSize", size.to_string())
        .with_header(CONTENT_RANGE, &format!("bytes */{size}"))
}

fn no_such_part(number: u32, record: &Record) -> Failure {
    let why = "the object has no part of this number";
    Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidPartNumber", why)
        .with("PartNumberRequested", number.to_string())
        .with("ActualPartCount", record.parts.count().max(1).to_string())
        .with_header(CONTENT_RANGE, &format!("bytes */{}", record.size_bytes))
}
