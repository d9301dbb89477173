//! Points in time, as numbers. Nothing here reads a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// In a readable format (JSON) it is RFC 3339 in UTC with three decimals; elsewhere the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// Text that is not an RFC 3339 point in time between 1970 and 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time: {0:?}")]
pub struct TimestampError(String);

/// 9999-12-31T23:59:59.999Z, the last time that RFC 3339 can write.
const MILLIS_MAX: u64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since 1970; later than the year 9999 becomes the end of that year.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > MILLIS_MAX { MILLIS_MAX } else { millis })
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This much earlier, not before 1970.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Reads RFC 3339 with any offset and any number of decimals; finer than a millisecond is cut.
    ///
    /// # Errors
    /// Anything else, and years before 1970.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let refused = || TimestampError(text.chars().take(40).collect());
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?;
        let millis = parsed.unix_timestamp_nanos().div_euclid(1_000_000);
        u64::try_from(millis).map(Self::from_millis).map_err(|_| refused())
    }

    fn date_time(self) -> OffsetDateTime {
        let nanos = i128::from(self.0) * 1_000_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// `20261120T101402Z`, the form SigV4 dates have (ISO 8601 basic).
    #[must_use]
    pub fn to_iso_basic(self) -> String {
        let t = self.date_time();
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", t.hour(), t.minute(), t.second())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.date_time();
        let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
        let (hour, minute, second, milli) = (t.hour(), t.minute(), t.second(), t.millisecond());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).map_err(D::Error::custom)
        } else {
            u64::deserialize(deserializer).map(Self::from_millis)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_z() {
        assert_eq!(Timestamp::from_millis(1_795_169_642_161).to_string(), "2026-11-20T10:14:02.161Z");
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(1_795_169_642_161).to_iso_basic(), "20261120T101402Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [0, 1, 999, 1_795_169_642_161, MILLIS_MAX] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }
        assert_eq!(Timestamp::from_millis(u64::MAX).as_millis(), MILLIS_MAX);
    }

    #[test]
    fn offsets_and_long_fractions_are_read() {
        let time = Timestamp::parse("2026-11-20T11:14:02.161999+01:00");
        assert_eq!(time, Ok(Timestamp::from_millis(1_795_169_642_161)));
        assert!(Timestamp::parse("1969-12-31T23:59:59Z").is_err());
        assert!(Timestamp::parse("yesterday").is_err());
    }
}
