//! Sign a download.

use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::answer::{self, Keep, Outcome};
use super::dispatch::OwnCall;
use super::disposition::{self, Disposition};
use super::error::{ErrorCode, Problem};
use super::media;
use super::query::Query;
use super::services::within;
use crate::domain::account::AccountState;
use crate::domain::file::File;
use crate::domain::ids::{FileId, ObjectKey};
use crate::domain::policy::{self, Action};
use crate::ports::{DownloadGrant, DownloadMethod, LedgerPort, SignedRequest, SignerPort};

#[derive(Serialize)]
struct DownloadView<'a> {
    download_url: &'a str,
    expires_in: u64,
}

/// `GET /v1/files/{file_id}/download-url`.
pub(super) async fn sign(call: &OwnCall<'_>, file: FileId) -> Outcome {
    let signed = signed(call, file, DownloadMethod::Get).await?;
    let expires_in = signed.expires_in_secs(call.now);
    let view = DownloadView { download_url: signed.url.expose(), expires_in };
    Ok(answer::json(StatusCode::OK, &view, Keep::Never, 1024))
}

/// `GET /v1/files/{file_id}/content`. Who follows a HEAD comes with a HEAD.
pub(super) async fn redirect(call: &OwnCall<'_>, file: FileId) -> Outcome {
    let is_head = call.head.method == Method::HEAD;
    let method = if is_head { DownloadMethod::Head } else { DownloadMethod::Get };
    let signed = signed(call, file, method).await?;
    let place = HeaderValue::from_str(signed.url.expose());
    let place = place.map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    let headers = [(LOCATION, place), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok(answer::empty(StatusCode::FOUND, headers))
}

async fn signed(call: &OwnCall<'_>, file: FileId, method: DownloadMethod) -> Result<SignedRequest, Problem> {
    let services = &call.api.services;
    let asked = disposition_of(call.head.uri.query())?;
    // Nothing is signed for a suspended account, so its state is read as well.
    let (row, account) = tokio::join!(
        within(services.ledger.file(call.user(), file)),
        within(services.ledger.load(call.user()))
    );
    let row = row?.ok_or_else(Problem::no_such_file)?;
    let state = account?.map_or(AccountState::Active, |account| account.state);
    policy::decide(&call.caller, Action::MoveBytes, call.user(), state)?;
    row.downloadable()?;
    let (content_type, disposition) = served_as(&row, asked);
    let grant = DownloadGrant {
        key: ObjectKey { user: call.user(), file },
        method,
        disposition: disposition::value(disposition, &row.filename),
        content_type: content_type.to_owned(),
        now: call.now,
        ttl: services.options.download_url_ttl,
    };
    within(services.signer.download(&grant)).await
}

fn disposition_of(query: Option<&str>) -> Result<Disposition, Problem> {
    let mut query = Query::parse(query);
    let words = [("attachment", Disposition::Attachment), ("inline", Disposition::Inline)];
    let asked = query.word("disposition", &words);
    query.end()?;
    Ok(asked.unwrap_or(Disposition::Attachment))
}

/// The type and the disposition that are safe to answer with, whatever was declared and asked.
fn served_as(file: &File, asked: Disposition) -> (&str, Disposition) {
    let is_inline = asked == Disposition::Inline && media::may_be_inline(&file.content_type);
    let disposition = if is_inline { Disposition::Inline } else { Disposition::Attachment };
    (media::served(&file.content_type), disposition)
}
