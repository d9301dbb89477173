//! What publishing to JetStream costs: one record at a time, many at once, and stored together.
//!
//! `WHARFDEV_TEST_NATS=any cargo bench --bench nats`; starts its own servers, so the name only says that it may.
//! Loopback, one copy: the figures bound what a network and three copies can reach, they do not predict it.

#[path = "../tests/nats/server.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod server;
#[path = "../tests/nats/tools.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod tools;

use std::io::Write as _;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use wharfinger::adapters::jetstream::JetStreamLog;
use wharfinger::config::{AtomicBatches, NatsSettings};
use wharfinger::ports::{ConsumerPort, LogPort, NewRecord, Stream};

use server::{Server, Setup};
use tools::{SOON, arrival, ready_log, shard_spec};

/// How long one line is measured in one round.
const SPAN: Duration = Duration::from_secs(1);
/// Every line is measured once a round, so that other load on the machine falls on all of them; medians are printed.
const ROUNDS: usize = 7;
/// Bytes of a record: an arrival's size.
const RECORD_BYTES: usize = 300;

/// One line of the table.
struct Line {
    syncs: &'static str,
    how: &'static str,
    in_flight: usize,
    log: JetStreamLog,
    rounds: Vec<Figures>,
}

/// The result of one line in one round.
#[derive(Clone, Copy)]
struct Figures {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // the tests build it; only cargo bench measures
    }
    let (mut servers, mut lines) = (Vec::new(), Vec::new());
    for (syncs, jetstream) in
        [("every 2 min", "max_file: 8GB"), ("always", "max_file: 8GB, sync_interval: always")]
    {
        for (how, atomic_batches) in [("singly", AtomicBatches::Off), ("in batches", AtomicBatches::Auto)] {
            let Some(server) = Server::start_with(Setup { jetstream, ..Setup::default() }).await else {
                return;
            };
            let log = ready_log(NatsSettings { atomic_batches, ..server.settings() }).await;
            for in_flight in [1, 16, 64, 256] {
                lines.push(Line { syncs, how, in_flight, log: log.clone(), rounds: Vec::new() });
            }
            if atomic_batches == AtomicBatches::Off {
                lines.push(Line { syncs, how: "pull 64, ack", in_flight: 0, log, rounds: Vec::new() });
            }
            servers.push(server);
        }
    }
    for _ in 0..ROUNDS {
        for line in &mut lines {
            let figures = if line.in_flight > 0 {
                write(&line.log, line.in_flight).await
            } else {
                read(&line.log).await
            };
            line.rounds.push(figures);
        }
    }
    say(format_args!("| server syncs | records | in flight | a second | p50 | p99 |"));
    say(format_args!("|---|---|---|---|---|---|"));
    for Line { syncs, how, in_flight, rounds, .. } in &mut lines {
        rounds.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let Figures { rate, p50, p99 } = rounds[rounds.len() / 2];
        say(format_args!("| {syncs} | {how} | {in_flight} | {rate:.0} | {p50:.0?} | {p99:.0?} |"));
    }
}

fn say(line: std::fmt::Arguments<'_>) {
    writeln!(std::io::stdout(), "{line}").expect("stdout");
}

fn record() -> NewRecord {
    arrival(&"x".repeat(RECORD_BYTES))
}

/// Closed loop: each of `in_flight` writers waits for its answer.
async fn write(log: &JetStreamLog, in_flight: usize) -> Figures {
    let began = Instant::now();
    let until = began + SPAN;
    let times: Vec<Vec<Duration>> = stream::iter(0..in_flight)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let sent = Instant::now();
                    log.publish(Stream::Ingest, record()).await.expect("stored");
                    times.push(sent.elapsed());
                }
                times
            })
        })
        .buffer_unordered(in_flight)
        .map(|times| times.expect("no panic"))
        .collect()
        .await;
    let times: Vec<Duration> = times.into_iter().flatten().collect();
    figures(times.len(), began.elapsed(), times)
}

/// One reader, in pulls of 64, each delivery acknowledged; the times are those of the pulls.
async fn read(log: &JetStreamLog) -> Figures {
    let mut consumer = log.consumer(shard_spec(Duration::from_secs(30))).await.expect("consumer");
    let began = Instant::now();
    let (mut times, mut count) = (Vec::new(), 0);
    while began.elapsed() < SPAN {
        let asked = Instant::now();
        let came = consumer.pull(64, SOON).await.expect("pull");
        times.push(asked.elapsed());
        for delivery in &came {
            consumer.ack(&delivery.token).await.expect("ack");
        }
        count += came.len();
    }
    figures(count, began.elapsed(), times)
}

fn figures(count: usize, span: Duration, mut times: Vec<Duration>) -> Figures {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let count = u32::try_from(count).expect("a bench is short");
    Figures { rate: f64::from(count) / span.as_secs_f64(), p50: at(50), p99: at(99) }
}
