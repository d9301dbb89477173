//! Sign a download.

use std::time::Duration;

use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION, VARY};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::domain::account::AccountState;
use crate::domain::file::File;
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::policy::{self, Action};
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::disposition::{self, Disposition};
use crate::http::wire::media;
use crate::http::wire::query::Query;
use crate::ports::{DownloadGrant, DownloadMethod, LedgerPort, SignedRequest, SignerPort};

#[derive(Serialize)]
struct DownloadView<'a> {
    download_url: &'a str,
    expires_in: u64,
}

/// `GET /v1/files/{file_id}/download-url`.
pub(in crate::http) async fn sign(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let signed = signed(request, file, DownloadMethod::Get).await?;
    let expires_in = signed.expires_in_secs(request.now);
    let view = DownloadView { download_url: signed.url.expose(), expires_in };
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, 1024))
}

/// `GET /v1/files/{file_id}/content`: a redirect, or the same as JSON for a page that prefers it, because it cannot
/// follow a redirect to another host with its token. A client that follows a HEAD sends a HEAD.
pub(in crate::http) async fn redirect(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let mut answer = if media::prefers_json(&request.head.headers) {
        sign(request, file).await?
    } else {
        redirect_to_bucket(request, file).await?
    };
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(answer)
}

async fn redirect_to_bucket(request: &AuthorizedRequest<'_>, file: FileId) -> HandlerResult {
    let is_head = request.head.method == Method::HEAD;
    let method = if is_head { DownloadMethod::Head } else { DownloadMethod::Get };
    let signed = signed(request, file, method).await?;
    let place = HeaderValue::from_str(signed.url.expose());
    let place = place.map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    let headers = [(LOCATION, place), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(answers::empty(StatusCode::FOUND, headers))
}

async fn signed(
    request: &AuthorizedRequest<'_>,
    file: FileId,
    method: DownloadMethod,
) -> Result<SignedRequest, Problem> {
    let services = &request.api.services;
    let query = DownloadQuery::read(request.head.uri.query(), services.options.download_url_ttl)?;
    // Nothing is signed for a suspended account, so its state is read as well.
    let (row, account) = tokio::join!(
        within(services.ledger.file(request.user(), file)),
        within(services.ledger.load(request.user()))
    );
    let row = row?.ok_or_else(Problem::no_such_file)?;
    let state = account?.map_or(AccountState::Active, |account| account.state);
    policy::decide(&request.caller, Action::MoveBytes, request.user(), state)?;
    row.downloadable()?;
    let disposition = match query.disposition {
        Disposition::Inline if is_what_it_says(request, &row).await? => Disposition::Inline,
        Disposition::Inline | Disposition::Attachment => Disposition::Attachment,
    };
    let grant = DownloadGrant {
        key: ObjectKey { user: request.user(), file },
        method,
        disposition: disposition::value(disposition, &row.filename),
        content_type: media::served(&row.content_type),
        now: request.now,
        ttl: query.ttl,
    };
    within(services.signer.download(&grant)).await
}

/// What the query of a download asks for.
#[derive(Debug, PartialEq, Eq)]
struct DownloadQuery {
    disposition: Disposition,
    /// How long the URL may be used.
    ttl: Duration,
}

impl DownloadQuery {
    /// `expires_in` asks for a shorter life than the operator's; a longer one is taken as that.
    fn read(query: Option<&str>, ttl_max: Duration) -> Result<Self, Problem> {
        let mut query = Query::parse(query);
        let words = [("attachment", Disposition::Attachment), ("inline", Disposition::Inline)];
        let disposition = query.word("disposition", &words).unwrap_or(Disposition::Attachment);
        let ttl = match query.take("expires_in").map(|text| text.parse::<u64>()) {
            None => ttl_max,
            Some(Ok(secs @ 1..)) => Duration::from_secs(secs).min(ttl_max),
            Some(Ok(0) | Err(_)) => {
                query.fault("expires_in", "out_of_range", "This must be a whole number of seconds from 1.");
                ttl_max
            }
        };
        query.end()?;
        Ok(Self { disposition, ttl })
    }
}

/// Whether a file may be shown in a page: by its declared type, and by its first bytes, which are read for such a type
/// only.
async fn is_what_it_says(request: &AuthorizedRequest<'_>, file: &File) -> Result<bool, Problem> {
    if !media::may_be_inline(&file.content_type) {
        return Ok(false);
    }
    let bytes = request.api.services.handle.first_bytes(request.user(), file.file_id).await?;
    Ok(bytes.is_some_and(|bytes| media::begins_as(&file.content_type, &bytes)))
}
