//! What `GET /` says: which service this is, and where to go on.

use hyper::{Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Keep};
use super::body::Body;
use super::services::Door;

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
pub(super) fn show(door: Door) -> Response<Body> {
    let links = match door {
        Door::Api => API_LINKS,
        Door::Admin => ADMIN_LINKS,
    };
    let view = RootView { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), links };
    answer::json(StatusCode::OK, &view, Keep::Checked, 1024)
}
