//! Whether a complete head of an HTTP/1.1 request can be trusted, and what a request is answered with whose head cannot.
//!
//! The parser answers a head that it cannot read with a bare status line. Heads are therefore looked at before, and one that
//! must be refused is replaced by a short one that says why: it is answered like any other request.

use std::net::Ipv6Addr;

use hyper::Uri;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::{PathAndQuery, Scheme};

use crate::limits;

/// The method of the head that replaces a refused one. A client that sends it itself is refused as well.
const METHOD: &str = "-";
const REASON: HeaderName = HeaderName::from_static("x-wharf-refused-head");

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A line does not end as it should.
    Line,
    /// It is no head of HTTP/1.1.
    Syntax,
    /// The target is none that is taken: see [`is_target`].
    Target,
    /// There is not exactly one `Host` that names a host.
    Host,
    /// `Content-Length` is no number, or is there twice.
    Length,
    /// `Transfer-Encoding` is not `chunked` alone.
    Coding,
    /// There are more than [`limits::HEADERS_MAX`] fields.
    TooManyFields,
    /// It has more than [`limits::HEAD_BYTES_MAX`] bytes.
    TooLong,
}

impl Refusal {
    const ALL: [Self; 8] = [
        Self::Line,
        Self::Syntax,
        Self::Target,
        Self::Host,
        Self::Length,
        Self::Coding,
        Self::TooManyFields,
        Self::TooLong,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Syntax => "syntax",
            Self::Target => "target",
            Self::Host => "host",
            Self::Length => "length",
            Self::Coding => "coding",
            Self::TooManyFields => "fields",
            Self::TooLong => "long",
        }
    }

    /// Why the head of this request was refused; none if it was not.
    #[must_use]
    pub fn of(head: &Parts) -> Option<Self> {
        if head.method.as_str() != METHOD {
            return None;
        }
        let word = head.headers.get(REASON)?;
        Self::ALL.into_iter().find(|refusal| word == refusal.word())
    }

    /// Whether there is too much of it, rather than something wrong in it.
    #[must_use]
    pub const fn is_of_size(self) -> bool {
        matches!(self, Self::TooManyFields | Self::TooLong)
    }

    /// Which part of the head is wrong.
    #[must_use]
    pub const fn part(self) -> &'static str {
        match self {
            Self::Line | Self::Syntax | Self::TooManyFields | Self::TooLong => "head",
            Self::Target => "target",
            Self::Host => "host",
            Self::Length => "content-length",
            Self::Coding => "transfer-encoding",
        }
    }

    /// What is wrong, in a sentence.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Line => "Every line of a head must end with CR and LF, and hold neither elsewhere.",
            Self::Syntax => "The head cannot be read as HTTP/1.1.",
            Self::Target => {
                "The target must be a path or an HTTP URL of a host, without a user and a fragment."
            }
            Self::Host => "There must be one Host header, and it must name one host.",
            Self::Length => "There must be one Content-Length, in digits.",
            Self::Coding => "Transfer-Encoding must be chunked, and alone.",
            Self::TooManyFields => "At most 100 header fields are taken.",
            Self::TooLong => "At most 16 KiB of a head are taken.",
        }
    }

    /// The head that replaces the refused one.
    pub(super) fn head(self) -> Vec<u8> {
        format!("{METHOD} / HTTP/1.1\r\nhost: refused\r\n{REASON}: {}\r\n\r\n", self.word()).into_bytes()
    }
}

/// Looks at a complete head, its last empty line included.
pub(super) fn check(head: &[u8]) -> Result<(), Refusal> {
    if head.len() > limits::HEAD_BYTES_MAX {
        return Err(Refusal::TooLong);
    }
    let mut fields = [httparse::EMPTY_HEADER; limits::HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyFields),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Syntax),
    }
    let target = request.path.unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._~-%?=&+:".contains(&byte);
    let is_path = target.starts_with('/') && target.bytes().all(is_plain);
    // Parsing a URI drops its fragment, so that is looked for before.
    if !is_path && (target.contains('#') || !target.parse::<Uri>().is_ok_and(|uri| is_target(&uri))) {
        return Err(Refusal::Target);
    }
    check_fields(request.headers, request.version == Some(1))
}

