//! Reserve and sign uploads: one, or some together.

use std::collections::BTreeMap;

use hyper::header::{HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::grant;
use super::signed::Headers;
use super::upload_request::UploadRequest;
use crate::actors::Reserved;
use crate::domain::chunks::{Chunk, ChunkPlan};
use crate::domain::decide::{IdempotencyKey, NewUpload, Reserve};
use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::time::Timestamp;
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::body::{self, Body, Incoming};
use crate::http::wire::idempotency::idempotency_of;
use crate::ports::{SignedRequest, SignerPort};

/// Bytes of one presign in JSON, about.
const BYTES_ABOUT: usize = 1536;

/// `POST /v1/files/presign-upload`.
pub(in crate::http) async fn presign(request: &AuthorizedRequest<'_>, body: &mut Incoming) -> HandlerResult {
    reserve_and_sign(request, body).await.map(|(_, response)| response)
}

/// `POST /v1/files`: the same, with a `Location` of the file.
pub(in crate::http) async fn create(request: &AuthorizedRequest<'_>, body: &mut Incoming) -> HandlerResult {
    let (file, mut response) = reserve_and_sign(request, body).await?;
    let place = format!("{}/v1/files/{file}", request.api.services.options.public_url);
    let place =
        HeaderValue::try_from(place).map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    response.headers_mut().insert(LOCATION, place);
    Ok(response)
}

async fn reserve_and_sign(
    request: &AuthorizedRequest<'_>,
    body: &mut Incoming,
) -> Result<(FileId, Response<Body>), Problem> {
    let body = body::read(body).await?;
    let idempotency = idempotency_of(&request.head.headers, &body)?;
    let asked = UploadRequest::read(&body, &request.api.services.options)?;
    let reserved = reserve(request, vec![asked], idempotency).await?;
    if let [file] = reserved.files.as_slice() {
        request.context.note_file(file.file_id);
    }
    let [upload] = sign(request, reserved)
        .await?
        .try_into()
        .map_err(|_| Problem::new(ErrorCode::Internal).because(&"not one file for one upload"))?;
    let view = upload.view();
    if let UploadView::Past { file_id, status, reason } = view {
        return Err(Problem::past(file_id, status, reason));
    }
    Ok((upload.file.file_id, answers::json(StatusCode::CREATED, &view, CachePolicy::NoStore, BYTES_ABOUT)))
}

#[derive(Serialize)]
struct BatchView<'a> {
    files: Vec<UploadView<'a>>,
}

/// `POST /v1/files/presign-batch`: all or none, in one write.
///
/// In a repeat a file may have come further than that; it is named with its status instead of a URL.
pub(in crate::http) async fn presign_batch(
    request: &AuthorizedRequest<'_>,
    body: &mut Incoming,
) -> HandlerResult {
    let body = body::read(body).await?;
    let idempotency = idempotency_of(&request.head.headers, &body)?;
    let asked = UploadRequest::read_batch(&body, &request.api.services.options)?;
    let uploads = sign(request, reserve(request, asked, idempotency).await?).await?;
    let view = BatchView { files: uploads.iter().map(Upload::view).collect() };
    Ok(answers::json(StatusCode::CREATED, &view, CachePolicy::NoStore, view.files.len() * BYTES_ABOUT))
}

async fn reserve(
    request: &AuthorizedRequest<'_>,
    asked: Vec<UploadRequest>,
    idempotency: Option<IdempotencyKey>,
) -> Result<Reserved, Problem> {
    let services = &request.api.services;
    let mut uploads = Vec::with_capacity(asked.len());
    let mut chunk_bytes = BTreeMap::new();
    for asked in asked {
        let file_id = services.clock.file_id();
        chunk_bytes.extend(asked.chunk_bytes.map(|bytes| (file_id, bytes)));
        uploads.push(NewUpload {
            file_id,
            filename: asked.filename,
            content_type: asked.content_type,
            size_bytes: asked.size_bytes,
            checksum_sha256: asked.checksum_sha256,
            visibility: asked.visibility,
            multipart: None,
            traceparent: request.context.traceparent().map(str::to_owned),
        });
    }
    let subject = Some(request.caller.subject.clone());
    let reserve = Reserve { uploads, idempotency, subject };
    Ok(if chunk_bytes.is_empty() {
        services.handle.reserve(request.user(), reserve).await?
    } else {
        services.handle.reserve_chunked(request.user(), reserve, &chunk_bytes).await?
    })
}

