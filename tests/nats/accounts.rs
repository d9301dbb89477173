//! The users of `nats/accounts.conf`: what each may do, and what it may not.

use std::time::Duration;

use async_nats::{Event, ServerError};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wharfinger::config::{ManageStreams, NatsSettings};
use wharfinger::ports::{ConsumerPort, LogPort, NewRecord, ReplayFrom, ReplayPort, Stream};

use crate::server::{Server, Setup};
use crate::tools::{
    SOON, arrival, ask, connect, eventually, next, publish, pull, ready_log, shard_spec, text, texts, unique,
};

const USERS: [&str; 3] = ["publisher", "worker", "subscriber"];

fn password(user: &str) -> String {
    format!("a secret of the {user}")
}

async fn start() -> Option<Server> {
    let passwords = USERS
        .map(|user| (format!("NATS_{}_PASSWORD", user.to_uppercase()), format!("{:?}", password(user))))
        .to_vec();
    let rest = include_str!("../../nats/accounts.conf").to_owned();
    Server::start_with(Setup { rest, passwords, ..Setup::default() }).await
}

fn settings(server: &Server, user: &str) -> NatsSettings {
    NatsSettings {
        user: user.to_owned(),
        password_file: Some(server.write(user, &format!("{}\n", password(user)))),
        inbox_prefix: format!("_INBOX_{user}"),
        ..server.settings()
    }
}

fn event(payload: &str) -> NewRecord {
    NewRecord {
        subject: format!("wharf.files.v1.processed.{}", unique()),
        id: unique(),
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

/// The servers' own interface as one of the users, and what servers refuse it.
struct Raw {
    client: async_nats::Client,
    refusals: mpsc::Receiver<String>,
}

impl Raw {
    async fn connect(server: &Server, user: &str) -> Self {
        let (sender, refusals) = mpsc::channel(64);
        let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password(user));
        let client = options
            .custom_inbox_prefix(format!("_INBOX_{user}"))
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if let Event::ServerError(ServerError::Other(words)) = event {
                        drop(sender.send(words).await);
                    }
                }
            })
            .connect(server.url())
            .await
            .expect("connect");
        Self { client, refusals }
    }

    /// The server's next refusal names `subject`.
    async fn refused(&mut self, subject: &str) {
        let words = tokio::time::timeout(SOON, self.refusals.recv()).await.expect("a refusal").expect("open");
        let words = words.to_lowercase();
        assert!(words.contains("permissions violation"), "{words}");
        assert!(words.contains(&subject.to_lowercase()), "{words}: not about {subject}");
    }

    async fn cannot_publish(&mut self, subject: &str) {
        self.client.publish(subject.to_owned(), "x".into()).await.expect("sent");
        self.refused(subject).await;
    }

    async fn cannot_listen(&mut self, subject: &str) {
        let _subscriber = self.client.subscribe(subject.to_owned()).await.expect("sent");
        self.refused(subject).await;
    }
}

async fn stream_info(server: &Server, stream: &str) -> Value {
    let worker = Raw::connect(server, "worker").await;
    let jetstream = async_nats::jetstream::new(worker.client);
    ask(&jetstream, &format!("STREAM.INFO.{stream}"), &json!({})).await
}

#[tokio::test]
async fn a_worker_does_all_that_a_process_does() {
    let Some(server) = start().await else { return };
    let log = ready_log(settings(&server, "worker")).await;
    let mut consumer = log.consumer(shard_spec(Duration::from_secs(30))).await.expect("consumer");
    publish(&log, arrival("a")).await;
    let came = pull(&mut consumer).await;
    assert_eq!(texts(&came), ["a"]);
    consumer.nak(&came[0].token, Duration::ZERO).await.expect("nak");
    let again = pull(&mut consumer).await;
    assert_eq!(again[0].deliveries, 2);
    consumer.ack(&again[0].token).await.expect("ack");
    assert_eq!(log.differences().await, Ok(Vec::new()));
    let mut replay = log.replay(Stream::Events, "wharf.>".to_owned(), ReplayFrom::New).await.expect("replay");
    log.publish(Stream::Events, event("e")).await.expect("publish");
    assert_eq!(text(&next(&mut replay).await.payload), "e");
    let dead = NewRecord { subject: "wharf.dlq.v1.s3".to_owned(), ..event("d") };
    log.publish(Stream::Dlq, dead).await.expect("publish");
}

