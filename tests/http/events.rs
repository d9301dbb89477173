//! Server-sent events: ids are the user's own versions, and nothing is missed or repeated, whatever the log does.

use std::net::SocketAddr;

use crate::fault_injection::{Fault, Op};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use wharfinger::adapters::Log;
use wharfinger::adapters::embedded::EmbeddedStore;
use wharfinger::domain::event::filter_of;
use wharfinger::limits::{EVENT_HEARTBEAT, EVENT_STREAMS_PER_USER_MAX};
use wharfinger::ports::{LogPort, NewRecord, PublishError, Record, ReplayFrom, ReplayPort, Stream};

use crate::inside::eventually;
use crate::world::{NOW, PATIENCE, World};

/// An open stream, and what came of it so far.
pub(crate) struct Reader {
    body: hyper::body::Incoming,
    seen: String,
}

/// An event as a client sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    /// The line `id`, if there is one.
    pub(crate) id: Option<u64>,
    /// The line `event`.
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Reader {
    async fn open(world: &World, name: &str, last: Option<u64>) -> Self {
        Self::open_at(world.api, name, last).await
    }

    pub(crate) async fn open_at(to: SocketAddr, name: &str, last: Option<u64>) -> Self {
        Self::open_with(to, &World::token(name), last).await
    }

    async fn open_with(to: SocketAddr, token: &str, last: Option<u64>) -> Self {
        let mut request = Request::builder().uri(format!("http://{to}/v1/events"));
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), seen: String::new() }
    }

    /// Reads until `is_enough`, or to the end.
    async fn read(&mut self, is_enough: impl Fn(&str) -> bool) -> &str {
        let read = async {
            while !is_enough(&self.seen) {
                let Some(frame) = self.body.frame().await else { break };
                self.seen.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
            }
        };
        let outcome = tokio::time::timeout(PATIENCE * 10, read).await;
        assert!(outcome.is_ok(), "not in time: {}", self.seen);
        &self.seen
    }

    async fn read_until(&mut self, text: &str) -> &str {
        self.read(|seen| seen.contains(text)).await
    }

    /// The first `count` events.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<Seen> {
        self.read(|seen| events_of(seen).count() >= count).await;
        events_of(&self.seen).collect()
    }

    /// The same without their data.
    async fn told(&mut self, count: usize) -> Vec<String> {
        let events = self.events(count).await;
        let id = |seen: &Seen| seen.id.map_or("-".to_owned(), |id| id.to_string());
        events.iter().map(|seen| format!("{} {}", id(seen), seen.name)).collect()
    }
}

/// The whole events in a text.
fn events_of(text: &str) -> impl Iterator<Item = Seen> {
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end + 2]);
    whole.split("\n\n").filter_map(|frame| {
        let line = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Some(Seen {
            id: line("id").map(|id| id.parse().expect("a version")),
            name: line("event").unwrap_or_default().to_owned(),
            data: serde_json::from_str(line("data")?).expect("JSON"),
        })
    })
}

/// The records of a user in a log.
async fn records(log: &Log, name: &str) -> Vec<Record> {
    let filter = filter_of(World::user(name));
    let mut replay = log.replay(Stream::Events, filter, ReplayFrom::Start).await.unwrap();
    let mut records = Vec::new();
    while let Some(record) = replay.next(std::time::Duration::ZERO).await.unwrap() {
        records.push(record);
    }
    records
}

/// Waits until the log has so many records of a user.
pub(crate) async fn published(world: &World, name: &str, count: usize) -> Vec<Record> {
    let look = async || {
        let records = records(&world.inside.well.log, name).await;
        (records.len() >= count).then_some(records)
    };
    eventually("the log to have them", look).await
}

/// Puts a record into another log, again while it is unavailable, as the publisher does.
pub(crate) async fn copy(record: Record, to: &Log) {
    let Record { subject, id, headers, payload, .. } = record;
    let record = NewRecord { subject, id, headers, payload };
    let publish = async || match to.publish(Stream::Events, record.clone()).await {
        Ok(_) => Some(()),
        Err(PublishError::Unavailable { .. } | PublishError::Unknown { .. }) => None,
        Err(refused) => panic!("{refused}"),
    };
    eventually("the log to take it", publish).await;
}

// proves: I21
#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on_to_its_owner() {
    let world = World::start().await;
    world.presign("alice", "before.txt", 1).await;
    let mut reader = Reader::open(&world, "alice", None).await;
    world.presign("bob", "bobs.txt", 1).await;
    let file = world.upload("alice", "after.txt", 1).await;
    assert_eq!(reader.told(2).await, ["2 files.reserved", "3 files.processed"]);
    let events = reader.events(2).await;
    let told = published(&world, "alice", 3).await;
    for (event, record) in events.iter().zip(&told[1..]) {
        assert_eq!(event.data, serde_json::from_slice::<Value>(&record.payload).unwrap());
        assert_eq!(event.data["data"]["file_id"], file.to_string());
        assert_eq!(event.data["id"], record.id, "the id of the log's event");
    }
    assert!(reader.seen.starts_with("retry: 1000\n\n") && !reader.seen.contains("bobs"), "{}", reader.seen);
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_id() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.presign("alice", name, 1).await;
    }
    let mut reader = Reader::open(&world, "alice", Some(1)).await;
    world.presign("alice", "d", 1).await;
    assert_eq!(reader.told(3).await, ["2 files.reserved", "3 files.reserved", "4 files.reserved"]);
    let mut reader = Reader::open(&world, "alice", Some(4)).await;
    world.presign("alice", "e", 1).await;
    assert_eq!(reader.told(1).await, ["5 files.reserved"]);
    let answer = world.send("alice", "GET /v1/events", &[("last-event-id", "x")], "").await;
    assert_eq!(answer.told(), "400 validation_failed");
}

