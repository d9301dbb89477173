//! What ties a request to its traces: its id and the W3C trace context it came with.

use std::str;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use uuid::Uuid;

/// The header of the request's id.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const ID_BYTES: usize = 36;
const TRACEPARENT_BYTES: usize = 55;

/// A request's id, and its trace context if it has a valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    id: [u8; ID_BYTES],
    traceparent: Option<[u8; TRACEPARENT_BYTES]>,
}

impl Trail {
    /// Takes the caller's id if it is a UUID, else a new one from `fresh`.
    pub(super) fn of(headers: &HeaderMap, fresh: impl FnOnce() -> Uuid) -> Self {
        let given = headers.get(X_REQUEST_ID).map(HeaderValue::as_bytes);
        let given =
            given.filter(|text| text.len() == ID_BYTES).and_then(|text| Uuid::try_parse_ascii(text).ok());
        let mut id = [0; ID_BYTES];
        given.unwrap_or_else(fresh).hyphenated().encode_lower(&mut id);
        Self { id, traceparent: headers.get(TRACEPARENT).and_then(traceparent) }
    }

    /// The id, in lower case.
    pub(super) fn request_id(&self) -> &str {
        str::from_utf8(&self.id).expect("a UUID is written in ASCII")
    }

    /// The id, as a header's value.
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.id).expect("a UUID is written in visible ASCII")
    }

    /// The trace context, as it came.
    pub(super) fn traceparent(&self) -> Option<&str> {
        let bytes = self.traceparent.as_ref()?;
        Some(str::from_utf8(bytes).expect("a trace context was checked to be ASCII"))
    }

    /// The trace's id.
    pub(super) fn trace_id(&self) -> Option<&str> {
        self.traceparent().map(|text| &text[3..35])
    }
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

    fn trail(name: &'static str, value: &str) -> Trail {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        Trail::of(&headers, || FRESH)
    }

    fn check_id(given: &str, expected: &str) {
        assert_eq!(trail("x-request-id", given).request_id(), expected, "{given}");
    }

    #[test]
    fn the_callers_id_counts_only_if_it_is_a_uuid() {
        let fresh = FRESH.to_string();
        check_id("0199a3c4-0000-7000-8000-000000000001", "0199a3c4-0000-7000-8000-000000000001");
        check_id("0199A3C4-0000-7000-8000-00000000000F", "0199a3c4-0000-7000-8000-00000000000f");
        check_id("0199a3c4000070008000000000000001", &fresh);
        check_id("<script>alert(1)</script>", &fresh);
        check_id("", &fresh);
    }

    fn check_trace(given: &str, expected: Option<&str>) {
        assert_eq!(trail("traceparent", given).trace_id(), expected, "{given}");
    }

    #[test]
    fn a_trace_context_counts_only_if_it_is_valid() {
        check_trace(TRACE, Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trail("traceparent", TRACE).traceparent(), Some(TRACE));
        check_trace(&TRACE.to_uppercase(), None);
        check_trace(&TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), None);
        check_trace(&TRACE.replace("00f067aa0ba902b7", &"0".repeat(16)), None);
        check_trace(&TRACE.replacen("00", "ff", 1), None);
        check_trace(&format!("{TRACE}-extra"), None);
        check_trace("", None);
    }
}
