//! Notifications a second from the queue into the log: received, published, confirmed, deleted.
//!
//! `WHARFDEV_TEST_NATS=any [WHARFDEV_TEST_SQS=http://127.0.0.1:9324] cargo bench --bench bridge`; starts NATS servers of its
//! own, so that name only says that it may. The queue is full before the bridge starts; the clock stops when the last
//! record can be read from the log. Records are stored together only where enough wait, so those rows have more pollers, and
//! one in which no batch came about stops the run.

#[path = "../tests/nats/server.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod server;
#[path = "../tests/support/servers.rs"]
mod servers;
#[path = "../tests/nats/tools.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod tools;

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use wharfinger::adapters::embedded::{EmbeddedStore, QueuePolicy};
use wharfinger::adapters::sqs::{QueueName, SqsOptions, SqsQueue};
use wharfinger::adapters::{Log, Queue};
use wharfinger::bridge::{Bridge, BridgeParts};
use wharfinger::config::{AtomicBatches, NatsSettings};
use wharfinger::domain::shard::ShardCount;
use wharfinger::ports::{Clock, LogPort as _, QueuePort as _, ReplayFrom, ReplayPort as _, Stream};
use wharfinger::telemetry::MetricsHandle;
use wharfinger::telemetry::health::Health;
use wharfinger::telemetry::names::NATS_BATCHES_TOTAL;

use server::{Server, Setup};
use tools::{DEADLINE, ready_log};

/// Notifications in a run: some seconds of work.
const EMBEDDED: u32 = 20_000;
const SQS: u32 = 4_000;
/// How many sends are under way while a queue is filled.
const SENDERS: usize = 64;
/// How records are stored, and by how many pollers. Each has ten under way, and a batch begins at 64 that wait.
const ROWS: [(&str, AtomicBatches, usize); 4] = [
    ("singly", AtomicBatches::Off, 2),
    ("singly", AtomicBatches::Off, 8),
    ("singly", AtomicBatches::Off, 25),
    ("in atomic batches", AtomicBatches::Auto, 25),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // the tests build it; only cargo bench measures
    }
    let metrics = MetricsHandle::install();
    say(format_args!(
        "| queue | pollers | server syncs | records | batches stored | notifications a second |"
    ));
    say(format_args!("|---|---|---|---|---|---|"));
    for (syncs, jetstream) in
        [("every 2 min", "max_file: 8GB"), ("always", "max_file: 8GB, sync_interval: always")]
    {
        for (how, atomic_batches, pollers) in ROWS {
            for (name, count) in [("embedded", EMBEDDED), ("SQS (ElasticMQ)", SQS)] {
                // A server and a queue of its own, so that no run finds what another left.
                let setup = Setup { jetstream, ..Setup::default() };
                let Some(server) = Server::start_with(setup).await else { return };
                let settings = NatsSettings { atomic_batches, ..server.settings() };
                let log = Log::Nats(ready_log(settings).await);
                let folder = tempfile::tempdir().expect("a folder");
                let Some(queue) = queue_of(name, folder.path()).await else { continue };
                let before = batches(&metrics);
                let rate = f64::from(count) / run(queue, log, pollers, count).await.as_secs_f64();
                let batches = batches(&metrics) - before;
                let is_together = atomic_batches == AtomicBatches::Auto;
                assert_eq!(batches > 0, is_together, "{name}, {pollers} pollers, {how}: {batches} batches");
                say(format_args!("| {name} | {pollers} | {syncs} | {how} | {batches} | {rate:.0} |"));
            }
        }
    }
}

/// How many batches were stored whole so far.
fn batches(metrics: &MetricsHandle) -> u64 {
    let series = format!("{NATS_BATCHES_TOTAL}{{outcome=\"stored\"}} ");
    let text = metrics.render();
    let count = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
    count.map_or(0, |count| count.parse().expect("a number"))
}

fn say(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").expect("stdout");
}

/// An empty queue of this kind; none where there is no server.
async fn queue_of(name: &str, folder: &std::path::Path) -> Option<Queue> {
    if name == "embedded" {
        let store = EmbeddedStore::open(folder, Clock::System).expect("a folder of our own");
        return Some(Queue::Embedded(store.queue(QueuePolicy::default())));
    }
    let (sqs, name) = (servers::server(servers::SQS)?, servers::new_name());
    sqs.sqs().create_queue().queue_name(&name).send().await.expect("a queue");
    let (queue, visibility) = (QueueName::Name(name), Duration::from_secs(60));
    Some(Queue::Sqs(SqsQueue::open(&SqsOptions { access: sqs.access(), queue, visibility }).await))
}

fn notification(n: u32) -> String {
    let key = format!("user/0199a3c4-0000-7000-8000-{:012x}/0199a3c4-0000-7000-8000-{n:012x}", n % 1000);
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:14:02.161Z",
            "s3":{{"bucket":{{"name":"wharf"}},"object":{{"key":"{key}","size":5,"sequencer":"{n:016X}"}}}}}}]}}"#
    )
}

/// Fills the queue, then lets the bridge empty it; how long until the log has everything.
async fn run(queue: Queue, log: Log, pollers: usize, count: u32) -> Duration {
    stream::iter(0..count)
        .for_each_concurrent(SENDERS, |n| {
            let queue = queue.clone();
            async move { queue.send(notification(n)).await.expect("the queue takes it") }
        })
        .await;
    let parts = BridgeParts {
        queue,
        log: log.clone(),
        clock: Clock::System,
        health: Health::default(),
        bucket: "wharf".to_owned(),
        shards: ShardCount::new(64).expect("a good number"),
        pollers,
    };
    let began = Instant::now();
    let bridge = Bridge::start(parts).await.expect("it starts");
    let mut seen = 0;
    let mut replay = log.replay(Stream::Ingest, ">".to_owned(), ReplayFrom::Start).await.expect("a reader");
    while seen < count {
        let record = replay.next(DEADLINE).await.expect("the log answers");
        assert!(record.is_some(), "{seen} of {count} came");
        seen += 1;
    }
    let took = began.elapsed();
    bridge.stop().await;
    took
}
