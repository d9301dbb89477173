//! `GET /`: the name of the service, its version, and links.

use hyper::StatusCode;
use serde::Serialize;

use crate::http::request::IncomingRequest;
use crate::http::routes::Listener;
use crate::http::wire::answers::{self, CachePolicy, HandlerResult};

#[derive(Serialize)]
struct RootView {
    name: &'static str,
    version: &'static str,
    links: &'static [Link],
}

#[derive(Serialize)]
struct Link {
    rel: &'static str,
    href: &'static str,
}

const API_LINKS: &[Link] = &[
    Link { rel: "upload", href: "/v1/files/presign-upload" },
    Link { rel: "files", href: "/v1/files" },
    Link { rel: "usage", href: "/v1/usage" },
    Link { rel: "history", href: "/v1/usage/ledger" },
    Link { rel: "events", href: "/v1/events" },
    Link { rel: "event-schemas", href: "/v1/schemas" },
    Link { rel: "errors", href: "/errors" },
    Link { rel: "alive", href: "/livez" },
    Link { rel: "ready", href: "/readyz" },
];

const ADMIN_LINKS: &[Link] = &[
    Link { rel: "alive", href: "/livez" },
    Link { rel: "ready", href: "/readyz?verbose" },
    Link { rel: "metrics", href: "/metrics" },
];

/// `GET /` of either port.
pub(in crate::http) fn show(request: IncomingRequest<'_>) -> HandlerResult {
    let links = match request.listener {
        Listener::Api => API_LINKS,
        Listener::Admin => ADMIN_LINKS,
    };
    let view = RootView { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), links };
    Ok(answers::json(StatusCode::OK, &view, CachePolicy::Revalidate, 1024))
}
