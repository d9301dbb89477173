//! The bytes of a request become a finished file, if they are what was declared.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::StatusCode;
use s3s::checksum::ChecksumHasher;
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::answers;
use super::blocking::blocking;
use super::checksums;
use super::draft::{Draft, Finished};
use super::store::Store;
use super::visit::Turn;

/// Bytes that are collected before they are hashed and written, away from the runtime's threads.
const WRITE_BYTES: usize = 256 << 10;

/// The declared length and checksums of a request's bytes.
#[derive(Debug, Default)]
pub(super) struct DeclaredBytes {
    pub(super) length_bytes: Option<i64>,
    pub(super) md5: Option<String>,
    pub(super) checksum: Checksum,
    /// Names of the trailers to come, as `x-amz-trailer` has them.
    pub(super) trailer: Option<String>,
    pub(super) trailing: Option<TrailingHeaders>,
}

/// Takes the bytes in; nothing is kept if they are not what was declared. With them the checksums that were, which the
/// answer repeats.
pub(super) async fn receive(
    store: &Arc<Store>,
    (body, turn): (Option<StreamingBlob>, Turn),
    declared: DeclaredBytes,
) -> S3Result<(Finished, Checksum)> {
    let length = declared.length_bytes.ok_or_else(|| s3_error!(MissingContentLength))?;
    let length = u64::try_from(length).map_err(|_| s3_error!(InvalidArgument))?;
    if length > store.options.object_bytes_max {
        return Err(answers::too_large(store.options.object_bytes_max));
    }
    let asked = declared.hashers();
    let opened = Arc::clone(store);
    let open = move || opened.draft(asked, length, Some(turn));
    let draft = blocking("make a file", open).await.map_err(answers::write_failed)?;
    let draft = match body {
        Some(body) => write_all(draft, body).await?,
        None => draft,
    };
    let finished = draft.finish();
    if finished.size_bytes != length {
        return Err(s3_error!(IncompleteBody, "{} bytes came of {length}", finished.size_bytes));
    }
    let confirmed = declared.check(&finished)?;
    Ok((finished, confirmed))
}

async fn write_all(mut draft: Draft, mut body: StreamingBlob) -> S3Result<Draft> {
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut waiting_bytes = 0;
    loop {
        let chunk = body.next().await.transpose().map_err(answers::body_failed)?;
        let is_end = chunk.is_none();
        if let Some(chunk) = chunk {
            waiting_bytes += chunk.len();
            waiting.push(chunk);
        }
        if waiting_bytes >= WRITE_BYTES || (is_end && waiting_bytes > 0) {
            let chunks = std::mem::take(&mut waiting);
            waiting_bytes = 0;
            let write = move || chunks.iter().try_for_each(|chunk| draft.write(chunk)).map(|()| draft);
            draft = blocking("write an object", write).await.map_err(answers::write_failed)?;
        }
        if is_end {
            return Ok(draft);
        }
    }
}

impl DeclaredBytes {
    /// What must be computed besides MD5 and SHA-256.
    fn hashers(&self) -> ChecksumHasher {
        let trailer = self.trailer.as_deref().unwrap_or_default().to_ascii_lowercase();
        let is_announced = |name: &str| trailer.split(',').any(|named| named.trim() == name);
        checksums::hasher(|name| {
            name != checksums::SHA256
                && (checksums::get(&self.checksum, name).is_some() || is_announced(name))
        })
    }

    /// Compares what came with what was declared; returns the checksums that were compared.
    fn check(&self, finished: &Finished) -> S3Result<Checksum> {
        compare("Content-MD5", self.md5.as_deref(), Some(&STANDARD.encode(finished.md5)))?;
        let found = finished.checksums();
        // Trailers are there once the body has been read.
        let trailers = self.trailing.as_ref().and_then(TrailingHeaders::take).unwrap_or_default();
        let announced = self.trailer.as_deref().unwrap_or_default().split(',').map(str::trim);
        if let Some(name) =
            announced.filter(|name| !name.is_empty()).find(|name| !trailers.contains_key(*name))
        {
            return Err(malformed_trailer(name));
        }
        for name in checksums::NAMES {
            let found = checksums::get(&found, name);
            compare(name, checksums::get(&self.checksum, name), found)?;
            let trailer = trailers.get(name).map(|value| value.to_str().unwrap_or("not text"));
            compare(name, trailer, found)?;
        }
        let has_sha256 = self.checksum.checksum_sha256.is_some() || trailers.contains_key(checksums::SHA256);
        let sha256 = found.checksum_sha256.clone().filter(|_| has_sha256);
        Ok(Checksum { checksum_sha256: sha256, ..found })
    }
}

/// A trailer that was announced did not come, so nothing says that the bytes are right.
fn malformed_trailer(name: &str) -> S3Error {
    let mut error = s3_error!(InvalidRequest, "the trailer {name} was announced and is missing");
    if let Some(code) = S3ErrorCode::from_bytes(b"MalformedTrailerError") {
        error.set_code(code);
        error.set_status_code(StatusCode::BAD_REQUEST);
    }
    error
}

fn compare(name: &str, declared: Option<&str>, found: Option<&str>) -> Result<(), S3Error> {
    match declared {
        Some(declared) if Some(declared.trim()) != found => {
            Err(s3_error!(BadDigest, "{name} is not that of the bytes that came"))
        }
        Some(_) | None => Ok(()),
    }
}
