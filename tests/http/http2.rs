//! HTTP/2: what a client that does not read costs, and what it does not cost others.

use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hyper::Request;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use wharfinger::limits::{ANSWER_STALL_MAX, LIST_BYTES_ABOUT, UNSENT_BYTES_MAX};

use crate::world::{NOW, PATIENCE, World};

/// The window of each stream: room for the beginning of a list, and for one event after the other.
const WINDOW: u32 = 4 << 10;

/// A connection with small windows on each stream and a large one in all.
pub(crate) async fn connect(world: &World) -> SendRequest<Bytes> {
    let tcp = TcpStream::connect(world.api).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(16 << 20);
    let (client, connection) = builder.handshake(tcp).await.unwrap();
    drop(tokio::spawn(connection));
    client
}

pub(crate) async fn get(client: &SendRequest<Bytes>, world: &World, path: &str) -> ResponseFuture {
    get_after(client, world, path, "").await
}

async fn get_after(client: &SendRequest<Bytes>, world: &World, path: &str, last: &str) -> ResponseFuture {
    // A stream ends with its token, and these tests wait longer than most tokens live.
    let token = World::token_with(json!({"sub": "alice", "exp": NOW.as_secs() + 3600}));
    let request = Request::get(format!("http://{}{path}", world.api))
        .header("authorization", format!("Bearer {token}"))
        .header("last-event-id", last);
    let mut client = client.clone().ready().await.unwrap();
    client.send_request(request.body(()).unwrap(), true).unwrap().0
}

/// Reads events and gives their room back, until `text` has come.
pub(crate) async fn read_until(events: &mut RecvStream, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let bytes = events.data().await.expect("the stream goes on").unwrap();
        events.flow_control().release_capacity(bytes.len()).unwrap();
        seen.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

/// Lets the clock of the runtime run fast, in steps between which everything else runs. A clock that is only paused leaps
/// to the next timer as soon as nothing can run, although bytes are on their way through the kernel.
fn hurry() -> JoinHandle<()> {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::time::advance(Duration::from_millis(100)).await;
            let step = std::time::Instant::now();
            while step.elapsed() < Duration::from_millis(1) {
                tokio::task::yield_now().await;
            }
        }
    })
}

/// Takes the head of an answer, reads nothing of it, and waits for the end of its stream.
async fn stall(answer: ResponseFuture) -> (u16, Option<Reason>) {
    let answer = answer.await.unwrap();
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    while let Some(piece) = body.data().await {
        if let Err(error) = piece {
            return (status, error.reason());
        }
    }
    (status, None)
}

// proves: F50 I25
#[tokio::test]
async fn answers_that_are_not_read_end_beside_a_stream_that_lives() {
    let world = World::start().await;
    world.inside.fill(World::user("alice"), (0..200).map(|number| format!("{number}.txt"))).await;
    let list_bytes = world.get("alice", "/v1/files?size=200").await.body.len();
    assert!(list_bytes > usize::try_from(WINDOW).unwrap() * 2);
    let client = connect(&world).await;
    let mut events = get(&client, &world, "/v1/events").await.await.unwrap().into_body();
    read_until(&mut events, "retry").await;
    let hurry = hurry();
    let began = Instant::now();
    let mut stalled = JoinSet::new();
    for _ in 0..90 {
        stalled.spawn(stall(get(&client, &world, "/v1/files?size=200").await));
    }
    let (mut cut, mut refused) = (0, 0);
    let wait = async {
        loop {
            tokio::select! {
                biased;
                ended = stalled.join_next() => match ended {
                    Some(Ok((200, Some(Reason::CANCEL)))) => cut += 1,
                    Some(Ok((503, None))) => refused += 1,
                    Some(other) => panic!("{other:?}"),
                    None => break,
                },
                // The live stream goes on meanwhile.
                bytes = events.data() => {
                    let bytes = bytes.expect("it lives").unwrap();
                    events.flow_control().release_capacity(bytes.len()).unwrap();
                }
            }
        }
    };
    tokio::time::timeout(ANSWER_STALL_MAX * 2, wait).await.expect("every stream ends");
    assert!(began.elapsed() >= ANSWER_STALL_MAX, "they are waited for: {:?}", began.elapsed());
    hurry.abort();
    assert!(hurry.await.is_err_and(|ended| ended.is_cancelled()));
    tokio::time::resume();
    // Lists that were made at the same time may be a little more than the budget.
    let kept_max = UNSENT_BYTES_MAX / LIST_BYTES_ABOUT.min(list_bytes) + 1;
    assert!(cut >= 2 && cut <= kept_max, "{cut} answers were kept, {kept_max} may be");
    assert_eq!(cut + refused, 90);
    world.presign("alice", "new.txt", 1).await;
    tokio::time::timeout(PATIENCE, read_until(&mut events, "new.txt")).await.expect("the stream lives");
    let again = get(&client, &world, "/livez").await;
    assert_eq!(tokio::time::timeout(PATIENCE, again).await.unwrap().unwrap().status(), 200);
}

