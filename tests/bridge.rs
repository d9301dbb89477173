//! The bridge between the queue and the log that we ship: what the bucket tells stands in INGEST once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use wharfinger::adapters::embedded::{EmbeddedStore, QueuePolicy};
use wharfinger::adapters::{Log, Queue};
use wharfinger::bridge::{Bridge, BridgeParts, POLLERS_DEFAULT};
use wharfinger::domain::arrival::Arrival;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::domain::shard::ShardCount;
use wharfinger::ports::{Clock, LogPort, QueuePort, Record, ReplayFrom, ReplayPort, Stream};
use wharfinger::telemetry::health::Health;

/// How long what should come may take.
const WITHIN: Duration = Duration::from_secs(10);

struct Place {
    store: EmbeddedStore,
    queue: Queue,
    log: Log,
}

impl Place {
    fn open(dir: &Path) -> Self {
        let store = EmbeddedStore::open(dir, Clock::System).expect("a folder of our own");
        let queue = Queue::Embedded(store.queue(QueuePolicy::default()));
        let log = Log::Embedded(store.log());
        Self { store, queue, log }
    }

    async fn bridge(&self) -> Bridge {
        let parts = BridgeParts {
            queue: self.queue.clone(),
            log: self.log.clone(),
            clock: Clock::System,
            health: Health::default(),
            bucket: "wharf".to_owned(),
            shards: ShardCount::new(64).expect("a good number"),
            pollers: POLLERS_DEFAULT,
        };
        Bridge::start(parts).await.expect("it starts")
    }

    async fn send(&self, bodies: impl IntoIterator<Item = String>) {
        for body in bodies {
            self.queue.send(body).await.expect("the queue takes it");
        }
    }

    /// The first so many records of a stream.
    async fn read(&self, stream: Stream, count: usize) -> Vec<Record> {
        let mut replay = self.log.replay(stream, ">".to_owned(), ReplayFrom::Start).await.expect("a reader");
        let mut records = Vec::new();
        while records.len() < count {
            let record = replay.next(WITHIN).await.expect("the log answers");
            records.push(record.unwrap_or_else(|| panic!("{} of {count} records", records.len())));
        }
        records
    }

    /// Waits until the queue has nothing to hand out for a moment.
    async fn assert_no_more(&self, stream: Stream, count: usize) {
        let records = self.read(stream, count).await;
        let last = records.last().map_or(0, |record| record.sequence);
        let from = ReplayFrom::Sequence(last + 1);
        let mut replay = self.log.replay(stream, ">".to_owned(), from).await.expect("a reader");
        let more = replay.next(Duration::from_millis(50)).await.expect("the log answers");
        assert_eq!(more, None, "one record more than there should be");
    }
}

fn notification(n: u32) -> String {
    let key = format!("user/0199a3c4-0000-7000-8000-{:012x}/0199a3c4-0000-7000-8000-{n:012x}", n % 7);
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:14:02.161Z",
            "s3":{{"bucket":{{"name":"wharf"}},"object":{{"key":"{key}","size":5,"sequencer":"{n:016X}"}}}}}}]}}"#
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_bucket_tells_stands_in_the_log_on_its_users_shard() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::open(dir.path());
    place.send((0..60).map(notification)).await;
    let bridge = place.bridge().await;
    let records = place.read(Stream::Ingest, 60).await;
    let shards = ShardCount::new(64).expect("a good number");
    let mut keys = BTreeSet::new();
    for record in records {
        let arrival: Arrival = serde_json::from_slice(&record.payload).expect("what was written");
        let key = ObjectKey::parse(&arrival.key).expect("one of ours");
        assert_eq!(record.subject, Arrival::subject(shards.shard_of(key.user), key));
        assert!(keys.insert(arrival.key), "twice");
    }
    bridge.stop().await;
    place.store.close().await;
}

// proves: F18 F19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bridge_that_starts_again_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::open(dir.path());
    let bridge = place.bridge().await;
    place.send((0..20).map(notification)).await;
    place.read(Stream::Ingest, 5).await;
    bridge.stop().await;
    place.send((20..40).map(notification)).await;
    place.store.close().await;
    drop(place);
    let place = Place::open(dir.path());
    let bridge = place.bridge().await;
    place.assert_no_more(Stream::Ingest, 40).await;
    bridge.stop().await;
    place.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_is_kept_and_the_queue_is_empty_after() {
    let dir = tempfile::tempdir().expect("a folder");
    let place = Place::open(dir.path());
    let test_event = r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#;
    place.send(["poison".to_owned(), test_event.to_owned(), notification(1)]).await;
    let bridge = place.bridge().await;
    let kept = place.read(Stream::Dlq, 1).await.remove(0);
    assert_eq!((kept.subject.as_str(), kept.payload.as_ref()), ("wharf.dlq.v1.bridge", b"poison".as_slice()));
    assert!(kept.headers.contains(&("Wharf-Reason".to_owned(), "not_json".to_owned())), "{:?}", kept.headers);
    place.assert_no_more(Stream::Ingest, 1).await;
    bridge.stop().await;
    place.store.close().await;
    drop(place);
    // A reopened queue shows everything that was not deleted.
    let place = Place::open(dir.path());
    let left = place.queue.receive(10, Duration::from_millis(10)).await.expect("the queue answers");
    assert_eq!(left, [], "deleted, all three");
    place.store.close().await;
}
