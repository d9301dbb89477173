//! Facts about servers and client that the code leans on, pinned so that an upgrade that changes one is noticed.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer, kv, stream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::json;

use crate::server::Server;
use crate::tools::{DEADLINE, ask, eventually, is_at_least_2_11, raw};

fn memory(name: &str, subject: &str) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage: stream::StorageType::Memory,
        ..stream::Config::default()
    }
}

fn id(id: &str) -> async_nats::HeaderMap {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    headers
}

#[tokio::test]
async fn n7_an_id_counts_within_its_window_and_not_after() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let window = Duration::from_millis(300);
    let config = stream::Config { duplicate_window: window, ..memory("T", "t") };
    jetstream.create_stream(config).await.expect("stream");
    let publish = || async {
        let sent = jetstream.publish_with_headers("t", id("7"), "x".into()).await.expect("publish");
        let ack = sent.await.expect("ack");
        (ack.sequence, ack.duplicate)
    };
    assert_eq!(publish().await, (1, false));
    assert_eq!(publish().await, (1, true));
    // The window is counted from the first time: each repeat is asked until one is stored.
    eventually("the window ends", || async { publish().await == (2, false) }).await;
}

#[tokio::test]
async fn a1_double_ack_takes_nobody_is_there_for_success() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let stream = jetstream.create_stream(memory("T", "t")).await.expect("stream");
    let config = consumer::pull::Config { durable_name: Some("c".to_owned()), ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("consumer");
    jetstream.publish("t", "x".into()).await.expect("publish").await.expect("ack");
    let mut messages = consumer.batch().max_messages(1).messages().await.expect("batch");
    let message = messages.next().await.expect("one").expect("message");
    stream.delete_consumer("c").await.expect("delete");
    let outcome = message.double_ack_with(AckKind::Ack).await;
    assert!(outcome.is_ok(), "double_ack now tells that nobody took it: {outcome:?}");
}

#[tokio::test]
async fn a3_a_key_made_again_after_its_marker_has_no_ttl() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    if !is_at_least_2_11(&jetstream) {
        return;
    }
    let config = kv::Config {
        bucket: "leases".to_owned(),
        limit_markers: Some(Duration::from_secs(60)),
        storage: stream::StorageType::Memory,
        ..Default::default()
    };
    let bucket = jetstream.create_key_value(config).await.expect("bucket");
    let ttl = Duration::from_secs(60);
    let first = bucket.create_with_ttl("k", "a".into(), ttl).await.expect("create");
    assert!(has_ttl(&jetstream, first).await, "a fresh key has one");
    bucket.delete("k").await.expect("delete");
    let second = bucket.create_with_ttl("k", "b".into(), ttl).await.expect("create again");
    assert!(!has_ttl(&jetstream, second).await, "create_with_ttl now keeps it: leases may use it");
}

async fn has_ttl(jetstream: &jetstream::Context, sequence: u64) -> bool {
    let found = ask(jetstream, "STREAM.MSG.GET.KV_leases", &json!({"seq": sequence})).await;
    assert_eq!(found["message"]["seq"], sequence, "{found}");
    let headers = STANDARD.decode(found["message"]["hdrs"].as_str().unwrap_or_default()).expect("base64");
    String::from_utf8_lossy(&headers).contains("Nats-TTL")
}

#[tokio::test]
async fn a7_a_pull_stream_with_heartbeats_resumes_after_a_kill() {
    let Some(mut server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let config = stream::Config { storage: stream::StorageType::File, ..memory("T", "t") };
    let stream = jetstream.create_stream(config).await.expect("stream");
    let config = consumer::pull::Config { durable_name: Some("c".to_owned()), ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("consumer");
    let mut messages = consumer
        .stream()
        .expires(Duration::from_secs(5))
        .heartbeat(Duration::from_secs(1))
        .messages()
        .await
        .expect("messages");
    server.kill();
    server.again().await;
    let published = async {
        eventually("it is stored", || async {
            match jetstream.publish("t", "x".into()).await {
                Ok(sent) => sent.await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
    };
    let (first, ()) = tokio::join!(
        tokio::time::timeout(DEADLINE, async {
            loop {
                // Errors are items: the stream goes on after them.
                if let Some(Ok(message)) = messages.next().await {
                    return message;
                }
            }
        }),
        published
    );
    assert_eq!(first.expect("in time").payload, "x");
}

#[tokio::test]
async fn n10_a_refusal_without_delay_comes_back_at_once() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let stream = jetstream.create_stream(memory("T", "t")).await.expect("stream");
    let config = consumer::pull::Config {
        durable_name: Some("c".to_owned()),
        ack_wait: Duration::from_secs(60),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.expect("consumer");
    jetstream.publish("t", "x".into()).await.expect("publish").await.expect("ack");
    for delivered in 1..=3 {
        let mut messages = consumer.batch().max_messages(1).messages().await.expect("batch");
        let message = messages.next().await.expect("one").expect("message");
        assert_eq!(message.info().expect("info").delivered, delivered);
        message.ack_with(AckKind::Nak(None)).await.expect("nak");
    }
}