// proves: I25
#[tokio::test]
async fn an_event_stream_that_is_not_read_ends_whatever_it_has_to_deliver() {
    let world = World::start().await;
    world.inside.fill(World::user("alice"), (0..500).map(|number| format!("{number}.txt"))).await;
    let client = connect(&world).await;
    let answer = get_after(&client, &world, "/v1/events", "0").await;
    let _hurry = hurry();
    let began = Instant::now();
    let ended = tokio::time::timeout(ANSWER_STALL_MAX * 2, stall(answer)).await.expect("it ends");
    assert_eq!(ended, (200, Some(Reason::CANCEL)));
    assert!(began.elapsed() >= ANSWER_STALL_MAX, "{:?}", began.elapsed());
}

#[tokio::test]
async fn answers_that_are_read_do_not_wait_for_each_other() {
    let world = World::start().await;
    world.inside.fill(World::user("alice"), (0..200).map(|number| format!("{number}.txt"))).await;
    let client = connect(&world).await;
    let mut answers = JoinSet::new();
    for _ in 0..90 {
        let answer = get(&client, &world, "/v1/files?size=200").await;
        answers.spawn(async move {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            let (mut body, mut bytes) = (answer.into_body(), 0);
            while let Some(piece) = body.data().await {
                let piece = piece.unwrap();
                body.flow_control().release_capacity(piece.len()).unwrap();
                bytes += piece.len();
            }
            bytes
        });
    }
    let lengths = tokio::time::timeout(Duration::from_secs(60), answers.join_all()).await.expect("in time");
    assert!(lengths.iter().all(|bytes| *bytes == lengths[0] && *bytes > 10_000), "{lengths:?}");
}

// proves: F50
#[tokio::test]
async fn a_head_of_http_2_has_the_same_limits() {
    let world = World::start().await;
    let client = connect(&world).await;
    // What hyper and the token add is not counted here, so the bound itself is tried from both sides.
    for (fields, expected) in [(98, 200), (101, 431)] {
        let mut request = Request::get(format!("http://{}/livez", world.api));
        for number in 0..fields {
            request = request.header(format!("x-{number}"), "y");
        }
        let mut client = client.clone().ready().await.unwrap();
        let answer = client.send_request(request.body(()).unwrap(), true).unwrap().0.await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{fields} fields");
        if expected == 431 {
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem = answer.into_body().data().await.expect("a body").unwrap();
            assert!(problem.windows(14).any(|part| part == b"head_too_large"), "{problem:?}");
        }
    }
}

#[tokio::test]
async fn an_authority_of_http_2_names_a_host() {
    let world = World::start().await;
    let client = connect(&world).await;
    for (authority, host, expected) in [
        ("files.example", None, 200),
        ("user@files.example", None, 400),
        ("files.example:70000", None, 400),
        ("files.example", Some("a b@c/"), 400),
    ] {
        let mut request = Request::get(format!("http://{authority}/livez"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let mut client = client.clone().ready().await.unwrap();
        let answer = client.send_request(request.body(()).unwrap(), true).unwrap().0.await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{authority} {host:?}");
    }
}
