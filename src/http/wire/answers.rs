//! The shapes of answers.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::json;
use crate::http::error::{ErrorCode, Problem};

/// The result of a handler.
pub(in crate::http) type HandlerResult = Result<Response<Body>, Problem>;

/// How long a cache may keep an answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) enum CachePolicy {
    /// Not at all: it holds a signed URL, or is out of date at once.
    NoStore,
    /// By the caller, who must ask again before using it.
    Revalidate,
}

impl CachePolicy {
    /// Returns the value of `Cache-Control`.
    pub(in crate::http) const fn header(self) -> HeaderValue {
        match self {
            Self::NoStore => HeaderValue::from_static("no-store"),
            Self::Revalidate => HeaderValue::from_static("private, no-cache"),
        }
    }
}

/// A value as JSON; `bytes_about` is a guess of its size.
pub(in crate::http) fn json(
    status: StatusCode,
    value: &impl Serialize,
    cache: CachePolicy,
    bytes_about: usize,
) -> Response<Body> {
    let mut response = Response::new(Body::full(json::to_vec(value, bytes_about)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, cache.header());
    response
}

/// Adds the link to the next page of a list.
///
/// # Errors
/// `internal`: the target is not a valid header value.
pub(in crate::http) fn link_next(response: &mut Response<Body>, target: &str) -> Result<(), Problem> {
    let link = HeaderValue::try_from(format!("<{target}>; rel=\"next\""));
    let link = link.map_err(|error| Problem::new(ErrorCode::Internal).because(&error))?;
    response.headers_mut().insert(LINK, link);
    Ok(())
}

/// Makes an answer of plain text that no cache keeps.
pub(in crate::http) fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, CachePolicy::NoStore.header());
    response
}

/// Makes an answer without a body.
pub(in crate::http) fn empty<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().extend(headers);
    response
}
