//! What happens when servers die, stand still, fill up, or forget.

use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use wharfinger::adapters::jetstream::{JetStreamConsumer, JetStreamLog};
use wharfinger::config::{ManageStreams, NatsSettings};
use wharfinger::ports::{ConsumerPort, LogPort, PublishError, ReplayFrom, ReplayPort, Stream};

use crate::server::Server;
use crate::tools::{
    A_WHILE, SOON, arrival, ask, connect, eventually, is_at_least_2_11, next, publish, pull, raw, ready_log,
    shard_spec, text, texts,
};

const ACK_WAIT: Duration = Duration::from_secs(2);
const INGEST_ALL: &str = "wharf.ingest.v1.>";

async fn open(log: &JetStreamLog) -> JetStreamConsumer {
    log.consumer(shard_spec(ACK_WAIT)).await.expect("consumer")
}

async fn payloads(log: &JetStreamLog, count: usize) -> Vec<String> {
    let mut replay =
        log.replay(Stream::Ingest, INGEST_ALL.to_owned(), ReplayFrom::Start).await.expect("replay");
    let mut payloads = Vec::new();
    while payloads.len() < count {
        payloads.push(text(&next(&mut replay).await.payload));
    }
    assert_eq!(replay.next(A_WHILE).await, Ok(None), "no more than {count}");
    payloads
}

#[tokio::test]
async fn a_log_without_a_server_says_so_and_works_when_there_is_one() {
    let Some(mut server) = Server::start().await else { return };
    server.kill();
    let log = connect(server.settings()).await;
    assert!(log.ready().await.is_err());
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    let Err(PublishError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.starts_with("not connected: IO error"), "{reason}");
    assert!(log.consumer(shard_spec(ACK_WAIT)).await.is_err());
    assert!(log.replay(Stream::Events, "wharf.>".to_owned(), ReplayFrom::New).await.is_err());
    server.again().await;
    publish(&log, arrival("b")).await;
    assert_eq!(texts(&pull(&mut open(&log).await).await), ["b"]);
}

// proves: F26
#[tokio::test]
async fn a_killed_server_loses_nothing_that_it_acknowledged() {
    let Some(mut server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let write = async {
        for n in 0..200_u32 {
            publish(&log, arrival(&format!("{n:03}"))).await;
        }
    };
    let kill = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            server.kill();
            server.again().await;
        }
    };
    tokio::join!(write, kill);
    let kept = payloads(&log, 200).await;
    let written: Vec<String> = (0..200_u32).map(|n| format!("{n:03}")).collect();
    assert_eq!(kept, written, "each once, although publishes were repeated");
}

// proves: F26
#[tokio::test]
async fn readers_go_on_after_the_server_was_killed() {
    let Some(mut server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = open(&log).await;
    let mut replay =
        log.replay(Stream::Ingest, INGEST_ALL.to_owned(), ReplayFrom::New).await.expect("replay");
    for n in 0..4_u32 {
        publish(&log, arrival(&n.to_string())).await;
        // What was acknowledged may come again: a killed server forgets the newest acknowledgements.
        let mut came = pull(&mut consumer).await;
        while !texts(&came).contains(&n.to_string()) {
            came = pull(&mut consumer).await;
        }
        for delivery in &came {
            consumer.ack(&delivery.token).await.expect("ack");
        }
        assert_eq!(text(&next(&mut replay).await.payload), n.to_string(), "a replay repeats nothing");
        server.kill();
        server.again().await;
    }
}

// proves: F26 F30
#[tokio::test]
async fn a_delivery_comes_again_after_a_restart() {
    let Some(mut server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = open(&log).await;
    publish(&log, arrival("a")).await;
    assert_eq!(pull(&mut consumer).await[0].deliveries, 1);
    server.stop();
    eventually("it is noticed", || async { log.ready().await.is_err() }).await;
    server.again().await;
    let again = pull(&mut consumer).await;
    assert_eq!((texts(&again), again[0].deliveries), (vec!["a".to_owned()], 2));
    assert_eq!(log.ready().await, Ok(()));
    server.kill();
    server.again().await;
    // A killed server may have forgotten that it handed it out.
    assert_eq!(texts(&pull(&mut consumer).await), ["a"]);
}

// proves: F24
#[tokio::test]
async fn a_server_that_stands_still_leaves_publishes_unknown() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = open(&log).await;
    let record = arrival("a");
    server.pause();
    let began = Instant::now();
    let pull_in_silence = async { (consumer.pull(1, SOON).await, began.elapsed()) };
    let (published, (pulled, took)) =
        tokio::join!(log.publish(Stream::Ingest, record.clone()), pull_in_silence);
    assert!(
        took < SOON + Duration::from_millis(800),
        "missing heartbeats tell before the request ends: {took:?}"
    );
    assert!(matches!(published, Err(PublishError::Unknown { .. })), "{published:?}");
    assert!(pulled.is_err(), "{pulled:?}");
    server.resume();
    publish(&log, record).await;
    assert_eq!(texts(&pull(&mut consumer).await), ["a"], "once, although it was sent twice");
    assert_eq!(payloads(&log, 1).await, ["a"]);
}

#[tokio::test]
async fn a_connection_that_died_in_silence_is_found_and_replaced() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    server.pause();
    eventually("the silence is noticed", || async { log.ready().await.is_err() }).await;
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "not sent at all: {refused:?}");
    server.resume();
    publish(&log, arrival("b")).await;
    assert_eq!(payloads(&log, 1).await, ["b"]);
}

