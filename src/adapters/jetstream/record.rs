//! Records on the wire: names and values become headers, the id becomes `Nats-Msg-Id`.

use async_nats::header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID};
use async_nats::jetstream::{self, message::Info};
use async_nats::{HeaderMap, HeaderName, HeaderValue, Message};

use super::link::{Link, failed};
use crate::domain::time::Timestamp;
use crate::ports::{AckToken, LogDelivery, LogError, NewRecord, Record, Stream};

/// Headers that belong to the servers; a record's own never start so.
const RESERVED: &str = "Nats-";

/// A record that cannot be sent: a bug of the caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    /// A name or value that no header can hold.
    #[error("header {name:?} cannot be sent")]
    Header {
        /// Its name.
        name: String,
    },
    /// The subject is not tokens joined by dots.
    #[error("subject {subject:?} is not tokens of letters, digits, _ and - joined by dots")]
    Subject {
        /// The subject.
        subject: String,
    },
    /// The filter is not tokens, `*` and a last `>` joined by dots.
    #[error("filter {filter:?} is not tokens, * and a last > joined by dots")]
    Filter {
        /// The filter.
        filter: String,
    },
    /// The name is not one token.
    #[error("consumer name {name:?} is not 1 to 64 letters, digits, _ and -")]
    Name {
        /// The name.
        name: String,
    },
}

/// Bytes of a consumer's name.
const NAME_BYTES_MAX: usize = 64;

/// The headers of a new record. The stream is named in them, so that it cannot land in another.
pub(super) fn headers_of(stream: Stream, record: &NewRecord) -> Result<HeaderMap, RecordError> {
    check_subject(&record.subject)?;
    let mut headers = HeaderMap::new();
    for (name, value) in &record.headers {
        let refused = || RecordError::Header { name: name.clone() };
        let header: HeaderName = name.parse().map_err(|_| refused())?;
        let value: HeaderValue = value.parse().map_err(|_| refused())?;
        if name.is_empty() || name.starts_with(RESERVED) {
            return Err(refused());
        }
        headers.append(header, value);
    }
    let id = record.id.parse::<HeaderValue>();
    let id = id.map_err(|_| RecordError::Header { name: NATS_MESSAGE_ID.to_string() })?;
    headers.insert(NATS_MESSAGE_ID, id);
    headers.insert(NATS_EXPECTED_STREAM, stream.name());
    Ok(headers)
}

fn check_subject(subject: &str) -> Result<(), RecordError> {
    if subject.split('.').all(is_token) {
        Ok(())
    } else {
        Err(RecordError::Subject { subject: subject.to_owned() })
    }
}

/// Servers take an empty filter for everything, and spaces break the wire.
pub(super) fn check_filter(filter: &str) -> Result<(), RecordError> {
    let fixed = filter.strip_suffix(".>").unwrap_or(filter);
    if filter == ">" || fixed.split('.').all(|token| token == "*" || is_token(token)) {
        Ok(())
    } else {
        Err(RecordError::Filter { filter: filter.to_owned() })
    }
}

