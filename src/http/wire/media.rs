//! Media types: those that clients declare, those that we serve, and those that clients accept.

use std::borrow::Cow;

use hyper::HeaderMap;
use hyper::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};

use crate::http::error::{ErrorCode, Problem};
use crate::limits;

/// Shown in a page when that is asked: pictures that run nothing.
const INLINE: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];

/// Handed out under their own name, as an attachment: nothing that a browser would run.
const SERVED: &[&str] = &[
    "application/gzip",
    "application/json",
    "application/msword",
    "application/pdf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/x-7z-compressed",
    "application/x-tar",
    "application/zip",
    "image/avif",
    "image/bmp",
    "image/heic",
    "image/tiff",
    "text/csv",
    "text/plain",
];

const JSON: &str = "application/json";
/// The type of error answers.
const PROBLEM: &str = "application/problem+json";

/// What everything else is handed out as.
pub(in crate::http) const UNKNOWN: &str = "application/octet-stream";

/// The type without its parameters.
pub(in crate::http) fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Reads a declared type as browsers write it, and gives its normal form: `type/subtype` with parameters, `; `
/// between them; in lower case, but for the values of parameters other than `charset`; a value in quotes where it
/// needs them. Empty parameters are dropped.
///
/// None if it is not one, or is longer than [`limits::CONTENT_TYPE_BYTES_MAX`].
pub(in crate::http) fn declared(text: &str) -> Option<String> {
    let (kind, rest) = token(text.trim_matches(SPACE))?;
    let (subtype, mut rest) = token(rest.strip_prefix('/')?)?;
    let mut normal = format!("{kind}/{subtype}").to_ascii_lowercase();
    loop {
        rest = rest.trim_start_matches(SPACE);
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix(';')?.trim_start_matches(SPACE);
        if rest.is_empty() || rest.starts_with(';') {
            continue;
        }
        let (name, after) = token(rest)?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        rest = after;
        if value.is_empty() {
            continue;
        }
        let name = name.to_ascii_lowercase();
        let value = if name == "charset" { Cow::Owned(value.to_ascii_lowercase()) } else { value.into() };
        let quote = if token(&value).is_some_and(|(_, rest)| rest.is_empty()) { "" } else { "\"" };
        normal = format!("{normal}; {name}={quote}{value}{quote}");
    }
    (normal.len() <= limits::CONTENT_TYPE_BYTES_MAX).then_some(normal)
}

/// The separators that may surround the parts of a type.
const SPACE: [char; 2] = [' ', '\t'];

fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A text in quotes without escapes, or all up to the next parameter, as in `codecs=vp8,opus`.
fn value(text: &str) -> Option<(&str, &str)> {
    let (value, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => {
            let end = text.find(';').unwrap_or(text.len());
            (text[..end].trim_end_matches(SPACE), &text[end..])
        }
    };
    let is_plain = value.chars().all(|c| c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\')));
    is_plain.then_some((value, rest))
}

/// Whether an operator takes files of this type; an empty list takes all.
pub(in crate::http) fn is_allowed(declared: &str, allowed: &[String]) -> bool {
    let essence = essence(declared);
    let fits = |pattern: &String| match pattern.strip_suffix("/*") {
        Some(family) => essence.split('/').next() == Some(family),
        None => essence == pattern,
    };
    allowed.is_empty() || allowed.iter().any(fits)
}

/// What a file of this declared type is handed out as: the normal form of the type with its parameters, or
/// [`UNKNOWN`] for a type that is not kept.
pub(in crate::http) fn served(declared_type: &str) -> String {
    let is_kept = |normal: &String| {
        let essence = essence(normal);
        let is_media = essence.starts_with("audio/") || essence.starts_with("video/");
        is_media || INLINE.contains(&essence) || SERVED.contains(&essence)
    };
    declared(declared_type).filter(is_kept).unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Whether a file of this declared type may be shown in a page.
pub(in crate::http) fn may_be_inline(declared: &str) -> bool {
    INLINE.contains(&essence(declared))
}

/// Whether bytes begin as a file of this declared type does; a type that may not be inline never does.
pub(in crate::http) fn begins_as(declared: &str, bytes: &[u8]) -> bool {
    match essence(declared) {
        "image/png" => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => bytes.starts_with(b"\xff\xd8\xff"),
        "image/gif" => bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
        "image/webp" => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        _ => false,
    }
}

/// Whether the caller takes an answer of this type.
///
/// # Errors
/// `not_acceptable`.
pub(in crate::http) fn check_accept(headers: &HeaderMap, produced: &str) -> Result<(), Problem> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut ranges =
        lines.flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty()).peekable();
    if ranges.peek().is_none() || ranges.any(|range| accepts(range, produced)) {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::NotAcceptable).detail(format!("This route answers with {produced}.")))
}

