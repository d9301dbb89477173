//! Problems on the wire (RFC 9457).

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;
use super::context::RequestContext;
use crate::http::error::{ErrorCode, More, Problem};

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The form of a problem that the client asked for.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Style<'a> {
    /// `Prefer: return=minimal`.
    pub(in crate::http) is_minimal: bool,
    /// How clients reach us, without a final slash.
    pub(in crate::http) public_url: &'a str,
}

#[derive(Serialize)]
struct Full<'a> {
    r#type: &'a str,
    title: &'a str,
    hint: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    code: &'a str,
    error: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    retryable: bool,
    #[serde(flatten)]
    more: Option<&'a More>,
}

#[derive(Serialize)]
struct Minimal<'a> {
    error: &'a str,
}

/// Renders a problem as an answer.
pub(in crate::http) fn respond(
    problem: &Problem,
    context: &RequestContext,
    style: Style<'_>,
) -> Response<Body> {
    let code = problem.code();
    let body = if style.is_minimal { minimal(code) } else { full(problem, context, style.public_url) };
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = code.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if style.is_minimal {
        headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static("return=minimal"));
    }
    if let Some(secs) = code.retry_after_secs() {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    if let More::Allow(allow) = problem.more {
        headers.insert(ALLOW, HeaderValue::from_static(allow));
    }
    if let Some(challenge) = challenge(code) {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn full(problem: &Problem, context: &RequestContext, public_url: &str) -> Vec<u8> {
    let code = problem.code().as_str();
    let status = problem.code().status();
    let full = Full {
        r#type: &format!("{public_url}{}", problem.code().page()),
        title: problem.code().title(),
        hint: problem.code().hint(),
        status: status.as_u16(),
        detail: &problem.detail,
        pointer: problem.pointer.as_deref(),
        instance: context.urn(),
        code,
        error: status.canonical_reason().unwrap_or("Error"),
        request_id: context.request_id(),
        trace_id: context.trace_id(),
        retryable: problem.code().is_retryable(),
        more: (!matches!(problem.more, More::Nothing | More::Allow(_))).then_some(&problem.more),
    };
    serde_json::to_vec(&full).expect("strings and numbers are JSON")
}

fn minimal(code: ErrorCode) -> Vec<u8> {
    let error = code.status().canonical_reason().unwrap_or("Error");
    serde_json::to_vec(&Minimal { error }).expect("a string is JSON")
}

/// The challenge of a 401 (RFC 6750 section 3).
fn challenge(code: ErrorCode) -> Option<&'static str> {
    if code == ErrorCode::TokenMissing {
        Some("Bearer")
    } else if code.status() == StatusCode::UNAUTHORIZED {
        Some("Bearer error=\"invalid_token\"")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
