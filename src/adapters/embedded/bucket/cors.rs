//! Pages of other origins: the rules of the bucket, which are the same for every object.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use s3s::Body;

use super::failure::Failure;
use crate::adapters::pages;
use crate::limits;

use crate::domain::origins;

const METHODS: HeaderValue = HeaderValue::from_static("PUT, GET, HEAD");
const VARY_ON: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");

/// The origin of a request, if its pages may call us.
pub(super) fn allowed_origin(allowed: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    origins::allows(allowed, origin.to_str().ok()?).then(|| origin.clone())
}

/// The answer to a preflight; none if the request is none.
pub(super) fn preflight(head: &Parts, origin: Option<&HeaderValue>) -> Option<Response<Body>> {
    if head.method != Method::OPTIONS {
        return None;
    }
    let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let mut answer = match (refusal(head, origin.is_some()), origin) {
        (None, Some(origin)) => {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::NO_CONTENT;
            let headers = answer.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(limits::CORS_MAX_AGE.as_secs()));
            if let Some(wanted) = wanted {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
            }
            answer
        }
        (why, _) => {
            let why = format!("CORSResponse: {}", why.unwrap_or_default());
            Failure::new(StatusCode::FORBIDDEN, "AccessForbidden", why).into_response()
        }
    };
    answer.headers_mut().insert(VARY, VARY_ON);
    Some(answer)
}

/// Why a page may not send what a preflight asks for.
fn refusal(head: &Parts, is_allowed_origin: bool) -> Option<String> {
    if !is_allowed_origin {
        return Some("pages of this origin may not call this bucket".to_owned());
    }
    match head.headers.get(ACCESS_CONTROL_REQUEST_METHOD).map(HeaderValue::as_bytes) {
        Some(b"PUT" | b"GET" | b"HEAD") => {}
        Some(_) | None => return Some("pages may send PUT, GET and HEAD".to_owned()),
    }
    let wanted = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS)?;
    let Ok(names) = wanted.to_str() else { return Some("the names of headers are not ASCII".to_owned()) };
    // A list may hold empty members.
    let mut names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.find(|name| !pages::may_send(name)).map(|name| format!("pages may not send the header {name}"))
}

/// Lets a page of an allowed origin read the answer.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, VARY_ON);
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Ok(exposed) = HeaderValue::try_from(pages::ANSWER_HEADERS.join(", ")) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
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
        let answer = preflight(&head, origin.as_ref()).unwrap();
        assert!(answer.headers().contains_key(VARY));
        let allowed = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        (answer.status().as_u16(), allowed.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn an_allowed_origin_may_send_what_is_signed() {
        let yes = (204, Some("https://app.example".to_owned()));
        let headers = "content-type,if-none-match, x-amz-checksum-sha256,X-Amz-Meta-Size";
        assert_eq!(check("https://app.example", "PUT", headers), yes);
        let traced =
            "traceparent, tracestate, baggage, sentry-trace, if-range, cache-control, range, content-md5";
        assert_eq!(check("https://app.example", "GET", traced), yes);
        assert_eq!(check("https://app.example", "HEAD", ""), yes);
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
