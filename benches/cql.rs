//! A conditional commit against a plain batch of the same rows, on a real CQL server.
//!
//! `WHARFDEV_TEST_CQL=host:port[,host:port,host:port] cargo bench --bench cql`; three servers: three copies. Each user
//! has one write in flight, as a desk has. A commit carries one file and one entry.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::batch::{Batch, BatchType};
use uuid::Uuid;
use wharfinger::adapters::scylla::{CqlSession, Migrations, ScyllaLedger};
use wharfinger::config::ScyllaSettings;
use wharfinger::domain::account::{Account, Change, Transition};
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::entry::EntryKind;
use wharfinger::domain::file::{File, Status, Visibility, Weight};
use wharfinger::domain::ids::UserId;
use wharfinger::limits::QUOTA_BYTES_DEFAULT;
use wharfinger::ports::{Clock, CommitError, LedgerPort};

const CELL_SECS: u64 = 3;
const USERS: [usize; 3] = [1, 8, 64];

const PLAIN: [&str; 3] = [
    "UPDATE user_ledger SET version = ?, published = 0, epoch = 0, op_id = ?, used_bytes = ?, reserved_bytes = 0, \
     trashed_bytes = 0, file_count = ?, state = 0, pending = {} WHERE user_id = ?",
    "INSERT INTO user_ledger (user_id, kind, seq, file_id, status, size_bytes, filename, content_type, \
     visibility, created_at, changed_at, revision, hops) VALUES (?, 0, 0, ?, 1, 1, 'a.txt', 'text/plain', 0, 1, \
     1, 1, [])",
    "INSERT INTO user_ledger (user_id, kind, seq, file_id, entry_kind, entry_op, at, size_bytes, visibility, \
     revision, used_after, reserved_after, trashed_after, count_after, limit_after) \
     VALUES (?, 1, ?, ?, 1, ?, 1, 1, 0, 1, ?, 0, 0, ?, 1)",
];

/// How long each write took, and how many were not confirmed.
#[derive(Default)]
struct Sample {
    took: Vec<Duration>,
    unconfirmed: usize,
}

fn say(line: &str) {
    std::io::stdout().write_all(format!("{line}\n").as_bytes()).expect("stdout");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark's only setting")]
fn nodes() -> Option<Vec<String>> {
    let nodes = std::env::var("WHARFDEV_TEST_CQL").ok()?;
    Some(nodes.split(',').map(str::to_owned).collect())
}

fn adding(account: &Account) -> Write {
    let now = Clock::System.now();
    let mut draft = Draft::new(account.clone(), BTreeMap::new(), Clock::System.op_id(), QUOTA_BYTES_DEFAULT);
    let after = Box::new(File {
        file_id: Clock::System.file_id(),
        status: Status::Processed,
        reason: None,
        size_bytes: 1,
        filename: "a.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        checksum_sha256: None,
        etag: None,
        visibility: Visibility::Private,
        created_at: now,
        processed_at: Some(now),
        trashed_at: None,
        changed_at: now,
        revision: 1,
        hops: Vec::new(),
        multipart: None,
        traceparent: None,
        uploads_end_at: None,
    });
    let change = Change::File { before: Weight::default(), after, release_at: None };
    draft.push(&Transition { kind: EntryKind::Processed, at: now, change });
    draft.into_write().0
}

async fn commit(ledger: ScyllaLedger, until: Instant) -> Sample {
    let mut sample = Sample::default();
    let mut known = Account::new(UserId::from_uuid(Uuid::new_v4()));
    while Instant::now() < until {
        let write = adding(&known);
        let after = write.account.clone();
        let started = Instant::now();
        match ledger.commit(write).await {
            Ok(()) => known = after,
            Err(
                CommitError::Conflict
                | CommitError::Unavailable { .. }
                | CommitError::Refused { .. }
                | CommitError::Unknown { .. },
            ) => {
                sample.unconfirmed += 1;
                known = ledger.load(known.user).await.ok().flatten().unwrap_or(known);
            }
        }
        sample.took.push(started.elapsed());
    }
    sample
}

async fn plain(session: Arc<Session>, batch: Arc<Batch>, until: Instant) -> Sample {
    let (mut sample, user) = (Sample::default(), Uuid::new_v4());
    let mut n = 0_i64;
    while Instant::now() < until {
        n += 1;
        let (op, file) = (Uuid::now_v7(), Uuid::now_v7());
        let values = ((n, op, n, n, user), (user, file), (user, n, file, op, n, n));
        let started = Instant::now();
        if session.batch(&batch, values).await.is_err() {
            sample.unconfirmed += 1;
        }
        sample.took.push(started.elapsed());
    }
    sample
}

/// Runs `work` for so many users at once and prints a line.
async fn cell<F: Future<Output = Sample> + Send + 'static>(
    name: &str,
    users: usize,
    work: impl Fn(Instant) -> F,
) {
    let started = Instant::now();
    let until = started + Duration::from_secs(CELL_SECS);
    let tasks: Vec<_> = (0..users).map(|_| tokio::spawn(work(until))).collect();
    let (mut took, mut unconfirmed) = (Vec::new(), 0);
    for task in tasks {
        let sample = task.await.expect("no panic");
        took.extend(sample.took);
        unconfirmed += sample.unconfirmed;
    }
    let elapsed_ms = started.elapsed().as_millis().max(1);
    took.sort();
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
    let rate = u128::try_from(took.len()).expect("fits") * 1000 / elapsed_ms;
    let [p50, p99] = [at(50), at(99)].map(|time| format!("{:.2}", time.as_secs_f64() * 1000.0));
    say(&format!("| {name} | {users} | {rate} | {p50} | {p99} | {unconfirmed} |"));
}

#[tokio::main]
async fn main() {
    if !std::env::args().any(|arg| arg == "--bench") {
        return; // the tests build it; only cargo bench measures
    }
    let Some(nodes) = nodes() else { return say("skipped: cql (WHARFDEV_TEST_CQL is not set)") };
    let copies = if nodes.len() >= 3 { 3 } else { 1 };
    let settings = ScyllaSettings {
        keyspace: format!("wharf_bench_{}", Uuid::new_v4().simple()),
        replication: copies,
        request_timeout_ms: 6000,
        nodes: nodes.clone(),
        ..ScyllaSettings::default()
    };
    let cql = CqlSession::connect(&settings).await.expect("the servers answer");
    Migrations::shipped().apply(&cql).await.expect("the tables can be made");
    let ledger = ScyllaLedger::on(cql).await.expect("the tables are there");
    let builder = SessionBuilder::new().known_nodes(&nodes).use_keyspace(&settings.keyspace, false);
    let session = Arc::new(builder.build().await.expect("the servers answer"));
    let mut batch = Batch::new(BatchType::Unlogged);
    for text in PLAIN {
        batch.append_statement(session.prepare(text).await.expect("prepare"));
    }
    let batch = Arc::new(batch);

    say(&format!("\n{copies} copies, {CELL_SECS} s a line\n"));
    say("| write | users at once | a second | p50 ms | p99 ms | not confirmed |\n|---|---|---|---|---|---|");
    for users in USERS {
        cell("conditional commit", users, |until| commit(ledger.clone(), until)).await;
    }
    for users in USERS {
        cell("plain batch", users, |until| plain(Arc::clone(&session), Arc::clone(&batch), until)).await;
    }
    session.query_unpaged(format!("DROP KEYSPACE {}", settings.keyspace), ()).await.expect("drop");
}
