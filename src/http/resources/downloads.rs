//! Sign a download.

use std::time::Duration;

use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION, VARY};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::domain::account::AccountState;
use crate::domain::file::File;
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::policy::{self, Action};
use crate::http::dispatch::OwnCall;
use crate::http::error::{ErrorCode, Problem};
use crate::http::services::within;
use crate::http::wire::answers::{self, Keep, Outcome};
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
pub(in crate::http) async fn sign(call: &OwnCall<'_>, file: FileId) -> Outcome {
    let signed = signed(call, file, DownloadMethod::Get).await?;
    let expires_in = signed.expires_in_secs(call.now);
    let view = DownloadView { download_url: signed.url.expose(), expires_in };
    Ok(answers::json(StatusCode::OK, &view, Keep::Never, 1024))
}

/// `GET /v1/files/{file_id}/content`: a redirect, or the same as JSON for a page, which cannot follow a redirect to
/// another host with its token. A client that follows a HEAD sends a HEAD.
pub(in crate::http) async fn redirect(call: &OwnCall<'_>, file: FileId) -> Outcome {
    let mut answer = if media::asks_for_json(&call.head.headers) {
        sign(call, file).await?
    } else {
        redirect_to_bucket(call, file).await?
    };
    answer.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(answer)
}

async fn redirect_to_bucket(call: &OwnCall<'_>, file: FileId) -> Outcome {
    let is_head = call.head.method == Method::HEAD;
    let method = if is_head { DownloadMethod::Head } else { DownloadMethod::Get };
    let signed = signed(call, file, method).await?;
    let place = HeaderValue::from_str(signed.url.expose());
    let place = place.map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    let headers = [(LOCATION, place), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(answers::empty(StatusCode::FOUND, headers))
}

async fn signed(call: &OwnCall<'_>, file: FileId, method: DownloadMethod) -> Result<SignedRequest, Problem> {
    let services = &call.api.services;
    let asked = Asked::read(call.head.uri.query(), services.options.download_url_ttl)?;
    // Nothing is signed for a suspended account, so its state is read as well.
    let (row, account) = tokio::join!(
        within(services.ledger.file(call.user(), file)),
        within(services.ledger.load(call.user()))
    );
    let row = row?.ok_or_else(Problem::no_such_file)?;
    let state = account?.map_or(AccountState::Active, |account| account.state);
    policy::decide(&call.caller, Action::MoveBytes, call.user(), state)?;
    row.downloadable()?;
    let disposition = match asked.disposition {
        Disposition::Inline if is_what_it_says(call, &row).await? => Disposition::Inline,
        Disposition::Inline | Disposition::Attachment => Disposition::Attachment,
    };
    let grant = DownloadGrant {
        key: ObjectKey { user: call.user(), file },
        method,
        disposition: disposition::value(disposition, &row.filename),
        content_type: media::served(&row.content_type).to_owned(),
        now: call.now,
        ttl: asked.ttl,
    };
    within(services.signer.download(&grant)).await
}

/// What the query of a download asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    disposition: Disposition,
    /// How long the URL may be used.
    ttl: Duration,
}

impl Asked {
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
async fn is_what_it_says(call: &OwnCall<'_>, file: &File) -> Result<bool, Problem> {
    if !media::may_be_inline(&file.content_type) {
        return Ok(false);
    }
    let bytes = call.api.services.handle.first_bytes(call.user(), file.file_id).await?;
    Ok(bytes.is_some_and(|bytes| media::begins_as(&file.content_type, &bytes)))
}