/// A name with a dot would be read as another consumer's subject.
pub(super) fn check_name(name: &str) -> Result<(), RecordError> {
    if is_token(name) && name.len() <= NAME_BYTES_MAX {
        Ok(())
    } else {
        Err(RecordError::Name { name: name.to_owned() })
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// A message of a consumer that acknowledges.
pub(super) fn delivery_of(link: &Link, message: Message) -> Result<LogDelivery, LogError> {
    let token = AckToken(message.reply.as_ref().map(ToString::to_string).unwrap_or_default());
    let (record, counts) = record_of(link, message)?;
    Ok(LogDelivery { record, deliveries: counts.deliveries, token })
}

/// How far a consumer has come with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeliveryCounts {
    /// How many times the consumer has handed it out.
    pub(super) deliveries: u32,
    /// How many messages the consumer has handed out, this one included.
    pub(super) consumer_sequence: u64,
}

/// A message of any consumer.
pub(super) fn record_of(link: &Link, message: Message) -> Result<(Record, DeliveryCounts), LogError> {
    let message = jetstream::Message { message, context: link.jetstream.clone() };
    let info =
        message.info().map_err(|error| failed(format_args!("a message without its place: {error}")))?;
    let counts = DeliveryCounts {
        deliveries: u32::try_from(info.delivered).unwrap_or(u32::MAX).max(1),
        consumer_sequence: info.consumer_sequence,
    };
    let (sequence, stored_at) = (info.stream_sequence, stored_at(&info));
    let Message { subject, payload, headers, .. } = message.message;
    let mut headers = headers.unwrap_or_default();
    let id = headers.get(NATS_MESSAGE_ID).map(ToString::to_string).unwrap_or_default();
    let headers = own_headers(&mut headers);
    Ok((Record { sequence, stored_at, subject: subject.to_string(), id, headers, payload }, counts))
}

fn stored_at(info: &Info<'_>) -> Timestamp {
    let millis = info.published.unix_timestamp_nanos().div_euclid(1_000_000);
    Timestamp::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Without the servers' own, by name: the wire keeps no order between names.
fn own_headers(headers: &mut HeaderMap) -> Vec<(String, String)> {
    let mut own: Vec<(String, String)> = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name.to_string(), value.to_string())))
        .filter(|(name, _)| !name.starts_with(RESERVED))
        .collect();
    own.sort_by(|(one, _), (other, _)| one.cmp(other));
    own
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(subject: &str, id: &str, headers: &[(&str, &str)]) -> NewRecord {
        NewRecord {
            subject: subject.to_owned(),
            id: id.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            payload: Bytes::new(),
        }
    }

    fn check(subject: &str, id: &str, headers: &[(&str, &str)], expected: &str) {
        let outcome = headers_of(Stream::Dlq, &record(subject, id, headers));
        assert_eq!(outcome.err().map(|error| error.to_string()).unwrap_or_default(), expected);
    }

    #[test]
    fn a_record_carries_its_id_and_its_stream() {
        let headers = headers_of(Stream::Dlq, &record("wharf.dlq.v1.s3", "7", &[("ce-id", "x")])).unwrap();
        let value = |name: &str| headers.get(name).map(ToString::to_string);
        assert_eq!(value("Nats-Msg-Id"), Some("7".to_owned()));
        assert_eq!(value("Nats-Expected-Stream"), Some("WHARF_DLQ".to_owned()));
        assert_eq!(value("ce-id"), Some("x".to_owned()));
    }

    #[test]
    fn what_would_break_the_wire_is_refused() {
        check("a.b", "7", &[("ce-id", "x")], "");
        check("a.b", "7", &[("x", "one\r\ntwo: three")], "header \"x\" cannot be sent");
        check("a.b", "7", &[("x:y", "z")], "header \"x:y\" cannot be sent");
        check("a.b", "7", &[("", "z")], "header \"\" cannot be sent");
        check("a.b", "7\n", &[], "header \"Nats-Msg-Id\" cannot be sent");
    }

    #[test]
    fn the_servers_own_names_are_refused() {
        check("a.b", "7", &[("Nats-Rollup", "all")], "header \"Nats-Rollup\" cannot be sent");
        check("a.b", "7", &[("Nats-TTL", "1s")], "header \"Nats-TTL\" cannot be sent");
    }

    #[test]
    fn a_subject_is_tokens_joined_by_dots() {
        let refused = |subject: &str| {
            check(
                subject,
                "7",
                &[],
                &format!("subject {subject:?} is not tokens of letters, digits, _ and - joined by dots"),
            );
        };
        refused("");
        refused("a..b");
        refused("a.*");
        refused("a.>");
        refused("a b");
        refused("a.b.");
        check("A-1.b_2", "7", &[], "");
    }

    fn check_filter_of(filter: &str, is_one: bool) {
        assert_eq!(check_filter(filter).is_ok(), is_one, "{filter:?}");
    }

    #[test]
    fn a_filter_is_tokens_and_wildcards() {
        check_filter_of("wharf.ingest.v1.7.>", true);
        check_filter_of("wharf.*.v1.*.u-1", true);
        check_filter_of(">", true);
        check_filter_of("*", true);
        check_filter_of("", false);
        check_filter_of(".>", false);
        check_filter_of("a.>.b", false);
        check_filter_of("a..b", false);
        check_filter_of("a b", false);
        check_filter_of("a.b*", false);
    }

    #[test]
    fn a_name_is_one_token() {
        assert_eq!(check_name("shard-7"), Ok(()));
        assert_eq!(check_name(&"x".repeat(64)), Ok(()));
        for name in ["", "a.b", "a b", "*", &"x".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
