//! From the store's words to those of S3.

use std::io;
use std::time::{Duration, UNIX_EPOCH};

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use s3s::dto::{ETag, Timestamp as S3Timestamp};
use s3s::{S3Error, S3ErrorCode, StdError, s3_error};
use time::OffsetDateTime;

use super::assemble::CompleteError;
use super::draft::WriteError;
use super::progress::Stalled;
use super::room::NoRoom;
use super::store::PutError;
use super::uploads::PartError;
use crate::adapters::embedded::free_space::is_full;
use crate::domain::time::Timestamp;

/// The last second that HTTP can write: the year has four digits.
const HTTP_DATE_SECS_MAX: u64 = 253_402_300_799;

/// The file system failed. The cause was logged there, and is not sent to the client.
pub(super) fn internal(error: io::Error) -> S3Error {
    if is_full(&error) {
        slow_down("The disk is full; uploads go on when there is room")
    } else {
        S3Error::new(S3ErrorCode::InternalError)
    }
}

fn no_room(no_room: NoRoom) -> S3Error {
    slow_down(match no_room {
        NoRoom::Disk { .. } => "The disk is full; uploads go on when there is room",
        NoRoom::Busy => "Too many bytes are being uploaded; try again",
    })
}

/// A refusal for now.
fn slow_down(message: &'static str) -> S3Error {
    retry_after("2", S3Error::with_message(S3ErrorCode::SlowDown, message))
}

fn retry_after(secs: &'static str, mut refused: S3Error) -> S3Error {
    refused.set_headers(HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(secs))]));
    refused
}

/// Another upload of the same is in flight.
pub(super) fn in_flight(is_conditional: bool) -> S3Error {
    let code =
        if is_conditional { S3ErrorCode::ConditionalRequestConflict } else { S3ErrorCode::OperationAborted };
    let message = "Another upload of this object is in flight; try again when it has ended. One whose connection broke \
                   ends after 30 s without a byte";
    retry_after("1", S3Error::with_message(code, message))
}

pub(super) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "there is no bucket of this name")
}

pub(super) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "there is no object under this key")
}

pub(super) fn too_large(bytes_max: u64) -> S3Error {
    s3_error!(EntityTooLarge, "an object has at most {bytes_max} bytes")
}

pub(super) fn write_failed(error: WriteError) -> S3Error {
    match error {
        WriteError::TooLarge { bytes_max } => too_large(bytes_max),
        WriteError::NoRoom(error) => no_room(error),
        WriteError::Io(error) => internal(error),
    }
}

pub(super) fn put_failed(error: PutError) -> S3Error {
    match error {
        PutError::Exists => s3_error!(PreconditionFailed, "there is an object under this key"),
        PutError::Deleted => s3_error!(PreconditionFailed, "{error}"),
        PutError::Key(error) => s3_error!(KeyTooLongError, "{error}"),
        PutError::Late => s3_error!(RequestTimeout, "The upload took too long"),
        PutError::NoRoom(error) => no_room(error),
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
        CompleteError::Deleted => s3_error!(PreconditionFailed, "{error}"),
        CompleteError::Busy => in_flight(false),
        CompleteError::NoRoom(error) => no_room(error),
        CompleteError::Io(error) => internal(error),
    }
}

/// The body of a request could not be read to its end.
pub(super) fn body_failed(error: StdError) -> S3Error {
    // What `s3s` finds in a signed body has no public type.
    let text = error.to_string();
    if let Some(stalled) = stalled(error.as_ref()) {
        s3_error!(RequestTimeout, "{stalled}")
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch, "the signature of a chunk does not match its bytes")
    } else if text.contains("Sha256Mismatch") {
        content_sha256_mismatch()
    } else {
        s3_error!(IncompleteBody, "the body ended early, or is not in the form that was announced")
    }
}

fn content_sha256_mismatch() -> S3Error {
    let why = "the body does not have the hash in x-amz-content-sha256";
    let mut error = s3_error!(BadDigest, "{why}");
    if let Some(code) = S3ErrorCode::from_bytes(b"XAmzContentSHA256Mismatch") {
        error.set_code(code);
        error.set_status_code(StatusCode::BAD_REQUEST);
    }
    error
}

fn stalled(error: &(dyn std::error::Error + 'static)) -> Option<Stalled> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(stalled) = error.downcast_ref::<Stalled>() {
            return Some(*stalled);
        }
        cause = error.source();
    }
    None
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
