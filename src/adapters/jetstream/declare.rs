//! What `nats/` asks of the streams and consumers, and how that differs from what a server has.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::config::NatsSettings;
use crate::ports::{ConsumerSpec, Stream};

/// A stream's or consumer's settings, in the servers' own words.
pub(super) type Declared = Map<String, Value>;

const INGEST: &str = include_str!("../../../nats/streams/ingest.json");
const EVENTS: &str = include_str!("../../../nats/streams/events.json");
const DLQ: &str = include_str!("../../../nats/streams/dlq.json");
const CONSUMER: &str = include_str!("../../../nats/consumer.json");

/// Settings on which the promises of a stream rest: what is kept, what is refused, what counts once.
const GRAVE: [&str; 5] = ["subjects", "retention", "discard", "duplicate_window", "storage"];

/// A setting that is not as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    stream: Stream,
    key: String,
    asked: Value,
    found: Value,
}

impl Difference {
    /// Whether the stream must not be used.
    pub(super) fn is_grave(&self) -> bool {
        GRAVE.contains(&self.key.as_str())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, key, asked, found } = self;
        write!(f, "{}: {key} is {found}, asked for {asked}", stream.name())
    }
}

/// What a stream shall be.
pub(super) fn stream(stream: Stream, settings: &NatsSettings) -> Declared {
    let (text, bytes_max) = match stream {
        Stream::Ingest => (INGEST, settings.ingest_bytes_max),
        Stream::Events => (EVENTS, settings.events_bytes_max),
        Stream::Dlq => (DLQ, settings.dlq_bytes_max),
    };
    let mut declared = parse(text);
    declared.insert("max_bytes".to_owned(), bytes_max.into());
    declared.insert("num_replicas".to_owned(), settings.replicas.into());
    declared
}

/// What a durable consumer shall be.
pub(super) fn consumer(spec: &ConsumerSpec) -> Declared {
    let mut declared = parse(CONSUMER);
    declared.insert("durable_name".to_owned(), spec.name.clone().into());
    declared.insert("name".to_owned(), spec.name.clone().into());
    declared.insert("filter_subject".to_owned(), spec.filter.clone().into());
    declared.insert("ack_wait".to_owned(), nanos(spec.ack_wait).into());
    declared.insert("max_ack_pending".to_owned(), spec.ack_pending_max.into());
    declared
}

fn parse(text: &str) -> Declared {
    serde_json::from_str(text).expect("the files in nats/ are objects, a test parses them")
}

/// A span as the servers write it.
pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Every setting that was asked for and is not so. What was not asked for does not count.
pub(super) fn differences(stream: Stream, asked: &Declared, found: &Declared) -> Vec<Difference> {
    let is_setting = |key: &str| key != "description";
    asked
        .iter()
        .filter(|(key, _)| is_setting(key))
        .filter_map(|(key, asked)| {
            let found = found.get(key).unwrap_or(&Value::Null);
            let is_so = found == asked || (found.is_null() && is_default(asked));
            let (key, asked, found) = (key.clone(), asked.clone(), found.clone());
            (!is_so).then_some(Difference { stream, key, asked, found })
        })
        .collect()
}

