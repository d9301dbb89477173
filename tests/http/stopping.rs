//! A stop finishes what is running.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::fault_injection::{Fault, Port};
use crate::world::{PATIENCE, World};

// proves: I26 F51
#[tokio::test]
async fn a_stop_answers_what_is_running_and_takes_nothing_new() {
    let mut world = World::start().await;
    let mut idle = TcpStream::connect(world.api).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(idle.read(&mut answer).await.unwrap() > 0);
    let body = r#"{"filename": "a", "size_bytes": 1, "content_type": "a/b"}"#;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        World::token("alice"),
        body.len()
    );
    let mut running = TcpStream::connect(world.api).await.unwrap();
    running.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is being worked on.
    let mut asked = [0; 25];
    running.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&asked));
    world.shutdown.cancel();
    let rest = tokio::time::timeout(PATIENCE, idle.read_to_end(&mut answer)).await;
    rest.expect("idle connections are closed at once").unwrap();
    running.write_all(body.as_bytes()).await.unwrap();
    let mut told = String::new();
    running.read_to_string(&mut told).await.unwrap();
    assert!(told.contains("HTTP/1.1 201") && told.contains("connection: close"), "{told}");
    tokio::time::timeout(PATIENCE, world.server.take().unwrap()).await.expect("stopped").unwrap();
    assert!(crate::logs::taken().contains("every request to the API was answered before the stop"));
    assert!(TcpStream::connect(world.api).await.is_err(), "nobody listens any more");
    assert!(world.inside.health.is_draining());
}

// proves: I26 F51
#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let mut world = World::start().await;
    world.inside.plan.set_port(Port::Ledger, Fault::Hang);
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    // A body that never ends keeps the request running longer than a stop may take.
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 56\r\n\r\n{}",
        World::token("alice"),
        r#"{"filename": "a", "size_bytes": 1, "content_type":"a/b"}"#
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let began = tokio::time::Instant::now();
    tokio::task::yield_now().await;
    world.shutdown.cancel();
    world.server.take().unwrap().await.unwrap();
    assert!(began.elapsed() <= wharfinger::limits::DRAIN_WITHIN + std::time::Duration::from_secs(1));
}
