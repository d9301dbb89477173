//! What a crash leaves: first every state that a write passes through, made by hand; then real kills.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharfinger::adapters::embedded::bucket::{BucketOptions, EmbeddedSigner};
use wharfinger::adapters::sigv4::Credentials;
use wharfinger::domain::ids::ObjectKey;
use wharfinger::ports::{ObjectsPort as _, QueueDelivery, QueueError, QueuePort, Receipt, SignerPort as _};

use crate::world::{Heard, Http, World, count_files, eventually, grant, new_key, open};

/// A stopped bucket with one object, whose notification was not sent.
struct Stopped {
    dir: TempDir,
    key: ObjectKey,
    object: PathBuf,
    marker: PathBuf,
}

fn only_file(folder: &Path) -> PathBuf {
    let entry = fs::read_dir(folder).unwrap().next().expect("something is there").unwrap().path();
    if entry.is_dir() { only_file(&entry) } else { entry }
}

async fn stopped() -> Stopped {
    let world = World::new().await;
    world.heard.set_away(true);
    let key = new_key();
    assert_eq!(world.put(key, b"hello").await.status, 200);
    let dir = world.stop().await;
    let object = only_file(&dir.path().join("objects"));
    let marker = only_file(&dir.path().join("outbox"));
    Stopped { dir, key, object, marker }
}

/// Opens again; expects the object or none, and the news or none.
async fn check(stopped: Stopped, is_there: bool, news: &[&str]) {
    let world = World::start(stopped.dir, BucketOptions::default(), Heard::default()).await;
    assert_eq!(world.files("tmp"), 0);
    let answer = world.get(stopped.key).await;
    if is_there {
        assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    } else {
        assert_eq!(answer.status, 404);
    }
    // A last upload shows that nothing more was waiting before it.
    world.put(new_key(), b"last").await;
    let heard = world.heard.wait_for(news.len() + 1).await;
    let names: Vec<_> = heard.iter().map(|one| one["eventName"].as_str().unwrap()).collect();
    assert_eq!(names, [news, &["ObjectCreated:Put"]].concat());
    eventually("an empty outbox", || (world.files("outbox") == 0).then_some(())).await;
    // After a refusal as after a success, the key can be used as it should be: not again after a removal.
    let is_used = is_there || news.contains(&"ObjectRemoved:Delete");
    assert_eq!(world.put(stopped.key, b"hello").await.status, if is_used { 412 } else { 200 });
}

#[tokio::test]
async fn a_crash_before_the_object_could_be_seen_undoes_it() {
    let stopped = stopped().await;
    fs::hard_link(&stopped.marker, stopped.dir.path().join("tmp/0")).unwrap();
    fs::remove_file(&stopped.object).unwrap();
    check(stopped, false, &[]).await;
}

#[tokio::test]
async fn a_crash_right_after_the_object_could_be_seen_keeps_it_and_its_news() {
    let stopped = stopped().await;
    fs::hard_link(&stopped.marker, stopped.dir.path().join("tmp/0")).unwrap();
    check(stopped, true, &["ObjectCreated:Put"]).await;
}

#[tokio::test]
async fn a_crash_before_the_news_was_told_tells_it_later() {
    check(stopped().await, true, &["ObjectCreated:Put"]).await;
}

#[tokio::test]
async fn a_crash_while_bytes_came_leaves_nothing() {
    let stopped = stopped().await;
    fs::write(stopped.dir.path().join("tmp/0"), b"hel").unwrap();
    fs::create_dir(stopped.dir.path().join("tmp/1")).unwrap();
    check(stopped, true, &["ObjectCreated:Put"]).await;
}

#[tokio::test]
async fn a_crash_in_a_removal_undoes_it_or_tells_it() {
    for is_undone in [true, false] {
        let Stopped { dir, key, object, marker } = stopped().await;
        fs::remove_file(&marker).unwrap();
        let copy = dir.path().join("copy");
        fs::hard_link(&object, &copy).unwrap();
        let bucket = open(dir.path(), BucketOptions::default()).await;
        bucket.delete(key).await.unwrap();
        drop(bucket);
        let marker = only_file(&dir.path().join("outbox"));
        if is_undone {
            fs::hard_link(&copy, &object).unwrap();
        }
        fs::remove_file(&copy).unwrap();
        let news: &[&str] = if is_undone { &[] } else { &["ObjectRemoved:Delete"] };
        check(Stopped { dir, key, object, marker }, is_undone, news).await;
    }
}

#[tokio::test]
async fn a_damaged_file_is_not_an_object_and_does_not_hold_up_the_others() {
    let stopped = stopped().await;
    // The mark is the same file, so it is damaged too.
    fs::File::options().write(true).open(&stopped.object).unwrap().set_len(20).unwrap();
    let world = World::start(stopped.dir, BucketOptions::default(), Heard::default()).await;
    assert_eq!(world.get(stopped.key).await.status, 500);
    assert!(world.bucket.head(stopped.key).await.is_err());
    let other = new_key();
    world.put(other, b"hello").await;
    let heard = world.heard.wait_for(1).await;
    assert_eq!(heard[0]["s3"]["object"]["key"], other.to_string());
    let page = world.bucket.list(String::new(), None).await.unwrap();
    assert_eq!(page.objects.iter().map(|object| &object.key).collect::<Vec<_>>(), [&other.to_string()]);
    world.bucket.delete(stopped.key).await.unwrap();
    assert_eq!(world.get(stopped.key).await.status, 404);
    assert_eq!(world.heard.wait_for(2).await[1]["eventName"], "ObjectRemoved:Delete");
}

