//! Requests that another server on the way could frame differently, and requests that only look so.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{PATIENCE, World};

/// A request with a body, whose head ends like this.
fn post(rest: &str) -> String {
    let token = World::token("alice");
    format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nConnection: close\r\n{rest}"
    )
}

fn upload() -> String {
    json!({"filename": "a", "size_bytes": 1, "content_type": "a/b"}).to_string()
}

#[tokio::test]
async fn a_request_that_can_be_framed_in_two_ways_is_refused_and_ends_the_connection() {
    let world = World::start().await;
    let body = upload();
    let (length, size) = (body.len(), format!("{:x}", body.len()));
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    for request in [
        "GET /livez HTTP/1.1\nHost: a\n\n".to_owned(),
        "GET /livez HTTP/1.1\r\nHost: a\nX: y\r\n\r\n".to_owned(),
        "GET /livez HTTP/1.1\r\nHost: a\r\n\n".to_owned(),
        "\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        post(&format!("Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{body}")),
        post(&format!("Content-Length: {length}, {length}\r\n\r\n{body}")),
        post(&format!("Content-Length: {length}\r\n{chunked}{size}\r\n{body}\r\n0\r\n\r\n")),
        post(&format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{size}\r\n{body}\r\n0\r\n\r\n"
        )),
    ] {
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
        assert!(answer.contains("connection: close"), "{request:?}: {answer}");
        assert!(answer.contains("validation_failed"), "{request:?}: {answer}");
        assert_eq!(code(&answer), "validation_failed");
    }
    // A fault in a body is found by the parser, which may answer before the service.
    for request in [
        post(&format!("{chunked}{size};a=\0b\r\n{body}\r\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\n{body}\r\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\r\n{body}\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\r\n{body}\r\n0\r\nA: b\n\r\n")),
    ] {
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
        assert!(answer.contains("connection: close"), "{request:?}: {answer}");
    }
    assert!(world.inside.rows(World::user("alice")).await.is_empty(), "nothing was reserved");
}

/// The code of a problem, of an answer whose body is one.
pub(crate) fn code(answer: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    let problem: serde_json::Value = serde_json::from_str(body).expect("a whole problem");
    assert!(problem["request_id"].is_string(), "{answer}");
    problem["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn requests_before_a_refused_one_are_answered_and_those_after_it_are_not() {
    let world = World::start().await;
    let good = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    for bad in ["GET /livez HTTP/1.1\r\nHost: a b@c/\r\n\r\n", "GET /livez HTTP/1.1\nHost: a\n\n"] {
        let answer = world.raw(format!("{good}{bad}{good}").as_bytes()).await;
        let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "400"], "{answer}");
    }
}

#[tokio::test]
async fn a_head_that_comes_in_pieces_is_read_like_any_other() {
    let world = World::start().await;
    let mut stream = tokio::net::TcpStream::connect(world.api).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request =
        "GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for byte in request.as_bytes().chunks(1) {
        stream.write_all(byte).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end").unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
}

#[tokio::test]
async fn what_stands_in_a_body_is_no_framing() {
    let world = World::start().await;
    let body = format!("\n\n{}\n", upload());
    let (length, half) = (body.len(), body.len() / 2);
    let (first, second) = body.split_at(half);
    let chunks =
        format!("{:x};a=\"b\"\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nA: b\r\n\r\n", half, length - half);
    for request in [
        post(&format!("Content-Length: {length}\r\n\r\n{body}")),
        post(&format!("Transfer-Encoding: chunked\r\n\r\n{chunks}")),
    ] {
        // The same request twice on one connection, in one piece: the second must be found behind the first.
        let twice = format!("{}{request}", request.replace("Connection: close\r\n", ""));
        let answer = world.raw(twice.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 201").count(), 2, "{request:?}: {answer}");
    }
}
