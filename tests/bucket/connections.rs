//! Peers that are slow, silent or in the way of a stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::{ObjectsPort as _, SignerPort as _};

use crate::world::{WITHIN, World, grant, new_key};

/// A PUT's head as bytes, signed for `body`.
pub(crate) async fn head(world: &World, key: wharfinger::domain::ids::ObjectKey, body: &[u8]) -> String {
    let signed = world.upload(&grant(key, body)).await;
    let host = world.url.strip_prefix("http://").unwrap();
    let path = signed.url.expose().strip_prefix(&world.url).unwrap();
    let headers: String = signed.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("PUT {path} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n")
}

/// The same head with another signature.
pub(crate) fn forged(head: &str) -> String {
    let (before, signature) = head.split_once("X-Amz-Signature=").unwrap();
    let other = if signature.starts_with('0') { '1' } else { '0' };
    format!("{before}X-Amz-Signature={other}{}", &signature[1..])
}

/// The status line's beginning, of a connection that stays open.
pub(crate) async fn status(stream: &mut TcpStream) -> String {
    let mut seen = [0_u8; 12];
    tokio::time::timeout(WITHIN, stream.read_exact(&mut seen)).await.expect("an answer in time").unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

pub(crate) async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(world.url.strip_prefix("http://").unwrap()).await.unwrap()
}

pub(crate) async fn read_all(mut stream: TcpStream) -> String {
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

/// Sends a request and reads its answer's head, on a connection that stays open.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = async {
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut buffer = [0_u8; 4096];
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(WITHIN, read).await.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_as_long_as_load_balancers_keep_theirs() {
    let world = World::new().await;
    let mut stream = connect(&world).await;
    for rest in [0, 60, 74] {
        tokio::time::advance(Duration::from_secs(rest)).await;
        let answer = exchange(&mut stream, b"HEAD /wharf/user/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 403"), "after {rest} s: {answer}");
    }
    let began = tokio::time::Instant::now();
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(90), stream.read(&mut [0])).await.unwrap().unwrap(),
        0
    );
    assert!(began.elapsed() > Duration::from_secs(70));
}

#[tokio::test]
async fn a_small_body_that_is_refused_leaves_the_connection_usable() {
    let world = World::new().await;
    let mut stream = connect(&world).await;
    for _ in 0..3 {
        let head = b"PUT /wharf/user/x HTTP/1.1\r\nhost: x\r\ncontent-length: 40000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let answer = exchange(&mut stream, &[b'x'; 40_000]).await;
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("connection: close"), "{answer}");
    }
}

