//! One `check` and many notifications; then anything at all.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const BUCKET: &str = "wharf";
const KEY: &str = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000002";
const OTHER: &str = "user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-000000000003";
const SEEN_AT: Timestamp = Timestamp::from_millis(1_795_169_643_000);

fn parsed(body: &str) -> ParsedNotification {
    parse_notification(body, BUCKET, SEEN_AT)
}

/// A parse result in one line: `created …002`, `!1:foreign_key`, `ignored`.
fn summary(result: &ParsedNotification) -> String {
    let forward = result.forward.iter().map(|(key, arrival)| {
        assert_eq!(key.to_string(), arrival.key);
        let kind = match arrival.kind {
            ArrivalKind::Created => "created",
            ArrivalKind::Removed => "removed",
        };
        format!("{kind} …{}", &arrival.key[arrival.key.len() - 3..])
    });
    let rejected = result.rejected.iter().map(|rejection| match rejection.record {
        Some(place) => format!("!{place}:{}", rejection.reason.as_str()),
        None => format!("!{}", rejection.reason.as_str()),
    });
    let ignored = result.ignored.iter().map(|(event, count)| format!("{} x{count}", event.as_str()));
    forward.chain(rejected).chain(ignored).collect::<Vec<_>>().join(", ")
}

fn check(message: &Value, expected: &str) {
    let body = message.to_string();
    assert_eq!(summary(&parsed(&body)), expected, "{body}");
}

/// A record as S3 writes it.
fn record() -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
        "eventTime": "2026-11-20T10:14:02.161Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "X"}, "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "I"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": BUCKET, "ownerIdentity": {"principalId": "O"}, "arn": "arn:aws:s3:::wharf"},
            "object": {"key": KEY, "size": 5, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6DCD90281E5"}
        }
    })
}

/// A record with one field replaced, or removed where the value is null.
fn with(path: &str, value: Value) -> Value {
    let mut record = record();
    let (parent, field) = path.rsplit_once('/').expect("a path starts with a slash");
    let parent = record.pointer_mut(parent).and_then(Value::as_object_mut).expect("a path of the record");
    if value.is_null() {
        parent.remove(field);
    } else {
        parent.insert(field.to_owned(), value);
    }
    record
}

fn message(records: &[Value]) -> Value {
    json!({"Records": records})
}

fn one(path: &str, value: Value) -> Value {
    message(&[with(path, value)])
}

fn sns(inner: &str) -> Value {
    json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t",
           "Subject": "Amazon S3 Notification", "Message": inner, "Timestamp": "2026-11-20T10:14:03.000Z"})
}

fn event_bridge(detail_type: &str, key: &str) -> Value {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": detail_type,
        "source": "aws.s3", "account": "1", "time": "2026-11-20T10:14:02Z", "region": "us-east-1",
        "resources": ["arn:aws:s3:::wharf"],
        "detail": {"version": "0", "bucket": {"name": BUCKET}, "reason": "PutObject",
                   "object": {"key": key, "size": 5, "etag": "b57f9512698f4b09e608f4f2a65852e5",
                              "version-id": "v", "sequencer": "00617F08299329D189"}}
    })
}

#[test]
fn a_record_of_s3_says_everything() {
    let result = parsed(&message(&[record()]).to_string());
    let arrival = Arrival {
        kind: ArrivalKind::Created,
        bucket: BUCKET.to_owned(),
        key: KEY.to_owned(),
        size_bytes: Some(5),
        etag: Some("d41d8cd98f00b204e9800998ecf8427e".to_owned()),
        sequencer: "0055AED6DCD90281E5".to_owned(),
        happened_at: Timestamp::from_millis(1_795_169_642_161),
        seen_at: SEEN_AT,
    };
    assert_eq!(result.forward, [(ObjectKey::parse(KEY).unwrap(), arrival)]);
    assert!(result.rejected.is_empty() && result.ignored.is_empty());
}

#[test]
fn beginnings_and_ends_of_objects_are_told_apart() {
    let name = |name: &str| one("/eventName", json!(name));
    check(&name("ObjectCreated:Put"), "created …002");
    check(&name("ObjectCreated:CompleteMultipartUpload"), "created …002");
    check(&name("ObjectRemoved:Delete"), "removed …002");
    check(&name("ObjectRemoved:DeleteMarkerCreated"), "removed …002");
    check(&name("LifecycleExpiration:Delete"), "removed …002");
    check(&name("s3:ObjectCreated:Put"), "created …002");
    check(&name("s3:ObjectRemoved:Delete"), "removed …002");
}

