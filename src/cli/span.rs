//! Spans of time on the command line: `90s`, `15m`, `24h`, `7d`.

use std::time::Duration;

/// The longest span a flag may say (a year).
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Text that is no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a number with s, m, h or d, from 1s to 366d, like 15m")]
pub(super) struct SpanError;

/// Reads a whole number and its unit.
pub(super) fn parse(text: &str) -> Result<Duration, SpanError> {
    let units: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let found = units.iter().find_map(|(unit, secs)| Some((text.strip_suffix(*unit)?, *secs)));
    let (digits, seconds_each) = found.ok_or(SpanError)?;
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_digits).ok_or(SpanError)?;
    let span = Duration::from_secs(number.checked_mul(seconds_each).ok_or(SpanError)?);
    if span.is_zero() || span > SPAN_MAX { Err(SpanError) } else { Ok(span) }
}

/// The same, and digits alone count as seconds; they may be 0.
pub(super) fn parse_or_secs(text: &str) -> Result<Duration, SpanError> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits {
        return parse(text);
    }
    let span = text.parse().map(Duration::from_secs).map_err(|_| SpanError)?;
    if span > SPAN_MAX { Err(SpanError) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text).ok().map(|span| span.as_secs()), expected, "{text:?}");
    }

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        check("90s", Some(90));
        check("15m", Some(900));
        check("24h", Some(86_400));
        check("366d", Some(366 * 86_400));
    }

    #[test]
    fn digits_alone_are_seconds_where_a_flag_takes_them() {
        let secs = |text: &str| parse_or_secs(text).ok().map(|span| span.as_secs());
        assert_eq!([secs("0"), secs("60"), secs("20m")], [Some(0), Some(60), Some(1200)]);
        assert_eq!([secs(""), secs("-1"), secs("soon"), secs("99999999999"), secs("0s")], [None; 5]);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "s", "15", "0s", "367d", "-1h", "+1h", "1.5h", "1ss", "1 h", "99999999999999999999d", "1é"]
        {
            check(bad, None);
        }
    }
}
