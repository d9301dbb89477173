//! Small helpers of these tests.

use std::future::Future;
use std::io::Write as _;
use std::time::{Duration, Instant};

use async_nats::jetstream;
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;
use wharfinger::adapters::jetstream::{JetStreamConsumer, JetStreamLog, JetStreamReplay};
use wharfinger::config::NatsSettings;
use wharfinger::ports::{
    Clock, ConsumerPort, ConsumerSpec, LogDelivery, LogPort, NewRecord, PublishError, Record, ReplayPort,
    Stored, Stream,
};

/// How long anything may take that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);
/// How long one pull of a test waits.
pub(crate) const SOON: Duration = Duration::from_secs(5);
/// How long nothing must come for "nothing comes".
pub(crate) const A_WHILE: Duration = Duration::from_millis(100);

/// A setting of the tests, from the environment.
#[expect(clippy::disallowed_methods, reason = "tests are set up by the environment")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The server that tests may use; says so when there is none.
pub(crate) fn test_url() -> Option<String> {
    let url = setting("WHARFDEV_TEST_NATS");
    if url.is_none() {
        // Written past the capture of passing tests, so that it is seen.
        drop(writeln!(std::io::stderr(), "skipped: WHARFDEV_TEST_NATS names no server, nothing ran on NATS"));
    }
    url
}

/// Waits until something is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < DEADLINE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn connect(settings: NatsSettings) -> JetStreamLog {
    JetStreamLog::connect(settings, Clock::System).await.expect("settings")
}

/// A log that can be used.
pub(crate) async fn ready_log(settings: NatsSettings) -> JetStreamLog {
    let log = connect(settings).await;
    eventually("the log is ready", || async { log.ready().await.is_ok() }).await;
    log
}

/// The servers' own interface, for what the port does not offer.
pub(crate) async fn raw(url: &str) -> jetstream::Context {
    jetstream::new(async_nats::connect(url).await.expect("connect"))
}

/// Asks the servers' own interface; the answer may be an error.
pub(crate) async fn ask(jetstream: &jetstream::Context, subject: &str, body: &Value) -> Value {
    jetstream.request(subject.to_owned(), body).await.expect("an answer")
}

/// Whether a server can pause consumers and let keys expire; says so if it cannot.
pub(crate) fn is_at_least_2_11(jetstream: &jetstream::Context) -> bool {
    let is = jetstream.client().is_server_compatible(2, 11, 0);
    if !is {
        drop(writeln!(std::io::stderr(), "skipped: the server is older than 2.11"));
    }
    is
}

pub(crate) fn unique() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn arrival(payload: &str) -> NewRecord {
    NewRecord {
        subject: format!("wharf.ingest.v1.7.{}", unique()),
        id: unique(),
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

/// The consumer of the shard that [`arrival`] belongs to.
pub(crate) fn shard_spec(ack_wait: Duration) -> ConsumerSpec {
    ConsumerSpec {
        stream: Stream::Ingest,
        name: "shard-7".to_owned(),
        filter: "wharf.ingest.v1.7.>".to_owned(),
        ack_wait,
        ack_pending_max: 256,
    }
}

/// Publishes as the bridge does: again, with the same id, until it is stored.
pub(crate) async fn publish(log: &JetStreamLog, record: NewRecord) -> Stored {
    let began = Instant::now();
    loop {
        match log.publish(Stream::Ingest, record.clone()).await {
            Ok(stored) => return stored,
            Err(error @ (PublishError::Full | PublishError::TooLarge { .. })) => panic!("{error}"),
            Err(error @ (PublishError::Unavailable { .. } | PublishError::Unknown { .. })) => {
                assert!(began.elapsed() < DEADLINE, "not stored in time: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Pulls as a feed does: again after errors, until something comes.
pub(crate) async fn pull(consumer: &mut JetStreamConsumer) -> Vec<LogDelivery> {
    let began = Instant::now();
    loop {
        match consumer.pull(64, SOON).await {
            Ok(deliveries) if !deliveries.is_empty() => return deliveries,
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        assert!(began.elapsed() < DEADLINE, "nothing came in time");
    }
}

/// Reads as a subscriber does: again after errors, until something comes.
pub(crate) async fn next(replay: &mut JetStreamReplay) -> Record {
    let began = Instant::now();
    loop {
        match replay.next(SOON).await {
            Ok(Some(record)) => return record,
            Ok(None) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        assert!(began.elapsed() < DEADLINE, "nothing came in time");
    }
}

pub(crate) fn text(payload: &Bytes) -> String {
    String::from_utf8(payload.to_vec()).expect("UTF-8")
}

pub(crate) fn texts(deliveries: &[LogDelivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(&delivery.record.payload)).collect()
}