/// Servers leave out what is empty, zero or false.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn declared(which: Stream) -> Declared {
        stream(which, &NatsSettings::default())
    }

    fn check_stream(which: Stream, discard: &str, max_age: Duration, window: Duration) {
        let declared = declared(which);
        assert_eq!(declared["name"], which.name());
        assert_eq!(declared["retention"], "limits");
        assert_eq!(declared["storage"], "file");
        assert_eq!(declared["discard"], discard);
        assert_eq!(declared["max_age"], nanos(max_age));
        assert_eq!(declared["duplicate_window"], nanos(window));
        assert_eq!(declared["num_replicas"], 1);
    }

    #[test]
    fn the_streams_are_what_the_documents_say() {
        check_stream(Stream::Ingest, "new", 3 * DAY, Duration::from_secs(600));
        check_stream(Stream::Events, "old", 30 * DAY, Duration::from_secs(120));
        check_stream(Stream::Dlq, "old", 90 * DAY, Duration::from_secs(120));
    }

    #[test]
    fn the_files_hold_the_defaults_of_the_settings() {
        for (which, text) in [(Stream::Ingest, INGEST), (Stream::Events, EVENTS), (Stream::Dlq, DLQ)] {
            assert_eq!(parse(text), declared(which));
        }
    }

    #[test]
    fn no_subject_belongs_to_two_streams() {
        let all: Vec<String> = Stream::ALL
            .iter()
            .flat_map(|which| declared(*which)["subjects"].as_array().cloned().unwrap_or_default())
            .map(|subject| subject.as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(all.len(), 5);
        assert!(all.iter().all(|subject| subject.ends_with(".v1.>") && subject.starts_with("wharf.")));
        for (place, subject) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(subject), "{subject} twice");
        }
    }

    fn spec() -> ConsumerSpec {
        ConsumerSpec {
            stream: Stream::Ingest,
            name: "shard-7".to_owned(),
            filter: "wharf.ingest.v1.7.>".to_owned(),
            ack_wait: limits::ACK_WAIT,
            ack_pending_max: limits::ACK_PENDING_MAX,
        }
    }

    #[test]
    fn a_consumer_of_the_limits_is_the_template() {
        let (declared, template) = (consumer(&spec()), parse(CONSUMER));
        let differing: Vec<&String> =
            declared.keys().filter(|key| declared.get(*key) != template.get(*key)).collect();
        assert_eq!(differing, ["durable_name", "filter_subject", "name"]);
        assert_eq!(declared["max_deliver"], -1);
        assert!(!declared.contains_key("backoff"), "it would override the ack wait");
    }

    fn check(change: fn(&mut Declared), expected: &[&str], is_grave: bool) {
        let asked = declared(Stream::Ingest);
        let mut found = asked.clone();
        change(&mut found);
        let differences = differences(Stream::Ingest, &asked, &found);
        let lines: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected);
        assert_eq!(differences.iter().any(Difference::is_grave), is_grave);
    }

    #[test]
    fn what_is_as_asked_is_no_difference() {
        check(|_| {}, &[], false);
        check(|found| drop(found.insert("placement".to_owned(), "eu".into())), &[], false);
        check(|found| drop(found.insert("description".to_owned(), "other words".into())), &[], false);
    }

    #[test]
    fn a_setting_the_server_dropped_is_a_difference() {
        check(
            |found| drop(found.remove("duplicate_window")),
            &["WHARF_INGEST: duplicate_window is null, asked for 600000000000"],
            true,
        );
    }

    #[test]
    fn what_could_lose_or_repeat_records_is_grave() {
        check(
            |found| drop(found.insert("discard".to_owned(), "old".into())),
            &["WHARF_INGEST: discard is \"old\", asked for \"new\""],
            true,
        );
        check(
            |found| drop(found.insert("retention".to_owned(), "workqueue".into())),
            &["WHARF_INGEST: retention is \"workqueue\", asked for \"limits\""],
            true,
        );
    }

    #[test]
    fn another_size_is_told_and_not_grave() {
        check(
            |found| drop(found.insert("max_bytes".to_owned(), 5.into())),
            &["WHARF_INGEST: max_bytes is 5, asked for 1073741824"],
            false,
        );
    }

    #[test]
    fn servers_may_leave_out_what_is_zero() {
        let asked: Declared =
            [("a", 0), ("b", 1)].map(|(key, value)| (key.to_owned(), value.into())).into_iter().collect();
        let lines: Vec<String> =
            differences(Stream::Dlq, &asked, &Declared::new()).iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["WHARF_DLQ: b is null, asked for 1"]);
    }
}
