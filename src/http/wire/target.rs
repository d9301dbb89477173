//! Whether a request's head can be trusted, and the path it names. No path is ever normalised.

use std::borrow::Cow;

use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Version};
use percent_encoding::percent_decode_str;

use crate::http::error::Problem;
use crate::limits;
use crate::net::{Refusal, is_host, is_same_host, is_target};

/// Checks the head and returns the path, decoded once.
///
/// # Errors
/// `validation_failed` for a missing or repeated `Host`, a target that is not a plain path, and a path that
/// another server on the way could read differently; the connection is then closed.
pub(in crate::http) fn path_of(head: &Parts) -> Result<Cow<'_, str>, Problem> {
    check_head(head)?;
    check_host(head)?;
    check_framing(head)?;
    check_form(head)?;
    let raw = head.uri.path();
    if raw == "*" && head.method == Method::OPTIONS {
        return Ok(Cow::Borrowed(raw));
    }
    if !raw.starts_with('/') {
        return Err(refused("The target must be a path."));
    }
    let path = decoded(raw)?;
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment == "." || segment == ".." || (segment.is_empty() && !is_last) {
            return Err(refused("The path must not have empty or dot segments."));
        }
    }
    Ok(path)
}

/// What was refused before it was a request, and what only HTTP/2 lets through.
fn check_head(head: &Parts) -> Result<(), Problem> {
    match Refusal::of(head) {
        Some(refusal) if refusal.is_of_size() => Err(Problem::head_too_large(refusal.detail())),
        Some(refusal) => Err(Problem::malformed(refusal.part(), refusal.detail())),
        None if head.headers.len() > limits::HEADERS_MAX => {
            Err(Problem::head_too_large(Refusal::TooManyFields.detail()))
        }
        None => Ok(()),
    }
}

/// Heads of HTTP/1.1 were looked at before; this is for what HTTP/2 lets through.
fn check_form(head: &Parts) -> Result<(), Problem> {
    if is_target(&head.uri) { Ok(()) } else { Err(refused(Refusal::Target.detail())) }
}

fn decoded(raw: &str) -> Result<Cow<'_, str>, Problem> {
    let path = if raw.contains('%') {
        let slash_free = !raw.contains("%2f") && !raw.contains("%2F");
        let path = percent_decode_str(raw).decode_utf8();
        path.ok().filter(|_| slash_free).ok_or_else(|| refused("The path must not hide bytes."))?
    } else {
        Cow::Borrowed(raw)
    };
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return Err(refused("The path must not hold control characters or backslashes."));
    }
    Ok(path)
}

fn check_host(head: &Parts) -> Result<(), Problem> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Problem::malformed("host", "There must be one Host header."));
    }
    // `:authority` of HTTP/2 names the host in place of the header, or both name the same (RFC 9113 section 8.3.1).
    let authority = head.uri.authority().filter(|_| head.version == Version::HTTP_2);
    let is_needed = matches!(head.version, Version::HTTP_11 | Version::HTTP_2) && authority.is_none();
    if host.is_none() && is_needed {
        return Err(Problem::malformed("host", "A Host header is needed."));
    }
    if host.is_some_and(|host| !host.to_str().is_ok_and(is_host)) {
        return Err(Problem::malformed("host", "The Host header must name one host."));
    }
    let is_same = |authority: &Authority, host: &HeaderValue| {
        host.to_str().is_ok_and(|host| is_same_host(authority.as_str(), host, head.uri.scheme()))
    };
    if authority.zip(host).is_some_and(|(authority, host)| !is_same(authority, host)) {
        return Err(Problem::malformed("host", "The Host header and :authority must name the same host."));
    }
    Ok(())
}

/// The length of the body must be declared in one way. Heads of HTTP/1.1 were looked at before; this is for what HTTP/2 lets
/// through.
fn check_framing(head: &Parts) -> Result<(), Problem> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let is_chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    if is_chunked && codings.next().is_none() && !head.headers.contains_key(CONTENT_LENGTH) {
        return Ok(());
    }
    Err(Problem::malformed("transfer-encoding", "Transfer-Encoding must be chunked, and alone."))
}

fn refused(detail: &'static str) -> Problem {
    Problem::malformed("target", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn head(target: &str, hosts: &[&str]) -> Parts {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn check(target: &str, expected: Option<&str>) {
        let head = head(target, &["files.example"]);
        assert_eq!(path_of(&head).ok().as_deref(), expected, "{target}");
    }

    #[test]
    fn a_path_is_decoded_once_and_never_normalised() {
        check("/v1/files", Some("/v1/files"));
        check("/v1/files/", Some("/v1/files/"));
        check("/%761/files?x=%2f..", Some("/v1/files"));
        check("/v1/%2576", Some("/v1/%76"));
        check("/", Some("/"));
    }

    #[test]
    fn a_path_that_can_be_read_in_two_ways_is_refused() {
        check("/v1/../admin", None);
        check("/v1/%2e%2e/admin", None);
        check("/v1/./files", None);
        check("//v1/files", None);
        check("/v1//files", None);
        check("/v1%2ffiles", None);
        check("/v1%5cfiles", None);
        check("/v1/%00", None);
        check("/v1/%0d%0aset-cookie:x", None);
        check("/v1/%ff", None);
    }

    #[test]
    fn a_target_that_is_not_a_path_is_refused() {
        check("*", None);
        check("files.example:443", None);
        check("ftp://files.example/v1/files", None);
        check("http://user@files.example/v1/files", None);
        check("http://files.example:70000/v1/files", None);
    }

    #[test]
    fn a_target_may_be_a_url_and_options_of_everything() {
        check("http://files.example/v1/files?size=1", Some("/v1/files"));
        check("https://files.example:8443/v1/files", Some("/v1/files"));
        check("http://files.example", Some("/"));
        let mut all = head("*", &["files.example"]);
        all.method = Method::OPTIONS;
        assert_eq!(path_of(&all).ok().as_deref(), Some("*"));
    }

    #[test]
    fn there_is_exactly_one_host() {
        for hosts in [&[][..], &["a", "b"], &["a", "a"], &["a, b"], &["a b@c/"], &[""]] {
            assert!(path_of(&head("/v1/files", hosts)).is_err(), "{hosts:?}");
        }
    }

    #[test]
    fn authority_and_host_of_http2_name_one_host() {
        for (target, hosts, expected) in [
            ("http://a/livez", &[][..], true),
            ("http://a/livez", &["a"], true),
            ("http://A:80/livez", &["a"], true),
            ("/livez", &["a"], true),
            ("/livez", &[], false),
            ("http://a/livez", &["b"], false),
            ("http://a:81/livez", &["a"], false),
            ("http://a/livez", &["a", "a"], false),
        ] {
            let mut head = head(target, hosts);
            head.version = Version::HTTP_2;
            assert_eq!(path_of(&head).is_ok(), expected, "{target} {hosts:?}");
        }
        let http1 = head("http://a/livez", &["b"]);
        assert!(path_of(&http1).is_ok(), "a URL as the target of HTTP/1.1 wins over the header");
    }
}