// proves: F27
#[tokio::test]
async fn a_stream_of_the_log_that_was_made_again_while_the_client_was_away_hides_nothing() {
    let world = World::start().await;
    let mut reader = Reader::open(&world, "alice", None).await;
    world.presign("alice", "a", 1).await;
    assert_eq!(reader.told(1).await, ["1 files.reserved"]);
    drop(reader);
    for name in ["b", "c", "d"] {
        world.presign("alice", name, 1).await;
    }
    // The new stream has nothing, and gives the places of the old one to others.
    let folder = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(&folder.path().join("store"), world.inside.time.clone()).unwrap();
    let log = Log::Embedded(store.log());
    let api = world.listen_with(log.clone()).await;
    let mut reader = Reader::open_at(api, "alice", Some(1)).await;
    world.presign("alice", "e", 1).await;
    let last = published(&world, "alice", 5).await.pop().unwrap();
    copy(last, &log).await;
    let expected = [2, 3, 4, 5].map(|version| format!("{version} files.reserved"));
    assert_eq!(reader.told(4).await, expected);
}

// proves: F27
#[tokio::test]
async fn a_tail_that_the_log_has_lost_is_read_from_the_ledger() {
    let world = World::start().await;
    let mut reader = Reader::open(&world, "alice", None).await;
    let lose = async |name: &str, count: u64| {
        world.inside.plan.next(Op::Publish(Stream::Events), Fault::Dropped);
        world.presign("alice", name, 1).await;
        let is_lost =
            async || (world.inside.plan.faults().get(&Fault::Dropped) == Some(&count)).then_some(());
        eventually("the event to be lost", is_lost).await;
    };
    world.presign("alice", "a", 1).await;
    assert_eq!(reader.told(1).await, ["1 files.reserved"]);
    lose("b", 1).await;
    lose("c", 2).await;
    world.presign("alice", "d", 1).await;
    let expected = [1, 2, 3, 4].map(|version| format!("{version} files.reserved"));
    assert_eq!(reader.told(4).await, expected);
    assert_eq!(published(&world, "alice", 2).await.len(), 2, "the log has lost two");
    // What is last is found without a word of the log.
    lose("e", 3).await;
    tokio::time::pause();
    assert_eq!(reader.told(5).await[4], "5 files.reserved");
    tokio::time::resume();
}

// proves: F27
#[tokio::test]
async fn old_news_that_the_log_tells_again_put_no_heartbeat_off() {
    let world = World::start().await;
    world.presign("alice", "a", 1).await;
    let old = published(&world, "alice", 1).await.pop().unwrap();
    let mut reader = Reader::open(&world, "alice", None).await;
    reader.read_until("retry").await;
    tokio::time::pause();
    let again = async {
        for number in 0.. {
            tokio::time::sleep(EVENT_HEARTBEAT / 2).await;
            let Record { subject, headers, payload, .. } = old.clone();
            let record = NewRecord { subject, id: format!("again-{number}"), headers, payload };
            // The clock runs ahead of the disk, so the answer may come too late; the record comes all the same.
            drop(world.inside.well.log.publish(Stream::Events, record).await);
        }
    };
    let heartbeats = reader.read(|seen| seen.matches(":\n\n").count() >= 3);
    tokio::select! {
        () = again => {}
        seen = heartbeats => assert_eq!(events_of(seen).count(), 0, "{seen}"),
        () = tokio::time::sleep(EVENT_HEARTBEAT * 8) => panic!("no heartbeats"),
    }
}

// proves: F35
#[tokio::test]
async fn a_stream_outlives_a_ledger_and_a_log_that_fail_for_a_while() {
    let world = World::start().await;
    let mut reader = Reader::open(&world, "alice", None).await;
    world.presign("alice", "a", 1).await;
    assert_eq!(reader.told(1).await, ["1 files.reserved"]);
    for op in [Op::EntriesAfter, Op::File] {
        world.inside.plan.next(op, Fault::Unavailable);
    }
    world.inside.plan.next(Op::ReplayNext, Fault::Unavailable);
    world.presign("alice", "b", 1).await;
    published(&world, "alice", 2).await;
    tokio::time::pause();
    assert_eq!(reader.told(2).await, ["1 files.reserved", "2 files.reserved"]);
}