/// Whether the caller prefers JSON to everything else (RFC 9110 section 12.5.1): it names JSON, and accepts no wildcard
/// and no other type with an equal or higher quality. The type of error answers, which every caller of JSON gets too,
/// does not count.
pub(in crate::http) fn prefers_json(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let (mut json, mut other) = (0.0_f32, 0.0_f32);
    for range in lines.flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty()) {
        let media_type = essence(range);
        if media_type.eq_ignore_ascii_case(JSON) {
            json = json.max(quality(range));
        } else if !media_type.eq_ignore_ascii_case(PROBLEM) {
            other = other.max(quality(range));
        }
    }
    json > other
}

/// Whether the caller names JSON among what it accepts; `*/*`, which browsers and clients send by themselves, is not
/// enough.
pub(in crate::http) fn asks_for_json(headers: &HeaderMap) -> bool {
    names(headers, JSON)
}

/// Whether the caller names HTML among what it accepts, as browsers do for a page.
pub(in crate::http) fn asks_for_html(headers: &HeaderMap) -> bool {
    names(headers, "text/html")
}

fn names(headers: &HeaderMap, wanted: &str) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let mut ranges = lines.flat_map(|line| line.split(','));
    ranges.any(|range| essence(range).eq_ignore_ascii_case(wanted) && accepts(range, wanted))
}

fn accepts(range: &str, produced: &str) -> bool {
    let wanted = essence(range);
    let family = wanted.strip_suffix("/*");
    let fits = wanted == "*/*"
        || wanted.eq_ignore_ascii_case(produced)
        || family.is_some_and(|family| produced.split('/').next() == Some(family));
    fits && quality(range) > 0.0
}

/// The weight of a range in `Accept`, from 0 to 1; one that cannot be read counts as 1.
fn quality(range: &str) -> f32 {
    let mut parameters = range.split(';').skip(1).map(str::trim);
    let weight = parameters.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.and_then(|text| text.parse::<f32>().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(1.0)
}

/// Whether the body is of a type that the route takes. A charset other than UTF-8 is not, and nothing is decoded.
///
/// # Errors
/// `unsupported_media_type`.
pub(in crate::http) fn check_content_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), Problem> {
    if headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(
            Problem::new(ErrorCode::UnsupportedMediaType).detail("This must come without Content-Encoding.")
        );
    }
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (given, another) = (lines.next().and_then(|line| line.to_str().ok()), lines.next());
    let is_taken = given.is_some_and(|given| {
        taken.iter().any(|taken| essence(given).eq_ignore_ascii_case(taken)) && is_utf8(given)
    });
    if is_taken && another.is_none() {
        return Ok(());
    }
    let detail = format!("This route takes {}.", taken.join(" or "));
    Err(Problem::new(ErrorCode::UnsupportedMediaType).detail(detail))
}