// proves: F25
#[tokio::test]
async fn a_full_stream_says_so_and_keeps_what_it_has() {
    let Some(server) = Server::start().await else { return };
    let settings = NatsSettings { ingest_bytes_max: 64 << 10, ..server.settings() };
    let log = ready_log(settings).await;
    let body = "x".repeat(8 << 10);
    let mut stored = 0;
    let refused = loop {
        match log.publish(Stream::Ingest, arrival(&body)).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 100, "it never fills");
    };
    assert_eq!(refused, PublishError::Full);
    assert_eq!(payloads(&log, stored).await.len(), stored);
    let jetstream = raw(&server.url()).await;
    ask(&jetstream, "STREAM.PURGE.WHARF_INGEST", &json!({})).await;
    publish(&log, arrival("room again")).await;
}

#[tokio::test]
async fn a_record_beyond_the_servers_limit_is_refused_at_once() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let began = Instant::now();
    let refused = log.publish(Stream::Ingest, arrival(&"x".repeat(2 << 20))).await;
    assert_eq!(refused, Err(PublishError::TooLarge { bytes_max: 1 << 20 }));
    assert!(began.elapsed() < Duration::from_secs(2), "it is not sent");
}

// proves: F28
#[tokio::test]
async fn a_deleted_consumer_is_made_again() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = open(&log).await;
    publish(&log, arrival("a")).await;
    assert_eq!(texts(&pull(&mut consumer).await), ["a"]);
    let jetstream = raw(&server.url()).await;
    ask(&jetstream, "CONSUMER.DELETE.WHARF_INGEST.shard-7", &json!({})).await;
    let again = consumer.pull(1, SOON).await.expect("pull");
    assert_eq!((texts(&again), again[0].deliveries), (vec!["a".to_owned()], 1), "from the start");
    let wait_then_delete = async {
        tokio::time::sleep(A_WHILE).await;
        ask(&jetstream, "CONSUMER.DELETE.WHARF_INGEST.shard-7", &json!({})).await;
    };
    let (while_waiting, ()) = tokio::join!(consumer.pull(1, SOON), wait_then_delete);
    assert_eq!(texts(&while_waiting.expect("pull")), ["a"], "also while a pull waits");
}

// proves: F27
#[tokio::test]
async fn a_deleted_stream_is_made_again_if_we_may() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = open(&log).await;
    let mut replay =
        log.replay(Stream::Ingest, INGEST_ALL.to_owned(), ReplayFrom::New).await.expect("replay");
    for n in 0..3_u32 {
        publish(&log, arrival(&n.to_string())).await;
        assert_eq!(text(&next(&mut replay).await.payload), n.to_string());
    }
    let jetstream = raw(&server.url()).await;
    ask(&jetstream, "STREAM.DELETE.WHARF_INGEST", &json!({})).await;
    let stored = publish(&log, arrival("new")).await;
    assert_eq!(stored.sequence, 1, "it is another stream");
    assert_eq!(texts(&pull(&mut consumer).await), ["new"]);
    assert_eq!(text(&next(&mut replay).await.payload), "new", "a replay notices that places begin anew");
}

#[tokio::test]
async fn a_deleted_stream_is_named_if_we_may_not_make_it() {
    let Some(server) = Server::start().await else { return };
    ready_log(server.settings()).await;
    let log = ready_log(NatsSettings { manage_streams: ManageStreams::Check, ..server.settings() }).await;
    let mut consumer = open(&log).await;
    let jetstream = raw(&server.url()).await;
    ask(&jetstream, "STREAM.DELETE.WHARF_INGEST", &json!({})).await;
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert_eq!(refused, Err(PublishError::Unavailable { reason: "no stream takes it".to_owned() }));
    let missing = "there is no stream WHARF_INGEST".to_owned();
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert_eq!(refused, Err(PublishError::Unavailable { reason: missing.clone() }));
    assert_eq!(consumer.pull(1, SOON).await.map_err(|error| error.reason), Err(missing));
}

// proves: F28
#[tokio::test]
async fn a_consumer_that_stalls_is_noticed_and_read_anew() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let Some(server) = Server::start().await else { return };
    let log = ready_log(NatsSettings { stalled_after_secs: 1, ..server.settings() }).await;
    let mut consumer = open(&log).await;
    let jetstream = raw(&server.url()).await;
    if !is_at_least_2_11(&jetstream) {
        return;
    }
    // A paused consumer looks like a stalled one: something is pending, and nothing comes.
    let pause = json!({"pause_until": "2100-01-01T00:00:00Z"});
    ask(&jetstream, "CONSUMER.PAUSE.WHARF_INGEST.shard-7", &pause).await;
    publish(&log, arrival("a")).await;
    let rebuilt = "wharf_nats_readers_rebuilt_total{reason=\"stalled\"}";
    let began = Instant::now();
    while !figures.render().contains(rebuilt) {
        assert_eq!(consumer.pull(1, A_WHILE).await, Ok(Vec::new()));
        assert!(began.elapsed() < SOON, "nobody noticed");
    }
    ask(&jetstream, "CONSUMER.PAUSE.WHARF_INGEST.shard-7", &json!({})).await;
    assert_eq!(texts(&pull(&mut consumer).await), ["a"]);
}