// proves: F22
#[test]
fn events_of_no_use_are_ignored_by_name_and_no_dead_letters() {
    let name = |name: &str| one("/eventName", json!(name));
    check(&name("ObjectRestore:Completed"), "restore x1");
    check(&name("s3:ObjectRestore:Post"), "restore x1");
    check(&name("ObjectTagging:Put"), "tagging x1");
    check(&name("ObjectAcl:Put"), "acl x1");
    check(&name("LifecycleTransition"), "storage_class x1");
    check(&name("IntelligentTiering"), "storage_class x1");
    check(&name("Replication:OperationFailedReplication"), "replication x1");
    check(&name("ReducedRedundancyLostObject"), "lost x1");
    check(&name("s3:TestEvent"), "test x1");
    check(&name("ObjectAnnotation:Put"), "other x1");
    check(&name("s3:s3:ObjectCreated:Put"), "other x1");
    check(&name("objectcreated:put"), "other x1");
    check(&name(""), "other x1");
    let tagging = with("/eventName", json!("ObjectTagging:Put"));
    check(&message(&[tagging.clone(), record(), tagging]), "created …002, tagging x2");
    let words: std::collections::BTreeSet<_> = Ignored::ALL.iter().map(|event| event.as_str()).collect();
    assert_eq!(words.len(), Ignored::ALL.len());
}

#[test]
fn a_removal_needs_neither_size_nor_etag() {
    let mut record = with("/eventName", json!("ObjectRemoved:Delete"));
    record["s3"]["object"] = json!({"key": KEY, "sequencer": "00"});
    let result = parsed(&message(&[record]).to_string());
    let (_, arrival) = &result.forward[0];
    assert_eq!((arrival.kind, arrival.size_bytes, &arrival.etag), (ArrivalKind::Removed, None, &None));
}

#[test]
fn keys_of_s3_are_form_decoded_and_only_ours_pass() {
    let key = |key: &str| one("/s3/object/key", json!(key));
    check(&key(&KEY.replace('/', "%2F")), "created …002");
    check(&key(&KEY.replace('/', "%2f")), "created …002");
    check(&key(&KEY.replace('-', "%2D")), "created …002");
    check(&key(&KEY.replace('/', "%252F")), "!0:foreign_key");
    check(&key(&KEY.replacen('/', "+/", 1)), "!0:foreign_key");
    check(&key("user/a+b/c%20d"), "!0:foreign_key");
    check(&key(&format!("{KEY}%00")), "!0:foreign_key");
    check(&key(&KEY.to_uppercase()), "!0:foreign_key");
    check(&key("%ff%fe"), "!0:foreign_key");
    check(&key("../../etc/passwd"), "!0:foreign_key");
    check(&key("%"), "!0:foreign_key");
    check(&key(""), "!0:foreign_key");
    check(&one("/s3/object/key", json!(7)), "!0:foreign_key");
    check(&one("/s3/object/key", Value::Null), "!0:foreign_key");
    assert_eq!(form_decoded("a+b%2Bc%20d").as_deref(), Some("a b+c d"));
}

// proves: F22
#[test]
fn other_buckets_and_other_versions_are_kept_aside() {
    check(&one("/s3/bucket/name", json!("wharf2")), "!0:foreign_bucket");
    check(&one("/s3/bucket/name", json!("")), "!0:foreign_bucket");
    check(&one("/s3/bucket/name", Value::Null), "!0:malformed");
    check(&one("/eventVersion", json!("2.0")), "created …002");
    check(&one("/eventVersion", json!("2.6")), "created …002");
    check(&one("/eventVersion", Value::Null), "created …002");
    check(&one("/eventVersion", json!("1.0")), "created …002");
    check(&one("/eventVersion", json!("1")), "created …002");
    check(&one("/eventVersion", json!("3.0")), "!0:unknown_version");
    check(&one("/eventVersion", json!("10.0")), "!0:unknown_version");
    check(&one("/eventVersion", json!("20.1")), "!0:unknown_version");
}

#[test]
fn what_is_missing_or_wrong_is_malformed_and_what_is_new_does_no_harm() {
    check(&one("/eventName", Value::Null), "!0:malformed");
    check(&one("/s3/object/sequencer", json!("0".repeat(129))), "!0:malformed");
    check(&one("/s3/object/eTag", json!("e".repeat(129))), "!0:malformed");
    check(&message(&[json!(null), json!([]), json!("x")]), "!0:malformed, !1:malformed, !2:malformed");
    check(&one("/glacierEventData", json!({"restoreEventData": {}})), "created …002");
    check(&one("/s3/object/newField", json!([1, {"a": null}])), "created …002");
    check(&one("/s3/object/sequencer", Value::Null), "created …002");
}

