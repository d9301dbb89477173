//! Server-sent events.

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use wharfinger::ports::{LogPort, NewRecord, Stream};

use crate::world::{PATIENCE, World};

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
        let mut request = Request::builder().uri(format!("http://{}/v1/events", world.api));
        request = request.header("authorization", format!("Bearer {}", World::token(name)));
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
