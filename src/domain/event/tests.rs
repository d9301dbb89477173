//! Ids, order and omitted fields. The whole of each event is in `tests/golden`.

use serde_json::{Value, json};

use super::*;
use crate::domain::account::AccountState;
use crate::domain::draft::Draft;
use crate::domain::file::{Status, Visibility};
use crate::domain::samples::{NOW, op, pending, processed, rows, user};
use crate::domain::time::Timestamp;

fn source(redact_names: bool) -> EventSource {
    EventSource { deployment: "test".to_owned(), bucket: "wharf".to_owned(), redact_names }
}

fn entry(kind: EntryKind) -> Entry {
    Entry {
        version: 8,
        kind,
        file_id: Some(crate::domain::samples::file_id(1)),
        at: NOW,
        op: op(),
        size_bytes: 10,
        status: Some(Status::Processed),
        reason: None,
        visibility: Visibility::Private,
        revision: 2,
        totals: crate::domain::entry::Totals::default(),
        limit_bytes: 100,
        state: AccountState::Active,
        threshold_percent: None,
    }
}

fn json_of(event: &Event) -> Value {
    serde_json::to_value(&event.envelope).expect("plain data")
}

#[test]
fn a_repeat_has_the_same_id_and_nothing_else_has() {
    let id_of = |user, version, kind| {
        let entry = Entry { version, ..entry(kind) };
        events_of(&source(false), user, &entry, None)[0].id
    };
    let other_user = UserId::from_uuid(uuid::Uuid::from_u128(9));
    let id = id_of(user(), 8, EntryKind::Processed);
    assert_eq!(id, id_of(user(), 8, EntryKind::Processed));
    assert_ne!(id, id_of(user(), 9, EntryKind::Processed));
    assert_ne!(id, id_of(user(), 8, EntryKind::Trashed));
    assert_ne!(id, id_of(other_user, 8, EntryKind::Processed));
    assert_eq!(id.to_string(), "6cbb20e1-afb9-57f5-a38d-74db1eb8dd02", "frozen: consumers know events by it");
}

#[test]
fn an_event_does_not_change_when_its_file_moves_on() {
    let (_, row) = processed(10);
    for kind in EntryKind::ALL {
        let of = |row: &File| json_of(&events_of(&source(false), user(), &entry(kind), Some(row))[0]);
        for status in Status::ALL {
            let later = File { status, revision: 9, changed_at: Timestamp::from_millis(0), ..row.clone() };
            assert_eq!(of(&row), of(&later), "{kind:?} while the file is {status:?}");
        }
    }
}

#[test]
fn a_reservations_event_knows_nothing_of_the_object_that_came_later() {
    let ((_, before), (_, after)) = (pending(10), processed(10));
    let after = File { checksum_sha256: Some(crate::domain::file::Sha256([1; 32])), ..after };
    for status in [Status::Pending, Status::Expired] {
        let entry = Entry { status: Some(status), ..entry(EntryKind::Reserved) };
        let of = |row: &File| json_of(&events_of(&source(false), user(), &entry, Some(row))[0]);
        assert_eq!(of(&before), of(&after), "{status:?}");
    }
    let found = json_of(&events_of(&source(false), user(), &entry(EntryKind::Processed), Some(&after))[0]);
    assert_eq!(found["data"]["object"]["etag"], "e");
    assert!(found["data"]["checksum_sha256"].is_string());
}

#[test]
fn a_change_of_the_account_tells_its_state() {
    let entry = Entry { state: AccountState::Suspended, file_id: None, ..entry(EntryKind::StateChanged) };
    let found = json_of(&events_of(&source(false), user(), &entry, None)[0]);
    assert_eq!((&found["data"]["state"], &found["subject"]), (&json!("suspended"), &json!("usage")));
}

