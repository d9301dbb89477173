//! Streams are created or checked as the settings say, and every difference is reported.

use serde_json::{Value, json};
use wharfinger::config::{ManageStreams, NatsSettings};
use wharfinger::ports::{LogPort, PublishError, Stream};

use crate::server::Server;
use crate::tools::{arrival, ask, connect, eventually, publish, raw, ready_log};

fn with(server: &Server, manage_streams: ManageStreams) -> NatsSettings {
    NatsSettings { manage_streams, ..server.settings() }
}

/// What a log that is not ready says, once it is connected.
async fn complaint(settings: NatsSettings) -> String {
    let log = connect(settings).await;
    let is_connected =
        || async { log.ready().await.is_err_and(|error| !error.reason.starts_with("not connected")) };
    eventually("it complains", is_connected).await;
    log.ready().await.expect_err("a complaint").reason
}

async fn config_of(server: &Server, stream: &str) -> Value {
    ask(&raw(&server.url()).await, &format!("STREAM.INFO.{stream}"), &json!({})).await["config"].clone()
}

/// Makes a stream as `nats/` says, but for one setting.
async fn make(server: &Server, change: impl FnOnce(&mut Value)) {
    let mut config: Value =
        serde_json::from_str(include_str!("../../nats/streams/ingest.json")).expect("JSON");
    change(&mut config);
    let made = ask(&raw(&server.url()).await, "STREAM.CREATE.WHARF_INGEST", &config).await;
    assert_eq!(made["error"], Value::Null, "{made}");
}

#[tokio::test]
async fn missing_streams_are_made_as_declared() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(with(&server, ManageStreams::Create)).await;
    assert_eq!(log.differences().await, Ok(Vec::new()));
    assert_eq!(config_of(&server, "WHARF_INGEST").await["discard"], "new");
    assert_eq!(config_of(&server, "WHARF_EVENTS").await["discard"], "old");
    assert_eq!(config_of(&server, "WHARF_DLQ").await["max_bytes"], 256 << 20);
}

#[tokio::test]
async fn processes_that_start_together_make_them_once() {
    let Some(server) = Server::start().await else { return };
    let start = || ready_log(with(&server, ManageStreams::Create));
    let logs = tokio::join!(start(), start(), start());
    for log in [&logs.0, &logs.1, &logs.2] {
        publish(log, arrival("a")).await;
        assert_eq!(log.differences().await, Ok(Vec::new()));
    }
}

#[tokio::test]
async fn a_check_makes_nothing() {
    let Some(server) = Server::start().await else { return };
    let complaint = complaint(with(&server, ManageStreams::Check)).await;
    assert_eq!(complaint, "there is no stream WHARF_INGEST");
    assert_eq!(config_of(&server, "WHARF_INGEST").await, Value::Null);
}

#[tokio::test]
async fn a_check_accepts_what_is_as_declared() {
    let Some(server) = Server::start().await else { return };
    ready_log(with(&server, ManageStreams::Create)).await;
    let log = ready_log(with(&server, ManageStreams::Check)).await;
    assert_eq!(log.differences().await, Ok(Vec::new()));
}

#[tokio::test]
async fn another_size_is_told_and_left_as_it_is() {
    let Some(server) = Server::start().await else { return };
    make(&server, |config| config["max_bytes"] = json!(1_000_000)).await;
    let expected = vec!["WHARF_INGEST: max_bytes is 1000000, asked for 1073741824".to_owned()];
    for manage_streams in [ManageStreams::Create, ManageStreams::Check] {
        let log = ready_log(with(&server, manage_streams)).await;
        assert_eq!(log.differences().await, Ok(expected.clone()), "{manage_streams:?}");
        publish(&log, arrival("a")).await;
    }
    assert_eq!(config_of(&server, "WHARF_INGEST").await["max_bytes"], 1_000_000);
}

async fn check_grave(change: impl FnOnce(&mut Value), expected: &str) {
    let Some(server) = Server::start().await else { return };
    make(&server, change).await;
    for manage_streams in [ManageStreams::Create, ManageStreams::Check] {
        let complaint = complaint(with(&server, manage_streams)).await;
        assert_eq!(complaint, format!("{expected}; repair the stream, or recreate it"), "{manage_streams:?}");
    }
    let log = connect(with(&server, ManageStreams::Create)).await;
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_stream_that_may_lose_records_is_not_used() {
    check_grave(
        |config| config["discard"] = json!("old"),
        "WHARF_INGEST: discard is \"old\", asked for \"new\"",
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_gives_its_records_away_is_not_used() {
    check_grave(
        |config| config["retention"] = json!("workqueue"),
        "WHARF_INGEST: retention is \"workqueue\", asked for \"limits\"",
    )
    .await;
}

#[tokio::test]
async fn a_stream_that_forgets_ids_is_not_used() {
    check_grave(
        |config| config["duplicate_window"] = json!(1_000_000_000_u64),
        "WHARF_INGEST: duplicate_window is 1000000000, asked for 600000000000",
    )
    .await;
}

#[tokio::test]
async fn streams_that_others_manage_are_not_looked_at() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(with(&server, ManageStreams::Off)).await;
    let refused = log.publish(Stream::Ingest, arrival("a")).await;
    assert_eq!(refused, Err(PublishError::Unavailable { reason: "no stream takes it".to_owned() }));
    make(&server, |config| config["discard"] = json!("old")).await;
    publish(&log, arrival("a")).await;
}

#[tokio::test]
async fn what_the_server_cannot_make_is_named() {
    let Some(server) = Server::start().await else { return };
    let settings = NatsSettings { replicas: 3, ..with(&server, ManageStreams::Create) };
    let complaint = complaint(settings).await;
    assert!(complaint.starts_with("cannot make stream WHARF_INGEST: replicas > 1"), "{complaint}");
}