// proves: F29
#[tokio::test]
async fn a_cancelled_pull_loses_nothing() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut consumer = log.consumer(shard_spec(Duration::from_secs(60))).await.expect("consumer");
    for n in 0..20_u32 {
        // Given up at any moment: before the request, while it waits, while it answers.
        let given_up = Duration::from_micros(u64::from(n) * 150);
        let record = arrival(&n.to_string());
        let (pulled, _) =
            tokio::join!(tokio::time::timeout(given_up, consumer.pull(64, SOON)), publish(&log, record));
        let came = match pulled {
            Ok(pulled) => pulled.expect("pull"),
            Err(_) => consumer.pull(64, SOON).await.expect("pull"),
        };
        assert_eq!(texts(&came), [n.to_string()], "long before its ack wait is over");
        consumer.ack(&came[0].token).await.expect("ack");
    }
}

#[tokio::test]
async fn nothing_is_taken_that_nobody_asked_for() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let (mut one, mut other) = (open(&log).await, open(&log).await);
    for n in 0..10_u32 {
        publish(&log, arrival(&n.to_string())).await;
    }
    assert_eq!(one.pull(3, SOON).await.expect("pull").len(), 3);
    assert_eq!(other.pull(64, SOON).await.expect("pull").len(), 7, "at once, not after the ack wait");
    // The other asked for 64 and got 7; what comes later is for the next request.
    publish(&log, arrival("late")).await;
    assert_eq!(texts(&one.pull(64, Duration::ZERO).await.expect("pull")), ["late"], "without waiting");
    assert_eq!(other.pull(64, Duration::ZERO).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_replay_goes_back_to_what_it_missed() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let mut replay =
        log.replay(Stream::Ingest, INGEST_ALL.to_owned(), ReplayFrom::Start).await.expect("replay");
    publish(&log, arrival("a")).await;
    assert_eq!(text(&next(&mut replay).await.payload), "a");
    assert_eq!(replay.next(A_WHILE).await, Ok(None), "nothing is asked for any more");
    publish(&log, arrival("b")).await;
    // Another subscriber gets what was meant for the replay, as if it had been lost on the way.
    let jetstream = raw(&server.url()).await;
    let names = ask(&jetstream, "CONSUMER.NAMES.WHARF_INGEST", &json!({})).await;
    let name = names["consumers"][0].as_str().expect("a name");
    let subject = format!("$JS.API.CONSUMER.MSG.NEXT.WHARF_INGEST.{name}");
    // A message keeps its own subject, so the client's shared inbox would not know whose answer it is.
    let client = jetstream.client();
    let request = async_nats::Request::new().payload("1".into()).inbox(client.new_inbox());
    let stolen = client.send_request(subject, request).await.expect("an answer");
    assert_eq!(text(&stolen.payload), "b");
    publish(&log, arrival("c")).await;
    assert_eq!(text(&next(&mut replay).await.payload), "b");
    assert_eq!(text(&next(&mut replay).await.payload), "c");
}

// proves: F29
#[tokio::test]
async fn a_full_window_of_open_deliveries_does_not_hold_back_what_came() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let spec = wharfinger::ports::ConsumerSpec { ack_pending_max: 10, ..shard_spec(Duration::from_secs(60)) };
    let mut consumer = log.consumer(spec).await.expect("consumer");
    for n in 0..25_u32 {
        publish(&log, arrival(&n.to_string())).await;
    }
    let mut seen = 0;
    while seen < 25 {
        let began = Instant::now();
        let came = consumer.pull(64, SOON).await.expect("pull");
        assert!(!came.is_empty() && came.len() <= 10, "{}", came.len());
        assert!(began.elapsed() < Duration::from_millis(700), "it waited for more than may come");
        seen += came.len();
        for delivery in came {
            consumer.ack(&delivery.token).await.expect("ack");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let Some(_) = crate::tools::test_url() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let url = format!("nats://{}", listener.local_addr().expect("address"));
    let old = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let info = json!({"server_id": "x", "version": "2.9.10", "max_payload": 1_048_576, "headers": true});
        client.write_all(format!("INFO {info}\r\nPONG\r\n").as_bytes()).await.expect("greet");
        std::future::pending::<()>().await;
    });
    let log = connect(NatsSettings { urls: vec![url], ..NatsSettings::default() }).await;
    let expected = "nats-server \"2.9.10\" is too old: 2.10 or newer is needed";
    eventually("it is refused", || async { log.ready().await.is_err_and(|error| error.reason == expected) })
        .await;
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert_eq!(refused, Err(PublishError::Unavailable { reason: expected.to_owned() }));
    old.abort();
}
