//! From the store's words to those of S3.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use s3s::dto::{ETag, Timestamp as S3Timestamp};
use s3s::{S3Error, S3ErrorCode, StdError, s3_error};
use time::OffsetDateTime;

use super::assemble::CompleteError;
use super::draft::WriteError;
use super::progress::Stalled;
use super::store::PutError;
use super::uploads::PartError;
use crate::domain::time::Timestamp;

/// The last second that HTTP can write: the year has four digits.
const HTTP_DATE_SECS_MAX: u64 = 253_402_300_799;

/// The file system failed. What it said was logged where it did, and is not told.
pub(super) fn internal(_error: io::Error) -> S3Error {
    S3Error::new(S3ErrorCode::InternalError)
}

pub(super) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist")
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

pub(super) fn too_large(bytes_max: u64) -> S3Error {
    s3_error!(EntityTooLarge, "an object has at most {bytes_max} bytes")
}

pub(super) fn write_failed(error: WriteError) -> S3Error {
    match error {
        WriteError::TooLarge { bytes_max } => too_large(bytes_max),
        WriteError::Io(error) => internal(error),
    }
}

pub(super) fn put_failed(error: PutError) -> S3Error {
    match error {
        PutError::Exists => s3_error!(PreconditionFailed, "there is an object under this key"),
        PutError::Key(error) => s3_error!(KeyTooLongError, "{error}"),
        PutError::Io(error) => internal(error),
    }
}

pub(super) fn part_failed(error: PartError) -> S3Error {
    match error {
        PartError::NoSuchUpload => s3_error!(NoSuchUpload),
        PartError::Number { number } => s3_error!(InvalidArgument, "{number} is not the number of a part"),
        PartError::Io(error) => internal(error),
    }
}

pub(super) fn complete_failed(error: CompleteError) -> S3Error {
    match error {
        CompleteError::NoSuchUpload => s3_error!(NoSuchUpload),
        CompleteError::InvalidPart => s3_error!(InvalidPart),
        CompleteError::PartChecksum { .. } => s3_error!(InvalidPart, "{error}"),
        CompleteError::Checksum { .. } => s3_error!(BadDigest, "{error}"),
        CompleteError::Size { .. } => s3_error!(InvalidRequest, "x-amz-mp-object-size is wrong: {error}"),
        CompleteError::Order => s3_error!(InvalidPartOrder),
        CompleteError::TooSmall => s3_error!(EntityTooSmall),
        CompleteError::TooLarge { bytes_max } => too_large(bytes_max),
        CompleteError::Exists => s3_error!(PreconditionFailed, "there is an object under this key"),
        CompleteError::Io(error) => internal(error),
    }
}

/// The body of a request could not be read to its end.
pub(super) fn body_failed(error: StdError) -> S3Error {
    // What `s3s` finds in a signed body has no public type.
    let text = error.to_string();
    if is_stalled(error.as_ref()) {
        s3_error!(RequestTimeout, "no byte came for too long")
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "The signature of a chunk is not that of the bytes that came")
    } else if text.contains("Sha256Mismatch") {
        content_sha256_mismatch()
    } else {
        s3_error!(IncompleteBody, "the body ended early, or is not in the form that was announced")
    }
}

fn content_sha256_mismatch() -> S3Error {
    let why = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    let mut error = s3_error!(BadDigest, "{why}");
    if let Some(code) = S3ErrorCode::from_bytes(b"XAmzContentSHA256Mismatch") {
        error.set_code(code);
        error.set_status_code(StatusCode::BAD_REQUEST);
    }
    error
}

fn is_stalled(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<Stalled>() {
            return true;
        }
        cause = error.source();
    }
    false
}

pub(super) fn etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

pub(super) fn timestamp(time: Timestamp) -> S3Timestamp {
    let nanos = i128::from(time.as_millis()) * 1_000_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
}

/// A time as HTTP writes it, in whole seconds.
pub(super) fn http_date(time: Timestamp) -> String {
    let since_1970 = Duration::from_secs(time.as_secs().min(HTTP_DATE_SECS_MAX));
    httpdate::fmt_http_date(UNIX_EPOCH + since_1970)
}

/// A length as S3 writes it.
pub(super) fn length(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}
