//! The context of a request for log lines: its id, its W3C trace context, its user and its file.

use std::str;
use std::sync::OnceLock;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use crate::domain::ids::{FileId, UserId};

/// The header of the request's id.
pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const ID_BYTES_MAX: usize = 128;
const TRACEPARENT_BYTES: usize = 55;

/// A request's id, its trace context if it has a valid one, and its user and file once they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct RequestContext {
    /// Visible ASCII.
    id: HeaderValue,
    traceparent: Option<[u8; TRACEPARENT_BYTES]>,
    user: OnceLock<UserId>,
    file: OnceLock<FileId>,
}

impl RequestContext {
    /// Takes the caller's id as it is if it is a sane one, else a new one from `fresh`.
    pub(in crate::http) fn of(headers: &HeaderMap, fresh: impl FnOnce() -> Uuid) -> Self {
        let given = headers.get(X_REQUEST_ID).filter(|value| is_sane(value.as_bytes())).cloned();
        let id = given.unwrap_or_else(|| {
            HeaderValue::try_from(fresh().to_string()).expect("a UUID is written in visible ASCII")
        });
        let traceparent = headers.get(TRACEPARENT).and_then(traceparent);
        Self { id, traceparent, user: OnceLock::new(), file: OnceLock::new() }
    }

    /// The id.
    pub(in crate::http) fn request_id(&self) -> &str {
        self.id.to_str().expect("an id is visible ASCII")
    }

    /// The id as a URN, if it is a UUID.
    pub(in crate::http) fn urn(&self) -> Option<String> {
        Uuid::try_parse(self.request_id()).ok().map(|id| format!("urn:uuid:{id}"))
    }

    /// The id, as a header's value.
    pub(in crate::http) fn header(&self) -> HeaderValue {
        self.id.clone()
    }

    /// The trace context, as it came.
    pub(in crate::http) fn traceparent(&self) -> Option<&str> {
        let bytes = self.traceparent.as_ref()?;
        Some(str::from_utf8(bytes).expect("a trace context was checked to be ASCII"))
    }

    /// The trace's id.
    pub(in crate::http) fn trace_id(&self) -> Option<&str> {
        self.traceparent().map(|text| &text[3..35])
    }

    /// Notes who calls. The first caller counts.
    pub(in crate::http) fn note_user(&self, user: UserId) {
        self.user.get_or_init(|| user);
    }

    /// Notes the file that the request is about. The first file counts.
    pub(in crate::http) fn note_file(&self, file: FileId) {
        self.file.get_or_init(|| file);
    }

    /// Who calls, once that is known.
    pub(in crate::http) fn user(&self) -> Option<UserId> {
        self.user.get().copied()
    }

    /// The file that the request is about, once that is known.
    pub(in crate::http) fn file(&self) -> Option<FileId> {
        self.file.get().copied()
    }
}

/// 1 to 128 characters of an HTTP token, or of those that UUIDs, base64 and common tracers use beside.
fn is_sane(id: &[u8]) -> bool {
    let is_taken = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/:=@".contains(b);
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_taken)
}

/// Version 00 of the trace context: `00-<32 hex>-<16 hex>-<2 hex>` in lower case, ids not all zero.
fn traceparent(value: &HeaderValue) -> Option<[u8; TRACEPARENT_BYTES]> {
    let text: [u8; TRACEPARENT_BYTES] = value.as_bytes().try_into().ok()?;
    let is_hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
    let is_well_formed = text.iter().enumerate().all(|(at, b)| match at {
        0 | 1 => *b == b'0',
        2 | 35 | 52 => *b == b'-',
        _ => is_hex(b),
    });
    let is_zero = |part: &[u8]| part.iter().all(|b| *b == b'0');
    (is_well_formed && !is_zero(&text[3..35]) && !is_zero(&text[36..52])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Uuid = Uuid::from_u128(7);
    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context(name: &'static str, value: &str) -> RequestContext {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        RequestContext::of(&headers, || FRESH)
    }

    fn check_id(given: &str, expected: &str) {
        assert_eq!(context("x-request-id", given).request_id(), expected, "{given}");
    }

    #[test]
    fn the_callers_id_is_taken_as_it_is_if_it_is_sane() {
        for id in [
            "0199a3c4-0000-7000-8000-000000000001",
            "0199A3C4-0000-7000-8000-00000000000F",
            "0199a3c4000070008000000000000001",
            "req_8fJk2+/Z==",
            "Root=1-67891233-abcdef012345678912345678",
            "7",
            &"x".repeat(128),
        ] {
            check_id(id, id);
        }
        let fresh = FRESH.to_string();
        for id in ["<script>alert(1)</script>", "", "a b", "a,b", "a;b", "\"a\"", "a\\b", &"x".repeat(129)] {
            check_id(id, &fresh);
        }
    }

    #[test]
    fn only_a_uuid_has_a_urn() {
        let urn = |id| context("x-request-id", id).urn();
        let expected = "urn:uuid:0199a3c4-0000-7000-8000-00000000000f";
        assert_eq!(urn("0199A3C4-0000-7000-8000-00000000000F").as_deref(), Some(expected));
        assert_eq!(urn("req_7"), None);
    }

    fn check_trace(given: &str, expected: Option<&str>) {
        assert_eq!(context("traceparent", given).trace_id(), expected, "{given}");
    }

    #[test]
    fn a_trace_context_counts_only_if_it_is_valid() {
        check_trace(TRACE, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(context("traceparent", TRACE).traceparent(), Some(TRACE));
        check_trace(&TRACE.to_uppercase(), None);
        check_trace(&TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), None);
        check_trace(&TRACE.replace("00f067aa0ba902b7", &"0".repeat(16)), None);
        check_trace(&TRACE.replacen("00", "ff", 1), None);
        check_trace(&format!("{TRACE}-extra"), None);
        check_trace("", None);
    }
}
