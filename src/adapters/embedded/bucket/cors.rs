//! Pages of other origins: the rules of the bucket, which are the same for every object.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("PUT, GET, HEAD");
const EXPOSED: HeaderValue = HeaderValue::from_static("ETag");
/// How long a browser may remember a preflight, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const VARY_ON: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// The origin of a request, if its pages may call us.
pub(super) fn allowed_origin(allowed: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    allowed.iter().any(|one| one.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// The answer to a preflight; none if the request is none.
pub(super) fn preflight<B: Default>(head: &Parts, origin: Option<&HeaderValue>) -> Option<Response<B>> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let mut answer = Response::new(B::default());
    answer.headers_mut().insert(VARY, VARY_ON);
    let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let method = head.headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes);
    let is_allowed = matches!(method, Some(b"PUT" | b"GET" | b"HEAD"))
        && wanted
            .is_none_or(|wanted| wanted.to_str().is_ok_and(|names| names.split(',').all(is_header_allowed)));
    match origin.filter(|_| is_allowed) {
        Some(origin) => {
            *answer.status_mut() = StatusCode::NO_CONTENT;
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
        }
        None => *answer.status_mut() = StatusCode::FORBIDDEN,
    }
    Some(answer)
}

/// Lets a page of an allowed origin read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, VARY_ON);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}

/// The headers of a signed request.
fn is_header_allowed(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    matches!(name.as_str(), "content-type" | "content-md5" | "if-none-match" | "range")
        || name.strip_prefix("x-amz-").is_some_and(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status and allowed origin of a preflight.
    fn check(origin: &str, method: &str, headers: &str) -> (u16, Option<String>) {
        let request = hyper::Request::builder()
            .method("OPTIONS")
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", headers);
        let (head, ()) = request.body(()).unwrap().into_parts();
        let allowed = ["https://app.example".to_owned()];
        let origin = allowed_origin(&allowed, &head.headers);
        let answer = preflight::<String>(&head, origin.as_ref()).unwrap();
        assert!(answer.headers().contains_key(VARY));
        let allowed = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        (answer.status().as_u16(), allowed.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn an_allowed_origin_may_send_what_is_signed() {
        let yes = (204, Some("https://app.example".to_owned()));
        let headers = "content-type,if-none-match, x-amz-checksum-sha256,X-Amz-Meta-Size";
        assert_eq!(check("https://app.example", "PUT", headers), yes);
    }

    #[test]
    fn others_and_other_things_are_refused() {
        for (origin, method, headers) in [
            ("https://app.example.evil", "PUT", "content-type"),
            ("null", "GET", "range"),
            ("https://app.example", "DELETE", "content-type"),
            ("https://app.example", "PUT", "authorization"),
            ("https://app.example", "PUT", "x-amz-"),
        ] {
            assert_eq!(check(origin, method, headers), (403, None), "{origin} {method} {headers}");
        }
    }
}
