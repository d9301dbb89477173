//! A server with everything real behind it, in one process, its clock in the test's hand, and clients for it.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use wharfinger::adapters::Log;
use wharfinger::config::{Config, IssuerAlgorithm, IssuerSettings};
use wharfinger::domain::decide::Rules;
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::http::{Authenticator, Front, HttpOptions, Services, serve, sign_hs256};

use crate::inside::{Chosen, Inside};
pub(crate) use crate::inside::{NOW, PATIENCE};

const SECRET: &[u8] = b"the secret of these tests: 32 bytes or more";
pub(crate) const ISSUER: &str = "https://issuer.example";

/// A running server.
pub(crate) struct World {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// All that is behind it.
    pub(crate) inside: Inside,
    pub(crate) shutdown: CancellationToken,
    pub(crate) server: Option<JoinHandle<()>>,
    client: Client<HttpConnector, Full<Bytes>>,
    config: Config,
    _dir: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The status, and the code if it is a problem.
    pub(crate) fn told(&self) -> String {
        let is_problem = self.header("content-type") == Some("application/problem+json");
        let code =
            if is_problem { self.json()["code"].as_str().unwrap_or("?").to_owned() } else { String::new() };
        format!("{} {code}", self.status.as_u16()).trim().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| (), Chosen::default()).await
    }

    pub(crate) async fn configured(edit: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(edit, Chosen::default()).await
    }

    pub(crate) async fn start_with(edit: impl FnOnce(&mut Config), mut chosen: Chosen) -> Self {
        crate::logs::keep();
        let dir = TempDir::new().unwrap();
        let key_file = dir.path().join("secret");
        std::fs::write(&key_file, SECRET).unwrap();
        let mut config = Config::default();
        config.auth.issuers = vec![IssuerSettings {
            issuer: ISSUER.to_owned(),
            audience: "files".to_owned(),
            algorithm: IssuerAlgorithm::HS256,
            key_file,
            kid: None,
            roles_claim: "roles".to_owned(),
            subject: None,
        }];
        // All connections of a test come from one address.
        config.http.connections_per_address_percent = 0;
        edit(&mut config);
        chosen.rules = Rules {
            quota_bytes_default: config.quota.default_bytes,
            files_max: config.quota.files_max,
            rows_max: config.quota.rows_max,
            upload_url_ttl: std::time::Duration::from_secs(config.upload.url_ttl_secs),
        };
        let inside = Inside::start(chosen).await;
        let services = services(&inside, &config, inside.faulty.log.clone());
        let front = Front { api: listener().await, admin: listener().await };
        let (api, admin) = (front.api.local_addr().unwrap(), front.admin.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let server = Some(tokio::spawn(serve(front, services, shutdown.clone())));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { api, admin, inside, shutdown, server, client, config, _dir: dir }
    }

    /// Another listener over the same ledger, with a log of its own.
    pub(crate) async fn listen_with(&self, log: Log) -> SocketAddr {
        let front = Front { api: listener().await, admin: listener().await };
        let api = front.api.local_addr().unwrap();
        let services = services(&self.inside, &self.config, log);
        drop(tokio::spawn(serve(front, services, self.shutdown.clone())));
        api
    }

    /// A user as their token names them.
    pub(crate) fn user(name: &str) -> UserId {
        UserId::from_subject(ISSUER, name).unwrap()
    }

    /// A token of a user, good for a minute.
    pub(crate) fn token(name: &str) -> String {
        Self::token_with(json!({"sub": name}))
    }

    pub(crate) fn token_with(changes: Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": "files", "exp": NOW.as_secs() + 60});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        sign_hs256(SECRET, &claims)
    }

    /// A token of a user whose header names this key.
    pub(crate) fn token_of_key(name: &str, kid: Option<&str>) -> String {
        let header = kid.map_or(json!({"alg": "HS256"}), |kid| json!({"alg": "HS256", "kid": kid}));
        let token = Self::token(name);
        let claims = token.split('.').nth(1).unwrap();
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// `"GET /v1/files"` by `name` ("" for nobody), with more headers, and a body.
    pub(crate) async fn send(&self, name: &str, what: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = request(self.api, what);
        if !name.is_empty() {
            request = request.header("authorization", format!("Bearer {}", Self::token(name)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.exchange(request.body(Full::from(body.to_owned())).unwrap()).await
    }

    /// The same by nobody to the port `to`.
    pub(crate) async fn ask(&self, to: SocketAddr, what: &str) -> Answer {
        self.exchange(request(to, what).body(Full::default()).unwrap()).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let (head, body) = response.expect("in time").expect("an answer").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Answer {
        self.send(name, &format!("GET {path}"), &[], "").await
    }

    /// A body of JSON.
    pub(crate) async fn post(&self, name: &str, what: &str, body: &Value) -> Answer {
        self.send(name, what, &[("content-type", "application/json")], &body.to_string()).await
    }

    pub(crate) async fn presign(&self, name: &str, filename: &str, size_bytes: u64) -> FileId {
        let body = json!({"filename": filename, "size_bytes": size_bytes, "content_type": "text/plain"});
        let answer = self.post(name, "POST /v1/files/presign-upload", &body).await;
        assert_eq!(answer.told(), "201", "{answer:?}");
        FileId::parse(answer.json()["file_id"].as_str().unwrap()).unwrap()
    }

    /// A file whose bytes are there.
    pub(crate) async fn upload(&self, name: &str, filename: &str, size_bytes: u64) -> FileId {
        let file = self.presign(name, filename, size_bytes).await;
        self.land(name, file).await;
        let answer = self.send(name, &format!("POST /v1/files/{file}/complete"), &[], "").await;
        assert_eq!(answer.told(), "200", "{answer:?}");
        file
    }

    /// Puts the bytes of a file into the bucket. Nobody here tells of it.
    pub(crate) async fn land(&self, name: &str, file: FileId) {
        self.inside.land(ObjectKey { user: Self::user(name), file }).await;
    }

    /// Bytes as they are, and all that comes back until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.api).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("the server closes")
            .unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn services(inside: &Inside, config: &Config, log: Log) -> Services {
    Services {
        handle: inside.handle.clone(),
        ledger: inside.faulty.ledger.clone(),
        log,
        events: Arc::new(crate::inside::event_source()),
        signer: inside.faulty.signer.clone(),
        clock: inside.time.clone(),
        health: inside.health.clone(),
        authenticator: Authenticator::from_config(&config.auth).unwrap(),
        metrics: Arc::new(|| "wharf_up 1\n".to_owned()),
        options: Arc::new(HttpOptions::from_config(config, [9; 32])),
    }
}

fn request(to: SocketAddr, what: &str) -> hyper::http::request::Builder {
    let (method, path) = what.split_once(' ').expect("method and path");
    Request::builder().method(method).uri(format!("http://{to}{path}"))
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}

/// The base64 of 32 bytes.
pub(crate) fn checksum() -> String {
    STANDARD.encode([7; 32])
}
