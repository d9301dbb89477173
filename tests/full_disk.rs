//! A small file system that is filled for real: the embedded store refuses writes, goes on reading, ends for a new start
//! once there is room, and has lost nothing that was acknowledged.
//!
//! The file systems are tmpfs mounts, which need root; without it the tests skip and say so.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use support::serve::Site;
use support::{Api, SOON, wharfinger};
use tempfile::TempDir;
use wharfinger::adapters::embedded::{EmbeddedStore, FreeSpace, StoreOptions};
use wharfinger::ports::{
    Clock, LogPort as _, NewRecord, PublishError, ReplayFrom, ReplayPort as _, Stored, Stream,
};
use wharfinger::telemetry::health::{Health, Part, PartState};

const MIB: u64 = 1 << 20;

/// Mounts a tmpfs of this size at a folder; false, said aloud, where that is not allowed.
fn mount(folder: &Path, mib: u64) -> bool {
    let options = format!("size={mib}m,mode=700");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).output();
    let is_mounted = mounted.is_ok_and(|output| output.status.success());
    if !is_mounted {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        // Not by a macro: those are held back for tests that pass.
        let line = format!("skipped: {test}: a tmpfs cannot be mounted here; it needs root\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
    is_mounted
}

/// A mounted file system, until it is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).output());
    }
}

/// Another program that takes room.
struct Filler(PathBuf);

impl Filler {
    /// Takes everything but so many bytes, at once.
    fn take_all_but(folder: &Path, left_bytes: u64) -> Self {
        let path = folder.join("filler");
        let is_taken = |bytes: u64| {
            let mut command = Command::new("fallocate");
            command.args(["-l", &bytes.max(1).to_string()]).arg(&path);
            command.output().unwrap().status.success()
        };
        // What others write meanwhile is not there to be taken.
        let is_full = (0..100).any(|_| {
            let free = FreeSpace::of(folder.to_owned()).bytes().unwrap();
            is_taken(free.saturating_sub(left_bytes))
        });
        assert!(is_full, "the disk cannot be filled");
        if left_bytes == 0 {
            // The rest of the last pages.
            let mut file = File::options().append(true).open(&path).unwrap();
            while file.write_all(&[0; 4096]).is_ok() {}
        }
        Self(path)
    }

    fn give_back(self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A store on a disk of its own. What it believes to be free is in the test's hand, as if another program took the room
/// between its look and its write.
struct Ship {
    folder: TempDir,
    _disk: Mounted,
    believed: Arc<AtomicU64>,
}

impl Ship {
    fn new(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let is_mounted = mount(folder.path(), mib);
        let disk = Mounted(folder.path().to_owned());
        is_mounted.then(|| Self { folder, _disk: disk, believed: Arc::new(AtomicU64::new(u64::MAX)) })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open(&self) -> EmbeddedStore {
        let space = FreeSpace::fixed(Arc::clone(&self.believed));
        EmbeddedStore::open_on(&self.path().join("store"), Clock::System, StoreOptions::default(), space)
            .expect("the store opens")
    }
}

/// A record whose bytes no compression makes smaller.
fn record(number: u64, bytes: usize) -> NewRecord {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let payload: Vec<u8> = noise.flatten().take(bytes).collect();
    NewRecord {
        subject: "wharf.dlq.v1.full".to_owned(),
        id: format!("{number}"),
        headers: Vec::new(),
        payload: Bytes::from(payload),
    }
}

async fn publish(store: &EmbeddedStore, number: u64, bytes: usize) -> Result<Stored, PublishError> {
    store.log().publish(Stream::Dlq, record(number, bytes)).await
}

/// Sees that exactly the records up to this one are there, and perhaps the one after it, whose outcome was unknown.
async fn has_all(store: &EmbeddedStore, acknowledged: u64, bytes: usize) {
    let mut replay = store.log().replay(Stream::Dlq, ">".to_owned(), ReplayFrom::Start).await.unwrap();
    for number in 1..=acknowledged {
        let found = replay.next(Duration::ZERO).await.unwrap().expect("an acknowledged record is there");
        assert_eq!(found.payload, record(number, bytes).payload, "record {number}");
    }
    if let Some(found) = replay.next(Duration::ZERO).await.unwrap() {
        assert_eq!(found.payload, record(acknowledged + 1, bytes).payload, "whole, or not there");
    }
}

/// Waits until health says that the disk stops all parts, lets there be room, and waits until the store asks for a new
/// start.
async fn ends_when_there_is_room(store: &EmbeddedStore, ship: &Ship, filler: Filler) -> String {
    let (health, parts) = (Health::default(), [Part::Ledger, Part::Log, Part::Queue]);
    let watch = tokio::spawn(store.clone().watch(health.clone(), Clock::System, parts.into()));
    ship.believed.store(0, Ordering::Relaxed);
    let is_down = |part: &Part| matches!(health.state(*part), PartState::Down { reason, .. } if reason.contains("start"));
    eventually("all parts are down", async || parts.iter().all(is_down)).await;
    assert!(!health.is_ready());
    // Longer than between two looks at the disk.
    let ended = tokio::time::timeout(Duration::from_millis(2500), store.broken()).await;
    assert!(ended.is_err(), "a new start does not help while the disk is full");
    filler.give_back();
    ship.believed.store(u64::MAX, Ordering::Relaxed);
    let reason = tokio::time::timeout(SOON, store.broken()).await.expect("it asks for a new start");
    watch.abort();
    drop(watch.await);
    reason
}

// proves: F37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_meets_a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(ship) = Ship::new(48) else { return };
    let store = ship.open();
    let bytes = 50_000;
    let mut acknowledged = 0;
    while acknowledged < 20 {
        acknowledged += 1;
        publish(&store, acknowledged, bytes).await.unwrap();
    }
    let filler = Filler::take_all_but(ship.path(), 300_000);
    let failed = loop {
        match publish(&store, acknowledged + 1, bytes).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1000, "the disk is never full");
    };
    assert!(matches!(&failed, PublishError::Unknown { reason } if reason.contains("is full")), "{failed:?}");
    let refused = publish(&store, acknowledged + 2, bytes).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{refused:?}");
    has_all(&store, acknowledged, bytes).await;
    let reason = ends_when_there_is_room(&store, &ship, filler).await;
    assert!(reason.contains("the disk of data_dir is full"), "{reason}");
    drop(store);
    let store = ship.open();
    has_all(&store, acknowledged, bytes).await;
    publish(&store, 5000, bytes).await.expect("all goes on");
}

// proves: F37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_opens_on_a_full_disk_and_reads() {
    let Some(ship) = Ship::new(48) else { return };
    let store = ship.open();
    publish(&store, 1, 50_000).await.unwrap();
    let filler = Filler::take_all_but(ship.path(), 0);
    publish(&store, 2, 50_000).await.unwrap_err();
    drop(store);
    ship.believed.store(0, Ordering::Relaxed);
    let store = ship.open();
    has_all(&store, 1, 50_000).await;
    let refused = publish(&store, 2, 50_000).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })), "{refused:?}");
    filler.give_back();
    ship.believed.store(u64::MAX, Ordering::Relaxed);
    eventually("a write", async || publish(&store, 2, 50_000).await.is_ok()).await;
}

