//! Facts about servers and client that the code leans on, pinned so that an upgrade that changes one is noticed.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer, kv, stream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use serde_json::json;

use wharfinger::ports::{ConsumerPort as _, LogPort as _};

use crate::server::{Server, Setup};
use crate::tools::{DEADLINE, SOON, ask, eventually, is_at_least_2_11, raw, ready_log, shard_spec};

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

/// Servers before 2.10 leave `reserved_memory` out of their account; here a fake server answers as they do.
#[tokio::test]
async fn a4_a_bucket_cannot_be_made_where_the_account_names_no_reserves() {
    let setup = Setup { rest: "jetstream: false".to_owned(), ..Setup::default() };
    let Some(server) = Server::start_with(setup).await else { return };
    let client = async_nats::connect(server.url()).await.expect("connect");
    let mut asked = client.subscribe("$JS.API.INFO").await.expect("subscribe");
    client.flush().await.expect("flush");
    let answer = json!({
        "type": "io.nats.jetstream.api.v1.account_info_response",
        "memory": 0, "storage": 0, "streams": 0, "consumers": 0,
        "limits": {"max_memory": -1, "max_storage": -1, "max_streams": -1, "max_consumers": -1,
            "max_ack_pending": -1, "memory_max_stream_bytes": -1, "storage_max_stream_bytes": -1,
            "max_bytes_required": false},
        "api": {"total": 1, "errors": 0},
    });
    let jetstream = jetstream::new(client.clone());
    let old_server = async {
        let request = asked.next().await.expect("a question");
        client.publish(request.reply.expect("an inbox"), answer.to_string().into()).await.expect("answer");
    };
    let (made, ()) = tokio::join!(jetstream.create_key_value(bucket("old")), old_server);
    let error =
        made.expect_err("create_key_value now lives without reserves: servers before 2.10 may be used");
    assert_eq!(error.kind(), jetstream::context::CreateKeyValueErrorKind::JetStream, "{error}");
}

/// What works on servers of every age.
#[tokio::test]
async fn a4_a_bucket_made_as_a_stream_is_a_bucket() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    jetstream.create_key_value(bucket("new")).await.expect("made as the client makes it, on this server");
    let config = stream::Config {
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        allow_rollup: true,
        ..memory("KV_by-hand", "$KV.by-hand.>")
    };
    jetstream.create_stream(config).await.expect("stream");
    let bucket = jetstream.get_key_value("by-hand").await.expect("bucket");
    let first = bucket.create("k", "a".into()).await.expect("create");
    bucket.create("k", "b".into()).await.expect_err("it is there");
    bucket.update("k", "c".into(), first).await.expect("update");
    bucket.update("k", "d".into(), first).await.expect_err("another revision");
    assert_eq!(bucket.get("k").await.expect("get").expect("a value"), "c");
}

fn bucket(name: &str) -> kv::Config {
    kv::Config { bucket: name.to_owned(), storage: stream::StorageType::Memory, ..Default::default() }
}

/// Why pulls are our own: with `stream()` nothing but its expiry ends the client's wait on a dead connection, and
/// `messages()` notices after half of it.
#[tokio::test]
async fn a6_a_pull_stream_asks_for_200_for_30_s_with_no_heartbeat_or_a_slow_one() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let stream = jetstream.create_stream(memory("T", "t")).await.expect("stream");
    let check = async |name: &str, is_plain: bool, heartbeat: Option<u64>| {
        let config = consumer::pull::Config { durable_name: Some(name.to_owned()), ..Default::default() };
        let consumer = stream.create_consumer(config).await.expect("consumer");
        let mut pulls = heard_pulls(&server, "T", name).await;
        let messages = if is_plain { consumer.messages().await } else { consumer.stream().messages().await };
        let mut messages = messages.expect("messages");
        let pull = first_pull(&mut pulls, async { drop(messages.next().await) }).await;
        assert_eq!(pull["batch"], 200, "{pull}");
        assert_eq!(pull["expires"], 30_000_000_000_u64, "{pull}");
        assert_eq!(pull["idle_heartbeat"].as_u64().filter(|nanos| *nanos > 0), heartbeat, "{pull}");
    };
    check("a", false, None).await;
    check("b", true, Some(15_000_000_000)).await;
}

/// Every subscriber of the account can receive requests to the servers.
async fn heard_pulls(server: &Server, stream: &str, consumer: &str) -> async_nats::Subscriber {
    let listener = async_nats::connect(server.url()).await.expect("connect");
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
    let pulls = listener.subscribe(subject).await.expect("subscribe");
    listener.flush().await.expect("flush");
    pulls
}

/// The first pull that is received while `reading` waits.
async fn first_pull(
    pulls: &mut async_nats::Subscriber,
    reading: impl Future<Output = ()>,
) -> serde_json::Value {
    let heard = tokio::time::timeout(DEADLINE, async {
        tokio::select! {
            pull = pulls.next() => pull.expect("a pull"),
            () = reading => panic!("nothing was there to read"),
        }
    });
    serde_json::from_slice(&heard.await.expect("in time").payload).expect("JSON")
}

/// Our own pulls say when they end, and ask for heartbeats of the server.
#[tokio::test]
async fn a6_our_pulls_have_a_heartbeat_and_a_short_end() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut pulls = heard_pulls(&server, "WHARF_INGEST", "*").await;
    let mut consumer = log.consumer(shard_spec(Duration::from_secs(30))).await.expect("consumer");
    let reading = async { while consumer.pull(64, SOON).await.is_ok_and(|got| got.is_empty()) {} };
    let pull = first_pull(&mut pulls, reading).await;
    let nanos = |name: &str| pull[name].as_u64().unwrap_or_else(|| panic!("{name}: {pull}"));
    assert!(nanos("expires") <= 10_000_000_000, "{pull}");
    assert!(nanos("idle_heartbeat") * 2 <= nanos("expires"), "{pull}");
}

#[tokio::test]
async fn a6_a_missed_heartbeat_is_an_error_among_the_messages_and_the_stream_goes_on() {
    let Some(server) = Server::start().await else { return };
    let jetstream = raw(&server.url()).await;
    let stream = jetstream.create_stream(memory("T", "t")).await.expect("stream");
    let config = consumer::pull::Config { durable_name: Some("c".to_owned()), ..Default::default() };
    let consumer = stream.create_consumer(config).await.expect("consumer");
    let pull = consumer.stream().expires(Duration::from_secs(10)).heartbeat(Duration::from_millis(500));
    let mut messages = pull.messages().await.expect("messages");
    server.pause();
    let missed =
        tokio::time::timeout(DEADLINE, messages.next()).await.expect("in time").expect("not the end");
    let error = missed.expect_err("the server says nothing");
    assert_eq!(error.kind(), consumer::pull::MessagesErrorKind::MissingHeartbeat, "{error}");
    server.resume();
    jetstream.publish("t", "x".into()).await.expect("publish").await.expect("ack");
    let first = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Ok(message) = messages.next().await.expect("the stream goes on after errors") {
                return message;
            }
        }
    });
    assert_eq!(first.await.expect("in time").payload, "x");
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
