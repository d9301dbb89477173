//! The embedded store: the three suites, and what it promises beyond them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tempfile::TempDir;
use wharfinger::adapters::embedded::{EmbeddedQueue, EmbeddedStore, OpenError, QueuePolicy, StoreOptions};
use wharfinger::adapters::{Ledger, Log, Queue};
use wharfinger::domain::account::Account;
use wharfinger::domain::draft::Draft;
use wharfinger::domain::ids::UserId;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{
    Clock, CommitError, ConsumerPort, ConsumerSpec, LedgerPort, LogPort, ManualClock, NewRecord,
    PublishError, QueuePort, ReplayFrom, ReplayPort, Stream, TrimWhen,
};

use crate::ledger::{LedgerWorld, ledger_cases};
use crate::log::{LogWorld, log_cases};
use crate::queue::{QueueWorld, queue_cases};

mod killed;

const START: Timestamp = Timestamp::from_millis(1_795_169_642_161);
const SOON: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);
const POLICY: QueuePolicy = QueuePolicy { visibility: Duration::from_secs(30), deliveries_max: 3 };

/// A store on a folder of its own, with a clock that the test moves.
pub(crate) struct World {
    pub(crate) ledger: Ledger,
    pub(crate) log: Log,
    pub(crate) queue: Queue,
    pub(crate) embedded_queue: EmbeddedQueue,
    pub(crate) store: EmbeddedStore,
    clock: Arc<ManualClock>,
    pub(crate) time: Clock,
    dir: TempDir,
    options: StoreOptions,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(StoreOptions::default())
    }

    fn with(options: StoreOptions) -> Self {
        let (time, clock) = Clock::manual(START);
        Self::open(tempfile::tempdir().expect("a folder"), time, clock, options)
    }

    fn open(dir: TempDir, time: Clock, clock: Arc<ManualClock>, options: StoreOptions) -> Self {
        let store = EmbeddedStore::open_with(dir.path(), time.clone(), options).expect("the folder is free");
        let embedded_queue = store.queue(POLICY);
        Self {
            ledger: Ledger::Embedded(store.ledger()),
            log: Log::Embedded(store.log()),
            queue: Queue::Embedded(embedded_queue.clone()),
            embedded_queue,
            store,
            clock,
            time,
            dir,
            options,
        }
    }

    /// Drops the store without closing it, and opens it again.
    fn reopened(self) -> Self {
        let Self { ledger, log, queue, embedded_queue, store, clock, time, dir, options } = self;
        drop((ledger, log, queue, embedded_queue, store));
        Self::open(dir, time, clock, options)
    }

    pub(crate) fn pass_now(&self, span: Duration) {
        self.clock.set(self.time.now().after(span));
    }
}

impl LedgerWorld for World {
    type Ledger = Ledger;

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl LogWorld for World {
    type Log = Log;

    fn log(&self) -> &Log {
        &self.log
    }

    async fn pass(&self, span: Duration) {
        self.pass_now(span);
    }
}

impl QueueWorld for World {
    type Queue = Queue;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn visibility(&self) -> Duration {
        POLICY.visibility
    }

    fn deliveries_max(&self) -> Option<u32> {
        Some(POLICY.deliveries_max)
    }

    async fn dead_letters(&self) -> Vec<String> {
        let deadline = Instant::now() + SOON;
        loop {
            let letters = self.embedded_queue.dead_letters(10).expect("read");
            if !letters.is_empty() || Instant::now() > deadline {
                return letters.into_iter().map(|letter| letter.body).collect();
            }
            tokio::task::yield_now().await;
        }
    }

