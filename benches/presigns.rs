//! Presigns per second through the whole product: the real binary, a real client, fsync before each answer.
//!
//! `cargo bench --bench presigns` builds the release binary and starts `dev` on free ports and a new folder. Closed loop, so the
//! rate is the answer and the latencies are those at saturation. Client and server share the machine; the client is one
//! thread that writes and reads bytes, since what a load generator burns is taken from the server. Numbers given after
//! `--` are the connections to try instead of the usual ones.
//!
//! With `WHARFDEV_BENCH_SETTINGS=examples/native.toml` and the servers that it names up, `serve` runs on them instead;
//! `WHARFDEV_SERVERS_DIR` (`target/servers`) tells whose CPU is theirs.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    /// The real servers behind it.
    engines: Vec<u32>,
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
        let tokens = tokens("wharfinger-dev", &key, users);
        (Self { child, address, tokens, _folder: folder, engines: Vec::new() }, took)
    }

    /// `serve` with these settings, on the servers that they name, in a keyspace and with a queue of its own.
    fn start_on(settings: &str, users: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, key_file) = ([7_u8; 32], folder.path().join("issuer.key"));
        std::fs::write(&key_file, key).expect("write");
        let name = format!("bench{}", std::process::id());
        let mut ports = [0_u16; 3];
        let free: Vec<_> = ports.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        for (port, listener) in ports.iter_mut().zip(free) {
            *port = listener.local_addr().expect("an address").port();
        }
        let issuer = format!(
            "[{{issuer = \"native\", audience = \"wharfinger\", algorithm = \"HS256\", key_file = {key_file:?}}}]"
        );
        let set = [
            format!("data_dir={}", folder.path().display()),
            format!("http.listen=127.0.0.1:{}", ports[0]),
            format!("admin.listen=127.0.0.1:{}", ports[1]),
            format!("s3.listen=127.0.0.1:{}", ports[2]),
            format!("ledger.scylla.keyspace={name}"),
            format!("queue.name={name}"),
            format!("queue.secret_key_file={}", key_file.display()),
            format!("auth.issuers={issuer}"),
            "telemetry.filter=warn".to_owned(),
        ];
        let command = |words: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_wharfinger"));
            command.args(words).args(["--config", settings]);
            for pair in &set {
                command.args(["--set", pair]);
            }
            command
        };
        for words in [["aws", "setup"], ["schema", "apply"]] {
            let status = command(&words).stdout(Stdio::null()).status().expect("the binary starts");
            assert!(status.success(), "{words:?}");
        }
        let child = command(&["serve"]).stdout(Stdio::null()).spawn().expect("the binary starts");
        let address = format!("127.0.0.1:{}", ports[0]);
        let begun = Instant::now();
        while !command(&["health", "--ready"]).output().expect("it runs").status.success() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not get ready");
            std::thread::sleep(Duration::from_millis(100));
        }
        let tokens = tokens("native", &key, users);
        Self { child, address, tokens, _folder: folder, engines: engines() }
    }

    /// CPU time that the real servers used so far.
    fn engines_cpu(&self) -> Duration {
        self.engines.iter().map(|pid| cpu_of(*pid)).sum()
    }

    /// CPU time used so far, user and kernel, and resident memory in MB.
    fn usage(&self) -> (Duration, u64) {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        let resident = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
        (cpu_of(self.child.id()), resident * 4096 / 1_000_000)
    }
}

/// CPU time of a process, user and kernel.
fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// The processes that `scripts/servers` started.
#[expect(clippy::disallowed_methods, reason = "where servers are is no setting of the product")]
fn engines() -> Vec<u32> {
    let folder = std::env::var("WHARFDEV_SERVERS_DIR").unwrap_or_else(|_| "target/servers".to_owned());
    let files = std::fs::read_dir(format!("{folder}/run")).into_iter().flatten().flatten();
    let pids = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "pid"));
    pids.filter_map(|file| std::fs::read_to_string(file.path()).ok()?.trim().parse().ok()).collect()
}

