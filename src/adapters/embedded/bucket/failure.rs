//! An error in S3's XML, with the elements and headers that an error of `s3s` has no place for.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use s3s::{Body, S3Response};
use uuid::Uuid;

/// Messages for codes that also come without one.
const MESSAGES: [(&str, &str); 12] = [
    ("EntityTooSmall", "a part that is not the last has at least 5 MiB"),
    ("IncompleteBody", "the body is shorter than its Content-Length"),
    ("InternalError", "the bucket failed; try again"),
    ("InvalidArgument", "an argument is out of its range"),
    ("InvalidBucketName", "this is no name of a bucket"),
    ("InvalidPart", "a part is missing, or its ETag is another"),
    ("InvalidPartOrder", "the numbers of the parts do not rise"),
    ("InvalidURI", "the path or the query cannot be read"),
    ("MalformedXML", "the body is not the XML of this operation"),
    ("MissingContentLength", "the length of the body is missing"),
    ("NoSuchUpload", "there is no such upload; it may be completed or aborted"),
    ("NotImplemented", "this operation is not implemented"),
];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// An answer that refuses a request.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    elements: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// An error with S3's code for it; the message is for people.
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), elements: Vec::new(), headers: Vec::new() }
    }

    /// The same with one more element.
    pub(super) fn with(mut self, element: &'static str, text: impl Into<String>) -> Self {
        self.elements.push((element, text.into()));
        self
    }

    /// The same with one more header; a value that no header can hold is left out.
    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// The answer.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        push_element(&mut xml, "Code", self.code);
        push_element(&mut xml, "Message", &self.message);
        for (name, text) in &self.elements {
            push_element(&mut xml, name, text);
        }
        xml.push_str("</Error>");
        let mut answer = Response::new(Body::from(xml));
        *answer.status_mut() = self.status;
        answer.headers_mut().extend(self.headers);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        answer
    }

    /// The answer of a route of `s3s`.
    pub(super) fn into_s3(self) -> S3Response<Body> {
        let (head, body) = self.into_response().into_parts();
        S3Response {
            output: body,
            status: Some(head.status),
            headers: head.headers,
            extensions: head.extensions,
        }
    }
}

/// Gives an answer an id, also in the XML of an error, and returns it. An error without a message gets one.
pub(super) fn identify(answer: &mut Response<Body>) -> HeaderValue {
    let id = format!("{:016X}", Uuid::new_v4().as_u64_pair().0);
    let header = HeaderValue::try_from(&id).unwrap_or(HeaderValue::from_static("none"));
    answer.headers_mut().insert(REQUEST_ID, header.clone());
    if answer.status().is_client_error() || answer.status().is_server_error() {
        let xml = answer.body().bytes().and_then(|xml| String::from_utf8(xml.to_vec()).ok());
        if let Some(before_end) = xml.as_deref().and_then(|xml| xml.strip_suffix("</Error>")) {
            let mut xml = before_end.to_owned();
            if !xml.contains("<Message>") {
                let message = message(&xml);
                push_element(&mut xml, "Message", message);
            }
            push_element(&mut xml, "RequestId", &id);
            xml.push_str("</Error>");
            *answer.body_mut() = Body::from(xml);
        }
    }
    header
}

/// The message for an error that has only a code.
fn message(xml: &str) -> &'static str {
    let has_code = |(code, _): &&(&str, &str)| xml.contains(&format!("<Code>{code}</Code>"));
    MESSAGES.iter().find(has_code).map_or("the request cannot be served", |(_, message)| message)
}

/// Appends an element; characters that XML cannot hold become question marks.
pub(super) fn push_element(xml: &mut String, name: &str, text: &str) {
    for part in ["<", name, ">"] {
        xml.push_str(part);
    }
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\t' | '\n' => xml.push(character),
            _ if character.is_control() => xml.push('?'),
            _ => xml.push(character),
        }
    }
    for part in ["</", name, ">"] {
        xml.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_its_element() {
        let mut xml = String::new();
        push_element(&mut xml, "Message", "a</Message><Code>&\u{1}\r");
        assert_eq!(xml, "<Message>a&lt;/Message&gt;&lt;Code&gt;&amp;??</Message>");
    }

    #[test]
    fn an_error_has_code_message_elements_and_headers() {
        let failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", "no such bytes")
            .with("ActualObjectSize", "5")
            .with_header(hyper::header::CONTENT_RANGE, "bytes */5")
            .with_header(hyper::header::ETAG, "a\nb");
        let answer = failure.into_response();
        assert_eq!(answer.status(), 416);
        assert_eq!(answer.headers()["content-range"], "bytes */5");
        assert!(!answer.headers().contains_key("etag"));
        let body = String::from_utf8(answer.body().bytes().unwrap().to_vec()).unwrap();
        assert!(body.ends_with(
            "<Error><Code>InvalidRange</Code><Message>no such bytes</Message>\
             <ActualObjectSize>5</ActualObjectSize></Error>"
        ));
    }
    #[test]
    fn an_id_is_in_the_header_and_in_the_error() {
        let mut refused = Failure::new(StatusCode::NOT_FOUND, "NoSuchKey", "none").into_response();
        let id = identify(&mut refused).to_str().unwrap().to_owned();
        assert_eq!((id.len(), refused.headers()[REQUEST_ID].to_str().unwrap()), (16, id.as_str()));
        let xml = String::from_utf8(refused.into_body().bytes().unwrap().to_vec()).unwrap();
        assert!(
            xml.ends_with(&format!("<Message>none</Message><RequestId>{id}</RequestId></Error>")),
            "{xml}"
        );

        let mut taken = Response::new(Body::from("</Error>".to_owned()));
        identify(&mut taken);
        assert_eq!(taken.into_body().bytes().unwrap(), "</Error>", "only errors are changed");
    }
    #[test]
    fn an_error_with_only_a_code_gets_a_message() {
        for (code, expected) in [("NoSuchUpload", "there is no such upload"), ("Other", "the request cannot")]
        {
            let mut bare = Response::new(Body::from(format!("<Error><Code>{code}</Code></Error>")));
            *bare.status_mut() = StatusCode::NOT_FOUND;
            identify(&mut bare);
            let xml = String::from_utf8(bare.into_body().bytes().unwrap().to_vec()).unwrap();
            assert!(xml.starts_with(&format!("<Error><Code>{code}</Code><Message>{expected}")), "{xml}");
        }
    }
}
