//! Streams that are deleted while another client subscribes to their subjects: there is no "no responders" then.

use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use wharfinger::ports::{LogPort, NewRecord, PublishError, ReplayFrom, ReplayPort, Stored, Stream};

use crate::server::Server;
use crate::tools::{A_WHILE, DEADLINE, ask, next, pull, raw, ready_log, shard_spec, text, texts, unique};

/// A record for this stream.
fn record(stream: Stream, payload: &str) -> NewRecord {
    let subject = match stream {
        Stream::Ingest => format!("wharf.ingest.v1.7.{}", unique()),
        Stream::Events => format!("wharf.files.v1.processed.{}", unique()),
        Stream::Dlq => "wharf.dlq.v1.bridge".to_owned(),
    };
    NewRecord {
        subject,
        id: unique(),
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

/// Publishes again, with the same id, until it is stored; returns what was said before.
async fn insist(log: &impl LogPort, stream: Stream, record: NewRecord) -> (Stored, Vec<PublishError>) {
    let (began, mut said) = (Instant::now(), Vec::new());
    loop {
        match log.publish(stream, record.clone()).await {
            Ok(stored) => return (stored, said),
            Err(error) => said.push(error),
        }
        assert!(began.elapsed() < DEADLINE, "never stored: {said:?}");
    }
}

// proves: F27
#[tokio::test]
async fn a_stream_that_is_deleted_under_a_plain_subscriber_is_made_again() {
    let Some(server) = Server::start().await else { return };
    let listener = async_nats::connect(server.url()).await.expect("connect");
    // A subscriber to everything, like `nats sub '>'`.
    let _all = listener.subscribe("wharf.>").await.expect("subscribe");
    listener.flush().await.expect("flush");
    let jetstream = raw(&server.url()).await;
    let check = async |stream: Stream| {
        let log = ready_log(server.settings()).await;
        log.publish(stream, record(stream, "before")).await.expect("publish");
        ask(&jetstream, &format!("STREAM.DELETE.{}", stream.name()), &json!({})).await;
        let (stored, said) = insist(&log, stream, record(stream, "after")).await;
        assert_eq!((stored.sequence, stored.duplicate), (1, false), "{stream:?}: it is another stream");
        assert!(matches!(&said[..], [PublishError::Unknown { .. }]), "one silence is enough: {said:?}");
    };
    tokio::join!(check(Stream::Ingest), check(Stream::Events), check(Stream::Dlq));
}

// proves: F27
#[tokio::test]
async fn readers_that_are_opened_after_a_stream_was_deleted_have_it_made_again() {
    let Some(server) = Server::start().await else { return };
    let log = ready_log(server.settings()).await;
    let jetstream = raw(&server.url()).await;
    for stream in Stream::ALL {
        ask(&jetstream, &format!("STREAM.DELETE.{}", stream.name()), &json!({})).await;
        let filter = "wharf.>".to_owned();
        let mut replay = log.replay(stream, filter, ReplayFrom::Start).await.expect("a reader");
        assert_eq!(replay.next(A_WHILE).await, Ok(None), "{stream:?}");
        log.publish(stream, record(stream, "new")).await.expect("publish");
        assert_eq!(text(&next(&mut replay).await.payload), "new", "{stream:?}");
    }
    ask(&jetstream, "STREAM.DELETE.WHARF_INGEST", &json!({})).await;
    let mut consumer = log.consumer(shard_spec(DEADLINE)).await.expect("a consumer");
    log.publish(Stream::Ingest, record(Stream::Ingest, "newer")).await.expect("publish");
    assert_eq!(texts(&pull(&mut consumer).await), ["newer"]);
}
