//! The account's sums, to its owner.

use hyper::StatusCode;
use serde::Serialize;

use crate::domain::account::Account;
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::ports::LedgerPort;

#[derive(Serialize)]
struct Usage {
    used_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    limit_bytes: u64,
    file_count: u32,
    pending_count: usize,
    state: &'static str,
}

impl Usage {
    fn of(account: &Account, quota_bytes_default: u64) -> Self {
        Self {
            used_bytes: account.totals.used_bytes,
            reserved_bytes: account.totals.reserved_bytes,
            trashed_bytes: account.totals.trashed_bytes,
            limit_bytes: account.limit_bytes(quota_bytes_default),
            file_count: account.totals.file_count,
            pending_count: account.pending.len(),
            state: account.state.as_str(),
        }
    }
}

/// `GET /v1/usage`. A user that never wrote has an empty account.
pub(in crate::http) async fn show(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let services = &request.api.services;
    let found = within(services.ledger.load(request.user())).await?;
    let account = found.unwrap_or_else(|| Account::new(request.user()));
    let usage = Usage::of(&account, services.options.quota_bytes_default);
    Ok(answers::json(StatusCode::OK, &usage, CachePolicy::NoStore, 256))
}
