//! What the log says of requests, and what it never says.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::fault_injection::{Fault, Port, REASON};
use crate::world::World;

thread_local! {
    /// Each test runs on a thread of its own, and its server with it.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps what this test's server logs from now on. For the whole binary, since interest in a log line is global.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = EnvFilter::new("wharfinger=trace");
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Lines).init();
    });
}

/// What this test's server has logged since it was asked before.
pub(crate) fn taken() -> String {
    String::from_utf8(LINES.take()).unwrap()
}

#[tokio::test]
async fn every_request_is_one_line_and_no_secret_is_in_it() {
    let world = World::start().await;
    let file = world.upload("alice", "private-name.txt", 5).await;
    let url = world.get("alice", &format!("/v1/files/{file}/download-url?disposition=inline")).await.json();
    let body = json!({"filename": "private-name.txt", "secret-field": 1});
    world.post("alice", "POST /v1/files", &body).await;
    world.inside.plan.set_port(Port::Ledger, Fault::Unavailable);
    world.get("alice", "/v1/usage").await;
    let text = String::from_utf8(LINES.take()).unwrap();
    let token = World::token("alice");
    let url = url["download_url"].as_str().unwrap().to_owned();
    let secrets = [
        token.as_str(),
        &token[..40],
        &url,
        "X-Amz-Signature",
        "private-name",
        "secret-field",
        "disposition",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }
    let access = text.lines().filter(|line| line.contains("wharfinger::access")).count();
    assert_eq!(access, 5, "{text}");
    assert!(text.contains("GET /v1/files/{file_id}/download-url 200"), "{text}");
    let refused = text.lines().filter(|line| line.contains("request refused")).count();
    assert_eq!(refused, 1, "a failure is logged once: {text}");
    assert!(text.contains(REASON), "operators are told the cause: {text}");
}

#[tokio::test]
async fn a_line_of_a_request_says_whose_it_is_and_what_it_came_to() {
    let world = World::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let file = "0199a3c4-0000-7000-8000-000000000001";
    let headers = [("x-request-id", "req-7"), ("traceparent", &traceparent)];
    let user = World::user("alice").to_string();
    let find = |text: &str, what: &str| {
        text.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} in {text}")).to_owned()
    };
    let check = |line: &str, parts: &[&str]| {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    };
    world.send("alice", &format!("GET /v1/files/{file}"), &headers, "").await;
    world.inside.plan.set_port(Port::Ledger, Fault::Unavailable);
    world.send("alice", &format!("GET /v1/files/{file}"), &headers, "").await;
    world.send("", "GET /v1/usage", &headers, "").await;
    let text = String::from_utf8(LINES.take()).unwrap();
    let (user, file, trace) =
        (format!("user_id={user}"), format!("file_id={file}"), format!("trace_id=\"{trace}\""));
    let common = ["request_id=\"req-7\"", &trace, &user, &file];
    check(&find(&text, "GET /v1/files/{file_id} 404"), &common);
    check(&find(&text, "GET /v1/files/{file_id} 404"), &["code=\"file_not_found\""]);
    check(&find(&text, "request refused"), &common);
    check(&find(&text, "request refused"), &["code=\"ledger_unavailable\""]);
    let anonymous = find(&text, "GET /v1/usage 401");
    check(&anonymous, &["request_id=\"req-7\"", &trace, "code=\"token_missing\""]);
    assert!(!anonymous.contains("user_id") && !anonymous.contains("file_id"), "{anonymous}");
}

/// The lines of this test's log with this text in them.
fn lines_with(text: &str) -> Vec<String> {
    let log = String::from_utf8(LINES.take()).unwrap();
    log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_refused_origin_is_warned_of_once_with_the_setting_to_change() {
    let world = World::start().await;
    for _ in 0..3 {
        world.send("alice", "GET /v1/usage", &[("origin", "https://app.example")], "").await;
    }
    let own = format!("http://{}", world.api);
    world.send("alice", "GET /v1/usage", &[("origin", own.as_str())], "").await;
    let lines = lines_with("refused a page");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("https://app.example"), "{lines:?}");
    assert!(lines[0].contains("http.allowed_origins"), "{lines:?}");
}

#[tokio::test]
async fn a_uuid_as_subject_is_warned_of_once_where_nothing_says_what_it_is() {
    let world = World::start().await;
    for name in ["0199a3c4-0000-7000-8000-000000000001", "0199a3c4-0000-7000-8000-000000000002", "alice"] {
        assert_eq!(world.get(name, "/v1/usage").await.told(), "200");
    }
    let lines = lines_with("subject = ");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("WARN") && lines[0].contains("auth.issuers"), "{lines:?}");
}
