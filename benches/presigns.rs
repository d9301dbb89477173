//! Presigns per second through the whole product: the real binary, a real client, fsync before each answer.
//!
//! `cargo bench --bench presigns` builds the release binary and starts `dev` on free ports and a new folder. Closed loop, so the
//! rate is the answer and the latencies are those at saturation. Client and server share the machine. Numbers
//! given after `--` are the connections to try instead of the usual ones.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wharfinger::http::sign_hs256;
use wharfinger::ports::Clock;

const BODY: &str = r#"{"filename":"report.pdf","size_bytes":1024,"content_type":"application/pdf"}"#;
const WARM_UP: Duration = Duration::from_secs(2);

struct Server {
    child: Child,
    address: String,
    tokens: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// A new `dev`, ready, with `users` tokens; also tells how long it took to get ready.
    fn start(users: usize) -> (Self, Duration) {
        let folder = tempfile::tempdir().expect("a folder");
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_wharfinger"))
            .args(["dev", "--json", "--port", "0", "--data"])
            .arg(folder.path())
            .env("WHARF_TELEMETRY__FILTER", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let took = begun.elapsed();
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let address = ready["api_url"].as_str().expect("a URL").trim_start_matches("http://").to_owned();
        let key = std::fs::read(folder.path().join("dev-issuer.key")).expect("the issuer's key");
        let exp = Clock::System.now().as_secs() + 3600;
        let token = |user: usize| {
            let claims = json!({"iss": "wharfinger-dev", "aud": "wharfinger", "sub": format!("bench-{user}"), "exp": exp});
            sign_hs256(&key, &claims)
        };
        let tokens = (0..users).map(token).collect();
        (Self { child, address, tokens, _folder: folder }, took)
    }

    /// CPU time used so far, user and kernel, and resident memory in MB.
    fn usage(&self) -> (Duration, u64) {
        let of = |file: &str| {
            std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
        };
        let stat = of("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let resident = of("statm").split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
        (Duration::from_millis((ticks(11) + ticks(12)) * 10), resident * 4096 / 1_000_000)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

/// Presigns until `until`; returns the latencies.
async fn client(
    server: Arc<Server>,
    next_user: Arc<AtomicUsize>,
    until: Instant,
    stop_at: usize,
) -> Vec<Duration> {
    let mut sender = connect(&server.address).await;
    let mut taken = Vec::new();
    while Instant::now() < until {
        let user = next_user.fetch_add(1, Ordering::Relaxed);
        if user >= stop_at {
            break;
        }
        let request = Request::post("/v1/files/presign-upload")
            .header("host", &server.address)
            .header("authorization", format!("Bearer {}", server.tokens[user % server.tokens.len()]))
            .header("content-type", "application/json")
            .body(Full::from(BODY))
            .expect("a request");
        let begun = Instant::now();
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status(), 201);
        answer.into_body().collect().await.expect("a body");
        taken.push(begun.elapsed());
    }
    taken
}

async fn load(server: &Arc<Server>, connections: usize, span: Duration, stop_at: usize) -> Vec<Duration> {
    let (until, next) = (Instant::now() + span, Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn(client(Arc::clone(server), Arc::clone(&next), until, stop_at));
    }
    let mut all = clients.join_all().await.concat();
    all.sort_unstable();
    all
}

/// One line of the table.
async fn measure(connections: usize, span: Duration) {
    // Enough users that each has a handful of reservations open, as users have.
    let (server, _) = Server::start(100_000);
    let server = Arc::new(server);
    load(&server, connections, WARM_UP, usize::MAX).await;
    let (cpu_before, _) = server.usage();
    let taken = load(&server, connections, span, usize::MAX).await;
    let (cpu_after, resident) = server.usage();
    let count = u32::try_from(taken.len()).expect("fewer than four billion");
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)];
    let rate = f64::from(count) / span.as_secs_f64();
    let cpu = (cpu_after - cpu_before) / count;
    println!(
        "{connections:>5} connections  {rate:>7.0}/s  p50 {:>8.2?}  p95 {:>8.2?}  p99 {:>8.2?}  server CPU {cpu:.1?} each  {resident} MB",
        at(50),
        at(95),
        at(99),
    );
}

/// Ready time, memory at rest, and memory after many accounts were touched once.
async fn memory(accounts: usize) {
    let (server, ready) = Server::start(accounts);
    let (_, idle) = server.usage();
    let server = Arc::new(server);
    load(&server, 64, Duration::from_secs(120), accounts).await;
    let (_, touched) = server.usage();
    println!(
        "ready in {ready:.0?}, {idle} MB idle, {touched} MB right after {accounts} accounts were touched"
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("run me with cargo bench: a figure of anything but a release build is none");
        return;
    }
    println!("presigns, class A (fsync before each answer), client and server on the same cores");
    let span = Duration::from_secs(8);
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    for connections in if asked.is_empty() { vec![1, 16, 64, 256] } else { asked.clone() } {
        measure(connections, span).await;
    }
    if asked.is_empty() {
        memory(100_000).await;
    }
}
