//! Messages that the DLQ of a real server does not take.

use std::time::{Duration, Instant};

use serde_json::json;
use wharfinger::adapters::embedded::{EmbeddedStore, QueuePolicy};
use wharfinger::adapters::{Log, Queue};
use wharfinger::bridge::{Bridge, BridgeParts};
use wharfinger::config::NatsSettings;
use wharfinger::domain::shard::ShardCount;
use wharfinger::ports::{Clock, LogPort, NewRecord, PublishError, QueuePort, ReplayFrom, Stream};
use wharfinger::telemetry::health::{Health, Part, PartState};

use crate::server::{Server, Setup};
use crate::tools::{SOON, arrival, ask, connect, eventually, next, raw, ready_log};

/// A notification of one created object, the `n`-th.
fn notification(n: u32) -> String {
    let key = format!("user/0199a3c4-0000-7000-8000-000000000001/0199a3c4-0000-7000-8000-{n:012x}");
    json!({"Records": [{
        "eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-20T10:14:02.161Z",
        "s3": {"bucket": {"name": "wharf"}, "object": {"key": key, "size": 5, "sequencer": format!("{n:016X}")}},
    }]})
    .to_string()
}

/// Arrivals that INGEST has.
async fn arrived(server: &Server) -> u64 {
    let info = ask(&raw(&server.url()).await, "STREAM.INFO.WHARF_INGEST", &json!({})).await;
    info["state"]["messages"].as_u64().unwrap_or(0)
}

// proves: F22
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_messages_that_a_sealed_dlq_refuses_stop_no_arrival() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let jetstream = raw(&server.url()).await;
    let mut sealed: serde_json::Value =
        serde_json::from_str(include_str!("../../nats/streams/dlq.json")).expect("JSON");
    sealed["sealed"] = json!(true);
    let changed = ask(&jetstream, "STREAM.UPDATE.WHARF_DLQ", &sealed).await;
    assert_eq!(changed["config"]["sealed"], true, "{changed}");

    let dir = tempfile::tempdir().expect("a folder");
    let store = EmbeddedStore::open(dir.path(), Clock::System).expect("a store");
    let queue = Queue::Embedded(store.queue(QueuePolicy::default()));
    for n in 0..50 {
        queue.send(format!("poison {n}")).await.expect("sent");
    }
    for n in 0..10 {
        queue.send(notification(n)).await.expect("sent");
    }
    let health = Health::default();
    let parts = BridgeParts {
        queue,
        log: Log::Nats(log),
        clock: Clock::System,
        health: health.clone(),
        bucket: "wharf".to_owned(),
        shards: ShardCount::new(64).expect("a good number"),
        pollers: 2,
    };
    let bridge = Bridge::start(parts).await.expect("it starts");
    eventually("all arrivals pass", || async { arrived(&server).await == 10 }).await;
    eventually("both directions are reported", || async {
        health.state(Part::PublishIngest) == PartState::Up
            && matches!(health.state(Part::PublishDlq), PartState::Down { .. })
    })
    .await;
    bridge.stop().await;
    store.close().await;
}

#[tokio::test]
async fn what_is_larger_than_the_server_takes_is_refused_with_its_limit() {
    let rest = "max_payload: 64KB".to_owned();
    let Some(server) = Server::start_with(Setup { rest, ..Setup::default() }).await else { return };
    let log = ready_log(server.settings()).await;
    let large = NewRecord { subject: "wharf.dlq.v1.bridge".to_owned(), ..arrival(&"é".repeat(100 << 10)) };
    let refused = log.publish(Stream::Dlq, large.clone()).await;
    let Err(PublishError::TooLarge { bytes_max }) = refused else { panic!("{refused:?}") };
    assert_eq!(bytes_max, 64 << 10);
    // Headers count too: a payload of all that the server takes does not fit.
    let full = NewRecord { payload: vec![b'x'; bytes_max].into(), ..large.clone() };
    assert_eq!(log.publish(Stream::Dlq, full).await, Err(PublishError::TooLarge { bytes_max }));
    let cut = wharfinger::ports::dlq::cut_to(large, bytes_max).expect("it can be cut");
    log.publish(Stream::Dlq, cut).await.expect("it fits");
    let mut replay = log.replay(Stream::Dlq, "wharf.>".to_owned(), ReplayFrom::Start).await.expect("replay");
    let kept = next(&mut replay).await;
    assert!(kept.payload.len() > bytes_max - 512 && std::str::from_utf8(&kept.payload).is_ok());
}

#[tokio::test]
async fn a_publish_that_is_not_permitted_fails_at_once_with_the_servers_words() {
    let rest = "authorization { users: [ { user: all, password: a }, \
                { user: app, password: b, permissions: { publish: { deny: [\"wharf.dlq.>\"] } } } ] }";
    let setup = Setup { rest: rest.to_owned(), ..Setup::default() };
    let Some(server) = Server::start_with(setup).await else { return };
    let settings = NatsSettings {
        user: "app".to_owned(),
        password_file: Some(server.write("app", "b")),
        ..server.settings()
    };
    let log = connect(settings).await;
    eventually("it is ready", || async { log.ready().await.is_ok() }).await;
    let began = Instant::now();
    let dead = NewRecord { subject: "wharf.dlq.v1.bridge".to_owned(), ..arrival("x") };
    let refused = log.publish(Stream::Dlq, dead).await;
    let Err(PublishError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.to_lowercase().contains("permissions violation"), "{reason}");
    assert!(began.elapsed() < SOON - Duration::from_secs(1), "it does not wait for a reply");
    log.publish(Stream::Ingest, arrival("y")).await.expect("other streams go on");
}
