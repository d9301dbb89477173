//! Peers that are slow, silent or in the way of a stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::ObjectsPort as _;

use crate::world::{WITHIN, World, grant, new_key};

/// A PUT's head as bytes, signed for `body`.
async fn head(world: &World, key: wharfinger::domain::ids::ObjectKey, body: &[u8]) -> String {
    let signed = world.upload(&grant(key, body)).await;
    let host = world.url.strip_prefix("http://").unwrap();
    let path = signed.url.expose().strip_prefix(&world.url).unwrap();
    let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap()
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // The peer may reset the connection after its answer.
    let read = tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await.expect("an end in time");
    drop(read);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up_and_leaves_nothing() {
    let options = BucketOptions { progress_within: Duration::from_millis(200), ..BucketOptions::default() };
    let world = World::with(options).await;
    let key = new_key();
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, key, b"hello").await.as_bytes()).await.unwrap();
    stream.write_all(b"hel").await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    assert_eq!(world.bucket.head(key).await, Ok(None));
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_comes() {
    let world = World::with(BucketOptions { object_bytes_max: 4, ..BucketOptions::default() }).await;
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, new_key(), b"hello").await.as_bytes()).await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("EntityTooLarge"), "{answer}");
}

#[tokio::test]
async fn a_body_longer_than_its_signed_length_is_refused() {
    let world = World::new().await;
    let key = new_key();
    let mut stream = connect(&world).await;
    let head =
        head(&world, key, b"hello").await.replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"6\r\nhello!\r\n0\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(world.bucket.head(key).await, Ok(None));
}

#[tokio::test]
async fn a_body_that_is_cut_off_leaves_nothing() {
    let world = World::new().await;
    let key = new_key();
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, key, b"hello").await.as_bytes()).await.unwrap();
    stream.write_all(b"hel").await.unwrap();
    stream.shutdown().await.unwrap();
    drop(read_all(stream).await);
    assert_eq!(world.bucket.head(key).await, Ok(None));
    crate::world::eventually("an empty tmp", || (world.files("tmp") == 0).then_some(())).await;
}

#[tokio::test]
async fn a_stop_lets_a_request_in_flight_end_and_takes_no_new_one() {
    let world = World::new().await;
    let key = new_key();
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, key, b"hello").await.as_bytes()).await.unwrap();
    stream.write_all(b"hel").await.unwrap();
    // It is in flight once its file is there.
    crate::world::eventually("a request in flight", || (world.files("tmp") == 1).then_some(())).await;
    let (url, heard, shutdown) = (world.url.clone(), world.heard.clone(), world.shutdown.clone());
    shutdown.cancel();
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let deadline = tokio::time::Instant::now() + WITHIN;
    while TcpStream::connect(&address).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the listener is still there");
        tokio::task::yield_now().await;
    }
    stream.write_all(b"lo").await.unwrap();
    let answer = read_all(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(world.bucket.head(key).await.unwrap().is_some());
    drop(world.stop().await);
    drop(heard);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let options = BucketOptions { drain_within: Duration::from_millis(100), ..BucketOptions::default() };
    let world = World::with(options).await;
    let mut stream = connect(&world).await;
    stream.write_all(head(&world, new_key(), b"hello").await.as_bytes()).await.unwrap();
    crate::world::eventually("a request in flight", || (world.files("tmp") == 1).then_some(())).await;
    drop(world.stop().await);
}

#[tokio::test]
async fn more_connections_than_places_wait_for_one() {
    let world = World::with(BucketOptions { connections_max: 1, ..BucketOptions::default() }).await;
    let mut first = connect(&world).await;
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut seen = [0_u8; 12];
    tokio::time::timeout(WITHIN, first.read_exact(&mut seen)).await.unwrap().unwrap();
    assert_eq!(&seen, b"HTTP/1.1 403");
    let mut second = connect(&world).await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let early = tokio::time::timeout(Duration::from_millis(50), second.read_exact(&mut seen)).await;
    assert!(early.is_err(), "the only place is taken");
    drop(first);
    assert!(read_all(second).await.starts_with("HTTP/1.1 403"));
}