    async fn pass(&self, span: Duration) {
        self.pass_now(span);
    }
}

mod holds_the_ledger_contract {
    use super::*;
    ledger_cases!(World::new());
}

mod holds_the_log_contract {
    use super::*;
    log_cases!(World::new());
}

mod holds_the_queue_contract {
    use super::*;
    queue_cases!(World::new());
}

fn user(n: u128) -> UserId {
    UserId::from_uuid(uuid::Uuid::from_u128(n))
}

/// Commits the next version of a user's account; returns that version.
async fn commit(ledger: &impl LedgerPort, user: UserId) -> Result<u64, CommitError> {
    let account = ledger.load(user).await.expect("load").unwrap_or_else(|| Account::new(user));
    let quota = account.set_quota(Some(account.version + 1), START).expect("it changes");
    let mut draft = Draft::new(account, [].into(), Clock::System.op_id(), 0);
    draft.push(&quota);
    let version = draft.account().version;
    ledger.commit(draft.into_write().0).await.map(|()| version)
}

fn record(subject: &str, id: &str) -> NewRecord {
    NewRecord {
        subject: subject.to_owned(),
        id: id.to_owned(),
        headers: Vec::new(),
        payload: Bytes::from_static(&[7; 100]),
    }
}

fn consumer(name: &str) -> ConsumerSpec {
    ConsumerSpec {
        stream: Stream::Events,
        name: name.to_owned(),
        filter: "wharf.>".to_owned(),
        ack_wait: Duration::from_secs(30),
        ack_pending_max: 10,
    }
}

async fn count(log: &impl LogPort, stream: Stream) -> usize {
    let mut replay = log.replay(stream, ">".to_owned(), ReplayFrom::Start).await.expect("replay");
    let mut count = 0;
    while replay.next(Duration::ZERO).await.expect("next").is_some() {
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_store_that_was_dropped_without_a_close_keeps_everything() {
    let world = World::new();
    for version in 1..=5 {
        assert_eq!(commit(&world.ledger, user(1)).await, Ok(version));
    }
    let account = world.ledger.load(user(1)).await;
    for id in ["a", "b", "c"] {
        world.log.publish(Stream::Events, record("wharf.x", id)).await.expect("publish");
    }
    world.queue.send("kept".to_owned()).await.expect("send");

    let world = world.reopened();
    assert_eq!(world.ledger.load(user(1)).await, account);
    assert_eq!(commit(&world.ledger, user(1)).await, Ok(6));
    assert_eq!(count(&world.log, Stream::Events).await, 3);
    let repeat = world.log.publish(Stream::Events, record("wharf.x", "b")).await.expect("publish");
    assert_eq!((repeat.sequence, repeat.duplicate), (2, true), "the window outlives the process");
    let next = world.log.publish(Stream::Events, record("wharf.x", "d")).await.expect("publish");
    assert_eq!(next.sequence, 4);
    assert_eq!(world.queue.receive(1, SOON).await.expect("receive")[0].body, "kept");
}

#[tokio::test]
async fn a_consumer_is_where_it_was_after_a_restart() {
    let world = World::new();
    for id in ["a", "b", "c"] {
        world.log.publish(Stream::Events, record("wharf.x", id)).await.expect("publish");
    }
    let mut reader = world.log.consumer(consumer("c")).await.expect("consumer");
    let came = reader.pull(2, SOON).await.expect("pull");
    reader.ack(&came[0].token).await.expect("ack");
    drop(reader);

    let world = world.reopened();
    let mut reader = world.log.consumer(consumer("c")).await.expect("consumer");
    let came = reader.pull(10, SOON).await.expect("pull");
    let came: Vec<(&str, u32)> =
        came.iter().map(|delivery| (&delivery.record.id[..], delivery.deliveries)).collect();
    assert_eq!(came, [("b", 2), ("c", 1)], "what was open comes again and is counted");
}

#[tokio::test]
async fn the_queue_shows_everything_undeleted_after_a_restart() {
    let world = World::new();
    for body in ["a", "b", "c"] {
        world.queue.send(body.to_owned()).await.expect("send");
    }
    let came = world.queue.receive(3, SOON).await.expect("receive");
    world.queue.delete(vec![came[0].receipt.clone()]).await.expect("delete");

    let world = world.reopened();
    let again = world.queue.receive(10, SOON).await.expect("receive");
    let bodies: Vec<&str> = again.iter().map(|delivery| &delivery.body[..]).collect();
    assert_eq!(bodies, ["b", "c"]);
    let old = came.iter().map(|delivery| delivery.receipt.clone()).collect();
    world.queue.delete(old).await.expect("a receipt of an earlier process is as good");

    let world = world.reopened();
    world.queue.send("d".to_owned()).await.expect("send");
    let old = came.iter().map(|delivery| delivery.receipt.clone()).collect();
    world.queue.delete(old).await.expect("delete");
    let again = world.queue.receive(10, SOON).await.expect("receive");
    assert_eq!(again.len(), 1, "an old receipt names no new notification");
}

#[tokio::test]
async fn a_restart_does_not_forget_that_a_notification_is_poison() {
    let mut world = World::new();
    world.queue.send("poison".to_owned()).await.expect("send");
    for deliveries in 1..=POLICY.deliveries_max {
        let came = world.queue.receive(1, SOON).await.expect("receive");
        assert_eq!(came[0].deliveries, deliveries);
        if deliveries == 2 {
            world = world.reopened();
        }
        world.pass_now(POLICY.visibility);
    }
    assert_eq!(world.queue.receive(1, Duration::ZERO).await, Ok(Vec::new()));
    assert_eq!(world.dead_letters().await, ["poison"]);
}

#[tokio::test]
async fn a_second_opener_hears_who_has_the_folder() {
    let world = World::new();
    let refused = EmbeddedStore::open(world.dir.path(), Clock::System).expect_err("it is in use");
    assert!(
        matches!(&refused, OpenError::Held { by, .. } if *by == format!("process {}", std::process::id()))
    );
    commit(&world.ledger, user(1)).await.expect("the first goes on");
    let world = world.reopened();
    assert_eq!(commit(&world.ledger, user(1)).await, Ok(2), "and gives the folder back");
}

#[test]
fn a_file_where_the_folder_should_be_is_said() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let refused = EmbeddedStore::open(file.path(), Clock::System).expect_err("it is a file");
    assert!(matches!(refused, OpenError::Io { .. } | OpenError::ReadOnly { .. }), "{refused}");
}

#[tokio::test]
async fn a_damaged_store_is_said() {
    let world = World::new();
    commit(&world.ledger, user(1)).await.expect("commit");
    let World { ledger, log, queue, embedded_queue, store, dir, .. } = world;
    drop((ledger, log, queue, embedded_queue, store));
    std::fs::write(find(dir.path(), "version"), "nonsense").expect("write");
    let refused = EmbeddedStore::open(dir.path(), Clock::System).expect_err("it is damaged");
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}

/// A file of the engine with this name.
fn find(dir: &Path, name: &str) -> std::path::PathBuf {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let folder = entries.into_iter().find(|path| path.is_dir()).expect("the engine has a folder");
    let file = folder.join(name);
    assert!(file.is_file(), "the engine has a file {name}");
    file
}

#[tokio::test]
async fn a_closed_store_takes_no_writes_and_still_reads() {
    let world = World::new();
    commit(&world.ledger, user(1)).await.expect("commit");
    let (racing, ()) = tokio::join!(commit(&world.ledger, user(1)), world.store.close());
    assert_eq!(racing, Ok(2), "what was accepted is finished");
    let refused = commit(&world.ledger, user(1)).await;
    assert!(matches!(refused, Err(CommitError::Unavailable { .. })), "{refused:?}");
    let refused = world.log.publish(Stream::Events, record("wharf.x", "a")).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{refused:?}");
    world.queue.send("x".to_owned()).await.expect_err("it is closed");
    assert_eq!(world.ledger.load(user(1)).await.expect("load").map(|account| account.version), Some(2));
    world.store.close().await;
}

#[tokio::test]
async fn an_id_is_new_again_after_its_window() {
    let world = World::new();
    for (stream, subject, window_secs) in [
        (Stream::Ingest, "wharf.ingest.v1.1.u", 600),
        (Stream::Events, "wharf.files.v1.processed.u", 120),
        (Stream::Dlq, "wharf.dlq.v1.queue", 120),
    ] {
        let publish = || world.log.publish(stream, record(subject, "id"));
        assert!(!publish().await.expect("publish").duplicate);
        world.pass_now(Duration::from_secs(window_secs - 1));
        assert!(publish().await.expect("publish").duplicate, "{subject}: still inside");
        world.pass_now(Duration::from_secs(1));
        assert!(!publish().await.expect("publish").duplicate, "{subject}: outside");
    }
}

// proves: F25
#[tokio::test]
async fn a_full_ingest_refuses_until_old_records_have_gone() {
    let world = World::with(StoreOptions { ingest_bytes_max: 1000, ..StoreOptions::default() });
    let publish = |id: u32| world.log.publish(Stream::Ingest, record("wharf.ingest.v1.1.u", &id.to_string()));
    let mut stored = 0;
    while publish(stored).await.is_ok() {
        stored += 1;
        assert!(stored < 10, "ten do not fit");
    }
    assert_eq!(publish(99).await, Err(PublishError::Full));
    assert!(publish(0).await.expect("it is there already").duplicate);
    world.log.publish(Stream::Events, record("wharf.x", "a")).await.expect("other streams go on");
    world.pass_now(DAY * 3 + Duration::from_millis(1));
    let next = publish(100).await.expect("there is room again");
    assert_eq!(next.sequence, u64::from(stored) + 1, "sequences go on");
    assert_eq!(count(&world.log, Stream::Ingest).await, 1);
}

// proves: F25
#[tokio::test]
async fn steady_work_never_fills_ingest_although_one_shard_stands_still() {
    let world = World::with(StoreOptions { ingest_bytes_max: 20_000, ..StoreOptions::default() });
    let spec = |shard: u32| ConsumerSpec {
        stream: Stream::Ingest,
        name: format!("shard-{shard}"),
        filter: format!("wharf.ingest.v1.{shard}.>"),
        ack_wait: Duration::from_secs(30),
        ack_pending_max: 256,
    };
    let mut consumer = world.log.consumer(spec(1)).await.expect("consumer");
    drop(world.log.consumer(spec(2)).await.expect("consumer"));
    world.log.publish(Stream::Ingest, record("wharf.ingest.v1.2.u", "waits")).await.expect("publish");
    for n in 0..1_000 {
        let new = record("wharf.ingest.v1.1.u", &n.to_string());
        world.log.publish(Stream::Ingest, new).await.expect("there is room");
        for delivery in consumer.pull(10, Duration::ZERO).await.expect("pull") {
            consumer.ack(&delivery.token).await.expect("ack");
        }
        if n % 20 == 0 {
            world.log.trim(Stream::Ingest, vec![spec(1), spec(2)], TrimWhen::Filling).await.expect("trim");
        }
    }
    let left = count(&world.log, Stream::Ingest).await;
    assert!((10..200).contains(&left), "{left}: a quarter stays, for a replay");
    drop(consumer);
    world.store.close().await;
    let world = world.reopened();
    world.log.trim(Stream::Ingest, vec![spec(1), spec(2)], TrimWhen::Now).await.expect("trim");
    assert_eq!(count(&world.log, Stream::Ingest).await, 1, "what waits is still there");
}

#[tokio::test]
async fn room_that_was_made_for_a_record_that_did_not_fit_is_not_forgotten() {
    let world = World::with(StoreOptions { ingest_bytes_max: 600, ..StoreOptions::default() });
    let publish = |world: &World, id: &str, len| {
        let new = NewRecord { payload: vec![7; len].into(), ..record("wharf.ingest.v1.1.u", id) };
        let log = world.log.clone();
        async move { log.publish(Stream::Ingest, new).await }
    };
    publish(&world, "old", 200).await.expect("it fits");
    world.pass_now(DAY * 3);
    publish(&world, "young", 200).await.expect("it fits");
    world.pass_now(Duration::from_millis(1));
    assert_eq!(publish(&world, "large", 500).await, Err(PublishError::Full));
    assert_eq!(count(&world.log, Stream::Ingest).await, 1, "the old one has gone");
    world.store.close().await;
    let world = world.reopened();
    publish(&world, "small", 200).await.expect("it fits");
}

#[tokio::test]
async fn an_old_receipt_does_not_hide_a_later_delivery() {
    let world = World::new();
    world.queue.send("a".to_owned()).await.expect("send");
    let first = world.queue.receive(1, SOON).await.expect("receive");
    world.pass_now(POLICY.visibility);
    let second = world.queue.receive(1, SOON).await.expect("receive");
    world.queue.extend(&second[0].receipt, Duration::ZERO).await.expect("extend");
    world.queue.extend(&first[0].receipt, DAY).await.expect("it is harmless");
    assert_eq!(world.queue.receive(1, SOON).await.expect("receive")[0].deliveries, 3);
}

#[tokio::test]
async fn records_are_kept_for_as_long_as_their_stream_says() {
    let world = World::new();
    let streams = [
        (Stream::Ingest, "wharf.ingest.v1.1.u", 3),
        (Stream::Events, "wharf.files.v1.processed.u", 30),
        (Stream::Dlq, "wharf.dlq.v1.queue", 90),
    ];
    for (stream, subject, days) in streams {
        world.log.publish(stream, record(subject, "old")).await.expect("publish");
        world.pass_now(DAY * days);
        world.log.publish(stream, record(subject, "due")).await.expect("publish");
        assert_eq!(count(&world.log, stream).await, 2, "{subject}: to the day");
        world.pass_now(Duration::from_millis(1));
        world.log.publish(stream, record(subject, "new")).await.expect("publish");
        assert_eq!(count(&world.log, stream).await, 2, "{subject}: the oldest has gone");
        for filter in [subject, "wharf.>"] {
            let mut replay =
                world.log.replay(stream, filter.to_owned(), ReplayFrom::Start).await.expect("replay");
            let first = replay.next(SOON).await.expect("next").expect("there");
            assert_eq!((&first.id[..], first.sequence), ("due", 2), "{filter}");
        }
    }
    let mut late = world.log.consumer(consumer("late")).await.expect("consumer");
    assert_eq!(late.pull(10, SOON).await.expect("pull").len(), 2, "it starts with what is kept");
}

#[tokio::test]
async fn many_writers_share_one_sync_and_none_is_lost() {
    let world = World::new();
    let writers = (0..200).map(|n| {
        let ledger = world.ledger.clone();
        tokio::spawn(async move {
            for version in 1..=5 {
                assert_eq!(commit(&ledger, user(n)).await, Ok(version));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("every commit went through");
    }
    let world = world.reopened();
    for n in 0..200 {
        let account = world.ledger.load(user(n)).await.expect("load").expect("there");
        assert_eq!((account.version, account.quota_bytes), (5, Some(5)));
    }
}
