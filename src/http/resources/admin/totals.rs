//! The totals of the deployment.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Serialize;

use crate::actors::{Census, TopUser};
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::http::error::{ErrorCode, Problem};
use crate::http::request::AuthorizedRequest;
use crate::http::services::within;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};
use crate::limits;

#[derive(Serialize)]
struct DeploymentView {
    as_of: Timestamp,
    users: u64,
    files: u64,
    used_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    top_users: Vec<TopUserView>,
}

#[derive(Serialize)]
struct TopUserView {
    user_id: UserId,
    used_bytes: u64,
    reserved_bytes: u64,
    trashed_bytes: u64,
    file_count: u32,
}

impl From<&Census> for DeploymentView {
    fn from(census: &Census) -> Self {
        Self {
            as_of: census.as_of,
            users: census.users,
            files: census.files,
            used_bytes: census.used_bytes,
            reserved_bytes: census.reserved_bytes,
            trashed_bytes: census.trashed_bytes,
            top_users: census.top.iter().map(TopUserView::from).collect(),
        }
    }
}

impl From<&TopUser> for TopUserView {
    fn from(TopUser { user, totals }: &TopUser) -> Self {
        Self {
            user_id: *user,
            used_bytes: totals.used_bytes,
            reserved_bytes: totals.reserved_bytes,
            trashed_bytes: totals.trashed_bytes,
            file_count: totals.file_count,
        }
    }
}

/// `GET /v1/admin/usage`: as the last sweep counted, at most a quarter of an hour ago if the ledger answers. Few
/// accounts are counted now, so that a new deployment shows its totals at once.
pub(in crate::http) async fn totals(request: &AuthorizedRequest<'_>) -> HandlerResult {
    let last = request.api.services.handle.census();
    let is_settled = |last: &Census| {
        request.now.since(last.as_of) < limits::TOTALS_AGE_MAX || last.users > limits::TOTALS_COUNTED_NOW_MAX
    };
    let counted = if last.as_deref().is_some_and(is_settled) {
        None
    } else {
        let ledger = &request.api.services.ledger;
        match within(Census::count_few(ledger, request.now, limits::TOTALS_COUNTED_NOW_MAX)).await {
            Ok(counted) => counted.map(Arc::new),
            // An older count is better than none; a newer one is tried at the next request.
            Err(problem) if last.is_none() => return Err(problem),
            Err(_) => None,
        }
    };
    let census = counted.or(last).ok_or_else(|| {
        Problem::new(ErrorCode::LedgerUnavailable)
            .detail("The first count of the accounts has not ended yet.")
    })?;
    Ok(answers::json(StatusCode::OK, &DeploymentView::from(&*census), CachePolicy::NoStore, 2048))
}
