//! More clients than places: who gives way, and who never does.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use wharfinger::limits::{ANSWER_STALL_MAX, CONNECTION_CHECK_EVERY, CROWDED_WAIT_MAX, HEAD_WITHIN};

use crate::front::frame_kinds;
use crate::http2;
use crate::world::{PATIENCE, World};

const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

/// An HTTP/2 connection with one answer, of which its client has taken the head and no byte of the body.
async fn stalled(world: &World) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // SETTINGS with a window of nothing, then HEADERS: GET http /livez of authority "a".
    stream.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await.unwrap();
    stream.write_all(&[0, 0, 13, 1, 5, 0, 0, 0, 1]).await.unwrap();
    stream.write_all(b"\x82\x86\x04\x06/livez\x01\x01a").await.unwrap();
    let mut answer = Vec::new();
    while !frame_kinds(&answer).contains(&1) {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed before the head: {answer:?}");
    }
    (stream, answer)
}

/// An upload request whose body never comes.
async fn silent(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    let token = World::token("bob");
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// An event stream over HTTP/1.1 that has begun.
async fn events(world: &World) -> TcpStream {
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    let token = World::token("alice");
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "retry").await;
    stream
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut seen)).await.expect("in time");
        assert!(read.unwrap() > 0, "ended before {text:?}: {}", String::from_utf8_lossy(&seen));
    }
}

// proves: F50 I25
#[tokio::test(start_paused = true)]
async fn clients_that_neither_read_nor_send_give_way_and_live_streams_do_not() {
    let world = World::configured(|config| config.http.connections_max = 6).await;
    let mut first = events(&world).await;
    let client = http2::connect(&world).await;
    let mut second = http2::get(&client, &world, "/v1/events").await.await.unwrap().into_body();
    http2::read_until(&mut second, "retry").await;
    let idlers = (stalled(&world).await, stalled(&world).await, silent(&world).await, silent(&world).await);
    let began = Instant::now();
    let mut guests = Vec::new();
    for nth in 0..4 {
        let mut guest = TcpStream::connect(world.api).await.unwrap();
        guest.write_all(LIVEZ).await.unwrap();
        read_until(&mut guest, "ok\n").await;
        guests.push(guest);
        assert!(began.elapsed() < HEAD_WITHIN, "guest {nth} waited for limits that end connections anyway");
    }
    drop((guests, idlers));
    // A write is done by a thread, for which a clock that is paused does not wait.
    tokio::time::resume();
    world.presign("alice", "new.txt", 1).await;
    read_until(&mut first, "new.txt").await;
    tokio::time::timeout(PATIENCE, http2::read_until(&mut second, "new.txt")).await.expect("it lives");
}

/// Asks for `/livez` on a connection of its own, within this time.
async fn is_served(world: &World, within: Duration) -> bool {
    let asked = async {
        let mut guest = TcpStream::connect(world.api).await.unwrap();
        guest.write_all(LIVEZ).await.unwrap();
        read_until(&mut guest, "ok\n").await;
    };
    tokio::time::timeout(within, asked).await.is_ok()
}

/// Sends these bytes again and again, until the connection ends.
fn repeat(mut stream: TcpStream, bytes: &'static [u8], every: Duration) {
    drop(tokio::spawn(async move {
        while stream.write_all(bytes).await.is_ok() {
            tokio::time::sleep(every).await;
        }
    }));
}

// proves: F50 I25
#[tokio::test]
async fn clients_that_ping_and_clients_that_trickle_give_way() {
    const EVERY: Duration = Duration::from_millis(100);
    let world = World::configured(|config| config.http.connections_max = 4).await;
    for nth in 0..4 {
        let mut stream = TcpStream::connect(world.api).await.unwrap();
        if nth % 2 == 0 {
            // The preface and SETTINGS of HTTP/2, then a PING that is answered; no request ever.
            stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            repeat(stream, &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], EVERY);
        } else {
            let token = World::token("bob");
            let head = format!(
                "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: 10000\r\n\r\n{{"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            repeat(stream, b" ", EVERY);
        }
    }
    for nth in 0..4 {
        assert!(is_served(&world, HEAD_WITHIN / 2).await, "guest {nth}");
    }
}

// proves: I25
#[tokio::test]
async fn newcomers_of_one_address_do_not_share_the_place_of_one_connection_that_goes() {
    const MAX: usize = 4;
    let world = World::configured(|config| {
        config.http.connections_max = 8 * MAX;
        config.http.connections_per_address_percent = 13;
    });
    let world = world.await;
    let mut open: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        for _ in 0..MAX {
            let mut stream = TcpStream::connect(world.api).await.unwrap();
            stream.write_all(LIVEZ).await.unwrap();
            open.push(stream);
        }
        tokio::time::sleep(CROWDED_WAIT_MAX + CROWDED_WAIT_MAX / 4).await;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut alive = usize::MAX;
    while alive > MAX && Instant::now() < deadline {
        tokio::time::sleep(CROWDED_WAIT_MAX / 10).await;
        alive = open.iter_mut().map(|stream| usize::from(is_open(stream))).sum();
    }
    assert!(alive <= MAX, "{alive} of one address");
}

/// Whether the server keeps its side of a connection open. Reads what is there.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4 << 10];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

// proves: F50
#[tokio::test(start_paused = true)]
async fn a_connection_ends_soon_after_its_only_answer_was_given_up() {
    let world = World::start().await;
    let (mut stream, mut answer) = stalled(&world).await;
    let began = Instant::now();
    let read = stream.read_to_end(&mut answer);
    drop(tokio::time::timeout(ANSWER_STALL_MAX * 2, read).await.expect("it ends"));
    assert!(frame_kinds(&answer).contains(&3), "its stream is reset before: {answer:?}");
    let slack = CONNECTION_CHECK_EVERY * 2;
    assert!(began.elapsed() < ANSWER_STALL_MAX + slack, "{:?}", began.elapsed());
}

// proves: I25
#[tokio::test]
async fn an_address_with_too_many_connections_gives_way_to_itself_or_is_refused() {
    let world = World::configured(|config| {
        config.http.connections_max = 8;
        config.http.connections_per_address_percent = 25;
    });
    let world = world.await;
    let kept = [events(&world).await, events(&world).await];
    let refused = world.raw(LIVEZ).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    let (_, body) = refused.split_once("\r\n\r\n").unwrap();
    let problem: serde_json::Value = serde_json::from_str(body).expect("a whole problem");
    assert_eq!(problem["code"], "overloaded");
    // One ends, and the next takes its place; once that is idle, it gives way as well.
    let [first, second] = kept;
    drop(first);
    let mut next = connect_when_there_is_room(&world).await;
    read_until(&mut next, "ok\n").await;
    let mut later = connect_when_there_is_room(&world).await;
    read_until(&mut later, "ok\n").await;
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, next.read_to_end(&mut rest)).await.expect("the idle one ends").unwrap();
    drop(second);
}

/// Asks again until the address has room.
async fn connect_when_there_is_room(world: &World) -> TcpStream {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = TcpStream::connect(world.api).await.unwrap();
        let mut begun = [0; 12];
        // A refused connection may already be closed.
        let asked = async {
            stream.write_all(LIVEZ).await?;
            stream.peek(&mut begun).await
        };
        let read = asked.await.unwrap_or(0);
        if read > 0 && begun.starts_with(b"HTTP/1.1 200") {
            return stream;
        }
        assert!(Instant::now() < deadline, "no room: {}", String::from_utf8_lossy(&begun));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
