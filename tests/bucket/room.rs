//! Room on the disk: uploads leave a reserve, a full disk pauses them, removals go on, and all resumes.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use wharfinger::adapters::embedded::FreeSpace;
use wharfinger::adapters::embedded::bucket::BucketOptions;
use wharfinger::ports::{Clock, ObjectsError, ObjectsPort as _, PartGrant, SignerPort as _};

use crate::connections::head;
use crate::intake::begin;
use crate::world::{Heard, World, eventually, grant, new_key};

const MIB: u64 = 1 << 20;

/// A bucket on a disk whose free bytes are in the test's hand.
async fn on_disk(options: BucketOptions, free_bytes: u64) -> (World, Arc<AtomicU64>) {
    let free = Arc::new(AtomicU64::new(free_bytes));
    let free_space = Some(FreeSpace::fixed(Arc::clone(&free)));
    (World::with(BucketOptions { free_space, ..options }).await, free)
}

// proves: I25
#[tokio::test]
async fn a_full_disk_pauses_uploads_with_readiness_and_not_removals() {
    let (world, free) = on_disk(BucketOptions::default(), 10_000 * MIB).await;
    world.takes_uploads(true).await;
    let (key, next) = (new_key(), new_key());
    assert_eq!(world.put(key, b"hello").await.status, 200);
    free.store(256 * MIB + 4, Ordering::Relaxed);
    world.takes_uploads(false).await;
    let refused = world.put(next, b"hello").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SlowDown"));
    assert_eq!(refused.header("retry-after"), "2");
    free.store(0, Ordering::Relaxed);
    let begun = world.bucket.create_multipart(next, "video/x", Vec::new()).await;
    assert!(matches!(begun, Err(ObjectsError::Unavailable { .. })), "{begun:?}");
    assert_eq!(world.get(key).await.status, 200, "downloads go on");
    world.bucket.delete(key).await.unwrap();
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
    free.store(10_000 * MIB, Ordering::Relaxed);
    world.takes_uploads(true).await;
    assert_eq!(world.put(next, b"hello").await.status, 200);
}

// proves: I25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_in_flight_are_within_their_budget() {
    let options = BucketOptions { in_flight_bytes_max: 100, ..BucketOptions::default() };
    let (world, _free) = on_disk(options, 10_000 * MIB).await;
    let held = begin(&world, &head(&world, new_key(), &[b'x'; 60]).await).await;
    let refused = world.put(new_key(), &[b'x'; 60]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SlowDown"));
    assert_eq!(world.put(new_key(), &[b'x'; 40]).await.status, 200, "so much is left of the budget");
    drop(held);
    eventually("an empty tmp", || (world.files("tmp") == 0).then_some(())).await;
    assert_eq!(world.put(new_key(), &[b'x'; 200]).await.status, 200, "alone, any size is taken");
}

// proves: I25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_completed_many_times_at_once_is_copied_once() {
    let size_bytes = 5 * MIB;
    // Room for a part and one object of it: a second copy would be refused.
    let in_flight_bytes_max = size_bytes;
    let (world, _free) =
        on_disk(BucketOptions { in_flight_bytes_max, ..BucketOptions::default() }, 10_000 * MIB).await;
    let key = new_key();
    let upload_id = world.bucket.create_multipart(key, "video/x", Vec::new()).await.unwrap();
    let body = vec![7_u8; usize::try_from(size_bytes).unwrap()];
    let (now, ttl) = (Clock::System.now(), std::time::Duration::from_secs(60));
    let part = PartGrant { key, upload_id: upload_id.clone(), number: 1, size_bytes, now, ttl };
    let signed = world.signer.part(&part).await.unwrap();
    assert_eq!(world.http.follow(&signed, &body).await.status, 200);
    let parts = world.bucket.list_parts(key, &upload_id).await.unwrap();
    let completes = (0..64).map(|_| world.bucket.complete_multipart(key, &upload_id, parts.clone()));
    let outcomes = join_all(completes).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(world.bucket.complete_multipart(key, &upload_id, parts).await, Ok(()), "and afterwards");
    assert_eq!((world.files("objects"), world.files("uploads"), world.files("tmp")), (1, 0, 0));
    assert_eq!(world.heard.wait_for(1).await.len(), 1);
}

/// A small disk of its own, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// None, said aloud, where file systems cannot be mounted.
    fn mount(test: &str, mib: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(dir)),
            Ok(_) | Err(_) => {
                crate::say_skipped(test, "a tmpfs cannot be mounted here; it needs root");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).output());
    }
}

// proves: I25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_link_used_many_times_at_once_does_not_fill_the_disk() {
    let Some(disk) = SmallDisk::mount("one_link_used_many_times_at_once_does_not_fill_the_disk", 64) else {
        return;
    };
    let options = BucketOptions { reserve_bytes: 8 * MIB, ..BucketOptions::default() };
    let world = World::start_at(disk.path(), options, Heard::default()).await;
    let (key, body) = (new_key(), vec![b'x'; 20 << 20]);
    let signed = world.upload(&grant(key, &body)).await;
    let answers = join_all((0..24).map(|_| world.http.follow(&signed, &body))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(409) + count(412)), (1, 23));
    assert_eq!((world.files("objects"), world.files("tmp")), (1, 0));
}

// proves: I25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_others_filled_removals_work_and_uploads_resume() {
    let Some(disk) = SmallDisk::mount("on_a_disk_that_others_filled_removals_work_and_uploads_resume", 32)
    else {
        return;
    };
    let options = BucketOptions { reserve_bytes: MIB, object_bytes_max: MIB, ..BucketOptions::default() };
    let world = World::start_at(disk.path(), options, Heard::default()).await;
    let keys: Vec<_> = (0..4).map(|_| new_key()).collect();
    for key in &keys {
        assert_eq!(world.put(*key, &[b'x'; 1000]).await.status, 200);
    }
    world.takes_uploads(true).await;
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let zeros = vec![0_u8; 4096];
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    world.takes_uploads(false).await;
    let refused = world.put(new_key(), &[b'x'; 1000]).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "SlowDown"));
    for key in &keys {
        world.bucket.delete(*key).await.unwrap();
    }
    assert_eq!((world.files("objects"), world.files("tmp")), (0, 0));
    drop(file);
    std::fs::remove_file(filler).unwrap();
    world.takes_uploads(true).await;
    assert_eq!(world.put(new_key(), &[b'x'; 1000]).await.status, 200);
}
