//! Files that come in chunks: sign one, and say which have arrived.

use std::time::Duration;

use hyper::StatusCode;
use serde::Serialize;

use super::signed::Headers;
use crate::actors::{Arrived, OpenUpload};
use crate::domain::chunks::{Chunk, ChunkPlan};
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::policy::{self, Action};
use crate::domain::time::Timestamp;
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::routes::ChunkRef;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::ports::{PartGrant, SignerPort};

#[derive(Serialize)]
struct SignedChunkView<'a> {
    chunk_id: u16,
    upload_url: &'a str,
    expires_in: u64,
    method: &'static str,
    headers: Headers<'a>,
    expires_at: Timestamp,
    size_bytes: u64,
}

/// `PATCH /v1/files/{file_id}/chunks/{chunk_id}`: as often as wanted, until the reservation ends.
///
/// A chunk that is late does no harm: only we make an object of the chunks, and only of a pending file.
pub(in crate::http) async fn sign(
    request: &AuthorizedRequest<'_>,
    file: FileId,
    number: ChunkRef,
) -> HandlerResult {
    let services = &request.api.services;
    let open = services.handle.open_upload(request.user(), file).await?;
    policy::decide(&request.caller, Action::MoveBytes, request.user(), open.state)?;
    let chunk = number.and_then(|number| ChunkPlan::of(&open.file)?.chunk(number));
    let chunk = chunk.ok_or_else(|| Problem::new(ErrorCode::ChunkNotFound))?;
    let now = services.clock.now();
    let ttl = ttl_of(&open, services.options.upload_url_ttl, now);
    let (Some(multipart), Some(ttl)) = (&open.file.multipart, ttl) else {
        return Err(not_signed(&open.file));
    };
    let grant = PartGrant {
        key: ObjectKey { user: request.user(), file },
        upload_id: multipart.upload_id.clone(),
        number: chunk.number,
        size_bytes: chunk.size_bytes,
        now,
        ttl,
    };
    let signed = within(services.signer.part(&grant)).await?;
    let view = SignedChunkView {
        chunk_id: chunk.number,
        upload_url: signed.url.expose(),
        expires_in: signed.expires_in_secs(now),
        method: signed.method,
        headers: Headers(&signed.headers),
        expires_at: signed.expires_at,
        size_bytes: chunk.size_bytes,
    };
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, 1024))
}

/// How long the URL of a chunk may live: no longer than the file's bytes stay set aside. None: no longer at all.
fn ttl_of(open: &OpenUpload, url_ttl: Duration, now: Timestamp) -> Option<Duration> {
    let ends_at = open.release_at.filter(|_| open.file.public_status() == PublicStatus::Pending)?;
    let whole = Duration::from_secs(ends_at.since(now).min(url_ttl).as_secs());
    (!whole.is_zero()).then_some(whole)
}

/// Why nothing more can be sent for a file.
fn not_signed(file: &File) -> Problem {
    match file.public_status() {
        PublicStatus::Pending => Problem::new(ErrorCode::UploadExpired),
        PublicStatus::Processed | PublicStatus::Trashed => Problem::new(ErrorCode::UploadComplete),
        PublicStatus::Failed(reason) => Problem::failed(reason),
        PublicStatus::Hidden => Problem::no_such_file(),
    }
}

#[derive(Serialize)]
struct ChunksView {
    file_id: FileId,
    chunk_bytes: u64,
    arrived_bytes: u64,
    chunks: Vec<ChunkView>,
}

#[derive(Serialize)]
struct ChunkView {
    chunk_id: u16,
    size_bytes: u64,
    arrived: bool,
}

/// `GET /v1/files/{file_id}/chunks`: the chunks, with whether the bucket has them.
pub(in crate::http) async fn list(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let view = match request.api.services.handle.arrived(request.user(), file).await? {
        Arrived::Whole(file) => view_of(&file, |_| true)?,
        Arrived::Parts(file, parts) => {
            view_of(&file, |chunk| parts.get(&chunk.number) == Some(&chunk.size_bytes))?
        }
        Arrived::Gone(file) => {
            return Err(not_signed(&file));
        }
    };
    let bytes_about = 128 + view.chunks.len() * 64;
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, bytes_about))
}

fn view_of(file: &File, has_arrived: impl Fn(&Chunk) -> bool) -> Result<ChunksView, Problem> {
    let plan = ChunkPlan::of(file).ok_or_else(|| Problem::new(ErrorCode::NotChunked))?;
    let chunk = |chunk: Chunk| ChunkView {
        chunk_id: chunk.number,
        size_bytes: chunk.size_bytes,
        arrived: has_arrived(&chunk),
    };
    let chunks: Vec<ChunkView> = plan.chunks().map(chunk).collect();
    let arrived_bytes = chunks.iter().filter(|chunk| chunk.arrived).map(|chunk| chunk.size_bytes).sum();
    Ok(ChunksView { file_id: file.file_id, chunk_bytes: plan.chunk_bytes(), arrived_bytes, chunks })
}
