//! Users as operators look for them: by id, or by the `sub` of a token.

use hyper::StatusCode;
use serde::Serialize;

use super::view::AccountView;
use crate::domain::account::{Account, Reservation};
use crate::domain::ids::{FileId, UserId};
use crate::domain::time::Timestamp;
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::query::Query;
use crate::ports::LedgerPort;

/// An account with what is open in it.
#[derive(Serialize)]
struct UserDetailView<'a> {
    #[serde(flatten)]
    account: AccountView,
    /// The `sub` of the first token that stored something; none for accounts that only admins changed.
    subject: Option<&'a str>,
    open_uploads: Vec<OpenUpload>,
}

/// Bytes set aside for a file.
#[derive(Serialize)]
struct OpenUpload {
    file_id: FileId,
    size_bytes: u64,
    /// When they are given back if nothing arrived.
    release_at: Timestamp,
}

/// A user that a `sub` names, and the account if there is one.
#[derive(Serialize)]
struct FoundUserView<'a> {
    issuer: &'a str,
    subject: &'a str,
    user_id: UserId,
    account: Option<UserDetailView<'a>>,
}

#[derive(Serialize)]
struct FoundUsersView<'a> {
    items: Vec<FoundUserView<'a>>,
}

impl<'a> UserDetailView<'a> {
    fn of(account: &'a Account, quota_bytes_default: u64) -> Self {
        let open = |(file, reservation): (&FileId, &Reservation)| OpenUpload {
            file_id: *file,
            size_bytes: reservation.size_bytes,
            release_at: reservation.release_at,
        };
        Self {
            account: AccountView::of(account, quota_bytes_default),
            subject: account.subject.as_deref(),
            open_uploads: account.pending.iter().map(open).collect(),
        }
    }

    fn bytes_about(&self) -> usize {
        AccountView::BYTES_ABOUT + 128 * self.open_uploads.len()
    }
}

/// `GET /v1/admin/users/{user_id}`.
pub(in crate::http) async fn show(request: &AuthorizedRequest<'_>, user: UserId) -> HandlerResult {
    let services = &request.api.services;
    let account = within(services.ledger.load(user)).await?;
    let account = account.ok_or_else(|| Problem::new(ErrorCode::UserNotFound))?;
    let view = UserDetailView::of(&account, services.options.quota_bytes_default);
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, view.bytes_about()))
}

/// `GET /v1/admin/users?sub=S&issuer=I`: the users that tokens with this `sub` name, one for each issuer.
///
/// An id is computed whether there is an account or not, so that a limit can be set before the first upload.
pub(in crate::http) async fn find(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let services = &request.api.services;
    let mut query = Query::parse(request.head.uri.query());
    let subject = query.take("sub");
    let issuer = query.take("issuer");
    let users = services.authenticator.users_of(subject.as_deref().unwrap_or_default(), issuer.as_deref());
    match (&subject, users.as_deref()) {
        (None, _) => query.fault("sub", "required", "This is needed: the sub of the user's tokens."),
        (Some(_), Err(_)) => {
            query.fault("sub", "malformed", "This must be 1 to 255 bytes without control characters.");
        }
        (Some(_), Ok([])) => {
            query.fault("issuer", "unknown_value", "There is no such issuer in auth.issuers.")
        }
        (Some(_), Ok(_)) => {}
    }
    query.end()?;
    let users = users.unwrap_or_default();
    let loads = users.iter().map(|(_, user)| within(services.ledger.load(*user)));
    let accounts = futures_util::future::try_join_all(loads).await?;
    let subject = subject.as_deref().unwrap_or_default();
    let mut view = FoundUsersView { items: Vec::with_capacity(users.len()) };
    for ((issuer, user_id), account) in users.iter().zip(&accounts) {
        let whole = |account| UserDetailView::of(account, services.options.quota_bytes_default);
        view.items.push(FoundUserView {
            issuer,
            subject,
            user_id: *user_id,
            account: account.as_ref().map(whole),
        });
    }
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, 1024))
}
