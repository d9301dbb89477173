//! Signatures: their scope, the one access key, and the reason of a mismatch.
//!
//! `s3s` checks signatures. This file refuses those of another region, holds the access key, and explains a mismatch:
//! the URL of an upload carries the values of its signed headers (`signed-values`), so the answer names the header that
//! is missing or has another value.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Uri};
use s3s::auth::{S3Auth, SecretKey};
use s3s::{Body, S3Result, s3_error};

use super::failure::Failure;
use super::query;
use crate::adapters::sigv4::{Credentials, SIGNED_VALUES};

/// Headers whose values a refusal repeats; others are only named.
const SHOWN: [&str; 4] = ["content-length", "content-type", "host", "if-none-match"];
/// Characters of a value that a refusal repeats.
const SHOWN_CHARS: usize = 128;
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// The endpoint's one access key.
pub(super) struct OneKey(pub(super) Arc<Credentials>);

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.access_key() {
            Ok(SecretKey::from(self.0.expose_secret()))
        } else {
            Err(s3_error!(InvalidAccessKeyId, "there is no such access key"))
        }
    }
}

/// Refuses a signature for another region or service, which `s3s` would check as if it were for this one.
pub(super) fn check_scope(head: &Parts, region: &str) -> Result<(), Failure> {
    let Some(signed) = Signed::of(&head.uri, &head.headers) else { return Ok(()) };
    let (code, what) = if signed.is_in_query {
        ("AuthorizationQueryParametersError", "the X-Amz-Credential parameter is malformed")
    } else {
        ("AuthorizationHeaderMalformed", "the authorization header is malformed")
    };
    let refused = |why: String| Failure::new(StatusCode::BAD_REQUEST, code, format!("{what}; {why}"));
    // The access key may hold slashes.
    let mut scope = signed.credential.rsplit('/');
    let (Some("aws4_request"), Some(service), Some(signed_region)) =
        (scope.next(), scope.next(), scope.next())
    else {
        let form = "a credential is ACCESS-KEY/YYYYMMDD/REGION/s3/aws4_request";
        return Err(refused(form.to_owned()));
    };
    if service != "s3" {
        let why = format!("the service '{}' is wrong; expecting 's3'", short(service));
        return Err(refused(why));
    }
    if signed_region != region {
        let why = format!("the region '{}' is wrong; expecting '{region}'", short(signed_region));
        return Err(refused(why).with("Region", region).with_header(BUCKET_REGION, region));
    }
    Ok(())
}

/// The signature parameters of a request.
struct Signed {
    credential: String,
    /// Names in the order in which they were signed.
    headers: Vec<String>,
    /// Their values, where the URL carries them.
    values: Option<Vec<String>>,
    is_in_query: bool,
}

impl Signed {
    /// Reads a signature of version 4; none if there is none, or it cannot be read at all.
    fn of(uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let query = uri.query().unwrap_or_default();
        let names = |text: &str| text.split(';').map(str::to_ascii_lowercase).collect::<Vec<_>>();
        if query::value(query, "X-Amz-Signature").is_some() {
            let headers = names(&query::value(query, "X-Amz-SignedHeaders")?);
            let values = query::value(query, SIGNED_VALUES);
            let values = values.map(|values| values.split('\n').map(ToOwned::to_owned).collect::<Vec<_>>());
            return Some(Self {
                credential: query::value(query, "X-Amz-Credential")?,
                values: values.filter(|values| values.len() == headers.len()),
                headers,
                is_in_query: true,
            });
        }
        let authorization = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("AWS4-HMAC-SHA256")?;
        let field = |name: &str| {
            let fields = authorization.split([',', ' ']);
            fields.filter_map(|field| field.split_once('=')).find(|(found, _)| *found == name)
        };
        let (_, credential) = field("Credential")?;
        let (_, signed) = field("SignedHeaders")?;
        Some(Self {
            credential: credential.to_owned(),
            headers: names(signed),
            values: None,
            is_in_query: false,
        })
    }
}