#[test]
fn a_missing_or_odd_time_costs_no_file() {
    for time in
        [Value::Null, json!("yesterday"), json!("1969-12-31T23:59:59Z"), json!(7), json!("2026-11-20")]
    {
        let result = parsed(&one("/eventTime", time.clone()).to_string());
        let happened: Vec<_> = result.forward.iter().map(|(_, arrival)| arrival.happened_at).collect();
        assert_eq!((happened, result.rejected), (vec![SEEN_AT], Vec::new()), "{time}");
    }
}

#[test]
fn records_may_come_as_a_bare_array() {
    check(&json!([record(), with("/s3/object/key", json!(OTHER))]), "created …002, created …003");
    check(&sns(&json!([record()]).to_string()), "created …002");
    check(&json!([7]), "!0:malformed");
}

#[test]
fn sizes_and_etags_are_read_as_the_senders_write_them() {
    let of = |path: &str, value: Value| parsed(&one(path, value).to_string()).forward.remove(0).1;
    assert_eq!(of("/s3/object/size", json!("1024")).size_bytes, Some(1024));
    assert_eq!(of("/s3/object/size", json!(u64::MAX)).size_bytes, Some(u64::MAX));
    for unreadable in [json!(-1), json!(1.5), json!("many"), json!([5]), Value::Null] {
        assert_eq!(of("/s3/object/size", unreadable).size_bytes, None, "the bucket is asked later");
    }
    assert_eq!(of("/s3/object/eTag", json!("\"abc-2\"")).etag.as_deref(), Some("abc-2"));
    assert_eq!(of("/s3/object/eTag", json!("")).etag, None);
    assert_eq!(of("/s3/object/eTag", Value::Null).etag, None);
}

#[test]
fn records_are_judged_each_by_itself() {
    let other = with("/s3/object/key", json!(OTHER));
    check(&message(&[record(), other.clone()]), "created …002, created …003");
    let bad = with("/s3/bucket/name", json!("x"));
    check(
        &message(&[bad.clone(), record(), json!(7), other]),
        "created …002, created …003, !0:foreign_bucket, !2:malformed",
    );
    check(&message(&[bad.clone(), bad]), "!0:foreign_bucket, !1:foreign_bucket");
}

#[test]
fn sns_is_unwrapped_once() {
    let inner = message(&[record()]).to_string();
    check(&sns(&inner), "created …002");
    check(&sns(&event_bridge("Object Created", KEY).to_string()), "created …002");
    check(&sns(&sns(&inner).to_string()), "!not_a_notification");
    check(&sns("so much for JSON"), "!not_json");
    check(&json!({"Type": "Notification", "Message": {"Records": []}}), "!not_a_notification");
    check(&json!({"Type": "SubscriptionConfirmation", "Message": inner}), "!not_a_notification");
}

#[test]
fn event_bridge_keys_are_not_encoded() {
    check(&event_bridge("Object Created", KEY), "created …002");
    check(&event_bridge("Object Deleted", KEY), "removed …002");
    check(&event_bridge("Object Created", &KEY.replace('/', "%2F")), "!foreign_key");
    check(&event_bridge("Object Restore Completed", KEY), "restore x1");
    check(&event_bridge("Object Tags Added", KEY), "tagging x1");
    check(&event_bridge("Object ACL Updated", KEY), "acl x1");
    check(&event_bridge("Object Storage Class Changed", KEY), "storage_class x1");
    check(&event_bridge("Something New", KEY), "other x1");
    check(&json!({"detail-type": "Object Created"}), "!malformed");
    let result = parsed(&event_bridge("Object Created", KEY).to_string());
    let (_, arrival) = &result.forward[0];
    assert_eq!(arrival.etag.as_deref(), Some("b57f9512698f4b09e608f4f2a65852e5"));
    assert_eq!(arrival.sequencer, "00617F08299329D189");
    assert_eq!(arrival.happened_at.to_string(), "2026-11-20T10:14:02.000Z");
}

#[test]
fn the_test_event_is_nothing_to_us_plain_or_wrapped() {
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-20T10:14:02.161Z",
                      "Bucket": BUCKET, "RequestId": "R", "HostId": "H"});
    check(&test, "test x1");
    check(&sns(&test.to_string()), "test x1");
    check(&json!({"Event": "s3:OtherEvent"}), "!not_a_notification");
}

