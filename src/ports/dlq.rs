//! Records of the DLQ: the one place that names their headers and cuts them to what the log takes.

use bytes::Bytes;

use super::log::NewRecord;

/// The header with why a message goes no further.
pub const REASON_HEADER: &str = "Wharf-Reason";
/// The header with how often it was delivered.
pub const DELIVERIES_HEADER: &str = "Wharf-Deliveries";
/// The header with the subject it had, if it had one.
pub const SUBJECT_HEADER: &str = "Wharf-Subject";
/// The header with where it was read: `queue/<delivery>` or `WHARF_INGEST/<sequence>`.
pub const SOURCE_HEADER: &str = "Wharf-Source";
/// The header with the fault of each record of a notification.
pub const RECORDS_HEADER: &str = "Wharf-Records";
/// The header of a cut payload: `original length <bytes>`.
pub const TRUNCATED_HEADER: &str = "Wharf-Truncated";

/// Characters of a header's value.
const VALUE_CHARS_MAX: usize = 1024;

/// A message that is kept for a human.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undeliverable {
    /// The part of the program that gives it up; the last token of the DLQ subject.
    pub writer: &'static str,
    /// Tells it from every other, over repeats.
    pub id: String,
    /// Why it goes no further.
    pub reason: String,
    /// How often it was delivered.
    pub deliveries: u32,
    /// The subject it had, if it had one.
    pub subject: Option<String>,
    /// Where it was read.
    pub source: String,
    /// The fault of each record of it, if it is a notification.
    pub records: Option<String>,
    /// Its bytes as they came.
    pub payload: Bytes,
}

impl Undeliverable {
    /// The record for the DLQ.
    #[must_use]
    pub fn into_record(self) -> NewRecord {
        let mut headers = Vec::new();
        let mut put = |name: &str, value: &str| headers.push((name.to_owned(), printable(value)));
        put(REASON_HEADER, &self.reason);
        put(DELIVERIES_HEADER, &self.deliveries.to_string());
        put(SOURCE_HEADER, &self.source);
        if let Some(subject) = &self.subject {
            put(SUBJECT_HEADER, subject);
        }
        if let Some(records) = &self.records {
            put(RECORDS_HEADER, records);
        }
        NewRecord {
            subject: format!("wharf.dlq.v1.{}", self.writer),
            id: self.id,
            headers,
            payload: self.payload,
        }
    }
}

/// Cuts a record's payload so that the record has at most `bytes_max` bytes, and notes the original length in a header.
/// None if not even the headers fit, or if nothing has to be cut.
#[must_use]
pub fn cut_to(mut record: NewRecord, bytes_max: usize) -> Option<NewRecord> {
    let original = record.payload.len();
    if record.size_bytes() <= bytes_max {
        return None;
    }
    if !record.headers.iter().any(|(name, _)| name == TRUNCATED_HEADER) {
        record.headers.push((TRUNCATED_HEADER.to_owned(), format!("original length {original}")));
    }
    let room = bytes_max.checked_sub(record.size_bytes() - original)?;
    let mut end = room.min(original);
    // A text stays a text: its last character is whole.
    while end > 0 && record.payload.get(end).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {
        end -= 1;
    }
    record.payload.truncate(end);
    Some(record)
}

/// Headers hold one line of ASCII.
fn printable(text: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().map(shown).take(VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &str) -> NewRecord {
        let undeliverable = Undeliverable {
            writer: "feed",
            id: "7".to_owned(),
            reason: "bad\r\nWharf-Source: forged \u{e9}".to_owned(),
            deliveries: 3,
            subject: Some("wharf.ingest.v1.3.u".to_owned()),
            source: "WHARF_INGEST/7".to_owned(),
            records: None,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        };
        undeliverable.into_record()
    }

    fn header<'a>(record: &'a NewRecord, name: &str) -> Option<&'a str> {
        record.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_record_says_why_where_and_how_often() {
        let record = record("x");
        assert_eq!(record.subject, "wharf.dlq.v1.feed");
        assert_eq!(header(&record, "Wharf-Reason"), Some("bad??Wharf-Source: forged ?"));
        assert_eq!(header(&record, "Wharf-Deliveries"), Some("3"));
        assert_eq!(header(&record, "Wharf-Subject"), Some("wharf.ingest.v1.3.u"));
        assert_eq!(header(&record, "Wharf-Source"), Some("WHARF_INGEST/7"));
    }

    #[test]
    fn a_cut_record_fits_and_names_its_original_length() {
        let whole = record(&"é".repeat(1_000));
        for bytes_max in [400, 401, 402, 2_000] {
            let cut = cut_to(whole.clone(), bytes_max).unwrap();
            assert!(
                cut.size_bytes() <= bytes_max && cut.size_bytes() + 2 > bytes_max,
                "{}",
                cut.size_bytes()
            );
            assert_eq!(header(&cut, "Wharf-Truncated"), Some("original length 2000"));
            assert!(std::str::from_utf8(&cut.payload).is_ok());
            let again = cut_to(cut, bytes_max - 50).unwrap();
            assert_eq!(header(&again, "Wharf-Truncated"), Some("original length 2000"), "the first one's");
        }
        assert_eq!(cut_to(whole.clone(), 100), None, "not even the headers fit");
        assert_eq!(cut_to(record("short"), 1_000), None, "it fits as it is");
    }
}
