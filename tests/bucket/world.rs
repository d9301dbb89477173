//! A served bucket in a folder of its own, an HTTP client, and a queue that remembers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket, EmbeddedSigner, OpenError};
use wharfinger::domain::ids::{FileId, ObjectKey, UserId};
use wharfinger::ports::{
    Clock, DownloadGrant, DownloadMethod, QueueDelivery, QueueError, QueuePort, Receipt, SignedRequest,
    SignerPort, UploadGrant,
};
use wharfinger::telemetry::health::{Health, Part, PartState};

/// How long anything here may take.
pub(crate) const WITHIN: Duration = Duration::from_secs(20);

/// A queue that keeps what it is sent. It can refuse, and it can panic once.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    panics_next: Arc<Mutex<bool>>,
    bodies: Arc<Mutex<Vec<String>>>,
    is_away: Arc<Mutex<bool>>,
    refused: Arc<Mutex<usize>>,
}

impl Heard {
    pub(crate) fn set_away(&self, is_away: bool) {
        *self.is_away.lock().unwrap() = is_away;
    }

    /// Panics at the next notification.
    pub(crate) fn panic_once(&self) {
        *self.panics_next.lock().unwrap() = true;
    }

    /// Whether the panic is still to come.
    pub(crate) fn will_panic(&self) -> bool {
        *self.panics_next.lock().unwrap()
    }

    /// How often something was not taken.
    pub(crate) fn refused(&self) -> usize {
        *self.refused.lock().unwrap()
    }

    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let bodies = self.bodies.lock().unwrap();
        let parsed = bodies.iter().map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap());
        parsed.flat_map(|body| body["Records"].as_array().unwrap().clone()).collect()
    }

    /// Waits until `count` records came, and returns them all.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<serde_json::Value> {
        eventually("the news", || Some(self.records()).filter(|records| records.len() >= count)).await
    }
}

impl QueuePort for Heard {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        let panics = std::mem::take(&mut *self.panics_next.lock().unwrap());
        assert!(!panics, "the panic that the test asked for");
        if *self.is_away.lock().unwrap() {
            *self.refused.lock().unwrap() += 1;
            return Err(QueueError { reason: "away".to_owned() });
        }
        self.bodies.lock().unwrap().push(body);
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

/// Waits on a condition, with a deadline.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + WITHIN;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Code` of an error.
    pub(crate) fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let after = text.split_once("<Code>").map_or("", |(_, rest)| rest);
        after.split_once("</Code>").map_or("", |(code, _)| code).to_owned()
    }
}

/// An HTTP client.
#[derive(Clone)]
pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    fn request(method: &str, url: &str, headers: &[(String, String)], body: &[u8]) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            // The client counts the bytes that it sends by itself, but says nothing of none.
            if name != "content-length" || (body.is_empty() && value == "0") {
                request = request.header(name, value);
            }
        }
        request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Answer {
        let request = Self::request(method, url, headers, body);
        let whole = async {
            let (head, body) = self.0.request(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: head.status.as_u16(), headers: head.headers, body }
        };
        tokio::time::timeout(WITHIN, whole).await.expect("an answer in time")
    }

    /// Sends a signed request; the status, or none if the connection ended first.
    pub(crate) async fn try_follow(&self, signed: &SignedRequest, body: &[u8]) -> Option<u16> {
        let request = Self::request(signed.method, signed.url.expose(), &signed.headers, body);
        let answer = tokio::time::timeout(WITHIN, self.0.request(request)).await.expect("an answer in time");
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Sends a signed request as it is.
    pub(crate) async fn follow(&self, signed: &SignedRequest, body: &[u8]) -> Answer {
        self.send(signed.method, signed.url.expose(), &signed.headers, body).await
    }
}