#[test]
fn what_is_no_notification_is_kept_aside_whole() {
    for body in ["", "{", "hello", "\u{0}", &"[".repeat(100_000)] {
        assert_eq!(summary(&parsed(body)), "!not_json");
    }
    for body in ["[]", "{\"Records\":[]}"] {
        assert_eq!(summary(&parsed(body)), "empty x1", "{body}");
    }
    for body in ["null", "{}", "7", "\"Records\"", "{\"Records\":{}}", "{\"Records\":null}"] {
        assert_eq!(summary(&parsed(body)), "!not_a_notification", "{body}");
    }
    let padded = |bytes: usize| {
        let body = message(&[record()]).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(summary(&parsed(&padded(NOTIFICATION_BYTES_MAX))), "created …002");
    assert_eq!(summary(&parsed(&padded(NOTIFICATION_BYTES_MAX + 1))), "!too_large");
}

#[test]
fn words_of_reasons_are_words_of_headers() {
    for reason in RejectReason::ALL {
        assert!(reason.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{reason:?}");
    }
}

/// Every record and message of these tests, to be mutated.
fn samples() -> Vec<String> {
    let test = json!({"Event": "s3:TestEvent"});
    let plain = message(&[record(), with("/s3/object/key", json!(OTHER))]);
    let wrapped = sns(&plain.to_string());
    [plain, wrapped, event_bridge("Object Created", KEY), test].iter().map(Value::to_string).collect()
}

/// Any JSON that has something to do with a notification: paths of the real thing with anything in them.
fn near_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "Records",
        "Type",
        "Notification",
        "Message",
        "Event",
        "s3:TestEvent",
        "detail-type",
        "detail",
        "Object Created",
        "eventName",
        "ObjectCreated:Put",
        "eventVersion",
        "2.1",
        "eventTime",
        "time",
        "2026-11-20T10:14:02.161Z",
        "s3",
        "bucket",
        "name",
        BUCKET,
        "object",
        "key",
        KEY,
        "size",
        "eTag",
        "sequencer",
        "%2F",
        "+",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(words.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

/// Whatever came, each fact is about one of our keys in our bucket.
fn is_sound(result: &ParsedNotification) {
    for (key, arrival) in &result.forward {
        assert_eq!(ObjectKey::parse(&arrival.key), Ok(*key));
        assert_eq!((arrival.bucket.as_str(), arrival.seen_at), (BUCKET, SEEN_AT));
        assert!(arrival.sequencer.len() <= TOKEN_BYTES_MAX);
    }
    let is_empty = result.forward.is_empty() && result.rejected.is_empty() && result.ignored.is_empty();
    assert!(!is_empty, "nothing is dropped in silence");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_brings_it_down(body in any::<String>()) {
        is_sound(&parsed(&body));
    }

    #[test]
    fn no_json_brings_it_down(message in near_json()) {
        is_sound(&parsed(&message.to_string()));
    }

    // proves: F22
    #[test]
    fn no_damage_to_a_notification_brings_it_down(
        sample in prop::sample::select(samples()),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = sample.into_bytes();
        for (place, byte) in cuts {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        is_sound(&parsed(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn what_an_endpoint_writes_reads_back(
        ids in any::<(u128, u128)>(),
        (size, millis) in (any::<u64>(), 0_u64..4_000_000_000_000),
        (etag, sequencer) in ("[0-9a-f]{32}(-[0-9]{1,4})?", "[0-9A-F]{16,18}"),
        removed in any::<bool>(),
    ) {
        let key = format!("user/{}/{}", uuid::Uuid::from_u128(ids.0), uuid::Uuid::from_u128(ids.1));
        let arrival = Arrival {
            kind: if removed { ArrivalKind::Removed } else { ArrivalKind::Created },
            bucket: BUCKET.to_owned(),
            key: key.clone(),
            size_bytes: (!removed).then_some(size),
            etag: (!removed).then_some(etag),
            sequencer,
            happened_at: Timestamp::from_millis(millis),
            seen_at: SEEN_AT,
        };
        let body = written(&arrival);
        prop_assert_eq!(parsed(&body).forward, vec![(ObjectKey::parse(&key).unwrap(), arrival)]);
    }
}

/// A notification of an endpoint: S3's shape, the key form-encoded.
fn written(arrival: &Arrival) -> String {
    let name = match arrival.kind {
        ArrivalKind::Created => "ObjectCreated:Put",
        ArrivalKind::Removed => "ObjectRemoved:Delete",
    };
    let mut object = json!({"key": arrival.key.replace('/', "%2F"), "sequencer": arrival.sequencer});
    if let (Some(size), Some(etag)) = (arrival.size_bytes, &arrival.etag) {
        object["size"] = json!(size);
        object["eTag"] = json!(etag);
    }
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "eventTime": arrival.happened_at,
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": arrival.bucket}, "object": object}
    }]})
    .to_string()
}