/// A reserved file, with how to upload it.
struct Upload {
    file: File,
    method: UploadMethod,
    now: Timestamp,
}

/// How a file is uploaded.
enum UploadMethod {
    /// By one request.
    SinglePut(SignedRequest),
    /// In chunks, each to be signed by itself until then.
    Chunks(ChunkPlan, Timestamp),
    /// Nothing is left to upload.
    Nothing,
}

/// Signs what was reserved, in order.
///
/// Only a repeated request finds a file that cannot be signed any more; `GET /v1/files/{file_id}` shows its state.
async fn sign(request: &AuthorizedRequest<'_>, reserved: Reserved) -> Result<Vec<Upload>, Problem> {
    let services = &request.api.services;
    let mut uploads = Vec::with_capacity(reserved.files.len());
    for (file, release_at) in reserved.files.into_iter().zip(reserved.release_at) {
        // A new URL lives from the reservation on, so that both end when they should.
        let now = if reserved.repeated { services.clock.now() } else { file.created_at };
        let ttl = grant::ttl_of(&file, release_at, services.options.upload_url_ttl, now);
        let method = match (ttl, ChunkPlan::of(&file), release_at) {
            (Some(ttl), None, _) => {
                let key = ObjectKey { user: request.user(), file: file.file_id };
                UploadMethod::SinglePut(
                    within(services.signer.upload(&grant::grant_of(key, &file, ttl, now))).await?,
                )
            }
            (_, Some(plan), Some(ends_at))
                if file.public_status() == PublicStatus::Pending && now < ends_at =>
            {
                UploadMethod::Chunks(plan, ends_at)
            }
            (_, Some(_), _) | (None, None, _) => UploadMethod::Nothing,
        };
        uploads.push(Upload { file, method, now });
    }
    Ok(uploads)
}

#[derive(Serialize)]
#[serde(untagged)]
enum UploadView<'a> {
    Signed {
        file_id: FileId,
        upload_url: &'a str,
        expires_in: u64,
        method: &'static str,
        headers: Headers<'a>,
        expires_at: Timestamp,
        max_bytes: u64,
    },
    Chunked {
        file_id: FileId,
        chunk_bytes: u64,
        chunks: Vec<PlannedChunkView>,
        expires_in: u64,
        expires_at: Timestamp,
        max_bytes: u64,
    },
    Past {
        file_id: FileId,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
}

#[derive(Serialize)]
struct PlannedChunkView {
    chunk_id: u16,
    size_bytes: u64,
}

impl From<Chunk> for PlannedChunkView {
    fn from(chunk: Chunk) -> Self {
        Self { chunk_id: chunk.number, size_bytes: chunk.size_bytes }
    }
}

impl Upload {
    fn view(&self) -> UploadView<'_> {
        let file_id = self.file.file_id;
        match &self.method {
            UploadMethod::SinglePut(signed) => UploadView::Signed {
                file_id,
                upload_url: signed.url.expose(),
                expires_in: signed.expires_in_secs(self.now),
                method: signed.method,
                headers: Headers(&signed.headers),
                expires_at: signed.expires_at,
                max_bytes: self.file.size_bytes,
            },
            UploadMethod::Chunks(plan, ends_at) => UploadView::Chunked {
                file_id,
                chunk_bytes: plan.chunk_bytes(),
                chunks: plan.chunks().map(PlannedChunkView::from).collect(),
                expires_in: ends_at.since(self.now).as_secs(),
                expires_at: *ends_at,
                max_bytes: self.file.size_bytes,
            },
            UploadMethod::Nothing => {
                let shown = self.file.public_status();
                let reason = match shown {
                    PublicStatus::Failed(reason) => Some(reason),
                    PublicStatus::Pending
                    | PublicStatus::Processed
                    | PublicStatus::Trashed
                    | PublicStatus::Hidden => None,
                };
                UploadView::Past { file_id, status: shown.as_str().unwrap_or("deleted"), reason }
            }
        }
    }
}