/// A served bucket.
pub(crate) struct World {
    /// Removed with the world, unless the folder has another owner.
    pub(crate) dir: Option<TempDir>,
    pub(crate) path: PathBuf,
    pub(crate) bucket: EmbeddedBucket,
    pub(crate) signer: EmbeddedSigner,
    pub(crate) url: String,
    pub(crate) heard: Heard,
    pub(crate) http: Http,
    pub(crate) shutdown: CancellationToken,
    /// Where the bucket reports whether it takes uploads.
    pub(crate) health: Health,
    served: JoinHandle<()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(BucketOptions::default()).await
    }

    pub(crate) async fn with(options: BucketOptions) -> Self {
        Self::start(tempfile::tempdir().unwrap(), options, Heard::default()).await
    }

    pub(crate) async fn start(dir: TempDir, options: BucketOptions, heard: Heard) -> Self {
        let world = Self::start_at(dir.path(), options, heard).await;
        Self { dir: Some(dir), ..world }
    }

    pub(crate) async fn start_at(path: &Path, options: BucketOptions, heard: Heard) -> Self {
        let health = Health::default();
        let bucket = open(path, options).await.reporting(health.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let signer = bucket.signer(&url).unwrap();
        let shutdown = CancellationToken::new();
        let served = bucket.clone().serve(listener, heard.clone(), shutdown.clone());
        let path = path.to_owned();
        Self { dir: None, path, bucket, signer, url, heard, http: Http::new(), shutdown, health, served }
    }

    /// Stops in order; the folder remains.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(WITHIN, self.served).await.expect("a stop in time").unwrap();
        self.dir.expect("a folder of its own")
    }

    pub(crate) async fn upload(&self, grant: &UploadGrant) -> SignedRequest {
        self.signer.upload(grant).await.unwrap()
    }

    /// Signs and sends.
    pub(crate) async fn put(&self, key: ObjectKey, body: &[u8]) -> Answer {
        let signed = self.upload(&grant(key, body)).await;
        self.http.follow(&signed, body).await
    }

    /// Signs and fetches.
    pub(crate) async fn get(&self, key: ObjectKey) -> Answer {
        let signed = self.signer.download(&download(key)).await.unwrap();
        self.http.follow(&signed, b"").await
    }

    /// Waits until the bucket says that it takes uploads, or that it does not.
    pub(crate) async fn takes_uploads(&self, expected: bool) {
        let state = || self.health.states().into_iter().find(|(part, _)| *part == Part::Uploads);
        eventually("the health of uploads", || match state() {
            Some((_, PartState::Up)) => expected.then_some(()),
            Some((_, PartState::Down { .. })) => (!expected).then_some(()),
            Some((_, PartState::Unasked | PartState::Awaited { .. })) | None => None,
        })
        .await;
        assert_eq!(self.health.is_ready(), expected);
    }

    /// How many files there are in a folder of the bucket, at any depth.
    pub(crate) fn files(&self, folder: &str) -> usize {
        count_files(&self.path.join(folder))
    }
}

/// Opens a bucket that nobody serves any more.
///
/// A process that another test starts has our files open until it runs its own program, the lock among them.
pub(crate) async fn open(dir: &Path, options: BucketOptions) -> EmbeddedBucket {
    let open = || match EmbeddedBucket::open(dir, options.clone(), Clock::System) {
        Ok(bucket) => Some(bucket),
        Err(OpenError::InUse { .. }) => None,
        Err(error @ (OpenError::Damaged { .. } | OpenError::Io { .. })) => panic!("{error}"),
    };
    eventually("the lock", open).await
}

pub(crate) fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// A new user's new file.
pub(crate) fn new_key() -> ObjectKey {
    ObjectKey { user: UserId::from_uuid(Uuid::new_v4()), file: FileId::from_uuid(Uuid::now_v7()) }
}

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

pub(crate) fn download(key: ObjectKey) -> DownloadGrant {
    DownloadGrant {
        key,
        method: DownloadMethod::Get,
        disposition: "attachment; filename=\"x.txt\"; filename*=UTF-8''%C3%A9.txt".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        now: Clock::System.now(),
        ttl: Duration::from_secs(60),
    }
}
