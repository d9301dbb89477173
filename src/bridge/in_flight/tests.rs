//! What is published for a delivery, and when its receipt comes out.

use super::*;
use crate::bridge::parse_notification;
use crate::domain::time::Timestamp;
use crate::limits::NOTIFICATION_BYTES_MAX;

const KEY: &str = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000002";

fn record(key: &str, sequencer: &str) -> String {
    format!(
        r#"{{"eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:14:02.161Z",
            "s3":{{"bucket":{{"name":"wharf"}},"object":{{"key":"{key}","sequencer":"{sequencer}"}}}}}}"#
    )
}

fn packed(body: &str, deliveries: u32, seen_at: u64) -> InFlightDelivery {
    let body = body.to_owned();
    let delivery = QueueDelivery { id: "d-1".into(), body, receipt: Receipt("r-1".into()), deliveries };
    let parsed = parse_notification(&delivery.body, "wharf", Timestamp::from_millis(seen_at));
    InFlightDelivery::new(delivery, parsed, ShardCount::new(64).unwrap(), Instant::now())
}

fn header<'a>(record: &'a NewRecord, name: &str) -> Option<&'a str> {
    record.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn an_arrival_goes_to_its_users_shard_under_an_id_that_repeats_share() {
    let body = format!(r#"{{"Records":[{}]}}"#, record(KEY, "0A"));
    let first = packed(&body, 1, 1_795_169_643_000);
    let again = packed(&body, 7, 1_795_169_999_000);
    let (first, again) = (&first.next().unwrap().record, &again.next().unwrap().record);
    assert_eq!(first.subject, "wharf.ingest.v1.3.0199a3c4-0000-7000-8000-000000000001");
    assert_eq!(first.id, again.id, "whichever poller reads it, at any time");
    assert_eq!(first.id, "c4aa50b82d2a6b66e17d2151bca3649b71c116dee9dbfa6cf582a345f5dc9d11", "frozen");
    let arrival: Arrival = serde_json::from_slice(&first.payload).unwrap();
    assert_eq!((arrival.key.as_str(), arrival.sequencer.as_str()), (KEY, "0A"));
}

#[test]
fn other_facts_have_other_ids() {
    let id_of = |body: &str| packed(body, 1, 0).next().unwrap().record.id.clone();
    let created = format!(r#"{{"Records":[{}]}}"#, record(KEY, "0A"));
    assert_ne!(id_of(&created), id_of(&created.replace("0A", "0B")));
    assert_ne!(id_of(&created), id_of(&created.replace("ObjectCreated", "ObjectRemoved")));
    assert_ne!(id_of(&created), id_of(&created.replace("000002", "000003")));
}

#[test]
fn what_is_rejected_is_kept_whole_with_its_reasons() {
    let body = format!(r#"{{"Records":[{},7,{}]}}"#, record(KEY, "0A"), record("x", "0A"));
    let mut in_flight = packed(&body, 3, 0);
    assert_eq!(in_flight.confirmed().unwrap().stream, Stream::Ingest);
    let kept = in_flight.confirmed().unwrap();
    assert_eq!((kept.stream, kept.record.subject.as_str()), (Stream::Dlq, "wharf.dlq.v1.bridge"));
    assert_eq!(kept.record.payload, body.as_bytes(), "the original bytes");
    assert_eq!(header(&kept.record, "Wharf-Reason"), Some("malformed"));
    assert_eq!(header(&kept.record, "Wharf-Records"), Some("1:malformed,2:foreign_key"));
    assert_eq!(header(&kept.record, "Wharf-Deliveries"), Some("3"));
    assert_eq!(header(&kept.record, "Wharf-Source"), Some("queue/d-1"));
    assert_eq!(header(&kept.record, "Wharf-Truncated"), None);
    assert_eq!(in_flight.into_receipt().unwrap(), Receipt("r-1".into()));
}

// proves: I19
#[test]
fn the_receipt_stays_in_until_everything_is_confirmed() {
    let body = format!(r#"{{"Records":[{},{}]}}"#, record(KEY, "0A"), record(KEY, "0B"));
    let in_flight = packed(&body, 1, 0);
    let mut in_flight = in_flight.into_receipt().unwrap_err();
    assert!(in_flight.confirmed().is_some());
    let mut in_flight = in_flight.into_receipt().unwrap_err();
    assert!(in_flight.confirmed().is_some());
    assert!(in_flight.into_receipt().is_ok());
    assert!(packed(r#"{"Event":"s3:TestEvent"}"#, 1, 0).into_receipt().is_ok(), "nothing to wait for");
}

#[test]
fn a_dead_letter_is_cut_to_what_the_log_takes_and_an_arrival_is_not() {
    let body = format!(r#"{{"Records":[{}],"rest":"{}"}}"#, record("x", "0A"), "é".repeat(1_000));
    let mut in_flight = packed(&body, 1, 0);
    assert!(in_flight.cut_next(1_500));
    let kept = &in_flight.next().unwrap().record;
    assert!(kept.size_bytes() <= 1_500 && kept.size_bytes() > 1_490);
    let original = format!("original length {}", body.len());
    assert_eq!(header(kept, "Wharf-Truncated"), Some(original.as_str()));
    assert!(!in_flight.cut_next(50), "not even its headers fit");
    let mut arrival = packed(&format!(r#"{{"Records":[{}]}}"#, record(KEY, "0A")), 1, 0);
    assert!(!arrival.cut_next(200));
}

#[test]
fn a_notification_that_is_not_read_is_kept_all_the_same() {
    let in_flight = packed(&"é".repeat(NOTIFICATION_BYTES_MAX), 1, 0);
    let kept = &in_flight.next().unwrap().record;
    assert_eq!(header(kept, "Wharf-Records"), Some("all:too_large"));
    assert_eq!(kept.payload.len(), 2 * NOTIFICATION_BYTES_MAX);
}

#[test]
fn many_rejected_records_make_one_copy_and_a_short_header() {
    let body = format!(r#"{{"Records":[{}]}}"#, vec!["7"; 5_000].join(","));
    let mut in_flight = packed(&body, 1, 0);
    let kept = in_flight.confirmed().unwrap();
    assert!(header(&kept.record, "Wharf-Records").unwrap().len() < 300);
    assert!(in_flight.next().is_none());
}
