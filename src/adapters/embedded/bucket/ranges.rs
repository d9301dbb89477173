//! Which bytes of an object a read asks for: RFC 9110 section 14, one range as S3 has it.

use std::ops::Range;

use hyper::header::{HeaderMap, RANGE};

/// The bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// All, as if nothing had been asked.
    Whole,
    /// These; never none.
    Part(Range<u64>),
    /// The object has none of those.
    Unsatisfiable,
}

/// Reads the `Range` of a request for an object of `size_bytes`.
///
/// What is no range of bytes counts as none (section 14.2), and so do several ranges, of which S3 sends none.
pub(super) fn select(headers: &HeaderMap, size_bytes: u64) -> Selected {
    let mut lines = headers.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Selected::Whole };
    let Some((unit, ranges)) = line.to_str().ok().and_then(|line| line.split_once('=')) else {
        return Selected::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selected::Whole;
    }
    // A list may hold empty members (section 5.6.1.2).
    let mut ranges = ranges.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return Selected::Whole };
    let Some((first, last)) = range.split_once('-') else { return Selected::Whole };
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => between(first, u64::MAX, size_bytes),
        (Some(first), Some(last)) if first <= last => between(first, last, size_bytes),
        (None, Some(length)) if first.is_empty() => {
            let length = length.min(size_bytes);
            part(size_bytes - length..size_bytes)
        }
        (Some(_) | None, Some(_) | None) => Selected::Whole,
    }
}

/// From `first` to `last`, both included.
fn between(first: u64, last: u64, size_bytes: u64) -> Selected {
    part(first..last.saturating_add(1).min(size_bytes))
}

fn part(range: Range<u64>) -> Selected {
    if range.is_empty() { Selected::Unsatisfiable } else { Selected::Part(range) }
}

/// A number of any length: what does not fit lies behind every object. A sign is no digit.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, size_bytes: u64, expected: Selected) {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, range.parse().unwrap());
        assert_eq!(select(&headers, size_bytes), expected, "{range} of {size_bytes}");
    }

    #[test]
    fn one_range_is_taken_as_far_as_there_are_bytes() {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=2-9", 2..10),
            ("bytes=2-99", 2..10),
            ("bytes=2-9223372036854775808", 2..10),
            ("bytes=2-18446744073709551615", 2..10),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99999999999999999999999", 0..10),
            ("Bytes = 2-5", 2..6),
            ("bytes=, 2-5 ,", 2..6),
            ("bytes=0002-5", 2..6),
        ] {
            check(range, 10, Selected::Part(expected));
        }
    }

    #[test]
    fn a_range_behind_the_end_is_unsatisfiable() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=99999999999999999999999-", "bytes=-0"] {
            check(range, 10, Selected::Unsatisfiable);
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            check(range, 0, Selected::Unsatisfiable);
        }
    }

    #[test]
    fn anything_else_counts_as_no_range() {
        for range in [
            "bytes=0-0,2-3",
            "bytes=3-1",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=-",
            "bytes=--1",
            "bytes=",
            "bytes",
            "lines=1-2",
            "nonsense",
            "bytes=1- 2",
            "bytes=0x1-2",
            "bytes=1-2-3",
        ] {
            check(range, 10, Selected::Whole);
        }
        let mut twice = HeaderMap::new();
        twice.append(RANGE, "bytes=0-1".parse().unwrap());
        twice.append(RANGE, "bytes=2-3".parse().unwrap());
        assert_eq!(select(&twice, 10), Selected::Whole);
        assert_eq!(select(&HeaderMap::new(), 10), Selected::Whole);
    }
}