#[tokio::test]
async fn two_events_of_one_version_come_together_and_again_together() {
    let world = World::configured(|config| config.quota.default_bytes = 100).await;
    let mut reader = Reader::open(&world, "alice", None).await;
    let file = world.presign("alice", "a", 10).await;
    world.upload("alice", "b", 90).await;
    let all = reader.told(4).await;
    assert_eq!(all, ["1 files.reserved", "- files.reserved", "2 usage.threshold", "3 files.processed"]);
    for (last, expected) in [(2, &all[3..]), (1, &all[1..])] {
        let mut again = Reader::open(&world, "alice", Some(last)).await;
        assert_eq!(again.told(expected.len()).await, expected, "after {last}");
    }
    let mut after = Reader::open(&world, "alice", Some(3)).await;
    world.send("alice", &format!("DELETE /v1/files/{file}"), &[], "").await;
    assert_eq!(after.told(1).await, ["4 files.failed"]);
}

#[tokio::test]
async fn five_thousand_missed_events_come_in_order_and_then_the_new_ones() {
    let world = World::start().await;
    world.inside.fill(World::user("alice"), (0..2500).map(|number| format!("{number}.txt"))).await;
    let mut reader = Reader::open(&world, "alice", Some(1)).await;
    world.presign("alice", "last.txt", 1).await;
    let mut next = 2;
    while next <= 5001 {
        let frames = reader.events(1).await;
        for event in &frames {
            assert_eq!(event.id, Some(next), "{event:?}");
            next += 1;
        }
        let whole = reader.seen.rfind("\n\n").unwrap() + 2;
        reader.seen.drain(..whole);
    }
}

// proves: I28
#[tokio::test]
async fn history_that_was_trimmed_is_told_and_what_is_kept_comes() {
    let world = World::start().await;
    let user = World::user("alice");
    world.inside.fill(user, (0..5).map(|number| number.to_string())).await;
    world.inside.trim(user, 6).await;
    let kept = [7, 8, 9, 10].map(|version| format!("{version} files.processed"));
    for last in [0, 3, 5] {
        let mut reader = Reader::open(&world, "alice", Some(last)).await;
        let told = reader.told(5).await;
        assert_eq!((told[0].as_str(), &told[1..]), ("- stream.gap", &kept[..]), "after {last}");
        let gap = reader.events(1).await.swap_remove(0).data;
        assert_eq!(gap, json!({"reason": "history_trimmed", "next_version": 7}), "after {last}");
    }
    let mut reader = Reader::open(&world, "alice", Some(6)).await;
    assert_eq!(reader.told(4).await, kept);
}

// proves: F27
#[tokio::test]
async fn an_id_that_the_user_never_had_is_told_and_everything_comes() {
    let world = World::start().await;
    world.presign("alice", "a", 1).await;
    let mut reader = Reader::open(&world, "alice", Some(99_999)).await;
    world.presign("alice", "b", 1).await;
    assert_eq!(reader.told(3).await, ["- stream.gap", "1 files.reserved", "2 files.reserved"]);
    assert_eq!(reader.events(1).await[0].data, json!({"reason": "unknown_id", "next_version": 1}));
    let mut new = Reader::open(&world, "bob", Some(7)).await;
    assert_eq!(new.events(1).await[0].data, json!({"reason": "unknown_id", "next_version": 1}));
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let world = World::start().await;
    // A token counts for ten seconds more than it says.
    let token = World::token_with(json!({"sub": "alice", "exp": NOW.as_secs() - 9}));
    let mut reader = Reader::open_with(world.api, &token, None).await;
    let seen = reader.read_until("never").await;
    assert_eq!(seen, "retry: 1000\n\n");
}

#[tokio::test]
async fn a_user_has_a_few_streams_and_another_user_has_theirs() {
    let world = World::start().await;
    let mut readers = Vec::new();
    for _ in 0..EVENT_STREAMS_PER_USER_MAX {
        readers.push(Reader::open(&world, "alice", None).await);
    }
    let refused = world.send("alice", "GET /v1/events", &[], "").await;
    assert_eq!(refused.told(), "429 rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    Reader::open(&world, "bob", None).await;
    drop(readers);
    let goes_on = async {
        while world.send("alice", "HEAD /v1/events", &[], "").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, goes_on).await.expect("a place is free again");
}

#[tokio::test]
async fn a_stream_needs_a_client_that_reads_events() {
    let world = World::start().await;
    let answer = world.send("alice", "GET /v1/events", &[("accept", "application/json")], "").await;
    assert_eq!(answer.told(), "406 not_acceptable");
    let head = world.send("alice", "HEAD /v1/events", &[], "").await;
    assert_eq!((head.told().as_str(), head.header("content-type")), ("200", Some("text/event-stream")));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let mut world = World::start().await;
    let mut reader = Reader::open(&world, "alice", None).await;
    reader.read_until("retry").await;
    world.shutdown.cancel();
    reader.read_until("never").await;
    tokio::time::timeout(PATIENCE, world.server.take().unwrap()).await.expect("stopped").unwrap();
}
