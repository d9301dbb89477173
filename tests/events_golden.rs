//! Every event as it goes over the wire, held against a file of the contract. Those files never change within v1.
//!
//! `BLESS=1 cargo test --test events_golden` regenerates the files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;
use wharfinger::domain::account::{Account, AccountState, Transition};
use wharfinger::domain::decide::{NewUpload, Observed, Reservable, Reserve, Rules, Settlement};
use wharfinger::domain::draft::Draft;
use wharfinger::domain::entry::{Entry, EntryKind};
use wharfinger::domain::event::{Event, EventSchema, EventSource, events_of};
use wharfinger::domain::file::{File, Sha256, Visibility};
use wharfinger::domain::ids::{FileId, OpId, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::domain::transitions::{FilePatch, Removal};

const START: Timestamp = Timestamp::from_millis(1_795_169_642_161);

/// One user's ledger, written a transition at a time, a second apart.
struct Story {
    account: Account,
    rows: BTreeMap<FileId, Box<File>>,
    entries: Vec<Entry>,
    now: Timestamp,
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x0199_a3c4_0000_7000_8000_0000_0000_0000 | n)
}

fn file(n: u128) -> FileId {
    FileId::from_uuid(id(n))
}

fn rules() -> Rules {
    Rules { quota_bytes_default: 100, ..Rules::default() }
}

impl Story {
    fn new() -> Self {
        let account = Account::new(UserId::from_uuid(id(0xa)));
        Self { account, rows: BTreeMap::new(), entries: Vec::new(), now: START }
    }

    fn write(&mut self, transition: &Transition) {
        let op = OpId::from_uuid(id(0xf));
        let mut draft = Draft::new(self.account.clone(), self.rows.clone(), op, rules().quota_bytes_default);
        draft.push(transition);
        let (write, rows) = draft.into_write();
        self.account = write.account;
        self.rows = rows;
        self.entries.extend(write.entries);
        self.now = self.now.after(Duration::from_secs(1));
    }

    fn reserve(&mut self, n: u128, size_bytes: u64) {
        let upload = NewUpload {
            file_id: file(n),
            filename: format!("report {n} – final.txt"),
            content_type: "text/plain".to_owned(),
            size_bytes,
            checksum_sha256: Some(Sha256([7; 32])),
            visibility: Visibility::Private,
            multipart: None,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        };
        let asked = Reserve { uploads: vec![upload], idempotency: None, subject: None };
        let outcome = self.account.reserve(&asked, None, &rules(), self.now).expect("it fits");
        let Reservable::New { transitions, .. } = outcome else { panic!("it is new") };
        self.write(&transitions[0]);
    }

    fn settle(&mut self, n: u128, size_bytes: u64) {
        let observed = Observed {
            size_bytes,
            etag: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            checksum_sha256: Some(Sha256([7; 32])),
            content_type: Some("text/plain".to_owned()),
            landed_at: self.now,
            seen_at: self.now,
            inspected_at: self.now,
            rejected: None,
        };
        let row = &self.rows[&file(n)];
        let Settlement::Transition(transition) = self.account.settle(row, &observed, &rules(), self.now)
        else {
            panic!("it settles")
        };
        self.write(&transition);
    }

    fn step(&mut self, n: u128, decide: impl FnOnce(&File, Timestamp) -> Option<Transition>) {
        let transition = decide(&self.rows[&file(n)], self.now).expect("it moves");
        self.write(&transition);
    }

    /// Every kind of entry at least once.
    fn told() -> Self {
        let mut story = Self::new();
        story.reserve(1, 50);
        story.settle(1, 40);
        let patch = FilePatch { visibility: Some(Visibility::Team), ..FilePatch::default() };
        story.step(1, |row, now| row.update(&patch, now).expect("it is there"));
        story.step(1, |row, now| row.remove(Removal::Trash, now));
        story.step(1, |row, now| row.restore(now).expect("it is in the trash"));
        story.reserve(2, 50);
        story.settle(2, 51);
        story.reserve(3, 60);
        story.step(3, |row, now| row.remove(Removal::Permanent, now));
        story.now = rules().release_at(story.now);
        let expiry = story.account.expire(&story.rows[&file(3)], story.now).expect("it is due");
        story.write(&expiry);
        story.reserve(4, 1);
        story.now = rules().release_at(story.now);
        let expiry = story.account.expire(&story.rows[&file(4)], story.now).expect("it is due");
        story.write(&expiry);
        story.step(1, |row, now| row.remove(Removal::Permanent, now));
        story.step(1, File::purged);
        story.step(2, File::purged);
        let quota = story.account.set_quota(Some(1_000), story.now).expect("it is new");
        story.write(&quota);
        let state = story.account.set_state(AccountState::Suspended, story.now).expect("it was active");
        story.write(&state);
        story
    }

