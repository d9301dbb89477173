//! The front itself: protocols, bad heads, methods, headers of every answer, health.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{NOW, PATIENCE, World};
use wharfinger::limits;
use wharfinger::telemetry::health::Part;

#[tokio::test]
async fn both_protocols_are_spoken_on_one_port() {
    let world = World::start().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for path in ["/livez", "/v1/usage"] {
        let request = Request::builder()
            .uri(format!("http://{}{path}", world.api))
            .header("authorization", format!("Bearer {}", World::token("alice")));
        let response = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, hyper::Version::HTTP_2), "{path}");
        assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
    }
    let request = Request::builder().method("HEAD").uri(format!("http://{}/livez", world.api));
    let response = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-length"], "3");
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty(), "a HEAD has no body");
    assert_eq!(world.get("", "/livez").await.text(), "ok\n");
}

#[tokio::test]
async fn a_client_that_sends_far_too_much_is_told_so_and_not_cut_off() {
    let world = World::start().await;
    let token = World::token("alice");
    let body = vec![b'x'; 4 << 20];
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(world.api).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in body.chunks(64 << 10) {
        stream.write_all(piece).await.expect("what is too much is still taken");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and then the end");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

/// What a raw request gets, and that the connection is closed after it.
async fn check_raw(world: &World, request: &str, expected: &str) {
    let answer = world.raw(request.as_bytes()).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{request:?}: {answer}");
    let expected_code = if expected == "431" { "head_too_large" } else { "validation_failed" };
    assert_eq!(crate::framing::code(&answer), expected_code, "{request:?}: {answer}");
}

#[tokio::test]
async fn a_head_that_cannot_be_trusted_ends_the_connection() {
    let world = World::start().await;
    for request in [
        "GET /livez HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a b@c/\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a:70000\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost:\r\n\r\n",
        "GET http://a:b/livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        "GET /livez HTTP/3.0\r\nHost: a\r\n\r\n",
        "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://user@a/livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/livez HTTP/1.1\r\n\r\n",
        "GET http://a:70000/livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/livez#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /livez#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/../livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/%2e%2e/livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET //livez HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        check_raw(&world, request, "400").await;
    }
    for request in ["OPTIONS * HTTP/1.1", "OPTIONS http://a/v1/files HTTP/1.1"] {
        let text = format!("{request}\r\nHost: b\r\nConnection: close\r\n\r\n");
        let answer = world.raw(text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 204") && answer.contains("allow: GET, HEAD, POST"), "{answer}");
    }
    let absolute = b"GET http://a/livez HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n";
    assert!(world.raw(absolute).await.ends_with("ok\n"), "an absolute form is taken");
    let bare = world.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(bare.starts_with("HTTP/1.1 200") && bare.ends_with("ok\n"), "{bare}");
}

// proves: F50
#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = World::start().await;
    let many: String = (0..101).map(|number| format!("X-{number}: y\r\n")).collect();
    check_raw(&world, &format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431").await;
    let long = "y".repeat(17 << 10);
    check_raw(&world, &format!("GET /livez HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431").await;
    check_raw(&world, &format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "431").await;
    check_raw(&world, &format!("GET /livez HTTP/1.1\r\nX: {long}"), "431").await;
}

#[tokio::test]
async fn methods_and_paths_that_are_not_there_are_told() {
    let world = World::start().await;
    let answer = world.send("alice", "PUT /v1/files", &[], "").await;
    assert_eq!(
        (answer.told().as_str(), answer.header("allow")),
        ("405 method_not_allowed", Some("GET, HEAD, POST, OPTIONS"))
    );
    let answer = world.send("", "OPTIONS /v1/usage", &[], "").await;
    assert_eq!((answer.told().as_str(), answer.header("allow")), ("204", Some("GET, HEAD, OPTIONS")));
    for path in ["/v1/links", "/v1/admin/nothing", "/v2/files", "/v1/files/"] {
        assert_eq!(world.get("alice", path).await.told(), "404 route_not_found", "{path}");
    }
    let accept = [("accept", "text/html")];
    assert_eq!(world.send("alice", "GET /v1/files", &accept, "").await.told(), "406 not_acceptable");
    let text = world.send("alice", "POST /v1/files", &[("content-type", "text/plain")], "{}").await;
    assert_eq!(text.told(), "415 unsupported_media_type");
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_taken_literally() {
    let world = World::start().await;
    let id = "0199a3c4-0000-7000-8000-000000000001";
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (path, status) in [("/livez", 200), ("/v1/usage", 200), ("/nowhere", 404)] {
        let headers = [("x-request-id", id), ("traceparent", trace)];
        let answer = world.send("alice", &format!("GET {path}"), &headers, "").await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("x-request-id"), Some(id), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        if status == 404 {
            assert_eq!(answer.json()["request_id"], id);
            assert_eq!(answer.json()["instance"], format!("urn:uuid:{id}"));
            assert_eq!(answer.json()["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        }
    }
    for (id, expected) in [("req_7/A=", Some("req_7/A=")), ("not sane", None)] {
        let answer = world.send("", "GET /nowhere", &[("x-request-id", id)], "").await;
        let told = answer.header("x-request-id").unwrap();
        assert_eq!((told == id, told.len() == 36), (expected.is_some(), expected.is_none()), "{told}");
        assert_eq!(answer.json()["request_id"], told);
        assert_eq!(answer.json().get("instance").is_some(), expected.is_none(), "only a UUID has a URN");
    }
}

#[tokio::test]
async fn a_trace_goes_with_the_file() {
    let world = World::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("content-type", "application/json"), ("traceparent", trace)];
    let body = r#"{"filename": "a", "size_bytes": 1, "content_type": "a/b"}"#;
    world.send("alice", "POST /v1/files", &headers, body).await;
    let rows = world.inside.rows(World::user("alice")).await;
    assert_eq!(rows.first().and_then(|file| file.traceparent.as_deref()), Some(trace));
}

#[tokio::test]
async fn health_is_told_on_both_ports_and_metrics_on_one() {
    let world = World::start().await;
    for port in [world.api, world.admin] {
        assert_eq!(world.ask(port, "GET /livez").await.told(), "200");
        assert_eq!(world.ask(port, "GET /readyz").await.told(), "200");
    }
    let metrics = world.ask(world.admin, "GET /metrics").await;
    assert_eq!(metrics.text(), "wharf_up 1\n");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (port, link) in [(world.api, "/v1/files"), (world.admin, "/metrics")] {
        let root = world.ask(port, "GET /").await.json();
        assert_eq!(
            (&root["name"], &root["version"]),
            (&json!("wharfinger"), &json!(env!("CARGO_PKG_VERSION")))
        );
        assert!(root["links"].as_array().unwrap().iter().any(|to| to["href"] == link), "{root}");
    }
    assert_eq!(world.get("", "/metrics").await.told(), "404 route_not_found");
    assert_eq!(world.ask(world.admin, "GET /v1/files").await.told(), "404 route_not_found");
    let first = world.ask(world.admin, "GET /readyz?verbose").await;
    let first = first.text();
    let lines: Vec<_> = first.lines().map(|line| line.split_once(' ').unwrap_or_default()).collect();
    assert_eq!(lines.len(), Part::ALL.len() + 1, "every part and the verdict: {first}");
    assert!(lines.contains(&("[?]", "log publish INGEST not asked yet")), "{first}");
    world.inside.health.down(Part::Log, "10.0.0.8 refused", NOW);
    assert_eq!(world.get("", "/readyz").await.told(), "200");
    world.inside.health.down(Part::Ledger, "10.0.0.7 refused", NOW);
    let public = world.get("", "/readyz?verbose").await;
    assert_eq!(public.told(), "503");
    assert!(
        public.text().contains("[-] ledger down") && !public.text().contains("10.0.0"),
        "{}",
        public.text()
    );
    let private = world.ask(world.admin, "GET /readyz?verbose").await;
    assert!(private.text().contains("10.0.0.7 refused"), "{}", private.text());
    assert_eq!(world.get("", "/livez").await.told(), "200");
}

// proves: F50
#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_not_waited_for() {
    let world = World::start().await;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 10\r\n\r\n{{",
        World::token("alice")
    );
    let answer = world.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

// proves: F50
#[tokio::test(start_paused = true)]
async fn a_connection_that_makes_no_progress_is_closed() {
    let world = World::start().await;
    for begun in ["", "GET /livez HT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HT"] {
        // Paused time runs ahead only while everybody waits, so this ends at once.
        let mut stream = TcpStream::connect(world.api).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed").unwrap();
    }
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    let mut answer = vec![0; 4096];
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nX: trick").await.unwrap();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("closed").unwrap();
}

// proves: F50
#[tokio::test(start_paused = true)]
async fn a_reader_that_never_reads_is_cut_off() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // SETTINGS with a window of nothing, then HEADERS: GET http /livez of authority "a".
    stream.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]).await.unwrap();
    let block = b"\x82\x86\x04\x06/livez\x01\x01a";
    stream.write_all(&[0, 0, 13, 1, 5, 0, 0, 0, 1]).await.unwrap();
    stream.write_all(block).await.unwrap();
    let (began, mut answer) = (tokio::time::Instant::now(), Vec::new());
    let is_reset = async {
        while !frame_kinds(&answer).contains(&3) {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed without a reset: {answer:?}");
        }
    };
    tokio::time::timeout(limits::ANSWER_STALL_MAX * 2, is_reset).await.expect("its stream is reset");
    assert!(frame_kinds(&answer).contains(&1), "the head of the answer came: {answer:?}");
    assert!(!frame_kinds(&answer).contains(&0), "and nothing of its body: {answer:?}");
    assert!(began.elapsed() >= limits::ANSWER_STALL_MAX, "and waited for");
}

#[tokio::test]
async fn a_refusal_leaves_the_connection_usable() {
    let world = World::start().await;
    let mut stream = TcpStream::connect(world.api).await.unwrap();
    for round in 0..3 {
        let head = b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        stream.write_all(&[b'x'; 20_000]).await.unwrap();
        tokio::task::yield_now().await;
        stream.write_all(&[b'x'; 20_000]).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let told = String::from_utf8_lossy(&answer[..length]);
        assert!(told.starts_with("HTTP/1.1 401") && !told.contains("connection: close"), "{round}: {told}");
    }
}

/// The types of whole HTTP/2 frames: 0 is DATA, 1 is HEADERS, 3 is RST_STREAM.
pub(crate) fn frame_kinds(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let [a, b, c, kind, ..] = *bytes {
        kinds.push(kind);
        let length = u32::from_be_bytes([0, a, b, c]);
        bytes = bytes.get(9 + usize::try_from(length).unwrap()..).unwrap_or_default();
    }
    kinds
}

// proves: I25
#[tokio::test]
async fn connections_over_the_cap_wait_for_a_place() {
    let world = World::configured(|config| config.http.connections_max = 1).await;
    let mut first = TcpStream::connect(world.api).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    first.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 4096];
    assert!(first.read(&mut answer).await.unwrap() > 0);
    let mut second = TcpStream::connect(world.api).await.unwrap();
    second.write_all(request).await.unwrap();
    let mut told = String::new();
    tokio::select! {
        biased;
        _ = second.read_to_string(&mut told) => panic!("answered beside the first: {told}"),
        () = tokio::task::yield_now() => {}
    }
    drop(first);
    let rest = tokio::time::timeout(PATIENCE, second.read_to_string(&mut told)).await;
    rest.expect("a place came free").unwrap();
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
}

// proves: I25
#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_gives_way_to_one_that_waits() {
    let world = World::configured(|config| config.http.connections_max = 2).await;
    let request = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = vec![0; 4096];
    let mut answered = TcpStream::connect(world.api).await.unwrap();
    answered.write_all(request).await.unwrap();
    assert!(answered.read(&mut answer).await.unwrap() > 0);
    let silent = TcpStream::connect(world.api).await.unwrap();
    let began = tokio::time::Instant::now();
    for nth in 0..3 {
        let mut next = TcpStream::connect(world.api).await.unwrap();
        next.write_all(request).await.unwrap();
        let read = tokio::time::timeout(PATIENCE, next.read(&mut answer)).await;
        assert!(read.expect("a place in time").unwrap() > 0, "connection {nth}");
    }
    assert!(began.elapsed() < wharfinger::limits::HEAD_WITHIN, "nothing ended by itself");
    drop(silent);
}
