//! Reserve and sign one upload.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue, LOCATION};
use hyper::{HeaderMap, Response, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::answer::{self, Keep, Outcome};
use super::body::{self, Body};
use super::dispatch::OwnCall;
use super::error::{ErrorCode, Problem};
use super::services::within;
use super::upload_request::UploadRequest;
use crate::domain::decide::{IdempotencyKey, NewUpload, Reserve, Rules};
use crate::domain::file::{File, Shown};
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::limits;
use crate::ports::{SignedRequest, SignerPort, UploadGrant};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Serialize)]
struct PresignView<'a> {
    file_id: FileId,
    upload_url: &'a str,
    expires_in: u64,
    method: &'static str,
    headers: Headers<'a>,
    expires_at: Timestamp,
    max_bytes: u64,
}

/// Names and values, as one object.
struct Headers<'a>(&'a [(String, String)]);

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// `POST /v1/files/presign-upload`.
pub(super) async fn presign(call: &OwnCall<'_>, body: &mut Incoming) -> Outcome {
    reserve_and_sign(call, body).await.map(|(_, response)| response)
}

/// `POST /v1/files`: the same, with the file's place.
pub(super) async fn create(call: &OwnCall<'_>, body: &mut Incoming) -> Outcome {
    let (file, mut response) = reserve_and_sign(call, body).await?;
    let place = format!("{}/v1/files/{file}", call.api.services.options.public_url);
    let place =
        HeaderValue::try_from(place).map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

async fn reserve_and_sign(
    call: &OwnCall<'_>,
    body: &mut Incoming,
) -> Result<(FileId, Response<Body>), Problem> {
    let services = &call.api.services;
    let body = body::read(body).await?;
    let idempotency = idempotency_of(&call.head.headers, &body)?;
    let asked = UploadRequest::read(&body, &services.options)?;
    let upload = NewUpload {
        file_id: services.clock.file_id(),
        filename: asked.filename,
        content_type: asked.content_type,
        size_bytes: asked.size_bytes,
        checksum_sha256: asked.checksum_sha256,
        visibility: asked.visibility,
        multipart: None,
        traceparent: call.trail.traceparent().map(str::to_owned),
    };
    let subject = Some(call.caller.subject.clone());
    let reserve = Reserve { uploads: vec![upload], idempotency, subject };
    let reserved = services.handle.reserve(call.user(), reserve).await?;
    let (Some(file), Some(release_at)) = (reserved.files.first(), reserved.release_at.first()) else {
        return Err(Problem::new(ErrorCode::Internal).because(&"a reservation without a file"));
    };
    // A new URL lives from the reservation on, so that both end when they should.
    let now = if reserved.repeated { services.clock.now() } else { file.created_at };
    let ttl = ttl_of(file, *release_at, services.options.upload_url_ttl, now)?;
    let grant = grant_of(ObjectKey { user: call.user(), file: file.file_id }, file, ttl, now);
    let signed = within(services.signer.upload(&grant)).await?;
    Ok((file.file_id, respond(file, &signed, now)))
}

/// How long the URL of a reserved file may live: no longer than its bytes stay set aside for it.
///
/// Only the repeat of an idempotency key can find a file that is no longer pending, or too old for a new URL.
/// Whatever became of it, there is nothing left to upload under this key: `upload_expired` says start again,
/// and the file's own route says what it is now.
fn ttl_of(
    file: &File,
    release_at: Option<Timestamp>,
    url_ttl: Duration,
    now: Timestamp,
) -> Result<Duration, Problem> {
    let expired = || Problem::new(ErrorCode::UploadExpired);
    let release_at = release_at.filter(|_| file.shown() == Shown::Pending).ok_or_else(expired)?;
    let left = release_at.before(Rules::GRACE).since(now);
    let whole = Duration::from_secs(left.min(url_ttl).as_secs());
    if whole.is_zero() { Err(expired()) } else { Ok(whole) }
}

fn grant_of(key: ObjectKey, file: &File, ttl: Duration, now: Timestamp) -> UploadGrant {
    let name = utf8_percent_encode(&file.filename, NON_ALPHANUMERIC).to_string();
    UploadGrant {
        key,
        size_bytes: file.size_bytes,
        content_type: file.content_type.clone(),
        checksum_sha256: file.checksum_sha256,
        metadata: vec![
            ("file-id".to_owned(), file.file_id.to_string()),
            ("name".to_owned(), name),
            ("size".to_owned(), file.size_bytes.to_string()),
        ],
        now,
        ttl,
    }
}

fn respond(file: &File, signed: &SignedRequest, now: Timestamp) -> Response<Body> {
    let view = PresignView {
        file_id: file.file_id,
        upload_url: signed.url.expose(),
        expires_in: signed.expires_in_secs(now),
        method: signed.method,
        headers: Headers(&signed.headers),
        expires_at: signed.expires_at,
        max_bytes: file.size_bytes,
    };
    answer::json(StatusCode::CREATED, &view, Keep::Never, 1536)
}

/// The request's name, if it has one: hashes of the key and of the body as it came.
fn idempotency_of(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter().map(HeaderValue::as_bytes);
    let Some(key) = keys.next() else { return Ok(None) };
    let is_printable = key.iter().all(|b| (b' '..=b'~').contains(b));
    let is_sized = (1..=limits::IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
    if !is_printable || !is_sized || keys.next().is_some() {
        let detail =
            format!("One key of 1 to {} printable ASCII characters.", limits::IDEMPOTENCY_KEY_BYTES_MAX);
        return Err(Problem::new(ErrorCode::IdempotencyKeyInvalid).detail(detail));
    }
    Ok(Some(IdempotencyKey { key: hash(key), body: hash(body) }))
}

/// The first 64 bits of the SHA-256. Among the few keys of one user that is collision-free in practice, and a
/// caller who searches for a collision finds only their own file.
fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests;
