//! Whether the process lives, whether requests should come here, and its metrics.

use std::fmt::Write as _;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use crate::http::request::IncomingRequest;
use crate::http::routes::Listener;
use crate::http::wire::answers::{self, HandlerResult};
use crate::telemetry::health::{Part, PartState};

/// The format of the metrics, as Prometheus names it.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The process answers, so it lives. Says nothing of what it depends on: a restart would not help that.
pub(in crate::http) fn livez() -> HandlerResult {
    Ok(answers::text(StatusCode::OK, "ok\n"))
}

/// Whether requests should come here; `?verbose` lists the parts. Reasons are for operators only.
pub(in crate::http) fn readyz(request: IncomingRequest<'_>) -> HandlerResult {
    let health = &request.api.services.health;
    let (status, word) = match (health.is_ready(), health.is_draining()) {
        (true, _) => (StatusCode::OK, "ready"),
        (false, true) => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        (false, false) => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    let is_verbose =
        request.head.uri.query().is_some_and(|query| query == "verbose" || query.starts_with("verbose="));
    let mut text = String::new();
    for (part, state) in if is_verbose { health.states() } else { Vec::new() } {
        writeln!(text, "{}", line(part, &state, request.listener)).expect("text goes to memory");
    }
    writeln!(text, "{word}").expect("text goes to memory");
    Ok(answers::text(status, text))
}

/// One part. `[?]` is neither good nor bad: there is no reply yet.
fn line(part: Part, state: &PartState, listener: Listener) -> String {
    match (state, listener) {
        (PartState::Unasked, _) => format!("[?] {part} not asked yet"),
        (PartState::Awaited { .. }, Listener::Api) => format!("[?] {part} asked, no reply yet"),
        (PartState::Awaited { since }, Listener::Admin) => {
            format!("[?] {part} asked since {since}, no reply yet")
        }
        (PartState::Up, _) => format!("[+] {part} up"),
        (PartState::Down { .. }, Listener::Api) => format!("[-] {part} down: {}", part.cost()),
        (PartState::Down { reason, since }, Listener::Admin) => {
            format!("[-] {part} down since {since}: {}; {reason}", part.cost())
        }
    }
}

/// The metrics, as Prometheus reads them.
pub(in crate::http) fn metrics(request: IncomingRequest<'_>) -> HandlerResult {
    let mut response = answers::text(StatusCode::OK, (request.api.services.metrics)());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EXPOSITION));
    Ok(response)
}