#[tokio::test]
async fn a_publisher_writes_and_reads_nothing() {
    let Some(server) = start().await else { return };
    ready_log(settings(&server, "worker")).await;
    let settings = NatsSettings { manage_streams: ManageStreams::Check, ..settings(&server, "publisher") };
    let log = ready_log(settings).await;
    publish(&log, arrival("a")).await;
    log.publish(Stream::Events, event("e")).await.expect("publish");
    let mut raw = Raw::connect(&server, "publisher").await;
    raw.cannot_publish("$JS.API.CONSUMER.CREATE.WHARF_INGEST.x.wharf.>").await;
    raw.cannot_publish("$JS.API.CONSUMER.MSG.NEXT.WHARF_INGEST.shard-7").await;
    raw.cannot_publish("$JS.API.STREAM.PURGE.WHARF_EVENTS").await;
    raw.cannot_publish("$JS.API.STREAM.DELETE.WHARF_EVENTS").await;
    raw.cannot_publish("$JS.API.STREAM.MSG.GET.WHARF_EVENTS").await;
    raw.cannot_listen("wharf.ingest.v1.>").await;
    raw.cannot_listen("_INBOX_worker.>").await;
}

#[tokio::test]
async fn a_subscriber_hears_events_live_and_from_the_past() {
    let Some(server) = start().await else { return };
    let worker = ready_log(settings(&server, "worker")).await;
    worker.publish(Stream::Events, event("past")).await.expect("publish");
    let settings = NatsSettings { manage_streams: ManageStreams::Off, ..settings(&server, "subscriber") };
    let log = ready_log(settings).await;
    let mut replay =
        log.replay(Stream::Events, "wharf.files.v1.>".to_owned(), ReplayFrom::Start).await.expect("replay");
    assert_eq!(text(&next(&mut replay).await.payload), "past");
    worker.publish(Stream::Events, event("live")).await.expect("publish");
    assert_eq!(text(&next(&mut replay).await.payload), "live");
    let spec = wharfinger::ports::ConsumerSpec {
        stream: Stream::Events,
        name: "mailer".to_owned(),
        filter: "wharf.files.v1.processed.*".to_owned(),
        ..shard_spec(Duration::from_secs(30))
    };
    let mut consumer = log.consumer(spec).await.expect("consumer");
    let came = pull(&mut consumer).await;
    assert_eq!(texts(&came), ["past", "live"]);
    consumer.ack(&came[0].token).await.expect("ack");
    assert_eq!(replay.next(Duration::from_millis(50)).await, Ok(None));
}

#[tokio::test]
async fn a_subscriber_cannot_publish() {
    let Some(server) = start().await else { return };
    ready_log(settings(&server, "worker")).await;
    let mut raw = Raw::connect(&server, "subscriber").await;
    raw.cannot_publish("wharf.files.v1.processed.u").await;
    raw.cannot_publish("wharf.usage.v1.threshold.u").await;
    raw.cannot_publish("wharf.links.v1.created.u").await;
    raw.cannot_publish("wharf.ingest.v1.0.u").await;
    raw.cannot_publish("wharf.dlq.v1.s3").await;
    for stream in ["WHARF_INGEST", "WHARF_EVENTS", "WHARF_DLQ"] {
        assert_eq!(stream_info(&server, stream).await["state"]["messages"], 0, "{stream}");
    }
}

#[tokio::test]
async fn a_subscriber_cannot_let_answers_be_written() {
    let Some(server) = start().await else { return };
    let worker = ready_log(settings(&server, "worker")).await;
    worker.publish(Stream::Events, event("e")).await.expect("publish");
    let raw = Raw::connect(&server, "subscriber").await;
    let jetstream = async_nats::jetstream::new(raw.client.clone());
    let config =
        json!({"name": "c", "ack_policy": "none", "deliver_policy": "all", "filter_subject": "wharf.>"});
    let asked = json!({"stream_name": "WHARF_EVENTS", "config": config});
    let made = ask(&jetstream, "CONSUMER.CREATE.WHARF_EVENTS.c.wharf.>", &asked).await;
    assert_eq!(made["error"], Value::Null, "{made}");
    let pushing = json!({"name": "p", "ack_policy": "none", "deliver_subject": "wharf.files.v1.processed.u"});
    let asked = json!({"stream_name": "WHARF_EVENTS", "config": pushing});
    let refused = ask(&jetstream, "CONSUMER.CREATE.WHARF_EVENTS.p", &asked).await;
    assert_eq!(refused["error"]["err_code"], 10_081, "it would feed the stream with itself: {refused}");
    // Servers do not check where an answer goes to; the border between accounts does.
    for question in
        ["$JS.API.INFO", "$JS.API.STREAM.INFO.WHARF_EVENTS", "$JS.API.CONSUMER.MSG.NEXT.WHARF_EVENTS.c"]
    {
        for target in ["wharf.ingest.v1.0.u", "wharf.files.v1.processed.u", "wharf.dlq.v1.s3"] {
            let sent = raw.client.publish_with_reply(question, target, Bytes::new()).await;
            sent.expect("sent");
        }
    }
    raw.client.flush().await.expect("flush");
    // Asked and answered on the same connection, so what was sent before has been dealt with.
    let info = ask(&jetstream, "CONSUMER.INFO.WHARF_EVENTS.c", &json!({})).await;
    assert_eq!(info["error"], Value::Null, "{info}");
    for (stream, messages) in [("WHARF_INGEST", 0), ("WHARF_EVENTS", 1), ("WHARF_DLQ", 0)] {
        assert_eq!(stream_info(&server, stream).await["state"]["messages"], messages, "{stream}");
    }
}

