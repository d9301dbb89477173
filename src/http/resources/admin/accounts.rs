//! One user's account: look at it, give it another limit, suspend it.

use hyper::StatusCode;

use super::view::AccountView;
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::UserId;
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::http::wire::body::{self, Incoming};
use crate::http::wire::json::{Field, Object};
use crate::ports::LedgerPort;

/// The ledger counts bytes in 64 signed bits.
const QUOTA_BYTES_MAX: u64 = i64::MAX.unsigned_abs();

const STATES: [AccountState; 2] = [AccountState::Active, AccountState::Suspended];

/// `GET /v1/admin/users/{user_id}/usage`.
pub(in crate::http) async fn usage(request: &AuthorizedRequest<'_>, user: UserId) -> HandlerResult {
    let found = within(request.api.services.ledger.load(user)).await?;
    respond(request, &found.ok_or_else(|| Problem::new(ErrorCode::UserNotFound))?)
}

/// `PUT /v1/admin/users/{user_id}/quota`: also of a user who has not stored anything yet.
pub(in crate::http) async fn set_quota(
    request: &AuthorizedRequest<'_>,
    user: UserId,
    body: &mut Incoming,
) -> HandlerResult {
    let quota_bytes = read_quota(&body::read(body).await?)?;
    let account = request.api.services.handle.set_quota(user, quota_bytes).await?;
    tracing::info!(user_id = %user, by_user_id = %request.user(), request_id = request.context.request_id(), ?quota_bytes, "an admin changed a quota");
    respond(request, &account)
}

/// `PUT /v1/admin/users/{user_id}/state`: also of a user who has not stored anything yet.
pub(in crate::http) async fn set_state(
    request: &AuthorizedRequest<'_>,
    user: UserId,
    body: &mut Incoming,
) -> HandlerResult {
    let state = read_state(&body::read(body).await?)?;
    let account = request.api.services.handle.set_state(user, state).await?;
    tracing::info!(user_id = %user, by_user_id = %request.user(), request_id = request.context.request_id(), state = state.as_str(), "an admin changed an account's state");
    respond(request, &account)
}

fn respond(request: &AuthorizedRequest<'_>, account: &Account) -> HandlerResult {
    let view = AccountView::of(account, request.api.services.options.quota_bytes_default);
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::NoStore, AccountView::BYTES_ABOUT))
}

/// `{"quota_bytes": n | null}`; `null`: the deployment's default again.
fn read_quota(body: &[u8]) -> Result<Option<u64>, Problem> {
    let mut object = Object::parse(body)?;
    let quota_bytes = match object.take("quota_bytes") {
        Some(Field::Null) => None,
        Some(Field::Count(count)) if count <= QUOTA_BYTES_MAX => Some(count),
        Some(Field::Count(_) | Field::OtherNumber) => {
            object.fault("quota_bytes", "out_of_range", format!("This must be 0 to {QUOTA_BYTES_MAX}."));
            None
        }
        Some(Field::Flag | Field::Text(_) | Field::List(_) | Field::Nested) => {
            object.fault("quota_bytes", "wrong_type", "This must be a whole number or null.");
            None
        }
        None => {
            object.fault("quota_bytes", "required", "This is needed; null stands for the default.");
            None
        }
    };
    object.end().map(|()| quota_bytes)
}

/// `{"state": "active" | "suspended"}`.
fn read_state(body: &[u8]) -> Result<AccountState, Problem> {
    let mut object = Object::parse(body)?;
    let word = object.needed_text("state");
    let state = word.as_ref().and_then(|word| STATES.into_iter().find(|state| state.as_str() == word));
    if word.is_some() && state.is_none() {
        object.fault("state", "unknown_value", "This must be one of active, suspended.");
    }
    object.end()?;
    state.ok_or_else(|| Problem::new(ErrorCode::Internal).because(&"a state without a fault"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(read: Result<T, Problem>) -> String {
        read.map_or_else(
            |problem| problem.faults().iter().map(|f| format!("{}:{}", f.pointer, f.code)).collect(),
            |value| format!("{value:?}"),
        )
    }

    #[test]
    fn a_quota_is_a_number_or_null_and_must_be_said() {
        let check = |body: &str, expected: &str| {
            assert_eq!(told(read_quota(body.as_bytes())), expected, "{body}");
        };
        check(r#"{"quota_bytes": 5}"#, "Some(5)");
        check(r#"{"quota_bytes": 0}"#, "Some(0)");
        check(r#"{"quota_bytes": null}"#, "None");
        check(r#"{"quota_bytes": 9223372036854775807}"#, "Some(9223372036854775807)");
        check(r#"{"quota_bytes": 9223372036854775808}"#, "/quota_bytes:out_of_range");
        check(r#"{"quota_bytes": -1}"#, "/quota_bytes:out_of_range");
        check(r#"{"quota_bytes": "5"}"#, "/quota_bytes:wrong_type");
        check("{}", "/quota_bytes:required");
        check(r#"{"quota_bytes": 5, "user_id": "x"}"#, "/user_id:unknown_field");
    }

    #[test]
    fn a_state_is_one_of_two_words() {
        let check = |body: &str, expected: &str| {
            assert_eq!(told(read_state(body.as_bytes())), expected, "{body}");
        };
        check(r#"{"state": "active"}"#, "Active");
        check(r#"{"state": "suspended"}"#, "Suspended");
        check(r#"{"state": "Active"}"#, "/state:unknown_value");
        check(r#"{"state": null}"#, "/state:required");
        check("{}", "/state:required");
    }
}
