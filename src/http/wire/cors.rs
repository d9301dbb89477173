//! Which pages of other origins may call: those on the operator's list, and no others.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Response};

use crate::domain::origins;
use crate::http::auth::is_own_origin;
use crate::http::options::HttpOptions;
use crate::limits;

/// What a page may set: what the routes read, and what tracing and caching libraries add.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, baggage, cache-control, content-type, idempotency-key, if-match, if-none-match, if-range, \
     last-event-id, pragma, prefer, range, sentry-trace, traceparent, tracestate, x-request-id, \
     x-requested-with",
);
/// What a page may read, beside what it may read of any answer.
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static(
    "allow, content-disposition, etag, link, location, preference-applied, retry-after, www-authenticate, \
     x-request-id",
);

/// Whether a browser asks if a page may send a request.
pub(in crate::http) fn is_preflight(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds what a browser must see before a page may read the answer, or send the request at all. `allow` lists the
/// methods of the path if the request asks for them.
///
/// For an origin that is not on the list nothing is added, and the browser keeps the answer from the page. Such an
/// origin is returned.
pub(in crate::http) fn apply<'a, B>(
    options: &HttpOptions,
    head: &'a Parts,
    allow: Option<&'static str>,
    answer: &mut Response<B>,
) -> Option<&'a str> {
    let answer = answer.headers_mut();
    if !options.allowed_origins.is_empty() {
        // What is sent depends on it even where nothing is added.
        answer.append(VARY, HeaderValue::from_static("origin"));
    }
    let value = head.headers.get(ORIGIN)?;
    let origin = value.to_str().ok()?;
    if !origins::allows(&options.allowed_origins, origin) {
        return (!is_own_origin(origin, head, &options.public_url)).then_some(origin);
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, value.clone());
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    match allow {
        Some(methods) if head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) => {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(limits::CORS_MAX_AGE.as_secs()));
        }
        Some(_) | None => {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use hyper::HeaderMap;

    fn head(request: &[(&str, &str)]) -> Parts {
        let mut builder = hyper::Request::builder().method("OPTIONS").uri("/v1/files");
        for (name, value) in request {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    /// What the answer says, and which origin was refused.
    fn applied(allowed: &[&str], head: &Parts, allow: Option<&'static str>) -> (HeaderMap, Option<String>) {
        let mut config = Config::default();
        config.http.public_url = "https://files.example".to_owned();
        config.http.allowed_origins = allowed.iter().map(|one| (*one).to_owned()).collect();
        let mut answer = Response::new(());
        let refused = apply(&HttpOptions::from_config(&config, [0; 32]), head, allow, &mut answer);
        (answer.headers().clone(), refused.map(str::to_owned))
    }

    fn check(
        request: &[(&'static str, &str)],
        allow: Option<&'static str>,
        expected: &[(&'static str, &str)],
    ) {
        let (mut answer, _) = applied(&["https://app.example"], &head(request), allow);
        for (name, value) in expected {
            assert_eq!(
                answer.get(*name).map(HeaderValue::as_bytes),
                Some(value.as_bytes()),
                "{request:?}: {name}"
            );
        }
        if expected.is_empty() {
            answer.remove(VARY);
            assert!(answer.is_empty(), "{request:?}: {answer:?}");
        }
    }

    #[test]
    fn a_listed_origin_may_read_and_ask() {
        check(
            &[("origin", "https://app.example")],
            None,
            &[
                ("access-control-allow-origin", "https://app.example"),
                ("access-control-allow-credentials", "true"),
                ("vary", "origin"),
            ],
        );
        check(
            &[("origin", "https://app.example"), ("access-control-request-method", "POST")],
            Some("GET, POST"),
            &[("access-control-allow-methods", "GET, POST"), ("access-control-max-age", "600")],
        );
    }

    #[test]
    fn another_origin_gets_nothing() {
        check(&[("origin", "https://app.example.evil.example")], None, &[]);
        check(&[("origin", "null")], Some("GET"), &[]);
        check(
            &[("origin", "https://evil.example"), ("access-control-request-method", "POST")],
            Some("POST"),
            &[],
        );
        check(&[], None, &[]);
    }

    #[test]
    fn a_page_may_set_what_tracing_and_caching_libraries_add() {
        let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
        let (answer, _) = applied(&["https://app.example"], &head(&preflight), Some("GET"));
        let allowed = answer["access-control-allow-headers"].to_str().unwrap();
        let allowed: Vec<&str> = allowed.split(", ").collect();
        for name in [
            "authorization",
            "baggage",
            "cache-control",
            "content-type",
            "idempotency-key",
            "if-match",
            "if-none-match",
            "if-range",
            "last-event-id",
            "range",
            "sentry-trace",
            "traceparent",
            "tracestate",
            "x-requested-with",
        ] {
            assert!(allowed.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_refused_origin_is_named_unless_it_is_our_own() {
        let refused = |allowed: &[&str], request: &[(&str, &str)]| applied(allowed, &head(request), None).1;
        let evil = [("origin", "https://evil.example")];
        assert_eq!(refused(&["https://app.example"], &evil).as_deref(), Some("https://evil.example"));
        assert_eq!(refused(&[], &evil).as_deref(), Some("https://evil.example"));
        assert_eq!(refused(&["https://evil.example"], &evil), None);
        assert_eq!(refused(&[], &[("origin", "https://files.example")]), None, "the public URL");
        assert_eq!(refused(&[], &[("origin", "http://a:8080"), ("host", "a:8080")]), None, "the same host");
        assert_eq!(refused(&[], &[]), None);
        assert_eq!(refused(&["loopback"], &[("origin", "http://localhost:5173")]), None);
    }
}
