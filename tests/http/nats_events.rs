//! Event streams over a real NATS server whose stream is deleted and made again.

use serde_json::{Value, json};
use wharfinger::adapters::Log;

use crate::events::{Reader, copy, published};
use crate::server::Server;
use crate::tools::{ask, raw, ready_log};
use crate::world::World;

async fn make_again(server: &Server) {
    let context = raw(&server.url()).await;
    let deleted = ask(&context, "STREAM.DELETE.WHARF_EVENTS", &json!({})).await;
    assert_eq!(deleted["success"], true, "{deleted}");
    let config: Value = serde_json::from_str(include_str!("../../nats/streams/events.json")).unwrap();
    let made = ask(&context, "STREAM.CREATE.WHARF_EVENTS", &config).await;
    assert_eq!(made["error"], Value::Null, "{made}");
}

// proves: F27
#[tokio::test]
async fn a_stream_that_is_deleted_and_made_again_hides_nothing() {
    let Some(server) = Server::start().await else { return };
    let world = World::start().await;
    let log = Log::Nats(ready_log(server.settings()).await);
    let api = world.listen_with(log.clone()).await;
    // Presigns, and announces the last of them only: what the broker had of the others went with its stream.
    let presign = async |count: u64, last: usize| {
        for number in 0..count {
            world.presign("alice", &format!("{number}"), 1).await;
        }
        copy(published(&world, "alice", last).await.pop().unwrap(), &log).await;
    };
    let ids = async |reader: &mut Reader, count: usize| -> Vec<_> {
        reader.events(count).await.into_iter().map(|event| event.id).collect()
    };
    let mut reader = Reader::open_at(api, "alice", None).await;
    presign(1, 1).await;
    assert_eq!(ids(&mut reader, 1).await, [Some(1)]);
    make_again(&server).await;
    presign(3, 4).await;
    assert_eq!(ids(&mut reader, 4).await, [1, 2, 3, 4].map(Some), "while it was connected");
    drop(reader);
    presign(2, 6).await;
    make_again(&server).await;
    let mut reader = Reader::open_at(api, "alice", Some(4)).await;
    assert_eq!(ids(&mut reader, 2).await, [5, 6].map(Some), "while it was away");
}