fn tokens(issuer: &str, key: &[u8], users: usize) -> Vec<String> {
    let exp = Clock::System.now().as_secs() + 3600;
    let token = |user: usize| {
        let claims = json!({"iss": issuer, "aud": "wharfinger", "sub": format!("bench-{user}"), "exp": exp});
        sign_hs256(key, &claims)
    };
    (0..users).map(token).collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One connection that speaks as little HTTP as a load generator may: whole requests out, whole answers in.
struct Connection {
    stream: TcpStream,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, sent: Vec::with_capacity(1024), got: Vec::with_capacity(4096) }
    }

    /// One presign; it must be made.
    async fn presign(&mut self, address: &str, token: &str) {
        self.sent.clear();
        write!(
            self.sent,
            "POST /v1/files/presign-upload HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{BODY}",
            BODY.len()
        )
        .expect("memory");
        self.stream.write_all(&self.sent).await.expect("sent");
        self.got.clear();
        loop {
            assert_ne!(
                self.stream.read_buf(&mut self.got).await.expect("an answer"),
                0,
                "the server hung up"
            );
            if is_whole(&self.got) {
                break;
            }
        }
        assert!(self.got.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&self.got));
    }
}

/// Whether this is a head and the body that it announces.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let name = b"content-length: ";
    let at = answer[..head].windows(name.len()).position(|word| word.eq_ignore_ascii_case(name));
    let digits =
        answer[at.expect("a length") + name.len()..head].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() >= head + 4 + length
}

/// Presigns until `until`; returns the latencies.
async fn client(
    server: Arc<Server>,
    next_user: Arc<AtomicUsize>,
    until: Instant,
    stop_at: usize,
) -> Vec<Duration> {
    let mut connection = Connection::open(&server.address).await;
    let mut taken = Vec::new();
    let mut begun = Instant::now();
    while begun < until {
        let user = next_user.fetch_add(1, Ordering::Relaxed);
        if user >= stop_at {
            break;
        }
        connection.presign(&server.address, &server.tokens[user % server.tokens.len()]).await;
        let ended = Instant::now();
        taken.push(ended - begun);
        begun = ended;
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
async fn measure(server: &Arc<Server>, connections: usize, span: Duration) {
    load(server, connections, WARM_UP, usize::MAX).await;
    let ((cpu_before, _), engines_before) = (server.usage(), server.engines_cpu());
    let taken = load(server, connections, span, usize::MAX).await;
    let ((cpu_after, resident), engines_after) = (server.usage(), server.engines_cpu());
    let count = u32::try_from(taken.len()).expect("fewer than four billion");
    let at = |percent: usize| taken[(taken.len() * percent / 100).min(taken.len() - 1)];
    let rate = f64::from(count) / span.as_secs_f64();
    let cpu = (cpu_after - cpu_before) / count;
    let engines = (engines_after - engines_before) / count;
    println!(
        "{connections:>5} connections  {rate:>7.0}/s  p50 {:>8.2?}  p95 {:>8.2?}  p99 {:>8.2?}  server CPU {cpu:.1?} each  {resident} MB{}",
        at(50),
        at(95),
        at(99),
        if server.engines.is_empty() { String::new() } else { format!("  engines' CPU {engines:.0?} each") },
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

/// Settings to run on instead of `dev`.
#[expect(clippy::disallowed_methods, reason = "a benchmark's only setting")]
fn settings() -> Option<String> {
    std::env::var("WHARFDEV_BENCH_SETTINGS").ok()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("run me with cargo bench: a figure of anything but a release build is none");
        return;
    }
    let span = Duration::from_secs(8);
    let asked: Vec<usize> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    if let Some(settings) = settings() {
        println!("presigns on the servers of {settings}, client, server and engines on the same cores");
        let server = Arc::new(Server::start_on(&settings, 100_000));
        for connections in if asked.is_empty() { vec![1, 16, 64] } else { asked } {
            measure(&server, connections, span).await;
        }
        return;
    }
    println!("presigns, class A (fsync before each answer), client and server on the same cores");
    for connections in if asked.is_empty() { vec![1, 16, 64, 256] } else { asked.clone() } {
        // Enough users that each has a handful of reservations open, as users have.
        measure(&Arc::new(Server::start(100_000).0), connections, span).await;
    }
    if asked.is_empty() {
        memory(100_000).await;
    }
}
