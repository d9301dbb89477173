//! The socket on its own: who may open it, one audit at a time, and clients that say nothing or leave.

use std::os::unix::fs::MetadataExt as _;

use tempfile::TempDir;

use super::*;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::bucket::{BucketOptions, EmbeddedBucket};
use crate::adapters::{Ledger, Log, Objects};
use crate::config::Config;
use crate::ports::Clock;

const SOON: Duration = Duration::from_secs(20);

/// A folder whose process answers.
fn serving() -> (TempDir, JoinSet<()>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::System;
    let store = EmbeddedStore::open(&folder.path().join("store"), clock.clone()).unwrap();
    let bucket =
        EmbeddedBucket::open(&folder.path().join("bucket"), BucketOptions::default(), clock.clone()).unwrap();
    let world = Deployment {
        ledger: Ledger::Embedded(store.ledger()),
        log: Log::Embedded(store.log()),
        objects: Objects::Embedded(bucket),
        clock,
    };
    let socket = OperatorSocket::bind(folder.path()).unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(socket.serve(world, super::super::options(&Config::default())));
    (folder, serving)
}

async fn audit(dir: &Path) -> Result<AuditSummary, AuditError> {
    let request = AuditRequest { user: None, grace: Duration::ZERO, is_json: false };
    timeout(SOON, ask(dir, request, &mut |_| Ok(()))).await.expect("it is bounded")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_for_its_owner_and_replaces_one_that_was_left() {
    let (folder, mut serving) = serving();
    let path = folder.path().join(SOCKET);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(audit(folder.path()).await, Ok(AuditSummary::default()));
    serving.shutdown().await;
    assert!(!path.exists(), "it goes with the process");
    fs::write(&path, "left over").unwrap();
    drop(OperatorSocket::bind(folder.path()).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_audit_runs_at_a_time_and_a_client_that_leaves_makes_room() {
    let (folder, _serving) = serving();
    let idle = UnixStream::connect(folder.path().join(SOCKET)).await.unwrap();
    let busy = AuditError::Unfinished("another audit is running".to_owned());
    // The idle client has the turn as soon as its connection is accepted.
    let deadline = tokio::time::Instant::now() + SOON;
    while audit(folder.path()).await != Err(busy.clone()) {
        assert!(tokio::time::Instant::now() < deadline);
    }
    drop(idle);
    while audit(folder.path()).await != Ok(AuditSummary::default()) {
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_ends_the_connection_alone() {
    let (folder, _serving) = serving();
    for bad in ["\n", "GET / HTTP/1.1\r\n\r\n", "{\"user\":\"ann\",\"grace_secs\":0,\"is_json\":false}\n"] {
        let mut stream = UnixStream::connect(folder.path().join(SOCKET)).await.unwrap();
        stream.write_all(bad.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, stream.read_to_string(&mut answer)).await.expect("it ends").unwrap();
        assert!(answer.is_empty() || answer.contains("another audit"), "{answer}");
    }
    let deadline = tokio::time::Instant::now() + SOON;
    while audit(folder.path()).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
    }
}

/// A reader that is slower than the audit holds it up, and findings are not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_channel_waits_for_its_reader() {
    let (lines, mut waiting) = mpsc::channel(1);
    let sending = tokio::spawn(async move {
        (0..100).all(|number| queue_line(&lines, AnswerLine::Finding(number.to_string())).is_ok())
    });
    for number in 0..100 {
        let line = timeout(SOON, waiting.recv()).await.expect("a line").expect("a line");
        assert!(matches!(line, AnswerLine::Finding(text) if text == number.to_string()));
    }
    assert!(sending.await.unwrap());
}

#[tokio::test]
async fn a_process_that_does_not_answer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = audit(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("does not answer on") && error.contains(SOCKET), "{error}");
}
