//! What is refused before `s3s` sees it: what S3 would refuse and `s3s` would not.

use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::failure::Failure;
use super::query;
use crate::net::Refusal;

/// Refuses a request by its head.
///
/// Heads that were refused before they were requests; form uploads, because their body would be read before their
/// signature; signature version 2, which no client here uses; and headers of S3 that are beside a presigned URL without being signed by it, because they would change what
/// the request does (`x-amz-copy-source` makes a copy of a PUT).
pub(super) fn check(head: &Parts) -> Result<(), Failure> {
    if let Some(refusal) = Refusal::of(head) {
        let (status, code) = if refusal.is_of_size() {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "RequestHeaderSectionTooLarge")
        } else {
            (StatusCode::BAD_REQUEST, "BadRequest")
        };
        return Err(Failure::new(status, code, refusal.detail()).with_header(CONNECTION, "close"));
    }
    if head.method == Method::POST && starts_with(&head.headers, CONTENT_TYPE.as_str(), "multipart/form-data")
    {
        let why = "form uploads are not allowed";
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", why));
    }
    if starts_with(&head.headers, AUTHORIZATION.as_str(), "aws ") {
        return Err(denied("only signature version 4 counts"));
    }
    let mut signed_headers = None;
    let mut is_presigned = false;
    for (name, value) in query::parameters(head.uri.query().unwrap_or_default()) {
        match name.as_str() {
            "AWSAccessKeyId" | "Signature" => {
                return Err(denied("only signature version 4 counts"));
            }
            "X-Amz-Signature" => is_presigned = true,
            "X-Amz-SignedHeaders" => signed_headers = Some(value),
            _ => {}
        }
    }
    if is_presigned { check_signed(&head.headers, &signed_headers.unwrap_or_default()) } else { Ok(()) }
}

/// Whether this is a link: signed in its query, for any client that has it.
pub(super) fn is_presigned(head: &Parts) -> bool {
    query::value(head.uri.query().unwrap_or_default(), "X-Amz-Signature").is_some()
}

fn check_signed(headers: &HeaderMap, signed: &str) -> Result<(), Failure> {
    let is_signed = |name: &str| signed.split(';').any(|signed| signed.eq_ignore_ascii_case(name));
    // The hash of the body is not signed, and is checked against the body.
    let must_be_signed = |name: &str| name.starts_with("x-amz-") && name != "x-amz-content-sha256";
    match headers.keys().map(|name| name.as_str()).find(|name| must_be_signed(name) && !is_signed(name)) {
        Some(name) => {
            let why = format!("the header {name} was not signed; leave it out, or sign it");
            Err(denied(&why).with("HeadersNotSigned", name))
        }
        None => Ok(()),
    }
}

fn denied(why: &str) -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "AccessDenied", why)
}

fn starts_with(headers: &HeaderMap, name: &str, start: &str) -> bool {
    let value = headers.get(name).map(|value| value.as_bytes().trim_ascii_start());
    value
        .and_then(|value| value.get(..start.len()))
        .is_some_and(|value| value.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    fn check(method: &str, uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let xml = super::check(&head).err()?.into_response().into_body().bytes().unwrap();
        let xml = String::from_utf8(xml.to_vec()).unwrap();
        let (_, code) = xml.split_once("<Code>").unwrap();
        code.split_once("</Code>").map(|(code, _)| code.to_owned())
    }

    const SIGNED: &str = "/b/k?X-Amz-SignedHeaders=host%3Bx-amz-meta-a&X-Amz-Signature=0";

    #[test]
    fn requests_in_form_pass() {
        assert_eq!(check("PUT", SIGNED, &[("x-amz-meta-a", "1"), ("x-amz-content-sha256", "0")]), None);
        assert_eq!(check("GET", "/", &[("authorization", "AWS4-HMAC-SHA256 …")]), None);
        assert_eq!(check("PUT", "/b/k", &[("x-amz-meta-a", "1")]), None, "its own signature covers it");
        assert_eq!(check("POST", "/b/k?uploads", &[]), None);
    }

    #[test]
    fn headers_beside_a_signed_url_are_refused() {
        let denied = Some("AccessDenied".to_owned());
        assert_eq!(check("PUT", SIGNED, &[("x-amz-copy-source", "/b/other")]), denied);
        assert_eq!(check("PUT", SIGNED, &[("x-amz-meta-b", "1")]), denied);
        assert_eq!(check("PUT", "/b/k?%58-Amz-Signature=0", &[("x-amz-acl", "public-read")]), denied);
    }

    #[test]
    fn forms_and_the_old_signature_are_refused() {
        let denied = Some("AccessDenied".to_owned());
        assert_eq!(check("GET", "/b/k?AWSAccessKeyId=a&Signature=b&Expires=1", &[]), denied);
        assert_eq!(check("GET", "/b/k?%53ignature=b", &[]), denied);
        assert_eq!(check("GET", "/b/k", &[("authorization", "AWS a:b")]), denied);
        let form = [("content-type", " Multipart/Form-Data; boundary=x")];
        assert_eq!(check("POST", "/b", &form), Some("MethodNotAllowed".to_owned()));
    }
}
