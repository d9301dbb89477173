//! What tests inside one process share: the whole actor tree over embedded backends that fail as the test says,
//! its clock in the test's hand.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::fault_injection::{FaultyLedger, FaultyLog, FaultyObjects, FaultySigner, Plan};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wharfinger::actors::{Handle, Tree, TreeOptions, World};
use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket};
use wharfinger::adapters::embedded::{EmbeddedStore, QueuePolicy};
use wharfinger::adapters::{Ledger, Log, Objects, Queue, Signer};
use wharfinger::domain::account::Account;
use wharfinger::domain::chunks::ChunkPlan;
use wharfinger::domain::decide::{NewUpload, Observed, Reservable, Reserve, Rules, Settlement};
use wharfinger::domain::draft::Draft;
use wharfinger::domain::event::EventSource;
use wharfinger::domain::file::{File, Visibility};
use wharfinger::domain::ids::{ObjectKey, UserId};
use wharfinger::domain::shard::ShardCount;
use wharfinger::domain::time::Timestamp;
use wharfinger::ports::{
    Clock, FilePage, LedgerPort as _, ManualClock, ObjectsPort as _, PartGrant, SignedRequest,
    SignerPort as _, UploadGrant,
};
use wharfinger::telemetry::health::Health;

/// When every test begins.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The bucket.
pub(crate) const BUCKET: &str = "wharf";

/// The backends, all over one data folder.
#[derive(Clone)]
pub(crate) struct Backends {
    pub(crate) ledger: Ledger,
    pub(crate) log: Log,
    pub(crate) objects: Objects,
    pub(crate) signer: Signer,
}

/// What a test may choose.
#[derive(Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) rules: Rules,
    pub(crate) options: TreeOptions,
    pub(crate) shards: u16,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { rules: Rules::default(), options: TreeOptions::default(), shards: 2 }
    }
}

/// The tree with all that is behind it.
pub(crate) struct Inside {
    pub(crate) chosen: Chosen,
    pub(crate) time: Clock,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) health: Health,
    /// Says how the faulty backends fail.
    pub(crate) plan: Plan,
    /// What the tree works with.
    pub(crate) faulty: Backends,
    /// Lets writes land that the plan has made late.
    pub(crate) late: FaultyLedger,
    /// The same backends without the faults: what is true.
    pub(crate) well: Backends,
    /// None once it was stopped.
    pub(crate) tree: Option<Tree>,
    pub(crate) handle: Handle,
    endpoint: CancellationToken,
    _dir: TempDir,
}