// proves: F37
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_the_background_of_the_engine_is_noticed_without_a_write() {
    let Some(ship) = Ship::new(128) else { return };
    let store = ship.open();
    let bytes = 500_000;
    publish(&store, 1, bytes).await.unwrap();
    // Room for the journal of what fills a table in memory, and not for the file of that table.
    let filler = Filler::take_all_but(ship.path(), 44 * MIB);
    let mut acknowledged = 1;
    // 32 MiB and a little: the last one makes the engine write a file.
    while acknowledged < 68 {
        acknowledged += 1;
        publish(&store, acknowledged, bytes).await.unwrap();
    }
    let reason = ends_when_there_is_room(&store, &ship, filler).await;
    assert!(reason.contains("in the background"), "{reason}");
    has_all(&store, acknowledged, bytes).await;
    drop(store);
    let store = ship.open();
    has_all(&store, acknowledged, bytes).await;
}

// proves: F37 I7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_on_a_full_disk_goes_on_reading_and_ends_with_1_once_there_is_room() {
    let site = Site::new("");
    let data = Path::new(&site.config()).parent().unwrap().join("data");
    std::fs::create_dir(&data).unwrap();
    if !mount(&data, 640) {
        return;
    }
    let _disk = Mounted(data.clone());
    let mut serve = site.serve().await;
    let api = serve.user("mara");
    serve.wait_for_part("[+] uploads up").await;
    let uploaded = api.upload("kept.txt", "kept").await;
    api.wait_for_status(&uploaded, "processed").await;
    let (mut kept, mut filler) = (vec![uploaded.clone()], None::<Filler>);
    let deadline = Instant::now() + 3 * SOON;
    while !serve.said().contains("takes no more writes") {
        assert!(Instant::now() < deadline, "no write met a full disk: {}", serve.said());
        // What it last saw was room, so it writes, and the room is gone.
        if let Some(filler) = filler.take() {
            filler.give_back();
        }
        eventually("there is room", async || presign(&api, &mut Vec::new()).await).await;
        filler = Some(Filler::take_all_but(&data, 0));
        for _ in 0..20 {
            presign(&api, &mut kept).await;
        }
    }
    serve.wait_for_part("[-] ledger ").await;
    serve.wait_for_part("[-] log ").await;
    serve.wait_for_part("[-] queue ").await;
    assert_eq!(api.presign("no.txt", 1).await.status, 503);
    assert_eq!(api.get(&format!("/v1/files/{uploaded}")).await.status, 200, "reads go on");
    filler.expect("it is full").give_back();
    assert_eq!(serve.wait_for_end().await, Some(1), "{}", serve.said());
    let said = serve.said();
    assert_eq!(
        said.matches("the embedded store takes no more writes").count(),
        2,
        "once, and as the last line: {said}"
    );

    // A start on the full disk reads, and needs no further start when there is room.
    let filler = Filler::take_all_but(&data, 0);
    let serve = site.serve().await;
    serve.wait_for_part("[-] ledger ").await;
    let api = serve.user("mara");
    assert_eq!(api.get(&format!("/v1/files/{uploaded}")).await.status, 200);
    assert_eq!(api.presign("no.txt", 1).await.status, 503);
    filler.give_back();
    serve.wait_for_part("[+] ledger up").await;
    eventually("a write", async || presign(&api, &mut Vec::new()).await).await;
    for file in &kept {
        assert_eq!(api.get(&format!("/v1/files/{file}")).await.status, 200, "{file} was acknowledged");
    }
    assert_eq!(serve.terminate().await, Some(0));
    let audited = wharfinger().args(["audit", "--config", &site.config()]).output().unwrap();
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
}

/// Reserves a file; notes it if that was acknowledged.
async fn presign(api: &Api, kept: &mut Vec<String>) -> bool {
    let answer = api.presign("a.txt", 1).await;
    let is_kept = answer.status == 201;
    if is_kept {
        kept.push(answer.json()["file_id"].as_str().unwrap().to_owned());
    }
    is_kept
}
