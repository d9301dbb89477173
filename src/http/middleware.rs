//! What every request goes through: its id, routing, the guard against panics, the headers of every answer,
//! counting and the access log.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::time::Instant;
use tracing::field::display;
use tracing::{error, info, warn};

use super::dispatch;
use super::error::{ErrorCode, Problem};
use super::request::IncomingRequest;
use super::routes::{self, AnswerSize, Endpoint, Ids, Listener, PathMatch, Template};
use super::services::Api;
use super::wire::answers::{self, HandlerResult};
use super::wire::body::{self, Body};
use super::wire::context::{RequestContext, X_REQUEST_ID};
use super::wire::exchange::Exchange;
use super::wire::problems::{self, Style};
use super::wire::{cors, target};
use crate::telemetry::names;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Answers one request; a failure or a panic is an answer too.
pub(super) async fn answer(
    api: &Api,
    listener: Listener,
    mut exchange: Exchange,
    request: Request<Incoming>,
) -> Response<Body> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let mut body = exchange.awaits(body);
    let context = RequestContext::of(&head.headers, || api.services.clock.op_id().uuid());
    let (template, endpoint) = endpoint_of(listener, &head, &context);
    let request = IncomingRequest { api, listener, head: &head, context: &context };
    let (allow, outcome) = match endpoint {
        Ok((Endpoint::Options(allow), _)) => (
            Some(allow),
            exchange
                .reserve(AnswerSize::Small.bytes_about())
                .await
                .map(|()| answers::empty(StatusCode::NO_CONTENT, [(ALLOW, HeaderValue::from_static(allow))])),
        ),
        Ok((Endpoint::Row(row), ids)) => (
            None,
            match exchange.reserve(row.size.bytes_about()).await {
                Ok(()) => guarded(dispatch::run(request, (row, ids), &mut body)).await,
                Err(problem) => Err(problem),
            },
        ),
        Err(problem) => (None, Err(problem)),
    };
    let code = outcome.as_ref().err().map(|problem| problem.code().as_str());
    let is_over = outcome.as_ref().is_err_and(Problem::closes);
    let can_go_on = !is_over && body::drain(&mut body, &head.headers).await;
    let mut response = outcome.unwrap_or_else(|problem| {
        log_failure(&problem, &context);
        let public_url = &api.services.options.public_url;
        let style = Style { is_minimal: wants_minimal(&head.headers), public_url };
        problems::respond(&problem, &context, style)
    });
    if !can_go_on && head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    finish(&mut response, &head, &context);
    if listener == Listener::Api {
        let refused = cors::apply(&api.services.options, &head, allow, &mut response);
        if let Some(origin) = refused {
            api.refused_origins.warn(origin, began);
        }
    }
    response.body_mut().hold(exchange);
    let took = began.elapsed();
    api.meters.answered(template, &head.method, response.status(), took);
    log_access(&head, &context, Answered { template, status: response.status(), took, code });
    response
}

/// Finds the template of a request, and what answers it with the ids of the path.
fn endpoint_of(
    listener: Listener,
    head: &Parts,
    context: &RequestContext,
) -> (Template, Result<(Endpoint, Ids), Problem>) {
    let path = match target::path_of(head) {
        Ok(path) => path,
        Err(problem) => return (Template::Unmatched, Err(problem)),
    };
    let PathMatch { template, ids } = routes::resolve(listener, &path);
    if let Some(file) = ids.file {
        context.note_file(file);
    }
    let endpoint = match routes::find(&head.method, template) {
        // The request itself then gets the refusal, and the page can read it.
        Err(_) if listener == Listener::Api && cors::is_preflight(head) => {
            Ok(Endpoint::Options(Template::Server.allow()))
        }
        found => found,
    };
    (template, endpoint.map(|endpoint| (endpoint, ids)))
}

/// How a request was answered.
struct Answered {
    template: Template,
    status: StatusCode,
    took: Duration,
    /// The problem, if it was one.
    code: Option<&'static str>,
}

fn log_access(head: &Parts, context: &RequestContext, answered: Answered) {
    let (route, status) = (answered.template.as_str(), answered.status.as_u16());
    info!(
        target: "wharfinger::access",
        method = %head.method,
        route,
        status,
        code = answered.code,
        took_us = u64::try_from(answered.took.as_micros()).unwrap_or(u64::MAX),
        request_id = context.request_id(),
        trace_id = context.trace_id(),
        user_id = context.user().map(display),
        file_id = context.file().map(display),
        "{} {route} {status}", head.method,
    );
}

/// Runs a handler; a panic in it is an answer too.
fn guarded(work: impl Future<Output = HandlerResult>) -> impl Future<Output = HandlerResult> {
    // A handler holds no state that outlives it, so nothing half-changed can be seen afterwards.
    AssertUnwindSafe(work).catch_unwind().map(|caught| caught.unwrap_or_else(|panic| Err(internal(&*panic))))
}

fn internal(panic: &(dyn Any + Send)) -> Problem {
    metrics::counter!(names::HTTP_PANICS_TOTAL).increment(1);
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Problem::new(ErrorCode::Internal).because(&format!("panic: {}", text.unwrap_or("no text")))
}

/// Adds the headers of every answer.
fn finish(response: &mut Response<Body>, head: &Parts, context: &RequestContext) {
    if head.method == Method::HEAD {
        if let Some(len_bytes) = response.body().len() {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(len_bytes));
        }
        response.body_mut().clear();
    }
    let headers = response.headers_mut();
    headers.insert(X_REQUEST_ID, context.header());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Logs failures that an operator can act on. Mistakes of clients are in the access log.
fn log_failure(problem: &Problem, context: &RequestContext) {
    let (status, code) = (problem.code().status(), problem.code().as_str());
    let cause = problem.cause().unwrap_or_else(|| problem.code().title());
    let (request_id, trace_id) = (context.request_id(), context.trace_id());
    let (user_id, file_id) = (context.user().map(display), context.file().map(display));
    if problem.code() == ErrorCode::Internal {
        error!(request_id, trace_id, user_id, file_id, code, "request failed: {cause}");
    } else if status.is_server_error() {
        warn!(request_id, trace_id, user_id, file_id, code, "request refused: {cause}");
    }
}

/// `Prefer: return=minimal` (RFC 7240).
fn wants_minimal(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    lines.any(|line| {
        line.split(',').any(|preference| preference.trim().eq_ignore_ascii_case("return=minimal"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error() {
        let outcome = guarded(async { panic!("the ledger is at 10.0.0.7") }).await;
        let problem = outcome.err().unwrap();
        assert_eq!(problem.code(), ErrorCode::Internal);
        assert_eq!(problem.cause(), Some("panic: the ledger is at 10.0.0.7"));
    }

    #[test]
    fn minimal_is_a_preference_among_others() {
        for (value, expected) in [
            ("return=minimal", true),
            ("respond-async, Return=Minimal", true),
            ("return=representation", false),
        ] {
            let headers = HeaderMap::from_iter([(PREFER, HeaderValue::from_static(value))]);
            assert_eq!(wants_minimal(&headers), expected, "{value}");
        }
    }

    fn bytes_of<F>(_: impl FnOnce(&'static Api, Listener, Exchange, Request<Incoming>) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// Every connection has room for it, and every request moves it a few times.
    #[test]
    fn a_request_that_is_being_answered_is_small() {
        let bytes = bytes_of(answer);
        assert!(bytes <= 8192, "{bytes} bytes: box what is large and rare in it");
    }
}