fn check_fields(fields: &[httparse::Header<'_>], is_1_1: bool) -> Result<(), Refusal> {
    let (mut hosts, mut lengths, mut codings) = (0, 0, 0);
    for field in fields {
        if field.name.eq_ignore_ascii_case("host") {
            hosts += 1;
            if !std::str::from_utf8(field.value).is_ok_and(is_host) {
                return Err(Refusal::Host);
            }
        } else if field.name.eq_ignore_ascii_case("content-length") {
            lengths += 1;
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            codings += 1;
            if !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Coding);
            }
        }
    }
    if codings > 1 || (codings == 1 && (lengths > 0 || !is_1_1)) {
        return Err(Refusal::Coding);
    }
    if hosts > 1 || (hosts == 0 && is_1_1) {
        return Err(Refusal::Host);
    }
    Ok(())
}

/// Whether a listener takes this target: a path, `*`, or an HTTP URL of a host without a user (RFC 9112 section 3.2).
/// `CONNECT` names an authority alone, which is not taken.
#[must_use]
pub fn is_target(uri: &Uri) -> bool {
    match (uri.scheme(), uri.authority()) {
        (None, None) => true,
        (Some(scheme), Some(authority)) => {
            (*scheme == Scheme::HTTP || *scheme == Scheme::HTTPS) && is_host(authority.as_str())
        }
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Lets the host of a URL in the target decide, as RFC 9112 section 3.2.2 asks: it replaces `Host`, and the target
/// becomes a path.
pub fn apply_target_host(head: &mut Parts) {
    let Some(authority) = head.uri.authority() else { return };
    let Ok(host) = HeaderValue::from_str(authority.as_str()) else { return };
    head.headers.insert(HOST, host);
    let path = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if let Ok(uri) = path.parse() {
        head.uri = uri;
    }
}

/// Whether two hosts with or without a port are the same. The default port of the scheme may be left out.
#[must_use]
pub fn is_same_host(one: &str, other: &str, scheme: Option<&Scheme>) -> bool {
    let default_port = if scheme == Some(&Scheme::HTTPS) { ":443" } else { ":80" };
    let plain = |host: &str| {
        let host = host.strip_suffix(default_port).or_else(|| host.strip_suffix(':')).unwrap_or(host);
        host.to_ascii_lowercase()
    };
    plain(one) == plain(other)
}

/// Whether this names a host, perhaps with a port: a name, an IPv4 address, or an IPv6 address in brackets.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, rest)) = rest.split_once(']') else { return false };
            (
                address.parse::<Ipv6Addr>().is_ok(),
                rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")),
            )
        }
        None => {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte);
            (!name.is_empty() && name.bytes().all(is_of_name), Some(port))
        }
    };
    let is_port = |port: &str| port.is_empty() || (port.parse::<u16>().is_ok() && !port.starts_with('+'));
    host && port.is_some_and(is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_a_port() {
        for host in ["a", "files.example:8080", "10.0.0.7", "[::1]", "[2001:db8::1]:443", "a:", "my_host"] {
            assert!(is_host(host), "{host}");
        }
        for bad in [
            "", ":80", "a b", "a b@c/", "user@a", "a/", "a:b", "a:70000", "a:+1", "[::1", "[x]", "[::1]a",
            "a,b", "ü",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    fn check_one(rest: &str, expected: Result<(), Refusal>) {
        assert_eq!(check(format!("{rest}\r\n\r\n").as_bytes()), expected, "{rest}");
    }

    #[test]
    fn a_head_is_refused_for_what_is_wrong_in_it() {
        check_one("GET / HTTP/1.1\r\nHost: a", Ok(()));
        check_one("GET / HTTP/1.0", Ok(()));
        check_one("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked", Ok(()));
        check_one("nonsense", Err(Refusal::Syntax));
        check_one("GET / HTTP/2.0\r\nHost: a", Err(Refusal::Syntax));
        check_one("GET / HTTP/1.1\r\nHost: a\r\nX : y", Err(Refusal::Syntax));
        check_one("GET http:// HTTP/1.1\r\nHost: a", Err(Refusal::Target));
        check_one("GET / HTTP/1.1", Err(Refusal::Host));
        check_one("GET / HTTP/1.1\r\nHost: a\r\nhost: a", Err(Refusal::Host));
        check_one("GET / HTTP/1.1\r\nHost: a b@c/", Err(Refusal::Host));
        check_one("GET / HTTP/1.1\r\nHost:", Err(Refusal::Host));
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked";
        check_one(&format!("{chunked}\r\nContent-Length: 5"), Err(Refusal::Coding));
        check_one(&format!("{chunked}\r\nTransfer-Encoding: chunked"), Err(Refusal::Coding));
        check_one("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", Err(Refusal::Coding));
        let fields = |count: usize| "X: y\r\n".repeat(count);
        check_one(&format!("GET / HTTP/1.1\r\n{}Host: a", fields(limits::HEADERS_MAX - 1)), Ok(()));
        check_one(
            &format!("GET / HTTP/1.1\r\n{}Host: a", fields(limits::HEADERS_MAX)),
            Err(Refusal::TooManyFields),
        );
        check_one(&format!("GET /{} HTTP/1.1\r\nHost: a", "x".repeat(17 << 10)), Err(Refusal::TooLong));
    }

    #[test]
    fn a_target_is_a_path_or_an_http_url_of_a_host() {
        let check_target = |target: &str, expected: Result<(), Refusal>| {
            check_one(&format!("GET {target} HTTP/1.1\r\nHost: a"), expected);
        };
        for target in
            ["/", "/a?b=c", "/a!b", "*", "http://a/b", "HTTPS://a:443/b?c", "http://[::1]:80/", "http://a"]
        {
            check_target(target, Ok(()));
        }
        for target in [
            "/a#b",
            "/#",
            "http://a/b#c",
            "ftp://a/b",
            "http://u@a/b",
            "http://u:p@a/b",
            "http://a:70000/b",
            "a:443",
            "http:///b",
        ] {
            check_target(target, Err(Refusal::Target));
        }
    }

    #[test]
    fn the_host_of_the_target_replaces_the_header() {
        for (target, path, host) in
            [("http://b:9000/k?x=%2F", "/k?x=%2F", "b:9000"), ("http://b", "/", "b"), ("/k", "/k", "a")]
        {
            let request = hyper::Request::builder().uri(target).header(HOST, "a").header(HOST, "c");
            let mut head = request.body(()).unwrap().into_parts().0;
            apply_target_host(&mut head);
            assert_eq!(
                (head.uri.to_string().as_str(), &head.headers[HOST]),
                (path, &HeaderValue::from_static(host))
            );
            assert_eq!(head.headers.get_all(HOST).iter().count(), if host == "a" { 2 } else { 1 });
        }
    }

    #[test]
    fn hosts_are_compared_without_case_and_default_port() {
        let (http, https) = (Some(&Scheme::HTTP), Some(&Scheme::HTTPS));
        for (one, other, scheme, expected) in [
            ("a", "A", http, true),
            ("a:80", "a", http, true),
            ("a", "a:", https, true),
            ("a:443", "a", https, true),
            ("a:443", "a", http, false),
            ("a:8080", "a:80", http, false),
            ("a", "b", None, false),
        ] {
            assert_eq!(is_same_host(one, other, scheme), expected, "{one} {other}");
        }
    }

    #[test]
    fn what_stands_for_a_refused_head_passes_and_says_why() {
        for refusal in Refusal::ALL {
            let head = refusal.head();
            assert_eq!(check(&head), Ok(()));
            let request = hyper::Request::builder().method(METHOD).uri("/").header(REASON, refusal.word());
            assert_eq!(Refusal::of(&request.body(()).unwrap().into_parts().0), Some(refusal));
        }
        assert_eq!(limits::HEADERS_MAX, 100, "a text says so");
        assert_eq!(limits::HEAD_BYTES_MAX, 16 << 10, "a text says so");
    }
}