#[tokio::test]
async fn a_subscriber_asks_our_services() {
    let Some(server) = start().await else { return };
    let worker = Raw::connect(&server, "worker").await;
    let mut questions = worker.client.subscribe("wharf.svc.v1.usage.get").await.expect("subscribe");
    worker.client.flush().await.expect("flush");
    let subscriber = Raw::connect(&server, "subscriber").await;
    let answer = async {
        let question = questions.next().await.expect("a question");
        let reply = question.reply.expect("a reply subject");
        worker.client.publish(reply, "5 bytes".into()).await.expect("sent");
    };
    let (asked, ()) = tokio::join!(subscriber.client.request("wharf.svc.v1.usage.get", Bytes::new()), answer);
    assert_eq!(asked.expect("an answer").payload, "5 bytes");
}

#[tokio::test]
async fn a_subscriber_cannot_touch_ingest_or_the_streams_themselves() {
    let Some(server) = start().await else { return };
    ready_log(settings(&server, "worker")).await;
    let mut raw = Raw::connect(&server, "subscriber").await;
    raw.cannot_publish("$JS.API.CONSUMER.CREATE.WHARF_INGEST.x.wharf.>").await;
    raw.cannot_publish("$JS.API.CONSUMER.DURABLE.CREATE.WHARF_INGEST.x").await;
    raw.cannot_publish("$JS.API.CONSUMER.MSG.NEXT.WHARF_INGEST.shard-0").await;
    raw.cannot_publish("$JS.API.CONSUMER.DELETE.WHARF_INGEST.shard-0").await;
    raw.cannot_publish("$JS.API.STREAM.INFO.WHARF_INGEST").await;
    raw.cannot_publish("$JS.API.STREAM.MSG.GET.WHARF_INGEST").await;
    raw.cannot_publish("$JS.API.DIRECT.GET.WHARF_INGEST").await;
    raw.cannot_publish("$JS.API.STREAM.CREATE.MINE").await;
    raw.cannot_publish("$JS.API.STREAM.UPDATE.WHARF_EVENTS").await;
    raw.cannot_publish("$JS.API.STREAM.DELETE.WHARF_EVENTS").await;
    raw.cannot_publish("$JS.API.STREAM.PURGE.WHARF_EVENTS").await;
    raw.cannot_publish("$JS.ACK.WHARF_INGEST.shard-0.1.1.1.1.0").await;
    raw.cannot_listen("wharf.ingest.v1.>").await;
    raw.cannot_listen("wharf.dlq.v1.>").await;
    raw.cannot_listen("_INBOX_worker.>").await;
    raw.cannot_listen("_INBOX.>").await;
    raw.cannot_listen(">").await;
}

#[tokio::test]
async fn a_password_is_read_at_every_connect() {
    let Some(mut server) = start().await else { return };
    let settings = settings(&server, "worker");
    server.write("worker", "wrong");
    let log = connect(settings).await;
    let refused = "not connected: authorization violation";
    eventually("the wrong one is refused", || async {
        log.ready().await.is_err_and(|error| error.reason == refused)
    })
    .await;
    server.write("worker", &password("worker"));
    eventually("the right one is used", || async { log.ready().await.is_ok() }).await;
    server.kill();
    server.again().await;
    eventually("and used again", || async { log.ready().await.is_ok() }).await;
}

/// Whether the shipped configuration is accepted with these passwords.
fn is_accepted(passwords: &[(&str, &str)]) -> bool {
    let config = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("nats/server.conf");
    let mut checker = std::process::Command::new(crate::server::program());
    checker.arg("-t").arg("-c").arg(config).env_clear().envs(passwords.iter().copied());
    checker.output().expect("nats-server").status.success()
}

#[tokio::test]
async fn the_shipped_configuration_is_accepted_with_passwords_and_not_without() {
    if crate::tools::test_url().is_none() {
        return;
    }
    let passwords = [
        ("NATS_PUBLISHER_PASSWORD", "one"),
        ("NATS_WORKER_PASSWORD", "two"),
        ("NATS_SUBSCRIBER_PASSWORD", "three"),
    ];
    assert!(is_accepted(&passwords));
    for missing in 0..passwords.len() {
        let some: Vec<_> =
            (0..passwords.len()).filter(|place| *place != missing).map(|n| passwords[n]).collect();
        assert!(!is_accepted(&some), "{} has a default", passwords[missing].0);
    }
}
