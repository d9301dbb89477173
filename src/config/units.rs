//! Numbers with a unit: `50MiB` for a setting in bytes, `15m` for one in seconds.

/// Sizes, each unit with its bytes. Names count in any case.
const SIZES: [(&str, u64); 10] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("bytes", 1),
    ("b", 1),
];
/// Spans of time, each unit with its milliseconds.
const SPANS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];

/// The unit of a setting, by the setting's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// `upload.max_bytes`
    Bytes,
    /// `ledger.scylla.request_timeout_ms`
    Millis,
    /// `upload.url_ttl_secs`
    Secs,
    /// `sweep.trash_days`
    Days,
}

impl Unit {
    /// The unit of a setting; none if its name ends in none.
    pub(super) fn of(key: &str) -> Option<Self> {
        let name = key.rsplit('.').next().unwrap_or_default();
        let mut words = name.split('_');
        match name.rsplit('_').next() {
            Some("ms") => Some(Self::Millis),
            Some("secs") => Some(Self::Secs),
            Some("days") => Some(Self::Days),
            Some(_) | None => words.any(|word| word == "bytes").then_some(Self::Bytes),
        }
    }

    /// The accepted forms, for people.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Bytes => "bytes, or a size like \"50MiB\"",
            Self::Millis => "milliseconds, or a span like \"3s\"",
            Self::Secs => "seconds, or a span like \"15m\"",
            Self::Days => "days, or a span like \"30d\"",
        }
    }

    /// A number of this unit, as people read it: `50 MiB` for 52428800. None if that says no more than the digits.
    pub(super) fn readable(self, number: u64) -> Option<String> {
        let (units, each): (&[(&str, u64)], u64) = match self {
            Self::Bytes => (&[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)], 1),
            Self::Millis => (&[("min", 60_000), ("s", 1_000)], 1),
            Self::Secs => (&[("days", 86_400), ("h", 3_600), ("min", 60)], 1),
            Self::Days => return None,
        };
        let fits = |(_, size): &&(&str, u64)| number > 0 && (number * each).is_multiple_of(*size);
        let (name, size) = units.iter().find(fits)?;
        Some(format!("{} {name}", number / size))
    }

    /// Reads digits and a unit, with or without a space between. None: it is something else, or no whole number of
    /// what the setting counts.
    fn read(self, text: &str) -> Option<u64> {
        let text = text.trim();
        let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '_')?;
        let (digits, unit) = text.split_at(digits_end);
        let number: u64 = digits.replace('_', "").parse().ok()?;
        let unit = unit.trim_start();
        let (units, each): (&[(&str, u64)], u64) = match self {
            Self::Bytes => (&SIZES, 1),
            Self::Millis => (&SPANS, 1),
            Self::Secs => (&SPANS, 1_000),
            Self::Days => (&SPANS, 24 * 3_600_000),
        };
        let (_, size) = units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
        let total = number.checked_mul(*size)?;
        total.is_multiple_of(each).then_some(total / each)
    }
}

/// The number that a text says for this setting; none: the setting has no unit, or the text is no number with one.
pub(super) fn number(key: &str, text: &str) -> Option<u64> {
    Unit::of(key)?.read(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, text: &str, expected: Option<u64>) {
        assert_eq!(number(key, text), expected, "{key} = {text:?}");
    }

    #[test]
    fn a_size_is_digits_and_a_unit() {
        for (text, expected) in [
            ("50MiB", 50 << 20),
            ("1 GiB", 1 << 30),
            ("64KB", 64_000),
            ("2kib", 2048),
            ("1TB", 1_000_000_000_000),
            ("1_000 B", 1000),
            ("7bytes", 7),
        ] {
            check("upload.max_bytes", text, Some(expected));
            check("log.nats.ingest_bytes_max", text, Some(expected));
        }
    }

    #[test]
    fn a_span_is_told_in_what_the_setting_counts() {
        check("upload.url_ttl_secs", "15m", Some(900));
        check("upload.url_ttl_secs", "6d", Some(518_400));
        check("ledger.scylla.request_timeout_ms", "3s", Some(3000));
        check("sweep.trash_days", "720h", Some(30));
    }

    #[test]
    fn anything_else_is_no_number() {
        for bad in ["", "lots", "MiB", "50", "50M", "50 Mb/s", "1.5GiB", "-1KiB", "99999999999TiB", "15m"] {
            check("upload.max_bytes", bad, None);
        }
        check("upload.url_ttl_secs", "1500ms", None);
        check("sweep.trash_days", "36h", None);
        check("sweep.accounts_per_sec", "5s", None);
        check("shards", "5s", None);
    }

    #[test]
    fn a_number_is_readable_where_that_helps() {
        assert_eq!(Unit::Bytes.readable(50 << 20).as_deref(), Some("50 MiB"));
        assert_eq!(Unit::Bytes.readable(1000), None);
        assert_eq!(Unit::Secs.readable(900).as_deref(), Some("15 min"));
        assert_eq!(Unit::Secs.readable(0), None);
        assert_eq!(Unit::Millis.readable(3000).as_deref(), Some("3 s"));
    }
}