    fn events(&self, redact_names: bool) -> Vec<Event> {
        let source =
            EventSource { deployment: "golden".to_owned(), bucket: "wharf".to_owned(), redact_names };
        let of = |entry: &Entry| {
            let row = entry.file_id.and_then(|id| self.rows.get(&id));
            events_of(&source, self.account.user, entry, row.map(Box::as_ref))
        };
        self.entries.iter().flat_map(of).collect()
    }
}

fn golden_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.json"))
}

/// Lines that only one side has, in their order: `-` the contract's, `+` ours.
fn diff(contract: &str, ours: &str) -> String {
    let (left, right): (Vec<&str>, Vec<&str>) = (contract.lines().collect(), ours.lines().collect());
    let same_head = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (&left[same_head..], &right[same_head..]);
    let same_tail = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let gone = left[..left.len() - same_tail].iter().map(|line| format!("-{line}"));
    let new = right[..right.len() - same_tail].iter().map(|line| format!("+{line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}

fn check(name: &str, event: &Event) {
    let ours = serde_json::to_string_pretty(&event.envelope).expect("plain data") + "\n";
    let path = golden_file(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &ours).expect("the folder is there");
    }
    let contract = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(contract == ours, "{name} is not what the contract says:\n{}", diff(&contract, &ours));
}

#[test]
fn every_event_is_what_the_contract_says() {
    let story = Story::told();
    for kind in EntryKind::ALL {
        assert!(story.entries.iter().any(|entry| entry.kind == kind), "{kind:?} is not in the story");
    }
    for (n, event) in (1..).zip(story.events(false)) {
        check(&format!("{n:02}-{}", event.name), &event);
    }
    let files = std::fs::read_dir(golden_file("x").parent().expect("a folder")).expect("it is there");
    assert_eq!(files.count(), story.events(false).len() + 1, "a file an event, and one without a name");
}

#[test]
fn an_event_without_its_files_name_is_what_the_contract_says() {
    let events = Story::told().events(true);
    check("02-files.processed-redacted", &events[1]);
    for event in events {
        let text = serde_json::to_string(&event.envelope).expect("plain data");
        assert!(!text.contains("report"), "{text}");
    }
}

fn schema(event: &Event) -> Value {
    let dataschema = serde_json::to_value(&event.envelope).expect("plain data")["dataschema"].clone();
    let schema = EventSchema::ALL.iter().find(|schema| dataschema == schema.uri());
    let schema = schema.unwrap_or_else(|| panic!("{dataschema} is not a schema of this release"));
    serde_json::from_str(schema.document).expect("a schema is JSON")
}

/// Fields of `data` that `schema` does not describe, and required ones that are missing; objects inside too.
/// That values are valid is checked with a validator, by `tests/e2e/events.sh`.
fn unlike(schema: &Value, data: &Value, at: &str) -> Vec<String> {
    let (Some(fields), Some(known)) = (data.as_object(), schema["properties"].as_object()) else {
        return Vec::new();
    };
    let undescribed = fields.keys().filter(|name| !known.contains_key(*name));
    let mut found: Vec<String> = undescribed.map(|name| format!("{at}.{name} is not described")).collect();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(
        required.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}.{name} is missing")),
    );
    found.extend(fields.iter().flat_map(|(name, value)| {
        unlike(known.get(name).unwrap_or(&Value::Null), value, &format!("{at}.{name}"))
    }));
    found
}

#[test]
fn every_event_has_a_schema_that_describes_its_data() {
    let mut seen = BTreeSet::new();
    for event in Story::told().events(false) {
        let envelope = serde_json::to_value(&event.envelope).expect("plain data");
        let schema = schema(&event);
        assert_eq!(schema["$id"], envelope["dataschema"]);
        assert_eq!(schema["title"], format!("data of {}", event.envelope.event_type));
        assert_eq!(unlike(&schema, &envelope["data"], "data"), Vec::<String>::new(), "{}", event.name);
        seen.insert(event.name);
    }
    let known: BTreeSet<String> = EventSchema::ALL.iter().map(|schema| schema.name.to_owned()).collect();
    assert_eq!(seen, known, "a schema for every event, and none besides");
}

#[test]
fn a_field_that_no_schema_describes_is_found() {
    let schema = json!({"required": ["a"], "properties": {"a": {}, "b": {"properties": {"c": {}}}}});
    assert_eq!(
        unlike(&schema, &json!({"b": {"d": 1}}), "data"),
        ["data.a is missing", "data.b.d is not described"]
    );
}

#[test]
fn a_difference_is_shown_by_its_lines() {
    assert_eq!(diff("a\nb\nc\n", "a\nx\ny\nc\n"), "-b\n+x\n+y");
    assert_eq!(diff("", "a\n"), "+a");
    assert_eq!(diff("a\na\n", "a\n"), "-a");
    assert_eq!(diff("a\n", "a\n"), "");
}
