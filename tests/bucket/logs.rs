//! What is logged: never a link, a key of the endpoint or a body, at any level.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tracing_subscriber::fmt::MakeWriter;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::SignerPort as _;

use crate::connections::{connect, head, read_all};
use crate::world::{WITHIN, World, download, eventually, grant, new_key};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// On one thread, so that the subscriber of the test sees all that the endpoint says.
#[tokio::test]
async fn no_link_is_logged_at_any_level() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let key = new_key();
    let signed = world.upload(&grant(key, b"a secret body")).await;
    assert_eq!(world.http.follow(&signed, b"a secret body").await.status, 200);
    assert_eq!(world.http.follow(&signed, b"a secret body").await.status, 412);
    assert_eq!(world.http.follow(&signed, b"another").await.status, 403);
    let link = world.signer.download(&download(key)).await.unwrap();
    assert_eq!(world.http.follow(&link, b"").await.status, 200);

    let all = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(all.contains("the bucket answered 412"), "the endpoint was heard: {all}");
    let signature = |url: &str| url.split_once("X-Amz-Signature=").unwrap().1.to_owned();
    let keys = world.bucket.credentials();
    for secret in [
        &signature(signed.url.expose()),
        &signature(link.url.expose()),
        "X-Amz-Signature",
        keys.expose_secret(),
        "secret body",
    ] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_queue_that_is_away_is_told_once_however_much_waits() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let world = World::new().await;
    let times_told = || {
        let all = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        all.matches("the queue does not take news of the bucket").count()
    };
    for (outage, uploads) in [(1, 3), (2, 6)] {
        world.heard.set_away(true);
        let before = world.heard.refused();
        for _ in 0..3 {
            assert_eq!(world.put(new_key(), b"hello").await.status, 200);
        }
        eventually("several tries", || (world.heard.refused() >= before + 9).then_some(())).await;
        assert_eq!(times_told(), outage, "once an outage");
        world.heard.set_away(false);
        world.heard.wait_for(uploads).await;
        eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
    }
}

/// What a stop says while an upload is in flight that never ends, or that ends in time.
async fn stop_with_an_upload(ends: bool) -> String {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let drain_within = if ends { WITHIN } else { Duration::from_millis(100) };
    let world = World::with(BucketOptions { drain_within, ..BucketOptions::default() }).await;
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, new_key(), b"hello").await.as_bytes()).await.unwrap();
    eventually("a request in flight", || (world.files("tmp") == 1).then_some(())).await;
    world.shutdown.cancel();
    if ends {
        stream.write_all(b"hello").await.unwrap();
        assert!(read_all(stream).await.starts_with("HTTP/1.1 200"));
    }
    drop(world.stop().await);
    String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn a_stop_says_of_the_bucket_what_was_answered_and_what_was_cut() {
    let log = stop_with_an_upload(true).await;
    assert!(log.contains("every request to the embedded bucket was answered before the stop"), "{log}");
    let log = stop_with_an_upload(false).await;
    let expected = "cut off 1 connections to the embedded bucket whose requests did not end within 100ms";
    assert!(log.contains(expected) && !log.contains("every request"), "{log}");
}
