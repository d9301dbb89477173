//! One presigned request: canonical request, string to sign, signature, URL. No I/O, few allocations.

use aws_lc_rs::digest;

use super::address::Address;
use super::credentials::Credentials;
use super::encode::{self, NO_SLASH, SLASH};
use crate::domain::time::Timestamp;

/// A name in lower case and a value.
type Header = (String, String);

/// What is signed.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) key: &'a str,
    /// Parameters after the first, `x-id`, in their order on the wire, which is also their sorted order.
    pub(super) query: &'a [(&'static str, &'a str)],
    /// The operation's name, the value of `x-id`.
    pub(super) operation: &'static str,
    /// Headers besides `host`: names in lower case, sorted, each once.
    pub(super) headers: &'a [Header],
    pub(super) now: Timestamp,
    pub(super) expires_secs: u64,
}

/// The URL of a presigned request, byte for byte as the AWS SDK writes it.
pub(super) fn url(address: &Address, region: &str, credentials: &Credentials, asked: &Request<'_>) -> String {
    let when = asked.now.to_iso_basic();
    let mut date = [0_u8; 8];
    date.copy_from_slice(&when.as_bytes()[..8]);

    let path_from = address.prefix().len();
    let mut url = String::with_capacity(1024);
    url.push_str(address.prefix());
    encode::push_percent(&mut url, asked.key, SLASH);
    let path_end = url.len();

    // What both the URL and the canonical request hold, in the sorted order of the latter.
    let mut signing = String::with_capacity(512);
    signing.push_str("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    encode::push_percent(&mut signing, credentials.access_key(), NO_SLASH);
    for part in ["%2F", &when[..8], "%2F"] {
        signing.push_str(part);
    }
    encode::push_percent(&mut signing, region, NO_SLASH);
    for part in ["%2Fs3%2Faws4_request&X-Amz-Date=", &when, "&X-Amz-Expires="] {
        signing.push_str(part);
    }
    push_number(&mut signing, asked.expires_secs);
    let mut signed_headers = String::with_capacity(128);
    push_signed_headers(&mut signed_headers, asked.headers, "%3B");

    let mut canonical = String::with_capacity(1536);
    for part in [asked.method, "\n", address.path(), &url[path_from..path_end], "\n", &signing] {
        canonical.push_str(part);
    }
    if let Some(token) = credentials.session_token() {
        canonical.push_str("&X-Amz-Security-Token=");
        encode::push_percent(&mut canonical, token, NO_SLASH);
    }
    for part in ["&X-Amz-SignedHeaders=", &signed_headers] {
        canonical.push_str(part);
    }
    for (name, value) in asked.query {
        push_parameter(&mut canonical, name, value);
    }
    for part in ["&x-id=", asked.operation, "\n"] {
        canonical.push_str(part);
    }
    push_headers(&mut canonical, asked.headers, address.host());
    canonical.push('\n');
    push_signed_headers(&mut canonical, asked.headers, ";");
    canonical.push_str("\nUNSIGNED-PAYLOAD");

    for part in ["?x-id=", asked.operation] {
        url.push_str(part);
    }
    for (name, value) in asked.query {
        push_parameter(&mut url, name, value);
    }
    for part in ["&", &signing, "&X-Amz-SignedHeaders=", &signed_headers, "&X-Amz-Signature="] {
        url.push_str(part);
    }
    let text = string_to_sign(&when, region, &canonical);
    encode::push_hex(&mut url, credentials.sign(date, region, text.as_bytes()).as_ref());
    if let Some(token) = credentials.session_token() {
        push_parameter(&mut url, "X-Amz-Security-Token", token);
    }
    url
}

fn string_to_sign(when: &str, region: &str, canonical: &str) -> String {
    let mut text = String::with_capacity(192);
    for part in ["AWS4-HMAC-SHA256\n", when, "\n", &when[..8], "/", region, "/s3/aws4_request\n"] {
        text.push_str(part);
    }
    encode::push_hex(&mut text, digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    text
}

fn push_parameter(out: &mut String, name: &str, value: &str) {
    for part in ["&", name, "="] {
        out.push_str(part);
    }
    encode::push_percent(out, value, NO_SLASH);
}

fn push_number(out: &mut String, number: u64) {
    use std::fmt::Write as _;
    write!(out, "{number}").expect("a string takes everything");
}

/// The names of the signed headers with `host` among them, in order.
fn push_signed_headers(out: &mut String, headers: &[Header], separator: &str) {
    let (below, above) = around_host(headers);
    for (name, _) in below {
        out.push_str(name);
        out.push_str(separator);
    }
    out.push_str("host");
    for (name, _) in above {
        out.push_str(separator);
        out.push_str(name);
    }
}

/// The signed headers with `host` among them, a line each.
fn push_headers(out: &mut String, headers: &[Header], host: &str) {
    let (below, above) = around_host(headers);
    below.iter().for_each(|(name, value)| push_header(out, name, value));
    push_header(out, "host", host);
    above.iter().for_each(|(name, value)| push_header(out, name, value));
}

/// The values of the signed headers with that of `host` among them, a line each.
pub(super) fn push_values(out: &mut String, headers: &[Header], host: &str) {
    let (below, above) = around_host(headers);
    for (_, value) in below {
        encode::push_header_value(out, value);
        out.push('\n');
    }
    out.push_str(host);
    for (_, value) in above {
        out.push('\n');
        encode::push_header_value(out, value);
    }
}

fn push_header(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    encode::push_header_value(out, value);
    out.push('\n');
}

fn around_host(headers: &[Header]) -> (&[Header], &[Header]) {
    headers.split_at(headers.partition_point(|(name, _)| name.as_str() < "host"))
}