impl Inside {
    pub(crate) async fn start(chosen: Chosen) -> Self {
        let (time, clock) = Clock::manual(NOW);
        let (dir, plan, health) = (TempDir::new().unwrap(), Plan::default(), Health::default());
        let store = EmbeddedStore::open(&dir.path().join("store"), time.clone()).unwrap();
        // As on S3: an upload URL that outlives its file brings an object back.
        let (bucket, tombstones_kept_for) = (BUCKET.to_owned(), Duration::ZERO);
        let options = BucketOptions { bucket, tombstones_kept_for, ..BucketOptions::default() };
        let bucket = EmbeddedBucket::open(&dir.path().join("bucket"), options, time.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let signer = bucket.signer(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (endpoint, news) = (CancellationToken::new(), store.queue(QueuePolicy::default()));
        drop(bucket.clone().serve(listener, Queue::Embedded(news), endpoint.clone()));
        let late = FaultyLedger::new(store.ledger(), plan.clone());
        let faulty = Backends {
            ledger: Ledger::custom(late.clone()),
            log: Log::custom(FaultyLog::new(store.log(), plan.clone())),
            objects: Objects::custom(FaultyObjects::new(bucket.clone(), plan.clone())),
            signer: Signer::custom(FaultySigner::new(signer.clone(), plan.clone())),
        };
        let well = Backends {
            ledger: Ledger::Embedded(store.ledger()),
            log: Log::Embedded(store.log()),
            objects: Objects::Embedded(bucket),
            signer: Signer::Embedded(signer),
        };
        let tree = tree(&faulty, &time, &health, chosen).await;
        let handle = tree.handle().clone();
        let tree = Some(tree);
        Self { chosen, time, clock, health, plan, faulty, late, well, tree, handle, endpoint, _dir: dir }
    }

    /// Another tree over the same backends, as of another node.
    pub(crate) async fn another_tree(&self) -> Tree {
        tree(&self.faulty, &self.time, &self.health, self.chosen).await
    }

    /// Stops the tree and starts another, which remembers nothing.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let tree = self.another_tree().await;
        self.handle = tree.handle().clone();
        self.tree = Some(tree);
    }

    pub(crate) async fn stop(&mut self) {
        self.tree.take().unwrap().stop(PATIENCE).await;
    }

    pub(crate) async fn sweep(&self) {
        self.tree.as_ref().unwrap().sweep_now().await;
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.clock.set(self.now().after(span));
    }

    /// All rows of a user, newest first.
    pub(crate) async fn rows(&self, user: UserId) -> Vec<File> {
        self.well.ledger.files(user, FilePage { before: None, limit: usize::MAX }).await.unwrap()
    }

    pub(crate) async fn row(&self, key: ObjectKey) -> File {
        self.well.ledger.file(key.user, key.file).await.unwrap().expect("a row")
    }

    /// Puts the bytes of a file into the bucket, as its owner would: by a signed request. The bucket checks
    /// signatures by the machine's clock, so it is signed by that.
    pub(crate) async fn land(&self, key: ObjectKey) {
        let row = self.row(key).await;
        self.put(key, row.size_bytes, row.content_type).await;
    }

    /// Puts an object of so many bytes into the bucket, whether a row knows of it or not.
    pub(crate) async fn put(&self, key: ObjectKey, size_bytes: u64, content_type: String) {
        self.put_bytes(key, content_type, &filler(size_bytes)).await;
    }

    /// Puts these bytes into the bucket.
    pub(crate) async fn put_bytes(&self, key: ObjectKey, content_type: String, bytes: &[u8]) {
        let grant = UploadGrant {
            key,
            size_bytes: u64::try_from(bytes.len()).unwrap(),
            content_type,
            checksum_sha256: None,
            metadata: Vec::new(),
            now: Clock::System.now(),
            ttl: Duration::from_secs(60),
        };
        let signed = self.well.signer.upload(&grant).await.unwrap();
        assert_eq!(send(&signed, bytes).await, 200);
    }

    /// Puts a chunk of a file into the bucket, as its owner would. Returns what the bucket says.
    pub(crate) async fn land_chunk(&self, key: ObjectKey, number: u16) -> u16 {
        let row = self.row(key).await;
        let chunk = ChunkPlan::of(&row).expect("it comes in chunks").chunk(number).expect("a chunk");
        let grant = PartGrant {
            key,
            upload_id: row.multipart.expect("it comes in chunks").upload_id,
            number,
            size_bytes: chunk.size_bytes,
            now: Clock::System.now(),
            ttl: Duration::from_secs(60),
        };
        let signed = self.well.signer.part(&grant).await.unwrap();
        send(&signed, &filler(chunk.size_bytes)).await
    }

    /// Whether the bucket still knows the upload of a file in chunks.
    pub(crate) async fn knows_upload(&self, key: ObjectKey) -> bool {
        let upload_id = self.row(key).await.multipart.expect("it comes in chunks").upload_id;
        self.well.objects.list_parts(key, &upload_id).await.is_ok()
    }

    /// Gives a user files of one byte that are processed already, straight through the ledger: that many uploads
    /// would take minutes. Their bytes are not in the bucket.
    pub(crate) async fn fill(&self, user: UserId, filenames: impl Iterator<Item = String>) {
        let rules = &self.chosen.rules;
        let mut account = self.well.ledger.load(user).await.unwrap().unwrap_or_else(|| Account::new(user));
        let filenames: Vec<String> = filenames.collect();
        for filenames in filenames.chunks(100) {
            let uploads = filenames.iter().map(|filename| self.upload_of(filename, 1)).collect();
            let asked = Reserve { uploads, idempotency: None, subject: None };
            let Ok(Reservable::New { transitions, .. }) = account.reserve(&asked, None, rules, self.now())
            else {
                panic!("these fit");
            };
            let mut draft =
                Draft::new(account, BTreeMap::new(), self.time.op_id(), rules.quota_bytes_default);
            transitions.iter().for_each(|transition| draft.push(transition));
            for upload in &asked.uploads {
                let row = draft.row(upload.file_id).unwrap().clone();
                let Settlement::Transition(moves) =
                    draft.account().settle(&row, &self.seen(1), rules, self.now())
                else {
                    panic!("it is pending");
                };
                draft.push(&moves);
            }
            let (write, _) = draft.into_write();
            account = write.account.clone();
            self.well.ledger.commit(write).await.unwrap();
        }
    }

    /// Trims a user's history up to this version, straight through the ledger.
    pub(crate) async fn trim(&self, user: UserId, up_to: u64) {
        let account = self.well.ledger.load(user).await.unwrap().expect("an account");
        let quota_bytes = self.chosen.rules.quota_bytes_default;
        let mut draft = Draft::new(account, BTreeMap::new(), self.time.op_id(), quota_bytes);
        draft.mark_published(up_to);
        draft.trim(up_to);
        self.well.ledger.commit(draft.into_write().0).await.unwrap();
    }

    /// An upload of plain text that somebody asks for.
    pub(crate) fn upload_of(&self, filename: &str, size_bytes: u64) -> NewUpload {
        NewUpload {
            file_id: self.time.file_id(),
            filename: filename.to_owned(),
            content_type: "text/plain".to_owned(),
            size_bytes,
            checksum_sha256: None,
            visibility: Visibility::Private,
            multipart: None,
            traceparent: None,
        }
    }

    /// What the bucket would say of an object that is there now.
    fn seen(&self, size_bytes: u64) -> Observed {
        Observed {
            size_bytes,
            etag: "etag".to_owned(),
            checksum_sha256: None,
            content_type: None,
            landed_at: self.now(),
            seen_at: self.now(),
            inspected_at: self.now(),
            rejected: None,
        }
    }

    pub(crate) async fn is_in_the_bucket(&self, key: ObjectKey) -> bool {
        self.well.objects.head(key).await.unwrap().is_some()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.endpoint.cancel();
    }
}

/// Sends so many bytes as they were signed for; returns the status.
fn filler(size_bytes: u64) -> Vec<u8> {
    vec![b'x'; usize::try_from(size_bytes).unwrap()]
}

async fn send(signed: &SignedRequest, bytes: &[u8]) -> u16 {
    let mut request = Request::builder().method(signed.method).uri(signed.url.expose());
    // The client sends the length of a body by itself, but not that of an empty one.
    for (name, value) in
        signed.headers.iter().filter(|(name, _)| name != "content-length" || bytes.is_empty())
    {
        request = request.header(name, value);
    }
    let bytes = Bytes::copy_from_slice(bytes);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Full::new(bytes)).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    body.collect().await.unwrap();
    head.status.as_u16()
}

/// What all events of a test have in common.
pub(crate) fn event_source() -> EventSource {
    EventSource { deployment: "test".to_owned(), bucket: BUCKET.to_owned(), redact_names: false }
}

async fn tree(backends: &Backends, time: &Clock, health: &Health, chosen: Chosen) -> Tree {
    let Backends { ledger, log, objects, signer: _ } = backends.clone();
    let world = World {
        ledger,
        log,
        objects,
        clock: time.clone(),
        health: health.clone(),
        rules: chosen.rules,
        shards: ShardCount::new(chosen.shards).unwrap(),
        source: event_source(),
    };
    Tree::start_with(world, chosen.options).await.unwrap()
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