#[test]
fn subjects_are_four_words_and_the_user() {
    let subject = |kind| events_of(&source(false), user(), &entry(kind), None)[0].subject.clone();
    assert_eq!(subject(EntryKind::Processed), format!("wharf.files.v1.processed.{}", user()));
    assert_eq!(subject(EntryKind::Cancelled), format!("wharf.files.v1.failed.{}", user()));
    assert_eq!(subject(EntryKind::QuotaChanged), format!("wharf.usage.v1.quota_changed.{}", user()));
    assert_eq!(filter_of(user()), format!("wharf.*.v1.*.{}", user()));
    for kind in EntryKind::ALL {
        let subject = subject(kind);
        assert!(subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{subject}");
    }
}

#[test]
fn a_threshold_shares_its_entrys_sequence_but_not_its_id() {
    let entry = Entry { threshold_percent: Some(95), ..entry(EntryKind::Reserved) };
    let events = events_of(&source(false), user(), &entry, None);
    let [change, threshold] = events.as_slice() else { panic!("two events") };
    assert_eq!((threshold.name.as_str(), threshold.version), ("usage.threshold", change.version));
    assert_ne!(threshold.id, change.id);
    assert_eq!(json_of(threshold)["data"]["threshold_percent"], 95);
    assert_eq!(json_of(threshold)["subject"], "usage");
    assert_eq!(json_of(threshold)["sequence"], json_of(change)["sequence"]);
    assert!(json_of(threshold)["data"].get("file_id").is_none(), "it is about the account");
}

#[test]
fn names_can_be_left_out_and_nothing_else_goes_with_them() {
    let (_, row) = processed(10);
    let data = |redact| {
        let event = &events_of(&source(redact), user(), &entry(EntryKind::Processed), Some(&row))[0];
        json_of(event)["data"].as_object().expect("an object").clone()
    };
    let (open, redacted) = (data(false), data(true));
    assert_eq!(open["filename"], "1.txt");
    assert!(!serde_json::to_string(&redacted).expect("plain data").contains("1.txt"));
    let missing: Vec<&String> = open.keys().filter(|key| !redacted.contains_key(*key)).collect();
    assert_eq!(missing, ["filename"]);
}

#[test]
fn a_status_is_a_word_that_clients_know() {
    let found = |row: &File| {
        let entry = Entry { status: Some(row.status), reason: row.reason, ..entry(EntryKind::Updated) };
        json_of(&events_of(&source(false), user(), &entry, None)[0])["data"]["status"].clone()
    };
    let words: Vec<String> = rows().iter().map(|(name, row)| format!("{name}: {}", found(row))).collect();
    let expected = [
        r#"pending: "pending""#,
        r#"cancelled: "failed""#,
        r#"processed: "processed""#,
        r#"trashed: "trashed""#,
        r#"deleting: "deleted""#,
        r#"failed: "failed""#,
        r#"gone: "deleted""#,
        r#"expired: "failed""#,
        r#"expired_cancelled: "failed""#,
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_forgotten_row_costs_only_what_stood_in_it() {
    let entry = Entry { status: Some(Status::Gone), ..entry(EntryKind::Purged) };
    let event = &events_of(&source(false), user(), &entry, None)[0];
    let json = json_of(event);
    assert_eq!((&json["data"]["status"], &json["data"]["size_bytes"]), (&json!("deleted"), &json!(10)));
    assert!(json["data"].get("filename").is_none() && json.get("traceparent").is_none());
}

#[test]
fn no_event_carries_a_link_or_a_subject() {
    let (mut account, row) = processed(10);
    account.subject = Some("alice@example.com".to_owned());
    let mut draft = Draft::new(account, [(row.file_id, Box::new(row.clone()))].into(), op(), 100);
    draft.push(&row.remove(crate::domain::transitions::Removal::Trash, NOW).expect("it moves"));
    let (write, _) = draft.into_write();
    let text = json_of(&events_of(&source(false), user(), &write.entries[0], Some(&row))[0]).to_string();
    assert!(!text.contains("http") && !text.contains('@'), "{text}");
}
