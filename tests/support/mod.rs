//! What the black-box tests share: a running `wharfinger dev`, and a client that is not ours to trust.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod audit;
pub(crate) mod serve;
pub(crate) mod servers;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// How long a test waits for something that should come soon.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A running `wharfinger dev`, killed with its value.
pub(crate) struct Dev {
    child: Child,
    pub(crate) api_url: String,
    pub(crate) admin_url: String,
    pub(crate) s3_url: String,
    pub(crate) token: String,
    pub(crate) admin_token: String,
    pub(crate) data: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Dev {
    /// Starts on a new folder and free ports.
    pub(crate) fn start(env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut dev = Self::start_in(folder.path(), env);
        dev._folder = Some(folder);
        dev
    }

    /// Starts on a folder that may have been used before, and waits until it is ready.
    pub(crate) fn start_in(data: &Path, env: &[(&str, &str)]) -> Self {
        Self::start_by(wharfinger(), data, env)
    }

    /// Starts on a new folder and free ports, with so many open files at most.
    pub(crate) fn start_with_files(files: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shell = without_settings(Command::new("sh"));
        shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &files.to_string()]);
        shell.arg(env!("CARGO_BIN_EXE_wharfinger"));
        // All of its many connections come from one address.
        let mut dev =
            Self::start_by(shell, folder.path(), &[("WHARF_HTTP__CONNECTIONS_PER_ADDRESS_PERCENT", "0")]);
        dev._folder = Some(folder);
        dev
    }

    fn start_by(mut command: Command, data: &Path, env: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["dev", "--json", "--port", "0", "--data"])
            .arg(data)
            .env("WHARF_TELEMETRY__FILTER", "warn")
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line on stdout");
        let errors = forward(child.stderr.take().expect("piped"));
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            child.wait().expect("it ends");
            panic!("dev did not get ready: {line:?} {}", errors.join().unwrap_or_default());
        };
        let text =
            |name: &str| ready[name].as_str().unwrap_or_else(|| panic!("{name} in {ready}")).to_owned();
        Self {
            child,
            api_url: text("api_url"),
            admin_url: text("admin_url"),
            s3_url: text("s3_url"),
            token: text("token"),
            admin_token: text("admin_token"),
            data: data.to_owned(),
            _folder: None,
        }
    }

    /// A client of this user, whose token is made by the product's own command.
    pub(crate) fn user(&self, sub: &str) -> Api {
        let minted = wharfinger()
            .args(["token", "mint", "--sub", sub, "--data"])
            .arg(&self.data)
            .output()
            .expect("the binary starts");
        assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
        self.with_token(String::from_utf8(minted.stdout).expect("text").trim())
    }

    /// A client of the user that `dev` made.
    pub(crate) fn api(&self) -> Api {
        self.with_token(&self.token)
    }

    /// A client with any token.
    pub(crate) fn with_token(&self, token: &str) -> Api {
        Api { http: client(), base: self.api_url.clone(), token: token.to_owned() }
    }

    /// `kill -9`: no time to say goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// `kill -TERM`: returns the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it did not stop within {SOON:?}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The product's command, without settings from around the tests: those that name servers are none of its own.
pub(crate) fn wharfinger() -> Command {
    without_settings(Command::new(env!("CARGO_BIN_EXE_wharfinger")))
}

fn without_settings(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WHARF_") {
            command.env_remove(name);
        }
    }
    command
}

/// Shows what the process says on stderr in the test's output, and keeps the end of it.
fn forward(stderr: ChildStderr) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = String::new();
        let mut reader = BufReader::new(stderr);
        let mut line = String::new();
        while reader.by_ref().take(4096).read_line(&mut line).unwrap_or(0) > 0 {
            eprint!("{line}");
            kept.push_str(&line);
            line.clear();
        }
        kept
    })
}

type Http = Client<HttpConnector, Full<Bytes>>;

fn client() -> Http {
    Client::builder(TokioExecutor::new()).build(HttpConnector::new())
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON, not {:?}", self.body))
    }

    /// The answer, which must have this status.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The code of an error, which must have this status.
    pub(crate) fn code(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.headers["content-type"], "application/problem+json");
        self.json()["code"].as_str().expect("a code").to_owned()
    }
}

/// One user's client.
#[derive(Clone)]
pub(crate) struct Api {
    http: Http,
    pub(crate) base: String,
    pub(crate) token: String,
}

impl Api {
    /// A client of whole URLs, without an API.
    pub(crate) fn nobody() -> Self {
        Self { http: client(), base: String::new(), token: String::new() }
    }