/// A large upload is refused, and its client sees why although it sends all before it reads.
async fn check_refused(world: &World, head: &str, expected: &str) {
    let mut stream = connect(world).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..128 {
        stream.write_all(&[b'x'; 64 << 10]).await.expect("what is refused is still taken");
    }
    let mut answer = String::new();
    tokio::time::timeout(WITHIN, stream.read_to_string(&mut answer)).await.expect("an end in time").unwrap();
    assert!(answer.starts_with("HTTP/1.1 4") && answer.contains(expected), "{expected}: {answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_large_body_that_is_refused_is_told_so_and_not_cut_off() {
    let world = World::new().await;
    let body = vec![b'x'; 8 << 20];
    let there = new_key();
    assert_eq!(world.put(there, b"there").await.status, 200);
    check_refused(&world, &head(&world, there, &body).await, "PreconditionFailed").await;
    let forged = forged(&head(&world, new_key(), &body).await);
    check_refused(&world, &forged, "SignatureDoesNotMatch").await;
    let (key, mut first) = (new_key(), connect(&world).await);
    first.write_all(head(&world, key, &body).await.as_bytes()).await.unwrap();
    crate::world::eventually("a request in flight", || (world.files("tmp") == 1).then_some(())).await;
    check_refused(&world, &head(&world, key, &body).await, "ConditionalRequestConflict").await;
    assert_eq!((world.files("objects"), world.files("tmp")), (1, 1), "nothing was written of the refused");
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn connections_that_do_nothing_keep_nobody_out() {
    let world = World::with(BucketOptions { connections_max: 8, ..BucketOptions::default() }).await;
    let mut idle = Vec::new();
    // Exactly as many as there are places: if they had to wait for each other, the first would end by their own limits.
    for nth in 0..8 {
        let mut stream = connect(&world).await;
        // Of those that do nothing, some never began, some are between two requests, some stopped in a head.
        match nth % 3 {
            0 => {}
            1 => drop(exchange(&mut stream, b"HEAD /wharf/user/x HTTP/1.1\r\nhost: x\r\n\r\n").await),
            _ => stream.write_all(b"GET / HT").await.unwrap(),
        }
        idle.push(stream);
    }
    let began = tokio::time::Instant::now();
    assert_eq!(world.put(new_key(), b"hello").await.status, 200);
    assert!(began.elapsed() < wharfinger::limits::HEAD_WITHIN, "they gave way, they did not just end");
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn a_bucket_without_a_place_for_connections_is_not_ready() {
    let world = World::with(BucketOptions { connections_max: 1, ..BucketOptions::default() }).await;
    world.takes_uploads(true).await;
    let body = vec![b'x'; 8 << 20];
    let mut first = connect(&world).await;
    first.write_all(head(&world, new_key(), &body).await.as_bytes()).await.unwrap();
    // Something moves all the time, so it need not give way.
    let moving = tokio::spawn(async move {
        for piece in body.chunks(4 << 10) {
            first.write_all(piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let second = connect(&world).await;
    world.takes_uploads(false).await;
    moving.abort();
    assert!(moving.await.is_err_and(|ended| ended.is_cancelled()));
    drop(second);
    world.takes_uploads(true).await;
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_too_slowly_is_cut_off() {
    let world = World::with(BucketOptions { connections_max: 2, ..BucketOptions::default() }).await;
    let key = new_key();
    assert_eq!(world.put(key, &vec![b'x'; 40 << 20]).await.status, 200);
    let signed = world.signer.download(&crate::world::download(key)).await.unwrap();
    let path = signed.url.expose().strip_prefix(&world.url).unwrap();
    let host = world.url.strip_prefix("http://").unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let mut readers = [connect(&world).await, connect(&world).await];
    // The second may not be served as well: the share of one object is a single connection here.
    readers[0].write_all(request.as_bytes()).await.unwrap();
    readers[1].write_all(head(&world, new_key(), b"hello").await.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut waiting = std::pin::pin!(world.put(new_key(), b"hello"));
    // A byte a second: some progress, but far too little.
    let answer = loop {
        tokio::select! {
            answer = waiting.as_mut() => break answer,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                for reader in &mut readers {
                    drop(reader.try_read(&mut [0]));
                }
                drop(readers[1].try_write(b"x"));
            }
        }
    };
    assert_eq!(answer.status, 200);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_host_of_an_absolute_target_decides_and_the_header_does_not() {
    let world = World::new().await;
    let (key, body) = (new_key(), b"hello");
    let host = world.url.strip_prefix("http://").unwrap();
    let plain = head(&world, key, body).await;
    let absolute = plain.replacen("PUT /", &format!("PUT {}/", world.url), 1);
    let other = |head: &str| head.replacen(&format!("host: {host}\r\n"), "host: other.example\r\n", 1);
    let ask = async |head: String| {
        let mut stream = connect(&world).await;
        stream.write_all(format!("{head}hello").as_bytes()).await.unwrap();
        status(&mut stream).await
    };
    assert_eq!(ask(other(&plain)).await, "HTTP/1.1 403", "the host is signed");
    let foreign = plain.replacen("PUT /", "PUT http://other.example/", 1);
    assert_eq!(ask(foreign).await, "HTTP/1.1 403", "the target wins over the right header");
    assert_eq!(ask(other(&absolute)).await, "HTTP/1.1 200", "the target wins over a wrong header");
    assert_eq!(world.get(key).await.status, 200);
}

#[tokio::test]
async fn a_target_that_the_api_refuses_is_refused_here_too() {
    let world = World::new().await;
    for target in [
        "ftp://a/wharf/k",
        "http://user@a/wharf/k",
        "http://a:70000/wharf/k",
        "/wharf/k#x",
        "http://a/wharf/k#x",
    ] {
        let mut stream = connect(&world).await;
        stream.write_all(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(WITHIN, stream.read_to_string(&mut answer)).await.expect("an end").unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BadRequest"), "{target}: {answer}");
    }
}
