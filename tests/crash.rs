//! `kill -9` at random moments under load, again and again: nothing acknowledged is lost, nothing is miscounted.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test stops where it is wrong, and tells")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::audit::Audit;
use support::{Api, Dev, SOON};
use tokio::task::JoinSet;
use wharfinger::domain::file::Status;
use wharfinger::domain::ids::FileId;

const KILLS: u64 = 20;
const CLIENTS: usize = 8;
/// A delivery that a dead process held comes again after half a minute; a sweep settles unnotified objects only after
/// half an hour.
const NEWS_WITHIN: Duration = Duration::from_secs(120);

/// Acknowledged answers of clients, which must still be true after the last crash.
#[derive(Default)]
struct Told {
    presigned: BTreeSet<String>,
    /// Uploads that were started; whether they landed is for the bucket to say.
    started: BTreeSet<(usize, String)>,
    put: BTreeSet<String>,
    /// Deletes that were started; of those that were not acknowledged, either may be.
    deletes_started: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

// proves: I1 I2 I4 I5 I7 I10 I17 I21 I28 F1 F4 F46 F47
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_nothing_that_was_acknowledged() {
    let seed = std::process::id().into();
    eprintln!("CRASH_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let told = Arc::new(Mutex::new(Told::default()));
    for round in 0..KILLS {
        let mut dev = Dev::start_in(folder.path(), &[]);
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            clients.spawn(work(dev.user(&format!("crash-{client}")), client, Arc::clone(&told), round));
        }
        tokio::time::sleep(random_pause(seed, round)).await;
        dev.kill();
        clients.join_all().await;
    }
    let audit = settle_everything(folder.path(), &told).await;
    check(&audit, &told.lock().unwrap());
}

/// 100 to 600 ms, the same for the same seed.
fn random_pause(seed: u64, round: u64) -> Duration {
    let mixed = (seed ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Duration::from_millis(100 + (mixed >> 33) % 500)
}

/// Uploads, and deletes every third file for good, until the server is gone.
async fn work(api: Api, client: usize, told: Arc<Mutex<Told>>, round: u64) {
    for turn in 0.. {
        let text = format!("round {round} turn {turn}");
        let body =
            serde_json::json!({"filename": "a.txt", "size_bytes": text.len(), "content_type": "text/plain"});
        let headers = [("content-type", "application/json")];
        let Ok(answer) = api.try_send("POST", "/v1/files", &headers, body.to_string()).await else { return };
        if answer.status != 201 {
            continue;
        }
        let grant: Value = answer.json();
        let file = grant["file_id"].as_str().expect("an id").to_owned();
        told.lock().unwrap().presigned.insert(file.clone());
        told.lock().unwrap().started.insert((client, file.clone()));
        match api.try_put(&grant, text).await {
            Ok(answer) if answer.status == 200 => told.lock().unwrap().put.insert(file.clone()),
            _ => return,
        };
        if turn % 3 == 2 {
            let path = format!("/v1/files/{file}");
            // The news may not have come yet; the client need not wait for it.
            let complete = format!("{path}/complete");
            if api.try_send("POST", &complete, &headers, "{}").await.is_err() {
                return;
            }
            told.lock().unwrap().deletes_started.insert(file.clone());
            match api.try_send("DELETE", &format!("{path}?permanent=true"), &[], "").await {
                Ok(answer) if answer.status == 204 => told.lock().unwrap().deleted.insert(file),
                _ => return,
            };
        }
    }
}

/// Starts once more, waits for the news of what has landed, asks about every other upload that was started, and goes on
/// until all is quiet.
async fn settle_everything(folder: &Path, told: &Mutex<Told>) -> Audit {
    let begun = Instant::now();
    let (started, put) = {
        let told = told.lock().unwrap();
        (told.started.clone(), told.put.clone())
    };
    let (landed, unsure): (Vec<_>, Vec<_>) = started.iter().partition(|(_, file)| put.contains(file));
    loop {
        let dev = Dev::start_in(folder, &[]);
        let users: Vec<Api> = (0..CLIENTS).map(|client| dev.user(&format!("crash-{client}"))).collect();
        wait_for_news(&users, &landed).await;
        for (client, file) in &unsure {
            let answer =
                users[*client].post(&format!("/v1/files/{file}/complete"), &serde_json::json!({})).await;
            assert!([200, 202, 404].contains(&answer.status.as_u16()), "{}", answer.status);
        }
        assert_eq!(dev.terminate(), Some(0));
        let audit = Audit::read(folder).await;
        if audit.findings.is_empty() {
            eprintln!("quiet {:?} after the last kill: {:?}", begun.elapsed(), audit.summary);
            return audit;
        }
        assert!(begun.elapsed() < NEWS_WITHIN + SOON, "it does not settle: {:#?}", audit.findings);
    }
}

/// Nobody says `complete` of what the bucket acknowledged: its own news must settle it.
async fn wait_for_news(users: &[Api], landed: &[&(usize, String)]) {
    let begun = Instant::now();
    for (client, file) in landed {
        loop {
            let found = users[*client].get(&format!("/v1/files/{file}")).await;
            if found.status == 404 || found.json()["status"] != "pending" {
                break;
            }
            assert!(begun.elapsed() < NEWS_WITHIN, "no news of {file} came: {}", found.json());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    eprintln!("the news of {} uploads came within {:?}", landed.len(), begun.elapsed());
}

fn check(audit: &Audit, told: &Told) {
    let row = |id: &String| {
        let file = FileId::parse(id).expect("an id");
        audit.rows.get(&file)
    };
    for id in &told.presigned {
        assert!(row(id).is_some(), "the acknowledged presign of {id} is lost");
    }
    for id in &told.deleted {
        let status = row(id).expect("it was presigned").status;
        assert!(matches!(status, Status::Deleting | Status::Gone), "{id} came back: {status:?}");
    }
    for id in &told.put {
        let status = row(id).expect("it was presigned").status;
        let may_be_gone = told.deletes_started.contains(id);
        let is_gone = matches!(status, Status::Deleting | Status::Gone);
        assert!(status == Status::Processed || (may_be_gone && is_gone), "{id} is {status:?}");
    }
    let (presigned, put, deleted) = (told.presigned.len(), told.put.len(), told.deleted.len());
    eprintln!("{presigned} presigns, {put} uploads and {deleted} deletes were acknowledged; all are there");
    assert!(put > 100, "the load was real");
}
