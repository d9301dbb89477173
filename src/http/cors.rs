//! Which pages of other origins may call: those on the operator's list, and no others.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::limits;

const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer, \
     traceparent, x-request-id",
);
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, link, location, retry-after, x-request-id");

/// Adds what a browser must see before a page may read the answer, or send the request at all.
///
/// For an origin that is not on the list nothing is added, and the browser keeps the answer from the page.
pub(super) fn apply(
    allowed_origins: &[String],
    request: &HeaderMap,
    allow: Option<&'static str>,
    answer: &mut HeaderMap,
) {
    if allowed_origins.is_empty() {
        return;
    }
    // What is sent depends on it even where nothing is added.
    answer.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = request.get(ORIGIN) else { return };
    if !allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    match allow {
        Some(methods) if request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) => {
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(limits::CORS_MAX_AGE.as_secs()));
        }
        Some(_) | None => {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()));
        pairs.collect()
    }

    fn check(
        request: &[(&'static str, &str)],
        allow: Option<&'static str>,
        expected: &[(&'static str, &str)],
    ) {
        let mut answer = HeaderMap::new();
        apply(&["https://app.example".to_owned()], &headers(request), allow, &mut answer);
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
    fn another_origin_is_told_nothing() {
        check(&[("origin", "https://app.example.evil.example")], None, &[]);
        check(&[("origin", "null")], Some("GET"), &[]);
        check(
            &[("origin", "https://evil.example"), ("access-control-request-method", "POST")],
            Some("POST"),
            &[],
        );
        check(&[], None, &[]);
    }
}