    /// Sends a request to the API, or to any other address if `path` is a whole URL.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.expect("an answer")
    }

    /// The same; an error if there is no answer.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let is_ours = !path.starts_with("http");
        let uri = if is_ours { format!("{}{path}", self.base) } else { path.to_owned() };
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(uri);
        if is_ours && !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
        let answer = tokio::time::timeout(SOON, self.http.request(request)).await.map_err(|_| "no answer")?;
        let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Asks for an upload of plain text.
    pub(crate) async fn presign(&self, filename: &str, size_bytes: usize) -> Answer {
        let body = json!({"filename": filename, "size_bytes": size_bytes, "content_type": "text/plain"});
        self.post("/v1/files/presign-upload", &body).await
    }

    /// Sends bytes exactly as a presign answer says.
    pub(crate) async fn put(&self, grant: &Value, body: impl Into<Bytes>) -> Answer {
        self.try_put(grant, body).await.expect("an answer")
    }

    /// The same; an error if there is no answer.
    pub(crate) async fn try_put(&self, grant: &Value, body: impl Into<Bytes>) -> Result<Answer, String> {
        let headers = grant["headers"].as_object().expect("headers");
        // The client sends the length by itself.
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .filter(|(name, _)| *name != "content-length")
            .map(|(name, value)| (name.as_str(), value.as_str().expect("text")))
            .collect();
        self.try_send("PUT", grant["upload_url"].as_str().expect("a URL"), &headers, body).await
    }

    /// Uploads text and waits until it is processed; returns its id.
    pub(crate) async fn upload(&self, filename: &str, text: &str) -> String {
        let grant = self.presign(filename, text.len()).await.expect(201).json();
        self.put(&grant, text.to_owned()).await.expect(200);
        let file = grant["file_id"].as_str().expect("an id").to_owned();
        self.wait_for_status(&file, "processed").await;
        file
    }

    /// Uploads text in chunks, the last one first and each of them twice, and completes it; returns its id.
    pub(crate) async fn upload_in_chunks(&self, filename: &str, text: &str, chunk_bytes: usize) -> String {
        let body = json!({
            "filename": filename, "size_bytes": text.len(), "content_type": "text/plain", "chunk_bytes": chunk_bytes,
        });
        let begun = self.post("/v1/files", &body).await.expect(201).json();
        let path = format!("/v1/files/{}", begun["file_id"].as_str().expect("an id"));
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(chunk_bytes).collect();
        assert_eq!(begun["chunks"].as_array().map(Vec::len), Some(chunks.len()));
        for (at, chunk) in chunks.iter().enumerate().rev() {
            let early = self.post(&format!("{path}/complete"), &json!({})).await;
            assert_eq!(early.code(409), "chunks_incomplete");
            for _ in 0..2 {
                let grant = self.send("PATCH", &format!("{path}/chunks/{}", at + 1), &[], "").await;
                self.put(&grant.expect(200).json(), chunk.to_vec()).await.expect(200);
            }
            let seen = self.get(&format!("{path}/chunks")).await.expect(200).json();
            assert_eq!(seen["chunks"][at]["arrived"], true, "{seen}");
        }
        let file = self.post(&format!("{path}/complete"), &json!({})).await.expect(200).json();
        assert_eq!((&file["status"], &file["size_bytes"]), (&json!("processed"), &json!(text.len())));
        begun["file_id"].as_str().expect("an id").to_owned()
    }

    /// Waits until a file has a status; returns the file.
    pub(crate) async fn wait_for_status(&self, file: &str, status: &str) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let found = self.get(&format!("/v1/files/{file}")).await;
            if found.status == StatusCode::OK && found.json()["status"] == status {
                return found.json();
            }
            assert!(
                Instant::now() < deadline,
                "{file} is not {status}: {}",
                String::from_utf8_lossy(&found.body)
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn usage(&self) -> Value {
        self.get("/v1/usage").await.expect(200).json()
    }

    /// Reads own events until one has this name; returns the names seen, in order.
    pub(crate) async fn events_until(&self, last_event_id: &str, name: &str) -> Vec<String> {
        let request = Request::get(format!("{}/v1/events", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("accept", "text/event-stream")
            .header("last-event-id", last_event_id)
            .body(Full::default())
            .unwrap();
        let answer = self.http.request(request).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        let (mut body, mut text, mut names) = (answer.into_body(), String::new(), Vec::new());
        let read = async {
            while let Some(frame) = body.frame().await {
                text.push_str(&String::from_utf8_lossy(
                    frame.expect("a frame").data_ref().map_or(&[], |d| d),
                ));
                names =
                    text.lines().filter_map(|line| line.strip_prefix("event: ")).map(str::to_owned).collect();
                if names.iter().any(|seen| seen == name) {
                    return;
                }
            }
        };
        let in_time = tokio::time::timeout(SOON, read).await.is_ok();
        assert!(in_time, "no {name} among {names:?}");
        names
    }
}