/// The part of a request that its signature covers, kept until the answer is known.
pub(super) struct Covered {
    uri: Uri,
    headers: HeaderMap,
}

impl Covered {
    pub(super) fn of(head: &Parts) -> Self {
        Self { uri: head.uri.clone(), headers: head.headers.clone() }
    }

    /// Adds the reason to a bare `SignatureDoesNotMatch`; returns any other answer unchanged.
    pub(super) fn explain(&self, answer: Response<Body>) -> Response<Body> {
        let is_bare = answer.status() == StatusCode::FORBIDDEN
            && answer.body().bytes().is_some_and(|xml| {
                let xml = String::from_utf8_lossy(&xml);
                xml.contains("<Code>SignatureDoesNotMatch</Code>") && !xml.contains("<Message>")
            });
        if is_bare { self.mismatch().into_response() } else { answer }
    }

    fn mismatch(&self) -> Failure {
        let refused = |why: &str| {
            let message = format!("the signature does not match the request: {why}");
            Failure::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message)
        };
        let Some(signed) = Signed::of(&self.uri, &self.headers) else {
            return refused("the signature cannot be read");
        };
        let (mut reasons, mut named) = (Vec::new(), Vec::new());
        for (at, name) in signed.headers.iter().enumerate() {
            let value = signed.values.as_ref().and_then(|values| values.get(at)).map(String::as_str);
            match (value, self.header(name)) {
                (value, None) => {
                    let shown = value.filter(|_| SHOWN.contains(&name.as_str()));
                    let shown = shown.map(|value| format!(" (signed: {})", short(value))).unwrap_or_default();
                    reasons.push(format!("the signed header {name} is missing{shown}"));
                    named.push(("MissingHeader", name.clone()));
                }
                (Some(value), Some(found)) if value != found => {
                    reasons.push(if SHOWN.contains(&name.as_str()) {
                        let (value, found) = (short(value), short(&found));
                        format!("the signature covers {name}: {value}, the request has {found}")
                    } else {
                        format!("the signed header {name} has another value than the one that was signed")
                    });
                    named.push(("DifferentHeader", name.clone()));
                }
                (Some(_) | None, Some(_)) => {}
            }
        }
        let all = signed.headers.join(";");
        if reasons.is_empty() {
            let host = self.header(HOST.as_str()).unwrap_or_default();
            reasons.push(if signed.values.is_some() {
                "all signed headers are as they were signed, so the method, the path or the query was changed, or \
                 another secret signed it"
                    .to_owned()
            } else {
                format!(
                    "no signed header is missing, so a value among {} (host: {}), the method, the path or the \
                     query is not what was signed, or another secret signed it",
                    short(&all),
                    short(&host)
                )
            });
        }
        let failure = refused(&reasons.join("; ")).with("SignedHeaders", all);
        named.into_iter().fold(failure, |failure, (element, name)| failure.with(element, name))
    }

    /// A header as it is signed: all its lines, with single spaces.
    fn header(&self, name: &str) -> Option<String> {
        let lines: Vec<String> = self
            .headers
            .get_all(name)
            .iter()
            .map(|line| {
                let line = String::from_utf8_lossy(line.as_bytes());
                line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        Some(lines.join(",")).filter(|_| !lines.is_empty())
    }
}

/// As much of a text as a refusal repeats.
fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method("PUT").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn scope(uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let refused = check_scope(&head(uri, headers), "eu-west-1").err()?;
        let body = refused.into_response().into_body().bytes().unwrap();
        Some(String::from_utf8_lossy(&body).into_owned())
    }

    fn query(scope: &str) -> String {
        format!("/b/k?X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Credential=A%2F20261120%2F{scope}")
    }

    #[test]
    fn a_signature_for_another_region_or_service_is_refused() {
        assert_eq!(scope("/b/k", &[]), None, "without a signature there is nothing to see");
        assert_eq!(scope(&query("eu-west-1%2Fs3%2Faws4_request"), &[]), None);
        let other = scope(&query("us-east-1%2Fs3%2Faws4_request"), &[]).unwrap();
        assert!(other.contains("<Code>AuthorizationQueryParametersError</Code>"), "{other}");
        assert!(other.contains("the region 'us-east-1' is wrong; expecting 'eu-west-1'"), "{other}");
        assert!(other.contains("<Region>eu-west-1</Region>"), "{other}");
        assert!(scope(&query("eu-west-1%2Fsts%2Faws4_request"), &[]).unwrap().contains("'sts'"));
        assert!(scope(&query("eu-west-1"), &[]).unwrap().contains("a credential is"));

        let header = |region: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=A/b/20261120/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"
            )
        };
        assert_eq!(scope("/b/k", &[("authorization", &header("eu-west-1"))]), None);
        let other = scope("/b/k", &[("authorization", &header("us-east-1"))]).unwrap();
        assert!(other.contains("<Code>AuthorizationHeaderMalformed</Code>"), "{other}");
    }

    /// The message for a request that was signed with `values`.
    fn message(values: Option<&str>, headers: &[(&str, &str)]) -> String {
        let values = values.map(|values| format!("&signed-values={values}")).unwrap_or_default();
        let uri = format!(
            "/b/k?X-Amz-Credential=A&X-Amz-Signature=0\
             &X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bx-amz-meta-a{values}"
        );
        let bare = || Failure::new(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", "").into_response();
        let bare = bare().map(|body| {
            let xml = String::from_utf8(body.bytes().unwrap().to_vec()).unwrap();
            Body::from(xml.replace("<Message></Message>", ""))
        });
        let answer = Covered::of(&head(&uri, headers)).explain(bare);
        String::from_utf8(answer.into_body().bytes().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_refusal_names_what_is_missing_and_what_differs() {
        let values = Some("5%0Atext/plain%0Ah:1%0Asecret");
        let right = [
            ("content-length", "5"),
            ("content-type", "text/plain"),
            ("host", "h:1"),
            ("x-amz-meta-a", "secret"),
        ];
        assert!(message(values, &right).contains("all signed headers are as they were signed"));
        assert!(
            message(None, &right).contains("among content-length;content-type;host;x-amz-meta-a (host: h:1)")
        );

        let changed = |at: usize, value: &'static str| {
            let mut headers = right;
            headers[at].1 = value;
            message(values, &headers)
        };
        let longer = changed(0, "6");
        assert!(longer.contains("the signature covers content-length: 5, the request has 6"), "{longer}");
        assert!(longer.contains("<DifferentHeader>content-length</DifferentHeader>"), "{longer}");
        assert!(
            changed(2, "localhost").contains("the signature covers host: h:1, the request has localhost")
        );
        let hidden = changed(3, "other");
        assert!(hidden.contains("the signed header x-amz-meta-a has another value"), "{hidden}");
        assert!(!hidden.contains("secret<") && !hidden.contains("other;"), "{hidden}");

        let fewer = message(values, &right[2..]);
        assert!(fewer.contains("the signed header content-type is missing (signed: text/plain)"), "{fewer}");
        assert!(fewer.contains("<MissingHeader>content-length</MissingHeader>"), "{fewer}");
        assert!(message(None, &right[..3]).contains("the signed header x-amz-meta-a is missing"));
        let spaced = [("content-length", "5"), ("content-type", " text/plain "), right[2], right[3]];
        assert!(message(values, &spaced).contains("all signed headers are"));
    }

    #[test]
    fn other_answers_stay_as_they_are() {
        let answer =
            || Failure::new(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired").into_response();
        let same = Covered::of(&head("/", &[])).explain(answer());
        assert_eq!(same.into_body().bytes(), answer().into_body().bytes());
    }
}
