//! Requests as handlers take them.

use std::sync::Arc;

use hyper::http::request::Parts;

use super::routes::Listener;
use super::services::Api;
use super::wire::context::RequestContext;
use crate::domain::ids::UserId;
use crate::domain::policy::Caller;
use crate::domain::time::Timestamp;

/// A request with its head; the body is not read yet.
#[derive(Clone, Copy)]
pub(super) struct IncomingRequest<'a> {
    pub(super) api: &'a Api,
    pub(super) listener: Listener,
    pub(super) head: &'a Parts,
    pub(super) context: &'a RequestContext,
}

/// A request whose caller is authenticated and authorized.
pub(super) struct AuthorizedRequest<'a> {
    pub(super) api: &'a Api,
    pub(super) head: &'a Parts,
    pub(super) context: &'a RequestContext,
    pub(super) caller: Arc<Caller>,
    /// The end of the caller's token.
    pub(super) until: Timestamp,
    pub(super) now: Timestamp,
}

impl AuthorizedRequest<'_> {
    /// Returns the user whose files the request is about.
    pub(super) fn user(&self) -> UserId {
        self.caller.user
    }
}
