//! Requests that another server on the way could frame differently, and requests that only look so.

use serde_json::json;

use crate::world::World;

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
        post(&format!("{chunked}{size};a=\0b\r\n{body}\r\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\n{body}\r\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\r\n{body}\n0\r\n\r\n")),
        post(&format!("{chunked}{size}\r\n{body}\r\n0\r\nA: b\n\r\n")),
    ] {
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
    }
    assert!(world.inside.rows(World::user("alice")).await.is_empty(), "nothing was reserved");
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