fn is_utf8(media_type: &str) -> bool {
    let mut parameters = media_type.split(';').skip(1).filter_map(|part| part.trim().split_once('='));
    parameters.all(|(name, value)| {
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(declared(text).as_deref(), expected, "{text:?}");
    }

    #[test]
    fn a_declared_type_is_read_and_lowered() {
        check("text/plain", Some("text/plain"));
        check("Text/HTML;Charset=UTF-8", Some("text/html; charset=utf-8"));
        check("multipart/mixed ;  Boundary=\"A b\"", Some("multipart/mixed; boundary=\"A b\""));
        check("application/vnd.api+json", Some("application/vnd.api+json"));
    }

    #[test]
    fn a_type_as_browsers_write_it_gets_its_normal_form() {
        let webm = Some("video/webm; codecs=\"vp8,opus\"");
        check("video/webm;codecs=vp8,opus", webm);
        check("video/webm; codecs=\"vp8,opus\"", webm);
        check("video/webm;codecs=\"vp8, opus\"", Some("video/webm; codecs=\"vp8, opus\""));
        check("audio/ogg;codecs=opus", Some("audio/ogg; codecs=opus"));
        check("video/mp4;codecs=avc1.42E01E;bitrate=1", Some("video/mp4; codecs=avc1.42E01E; bitrate=1"));
        for empty in ["text/plain;", "text/plain ; ", "text/plain;;", "text/plain; charset=", " text/plain\t"]
        {
            check(empty, Some("text/plain"));
        }
        check("text/plain;;charset=\"UTF-8\" ;", Some("text/plain; charset=utf-8"));
    }

    #[test]
    fn a_normal_form_is_its_own() {
        for text in ["video/webm;codecs=vp8,opus", "text/plain; a=\"b\"; c=\"d;e\"", "text/plain;;a=b c;"] {
            let normal = declared(text).unwrap();
            check(&normal, Some(&normal));
        }
    }

    #[test]
    fn what_is_no_type_is_refused() {
        let long = format!("text/{}", "x".repeat(limits::CONTENT_TYPE_BYTES_MAX));
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain; a",
            "text/plain; a=b\"c",
            "text/plain; =b",
            "te xt/plain",
            "text/plain\r\nx: y",
            "text/plain; a=\"b",
            "text/plain; a=\"\\\"\"",
            "text/plän",
            "text/plain, text/html",
            &long,
        ] {
            check(text, None);
        }
    }

    #[test]
    fn an_operator_can_allow_types_and_families() {
        let allowed = ["image/*".to_owned(), "application/pdf".to_owned()];
        for (text, expected) in [
            ("image/png", true),
            ("application/pdf; version=2", true),
            ("imagex/png", false),
            ("text/plain", false),
        ] {
            assert_eq!(is_allowed(text, &allowed), expected, "{text}");
        }
        assert!(is_allowed("text/plain", &[]));
    }

    #[test]
    fn what_a_browser_would_run_is_handed_out_as_bytes() {
        for text in [
            "text/html",
            "text/html; charset=utf-8",
            "image/svg+xml",
            "application/xml",
            "text/xml",
            "text/javascript",
            "application/xhtml+xml",
            "application/javascript",
            "x/y",
            "text/css",
        ] {
            assert_eq!(served(text), UNKNOWN, "{text}");
            assert!(!may_be_inline(text), "{text}");
        }
        assert_eq!(served("text/plain; charset=utf-8"), "text/plain; charset=utf-8");
        assert_eq!(served("video/webm;codecs=vp8,opus"), "video/webm; codecs=\"vp8,opus\"");
        assert_eq!(served("image/png; a=text/html"), "image/png; a=\"text/html\"");
        for smuggled in
            ["text/plain; a=b\r\nx: y", "text/plain\r\nx: y", "text/plain; a=\"\\\"; b=\"", "text/plain, a/b"]
        {
            assert_eq!(served(smuggled), UNKNOWN, "{smuggled:?}");
        }
        assert_eq!(served("video/mp4"), "video/mp4");
        assert!(may_be_inline("image/png") && !may_be_inline("application/pdf"));
    }

    #[test]
    fn what_may_be_inline_is_known_by_its_first_bytes() {
        let samples: [(&str, &[u8]); 4] = [
            ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
            ("image/gif", b"GIF89a\x01\0\x01\0"),
            ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
        ];
        for (declared, bytes) in samples {
            assert!(may_be_inline(declared) && bytes.len() <= limits::FIRST_BYTES, "{declared}");
            for (other, _) in samples {
                assert_eq!(begins_as(other, bytes), other == declared, "{declared} as {other}");
            }
            for wrong in [&b"<html>"[..], b"", &bytes[..3], b"<svg xmlns=", b"RIFF\x24\0\0\0WAVEfmt "] {
                // Three bytes identify a JPEG.
                assert_eq!(begins_as(declared, wrong), wrong == b"\xff\xd8\xff" && declared == "image/jpeg");
            }
        }
        assert_eq!(samples.len(), INLINE.len(), "each of them is known");
        assert!(!begins_as("text/html", b"<html>"));
    }

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn an_answer_goes_only_to_those_who_take_it() {
        let cases: &[(&[&str], bool)] = &[
            (&[], true),
            (&[""], true),
            (&["*/*"], true),
            (&["application/*"], true),
            (&["text/html, application/json;q=0.1"], true),
            (&["text/html", "application/json"], true),
            (&["text/html"], false),
            (&["application/json;q=0"], false),
            (&["application/json;q=0.000"], false),
            (&["image/*"], false),
        ];
        for (values, expected) in cases {
            assert_eq!(
                check_accept(&headers(ACCEPT, values), "application/json").is_ok(),
                *expected,
                "{values:?}"
            );
        }
    }

    #[test]
    fn only_a_named_type_is_asked_for() {
        for (value, json, html) in [
            ("application/json", true, false),
            ("text/plain, Application/JSON;q=0.5", true, false),
            ("application/json;q=0", false, false),
            ("*/*", false, false),
            ("application/*", false, false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false, true),
        ] {
            let headers = headers(ACCEPT, &[value]);
            assert_eq!((asks_for_json(&headers), asks_for_html(&headers)), (json, html), "{value}");
        }
        assert!(!asks_for_json(&HeaderMap::new()));
    }

    #[test]
    fn json_is_preferred_only_above_everything_else() {
        let cases: &[(&[&str], bool)] = &[
            (&["application/json"], true),
            (&["Application/JSON; charset=utf-8"], true),
            (&["application/json;q=0.1"], true),
            (&["application/json, */*;q=0.8"], true),
            (&["text/plain;q=0.5, application/json;Q=0.9"], true),
            (&["application/json", "*/*;q=0.1"], true),
            (&["application/json, application/problem+json"], true),
            (&["application/json, text/html;q=0"], true),
            (&["application/json, text/plain, */*"], false),
            (&["application/json, */*"], false),
            (&["application/json, application/*"], false),
            (&["application/json;q=0.8, */*;q=0.8"], false),
            (&["application/json;q=0.5, text/plain;q=0.9"], false),
            (&["application/json", "video/*"], false),
            (&["application/json;q=0"], false),
            (&["application/json;q=0.0, */*"], false),
            (&["application/problem+json"], false),
            (&["application/jsonx"], false),
            (&["*/*"], false),
            (&[""], false),
            (&[], false),
        ];
        for (values, expected) in cases {
            assert_eq!(prefers_json(&headers(ACCEPT, values)), *expected, "{values:?}");
        }
    }

    #[test]
    fn a_body_must_be_of_the_type_that_is_taken() {
        let cases: &[(&[&str], bool)] = &[
            (&["application/json"], true),
            (&["Application/JSON; charset=\"UTF-8\""], true),
            (&[], false),
            (&["text/plain"], false),
            (&["application/json; charset=latin1"], false),
            (&["application/jsonx"], false),
            (&["application/json", "application/json"], false),
        ];
        for (values, expected) in cases {
            let outcome = check_content_type(&headers(CONTENT_TYPE, values), &["application/json"]);
            assert_eq!(outcome.is_ok(), *expected, "{values:?}");
        }
        for (coding, expected) in [("identity", true), ("gzip", false), ("br", false)] {
            let mut headers = headers(CONTENT_TYPE, &["application/json"]);
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            assert_eq!(check_content_type(&headers, &["application/json"]).is_ok(), expected, "{coding}");
        }
    }

    proptest! {
        #[test]
        fn what_is_handed_out_is_one_header_value(
            text in "(text/plain|image/png|video/webm)[ ;a=\"\\\\,\r\n\tü/:]{0,24}"
        ) {
            let served = served(&text);
            prop_assert!(served.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            prop_assert_eq!(declared(&served), Some(served.clone()), "it reads back as one type");
        }
    }
}
