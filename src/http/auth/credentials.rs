//! Where a request carries its token, and whether a cookie may be trusted on it.

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use crate::http::error::{ErrorCode, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const COOKIE_NAME: &str = "credentials";

/// A token, and how it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Presented<'a> {
    /// In `Authorization`: only a program can put it there.
    Bearer(&'a str),
    /// In a cookie: a browser sends it along with requests of any page.
    Cookie(&'a str),
}

impl<'a> Presented<'a> {
    /// The token.
    pub(in crate::http) const fn token(self) -> &'a str {
        match self {
            Self::Bearer(token) | Self::Cookie(token) => token,
        }
    }
}

/// Finds the token; the header wins over the cookie.
///
/// # Errors
/// `token_missing`, and `token_invalid` where it is not clear which token is meant.
pub(in crate::http) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    if let Some(value) = given.next() {
        if given.next().is_some() {
            return Err(Problem::new(ErrorCode::TokenInvalid));
        }
        return bearer(value).map(Presented::Bearer);
    }
    let mut cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = cookies.by_ref().flat_map(|line| line.split(';')).filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE_NAME).then(|| value.trim_matches('"'))
    });
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(Presented::Cookie(token)),
        (Some(_), Some(_)) => Err(Problem::new(ErrorCode::TokenInvalid)),
        (None, _) => Err(Problem::new(ErrorCode::TokenMissing)),
    }
}

fn bearer(value: &HeaderValue) -> Result<&str, Problem> {
    let text = value.to_str().map_err(|_| Problem::new(ErrorCode::TokenInvalid))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        Some(_) | None => Err(Problem::new(ErrorCode::TokenMissing)),
    }
}

/// Whether a cookie proves the user's intent: the request is safe, or comes from our own pages or from an
/// allowed origin.
///
/// # Errors
/// `csrf_rejected`.
pub(in crate::http) fn check_same_site(
    head: &Parts,
    public_url: &str,
    allowed_origins: &[String],
) -> Result<(), Problem> {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(&head.method) {
        return Ok(());
    }
    let headers = &head.headers;
    let origin = headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    // To the letter: a loopback origin may call in development, but a cookie is not its to use.
    let is_allowed = origin.is_some_and(|origin| {
        allowed_origins.iter().any(|allowed| allowed == origin) || is_origin_of(public_url, origin)
    });
    let is_ours = match headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes) {
        // `none`: the user did it in the browser itself, not a page.
        Some(site) => site == b"same-origin" || site == b"none",
        None => origin.is_some_and(|origin| is_own_host(origin, head)),
    };
    if is_allowed || is_ours { Ok(()) } else { Err(Problem::new(ErrorCode::CsrfRejected)) }
}

/// Whether the pages of an origin are served by the host of this request, or by the public one.
pub(in crate::http) fn is_own_origin(origin: &str, head: &Parts, public_url: &str) -> bool {
    is_origin_of(public_url, origin) || is_own_host(origin, head)
}

/// A URL may go on behind its origin.
fn is_origin_of(url: &str, origin: &str) -> bool {
    url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && origin.contains("://")
}

fn is_own_host(origin: &str, head: &Parts) -> bool {
    // An authority in the target wins over the header (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1).
    let host = head.uri.authority().map(hyper::http::uri::Authority::as_str);
    let host = host.or_else(|| head.headers.get(HOST).and_then(|value| value.to_str().ok()));
    origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn head(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/v1/files");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn check(headers: &[(&str, &str)], expected: Result<Presented<'_>, ErrorCode>) {
        let head = head("GET", headers);
        assert_eq!(presented(&head.headers).map_err(|problem| problem.code()), expected, "{headers:?}");
    }

    #[test]
    fn the_header_wins_over_the_cookie() {
        check(&[("authorization", "Bearer a.b.c")], Ok(Presented::Bearer("a.b.c")));
        check(
            &[("authorization", "bearer a.b.c"), ("cookie", "credentials=x")],
            Ok(Presented::Bearer("a.b.c")),
        );
        check(&[("cookie", "theme=dark; credentials=x.y.z")], Ok(Presented::Cookie("x.y.z")));
        check(&[("cookie", "theme=dark"), ("cookie", "credentials=x.y.z")], Ok(Presented::Cookie("x.y.z")));
    }

    #[test]
    fn no_token_and_two_tokens_are_refused() {
        check(&[], Err(ErrorCode::TokenMissing));
        check(&[("cookie", "xcredentials=x")], Err(ErrorCode::TokenMissing));
        check(&[("authorization", "Basic dTpw")], Err(ErrorCode::TokenMissing));
        check(&[("authorization", "Bearer a"), ("authorization", "Bearer b")], Err(ErrorCode::TokenInvalid));
        check(&[("cookie", "credentials=a; credentials=b")], Err(ErrorCode::TokenInvalid));
    }

    fn check_site(headers: &[(&str, &str)], expected: bool) {
        let head = head("POST", headers);
        let allowed = ["https://app.example".to_owned()];
        assert_eq!(
            check_same_site(&head, "https://files.example", &allowed).is_ok(),
            expected,
            "{headers:?}"
        );
    }

    #[test]
    fn a_cookie_counts_only_on_requests_of_our_own_pages() {
        check_site(&[("sec-fetch-site", "same-origin")], true);
        check_site(&[("sec-fetch-site", "none")], true);
        check_site(&[("sec-fetch-site", "same-site")], false);
        check_site(&[("sec-fetch-site", "cross-site")], false);
        check_site(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], false);
        check_site(&[("sec-fetch-site", "same-site"), ("origin", "https://app.example")], true);
        check_site(&[("host", "files.local"), ("origin", "http://files.local")], true);
        check_site(&[("host", "files.local"), ("origin", "https://evil.example")], false);
        check_site(&[("host", "files.local"), ("origin", "https://files.local.evil.example")], false);
        check_site(&[("origin", "https://files.example")], true);
        check_site(&[("origin", "null")], false);
        check_site(&[], false);
    }

    #[test]
    fn a_safe_request_needs_no_origin() {
        assert_eq!(check_same_site(&head("GET", &[("sec-fetch-site", "cross-site")]), "", &[]), Ok(()));
    }
}