/// A queue in a file, one notification a line: it outlives the process that wrote it.
struct FileQueue(PathBuf);

impl QueuePort for FileQueue {
    async fn send(&self, body: String) -> Result<(), QueueError> {
        let mut file = fs::File::options().append(true).create(true).open(&self.0).unwrap();
        file.write_all(format!("{body}\n").as_bytes())
            .map_err(|error| QueueError { reason: error.to_string() })
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

/// Names the folder to the process that is to be killed.
const DIR_VARIABLE: &str = "WHARFDEV_TEST_CRASH_DIR";

/// The process that is to be killed: it serves the folder it is given. Without one there is nothing to serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_until_killed() {
    let Some(dir) = std::env::var_os(DIR_VARIABLE).map(PathBuf::from) else { return };
    let bucket = open(&dir.join("bucket"), BucketOptions::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = bucket.serve(listener, FileQueue(dir.join("queue")), CancellationToken::new());
    fs::write(dir.join("address.new"), address.to_string()).unwrap();
    fs::rename(dir.join("address.new"), dir.join("address")).unwrap();
    served.await.unwrap();
}

async fn start(dir: &Path) -> (Child, EmbeddedSigner) {
    let address_file = dir.join("address");
    drop(fs::remove_file(&address_file));
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::serve_until_killed", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let address = eventually("the other process", || fs::read_to_string(&address_file).ok()).await;
    let keys = fs::read(dir.join("bucket/credentials.json")).unwrap();
    let keys: serde_json::Value = serde_json::from_slice(&keys).unwrap();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let credentials = Arc::new(Credentials::new(text("access_key"), text("secret_key")));
    let signer =
        EmbeddedSigner::new(credentials, ("wharf", "us-east-1"), &format!("http://{address}")).unwrap();
    (child, signer)
}

/// What an object of this key holds: of another length each.
fn body_of(key: ObjectKey) -> Vec<u8> {
    let text = key.to_string().into_bytes();
    let times = usize::from(text[text.len() - 1]) * 40;
    text.repeat(times)
}

/// Uploads until the other process is gone; returns the acknowledged keys.
async fn upload_all(signer: EmbeddedSigner, acknowledged: Arc<AtomicUsize>) -> Vec<ObjectKey> {
    let http = Http::new();
    let mut keys = Vec::new();
    loop {
        let key = new_key();
        let body = body_of(key);
        let signed = signer.upload(&grant(key, &body)).await.unwrap();
        match http.try_follow(&signed, &body).await {
            Some(200) => {
                acknowledged.fetch_add(1, Ordering::SeqCst);
                keys.push(key);
            }
            Some(status) => panic!("answered {status}"),
            None => return keys,
        }
    }
}

fn keys_of(news: impl Iterator<Item = serde_json::Value>) -> BTreeMap<String, BTreeSet<u64>> {
    let mut keys: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for one in news {
        let object = &one["s3"]["object"];
        let size = object["size"].as_u64().unwrap();
        keys.entry(object["key"].as_str().unwrap().to_owned()).or_default().insert(size);
    }
    keys
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_acknowledged_object_and_no_news() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let (mut child, signer) = start(dir.path()).await;
        let count = Arc::new(AtomicUsize::new(0));
        let mut uploads = JoinSet::new();
        for _ in 0..6 {
            uploads.spawn(upload_all(signer.clone(), Arc::clone(&count)));
        }
        eventually("some uploads", || (count.load(Ordering::SeqCst) >= 10 + 7 * round).then_some(())).await;
        // SIGKILL: nothing in the process can react.
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(uploads.join_all().await.into_iter().flatten());
    }

    let bucket_dir = dir.path().join("bucket");
    let heard = Heard::default();
    let world = World::start_at(&bucket_dir, BucketOptions::default(), heard.clone()).await;
    assert_eq!(count_files(&bucket_dir.join("tmp")), 0);
    for key in &acknowledged {
        assert!(world.bucket.head(*key).await.unwrap().is_some(), "{key} was acknowledged");
    }
    let page = world.bucket.list("user/".to_owned(), None).await.unwrap();
    assert!(page.objects.len() >= acknowledged.len() && !page.is_truncated);
    for object in &page.objects {
        let key = ObjectKey::parse(&object.key).unwrap();
        let answer = world.get(key).await;
        assert!(answer.status == 200 && answer.body[..] == body_of(key)[..], "{key} is not whole");
    }
    eventually("an empty outbox", || (count_files(&bucket_dir.join("outbox")) == 0).then_some(())).await;
    let before = fs::read_to_string(dir.path().join("queue")).unwrap();
    let before = before.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told = keys_of(before.map(|body| body["Records"][0].clone()).chain(heard.records()));
    for object in &page.objects {
        assert_eq!(told.get(&object.key), Some(&BTreeSet::from([object.size_bytes])), "{}", object.key);
    }
    assert_eq!(told.len(), page.objects.len(), "nothing is told of what never was");
}
