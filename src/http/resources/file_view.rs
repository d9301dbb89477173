//! A file as its owner sees it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::ETAG;
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::domain::file::{File, PublicStatus};
use crate::domain::ids::FileId;
use crate::domain::time::Timestamp;
use crate::http::error::Problem;
use crate::http::wire::answers::{self, CachePolicy};
use crate::http::wire::body::Body;
use crate::http::wire::conditions;

/// A file's JSON.
#[derive(Serialize)]
pub(in crate::http) struct FileView<'a> {
    file_id: FileId,
    filename: &'a str,
    size_bytes: u64,
    content_type: &'a str,
    checksum_sha256: Option<String>,
    visibility: &'static str,
    status: &'static str,
    reason: Option<&'static str>,
    created_at: Timestamp,
    processed_at: Option<Timestamp>,
    trashed_at: Option<Timestamp>,
    revision: u32,
}

impl<'a> FileView<'a> {
    /// Bytes of one in JSON, about.
    pub(in crate::http) const BYTES_ABOUT: usize = 480;

    /// The file, unless its owner deleted it.
    pub(in crate::http) fn of(file: &'a File) -> Option<Self> {
        let shown = file.public_status();
        let reason = match shown {
            PublicStatus::Failed(reason) => Some(reason),
            PublicStatus::Pending
            | PublicStatus::Processed
            | PublicStatus::Trashed
            | PublicStatus::Hidden => None,
        };
        Some(Self {
            file_id: file.file_id,
            filename: &file.filename,
            size_bytes: file.size_bytes,
            content_type: &file.content_type,
            checksum_sha256: file.checksum_sha256.map(|sum| STANDARD.encode(sum.0)),
            visibility: file.visibility.as_str(),
            status: shown.as_str()?,
            reason,
            created_at: file.created_at,
            processed_at: file.processed_at,
            trashed_at: file.trashed_at,
            revision: file.revision,
        })
    }
}

/// What a file that is pending waits for.
#[derive(Clone, Copy, Serialize)]
pub(in crate::http) struct Awaiting {
    step: &'static str,
    missing_bytes: u64,
}

impl Awaiting {
    /// The bucket makes one object of chunks that have all arrived.
    pub(in crate::http) const ASSEMBLY: Self = Self { step: "assembly", missing_bytes: 0 };

    /// The client sends the bytes, all in one request.
    pub(in crate::http) const fn upload_of(file: &File) -> Self {
        Self { step: "upload", missing_bytes: file.size_bytes }
    }
}

#[derive(Serialize)]
struct AwaitingView<'a> {
    #[serde(flatten)]
    file: FileView<'a>,
    awaiting: Awaiting,
}

/// A file that is not settled yet as an answer, with what it waits for.
///
/// # Errors
/// `file_not_found` if its owner deleted it.
pub(in crate::http) fn respond_awaiting(file: &File, awaiting: Awaiting) -> Result<Response<Body>, Problem> {
    let view = FileView::of(file).ok_or_else(Problem::no_such_file)?;
    let view = AwaitingView { file: view, awaiting };
    Ok(answers::json(StatusCode::ACCEPTED, &view, CachePolicy::NoStore, FileView::BYTES_ABOUT + 64))
}

/// A file as an answer, with its tag.
///
/// # Errors
/// `file_not_found` if its owner deleted it.
pub(in crate::http) fn respond(status: StatusCode, file: &File) -> Result<Response<Body>, Problem> {
    let view = FileView::of(file).ok_or_else(Problem::no_such_file)?;
    let mut response = answers::json(status, &view, CachePolicy::Revalidate, FileView::BYTES_ABOUT);
    response.headers_mut().insert(ETAG, conditions::etag(file.revision));
    Ok(response)
}
