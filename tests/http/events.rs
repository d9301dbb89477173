//! Server-sent events.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use wharfinger::limits::EVENT_STREAMS_PER_USER_MAX;
use wharfinger::ports::{LogPort, NewRecord, Stream};

use crate::world::{NOW, PATIENCE, World};

async fn publish(world: &World, name: &str, event: &str) {
    let user = World::user(name);
    let record = NewRecord {
        subject: format!("wharf.files.v1.{event}.{user}"),
        id: format!("{user}-{event}"),
        headers: vec![("ce-type".to_owned(), format!("io.wharfinger.files.{event}.v1"))],
        payload: Bytes::from(format!("{{\"of\":\"{name}\"}}")),
    };
    world.inside.well.log.publish(Stream::Events, record).await.unwrap();
}

/// An open stream, and what came of it so far.
struct Reader {
    body: hyper::body::Incoming,
    seen: String,
}

impl Reader {
    async fn open(world: &World, name: &str, last: Option<&str>) -> Self {
        Self::open_with(world, &World::token(name), last).await
    }

    async fn open_with(world: &World, token: &str, last: Option<&str>) -> Self {
        let mut request = Request::builder().uri(format!("http://{}/v1/events", world.api));
        request = request.header("authorization", format!("Bearer {token}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(http_body_util::Empty::<Bytes>::new()).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { body: response.into_body(), seen: String::new() }
    }

    /// Reads until `text` has come, or to the end.
    async fn read_until(&mut self, text: &str) -> &str {
        let read = async {
            while !self.seen.contains(text) {
                let Some(frame) = self.body.frame().await else { break };
                self.seen.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{text:?} never came"));
        &self.seen
    }
}

#[tokio::test]
async fn a_stream_tells_what_happens_from_now_on_to_its_owner() {
    let world = World::start().await;
    publish(&world, "alice", "reserved").await;
    let mut reader = Reader::open(&world, "alice", None).await;
    publish(&world, "bob", "processed").await;
    publish(&world, "alice", "processed").await;
    let seen = reader.read_until("data: ").await;
    assert_eq!(seen, "retry: 1000\n\nid: 3\nevent: files.processed\ndata: {\"of\":\"alice\"}\n\n");
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let world = World::start().await;
    for event in ["reserved", "processed", "trashed"] {
        publish(&world, "alice", event).await;
    }
    let mut reader = Reader::open(&world, "alice", Some("1")).await;
    let seen = reader.read_until("files.trashed").await;
    assert!(seen.contains("id: 2\n") && seen.contains("id: 3\n") && !seen.contains("id: 1\n"), "{seen}");
    let answer = world.send("alice", "GET /v1/events", &[("last-event-id", "x")], "").await;
    assert_eq!(answer.told(), "400 validation_failed");
}

// proves: F27
#[tokio::test]
async fn a_stream_tells_everything_when_the_log_is_not_the_one_that_broke_off() {
    let world = World::start().await;
    publish(&world, "alice", "reserved").await;
    let mut reader = Reader::open(&world, "alice", Some("99999")).await;
    publish(&world, "alice", "processed").await;
    let seen = reader.read_until("files.processed").await;
    assert!(seen.contains("id: 1\n") && seen.contains("id: 2\n"), "{seen}");
    let mut reader = Reader::open(&world, "alice", Some("2")).await;
    publish(&world, "alice", "trashed").await;
    let seen = reader.read_until("files.trashed").await;
    assert!(seen.contains("id: 3\n") && !seen.contains("id: 2\n"), "{seen}");
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let world = World::start().await;
    // A token counts for ten seconds more than it says.
    let token = World::token_with(json!({"sub": "alice", "exp": NOW.as_secs() - 9}));
    let mut reader = Reader::open_with(&world, &token, None).await;
    let seen = reader.read_until("never").await;
    assert_eq!(seen, "retry: 1000\n\n");
}

#[tokio::test]
async fn a_user_has_a_few_streams_and_another_user_has_theirs() {
    let world = World::start().await;
    let mut readers = Vec::new();
    for _ in 0..EVENT_STREAMS_PER_USER_MAX {
        readers.push(Reader::open(&world, "alice", None).await);
    }
    let refused = world.send("alice", "GET /v1/events", &[], "").await;
    assert_eq!(refused.told(), "429 rate_limited");
    assert_eq!(refused.header("retry-after"), Some("1"));
    Reader::open(&world, "bob", None).await;
    drop(readers);
    let goes_on = async {
        while world.send("alice", "HEAD /v1/events", &[], "").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, goes_on).await.expect("a place is free again");
}

#[tokio::test]
async fn a_stream_needs_a_client_that_reads_events() {
    let world = World::start().await;
    let answer = world.send("alice", "GET /v1/events", &[("accept", "application/json")], "").await;
    assert_eq!(answer.told(), "406 not_acceptable");
    let head = world.send("alice", "HEAD /v1/events", &[], "").await;
    assert_eq!((head.told().as_str(), head.header("content-type")), ("200", Some("text/event-stream")));
}

#[tokio::test]
async fn a_stream_ends_when_the_server_stops() {
    let mut world = World::start().await;
    let mut reader = Reader::open(&world, "alice", None).await;
    reader.read_until("retry").await;
    world.shutdown.cancel();
    reader.read_until("never").await;
    tokio::time::timeout(PATIENCE, world.server.take().unwrap()).await.expect("stopped").unwrap();
}
