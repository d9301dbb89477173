//! More clients than places at the bucket, and heads that cannot be trusted.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::limits::HEAD_WITHIN;
use wharfinger::ports::SignerPort as _;

use crate::connections::{connect, head, read_all, status};
use crate::world::{Http, WITHIN, World, download, eventually, grant, new_key};

/// An upload of which nothing comes.
async fn silent(world: &World) -> TcpStream {
    let mut stream = connect(world).await;
    stream.write_all(head(world, new_key(), b"hello").await.as_bytes()).await.unwrap();
    stream
}

/// A download that nobody reads, of an object that is larger than all buffers on the way.
async fn unread(world: &World) -> TcpStream {
    let key = new_key();
    assert_eq!(world.put(key, &vec![b'x'; 40 << 20]).await.status, 200);
    let signed = world.signer.download(&download(key)).await.unwrap();
    let path = signed.url.expose().strip_prefix(&world.url).unwrap();
    let host = world.url.strip_prefix("http://").unwrap();
    let mut stream = connect(world).await;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn transfers_that_do_not_move_give_way_and_one_that_moves_does_not() {
    let world = World::with(BucketOptions { connections_max: 4, ..BucketOptions::default() }).await;
    let body = vec![b'x'; 1 << 20];
    let mut moving = connect(&world).await;
    moving.write_all(head(&world, new_key(), &body).await.as_bytes()).await.unwrap();
    let moving = tokio::spawn(async move {
        for piece in body.chunks(4 << 10) {
            moving.write_all(piece).await.expect("it keeps its place");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        status(&mut moving).await
    });
    let mut idlers = vec![unread(&world).await];
    let began = tokio::time::Instant::now();
    for _ in 0..8 {
        // There are places for two of them, so each further one takes the place of an earlier one.
        idlers.push(silent(&world).await);
    }
    // By another client: the first one has a connection already, that of the object which is not read.
    let signed = world.upload(&grant(new_key(), b"hello")).await;
    assert_eq!(Http::new().follow(&signed, b"hello").await.status, 200);
    assert!(began.elapsed() < HEAD_WITHIN, "{:?}", began.elapsed());
    assert_eq!(moving.await.unwrap(), "HTTP/1.1 200");
    drop(idlers);
}

// proves: I25
#[tokio::test]
async fn an_address_with_too_many_connections_is_refused() {
    let world = World::with(BucketOptions { per_address_max: Some(1), ..BucketOptions::default() }).await;
    let body = vec![b'x'; 64 << 20];
    let mut moving = connect(&world).await;
    moving.write_all(head(&world, new_key(), &body).await.as_bytes()).await.unwrap();
    let moving = tokio::spawn(async move {
        for piece in body.chunks(64 << 10) {
            moving.write_all(piece).await.expect("it keeps its place");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut second = connect(&world).await;
    second.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answer = read_all(second).await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("<Code>SlowDown</Code>"), "{answer}");
    moving.abort();
    let deadline = tokio::time::Instant::now() + WITHIN;
    while !ask(&world, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .starts_with("HTTP/1.1 403")
    {
        assert!(tokio::time::Instant::now() < deadline, "the place of the upload is not free");
    }
}

async fn ask(world: &World, request: &str) -> String {
    let mut stream = connect(world).await;
    // A refused connection may be closed already.
    drop(stream.write_all(request.as_bytes()).await);
    read_all(stream).await
}

#[tokio::test]
async fn a_head_that_cannot_be_trusted_is_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let put = head(&world, new_key(), b"hello").await;
    let chunked = put.replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let twice = put.replace("\r\n\r\n", "\r\nhost: a\r\n\r\nhello");
    for request in [
        chunked.as_str(),
        twice.as_str(),
        "GET / HTTP/1.1\r\nhost: a b@c/\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let answer = ask(&world, request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
        assert!(answer.contains("<Code>BadRequest</Code>"), "{request:?}: {answer}");
    }
    let fields = "x: y\r\n".repeat(101);
    let many = ask(&world, &format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
    assert!(many.starts_with("HTTP/1.1 431") && many.contains("RequestHeaderSectionTooLarge"), "{many}");
    eventually("an empty tmp", || (world.files("tmp") == 0).then_some(())).await;
    assert_eq!(world.files("objects"), 0, "nothing was stored");
}
