//! What the suites need beside the ports: a client for signed requests, and a served embedded bucket.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wharfinger::adapters::Objects;
use wharfinger::adapters::Signer;
use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket};
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::ports::{Clock, QueueDelivery, QueueError, QueuePort, Receipt, SignedRequest, UploadGrant};

/// Sends signed requests.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Sends exactly what was signed, with these bytes.
    pub(crate) async fn follow(&self, signed: &SignedRequest, body: &[u8]) -> (u16, HeaderMap, Bytes) {
        self.send(signed.method, signed.url.expose(), &signed.headers, body).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> (u16, HeaderMap, Bytes) {
        let mut request = Request::builder().method(method).uri(url);
        // The client sends the length of a body by itself, but not that of an empty one.
        let is_sent = |name: &str, value: &str| name != "content-length" || (body.is_empty() && value == "0");
        for (name, value) in headers.iter().filter(|(name, value)| is_sent(name, value)) {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let whole = async {
            let (head, body) = self.0.request(request).await.unwrap().into_parts();
            (head.status.as_u16(), head.headers, body.collect().await.unwrap().to_bytes())
        };
        tokio::time::timeout(Duration::from_secs(20), whole).await.expect("an answer in time")
    }
}

/// A grant for these bytes, from now on.
pub(crate) fn grant(key: ObjectKey, body: &[u8]) -> UploadGrant {
    UploadGrant {
        key,
        size_bytes: u64::try_from(body.len()).unwrap(),
        content_type: "text/plain".to_owned(),
        checksum_sha256: None,
        metadata: vec![("file-id".to_owned(), key.file.to_string())],
        now: Clock::System.now(),
        ttl: Duration::from_secs(60),
    }
}

/// A new file of this user, above those made before.
pub(crate) fn file_of(user: UserId) -> ObjectKey {
    ObjectKey { user, file: FileId::from_uuid(Uuid::now_v7()) }
}

pub(crate) fn new_user() -> UserId {
    UserId::from_uuid(Uuid::new_v4())
}

/// A served embedded bucket, until it is dropped.
pub(crate) struct Embedded {
    pub(crate) objects: Objects,
    pub(crate) signer: Signer,
    /// Where it listens.
    pub(crate) url: String,
    /// Access key and secret.
    pub(crate) keys: (String, String),
    shutdown: CancellationToken,
    _dir: TempDir,
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bucket = EmbeddedBucket::open(dir.path(), BucketOptions::default(), Clock::System).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let signer = bucket.signer(&url).unwrap();
        let credentials = bucket.credentials();
        let keys = (credentials.access_key().to_owned(), credentials.expose_secret().to_owned());
        let shutdown = CancellationToken::new();
        drop(bucket.clone().serve(listener, Deaf, shutdown.clone()));
        let (objects, signer) = (Objects::Embedded(bucket), Signer::Embedded(signer));
        Self { objects, signer, url, keys, shutdown, _dir: dir }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A queue for suites that do not listen.
struct Deaf;

impl QueuePort for Deaf {
    async fn send(&self, _: String) -> Result<(), QueueError> {
        Ok(())
    }

    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<QueueDelivery>, QueueError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: Vec<Receipt>) -> Result<Vec<Receipt>, QueueError> {
        Ok(Vec::new())
    }

    async fn extend(&self, _: &Receipt, _: Duration) -> Result<(), QueueError> {
        Ok(())
    }
}
