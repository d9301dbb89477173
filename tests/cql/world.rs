//! Where the tests run, and what they have in common.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;
use wharfinger::adapters::scylla::{CqlSession, Migrations, ScyllaLedger};
use wharfinger::config::ScyllaSettings;
use wharfinger::domain::account::{Account, Change, Remembered, Transition};
use wharfinger::domain::draft::{Draft, Write};
use wharfinger::domain::entry::{Entry, EntryKind};
use wharfinger::domain::file::{File, Status, Visibility, Weight};
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::domain::time::Timestamp;
use wharfinger::limits::QUOTA_BYTES_DEFAULT;
use wharfinger::ports::{Clock, CommitError, FilePage, LedgerError, LedgerPort, ScanCursor, ScanPage};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_169_642_161);

/// The servers to test against; none, loudly, where there are none.
#[expect(clippy::disallowed_methods, reason = "a test's only setting")]
pub(crate) fn nodes() -> Option<Vec<String>> {
    if let Ok(nodes) = std::env::var("WHARFDEV_TEST_CQL") {
        return Some(nodes.split(',').map(str::to_owned).collect());
    }
    report(&format!(
        "skipped: {} (WHARFDEV_TEST_CQL is not set)",
        std::thread::current().name().unwrap_or("a test")
    ));
    None
}

/// Says something on a line of its own, even when the test passes: what the macros print is hidden then.
pub(crate) fn report(line: &str) {
    std::io::stderr().write_all(format!("\n{line}\n").as_bytes()).expect("stderr");
}

/// Settings for a keyspace: a copy on every server, of at most three.
pub(crate) fn settings(nodes: &[String], keyspace: &str) -> ScyllaSettings {
    let is_cluster = nodes.len() >= 3;
    ScyllaSettings {
        nodes: nodes.to_vec(),
        keyspace: keyspace.to_owned(),
        datacenter: is_cluster.then(|| "datacenter1".to_owned()),
        replication: if is_cluster { 3 } else { 1 },
        request_timeout_ms: 6000,
        ..ScyllaSettings::default()
    }
}

/// The keyspace that tests share, each with users of its own. Another for other tables.
pub(crate) fn shared(nodes: &[String]) -> ScyllaSettings {
    let mut tables = DefaultHasher::new();
    include_str!("../../scylla/0001_ledger.cql").hash(&mut tables);
    include_str!("../../scylla/0002_anchor_rows.cql").hash(&mut tables);
    include_str!("../../scylla/0003_bounded_partition.cql").hash(&mut tables);
    settings(nodes, &format!("wharf_suite_{}_{:016x}", nodes.len(), tables.finish()))
}

static SHARED_TABLES: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();

/// A ledger in the shared keyspace, for those who are not after its failures.
pub(crate) async fn ledger(nodes: &[String]) -> Resolving {
    Resolving::new(raw_ledger(nodes).await)
}

/// A ledger in the shared keyspace.
pub(crate) async fn raw_ledger(nodes: &[String]) -> ScyllaLedger {
    let cql = CqlSession::connect(&shared(nodes)).await.expect("the servers answer");
    // Once for all tests of the process: they start together, and the keyspace is theirs together.
    let made = async || Migrations::shipped().apply(&cql).await.map(drop).expect("the tables can be made");
    SHARED_TABLES.get_or_init(made).await;
    ScyllaLedger::on(cql).await.expect("the tables are there")
}

/// A plain session in the shared keyspace, whose tables are there.
pub(crate) async fn session(nodes: &[String]) -> Session {
    let keyspace = shared(nodes).keyspace;
    let builder = SessionBuilder::new().known_nodes(nodes).use_keyspace(keyspace, false);
    builder.build().await.expect("the servers answer")
}

pub(crate) fn new_user() -> UserId {
    UserId::from_uuid(Uuid::now_v7())
}

/// A file of one byte that is there.
pub(crate) fn new_file() -> File {
    File {
        file_id: Clock::System.file_id(),
        status: Status::Processed,
        reason: None,
        size_bytes: 1,
        filename: "a.txt".to_owned(),
        content_type: "text/plain".to_owned(),
        checksum_sha256: None,
        etag: Some("e".to_owned()),
        visibility: Visibility::Private,
        created_at: NOW,
        processed_at: Some(NOW),
        trashed_at: None,
        changed_at: NOW,
        revision: 1,
        hops: Vec::new(),
        multipart: None,
        traceparent: None,
        uploads_end_at: None,
    }
}

/// The write that adds `count` files to an account.
pub(crate) fn adding(account: &Account, count: usize) -> Write {
    let mut draft = Draft::new(account.clone(), BTreeMap::new(), Clock::System.op_id(), QUOTA_BYTES_DEFAULT);
    for _ in 0..count {
        let after = Box::new(new_file());
        let change = Change::File { before: Weight::default(), after, release_at: None };
        draft.push(&Transition { kind: EntryKind::Processed, at: NOW, change });
    }
    draft.into_write().0
}

pub(crate) async fn account(ledger: &impl LedgerPort, user: UserId) -> Account {
    ledger.load(user).await.expect("load").unwrap_or_else(|| Account::new(user))
}

/// Adds files in one commit; returns the account after.
pub(crate) async fn add(ledger: &impl LedgerPort, user: UserId, count: usize) -> Account {
    let write = adding(&account(ledger, user).await, count);
    ledger.commit(write.clone()).await.expect("commit");
    write.account
}

/// Every file of a user, a page of `limit` at a time.
pub(crate) async fn all_files(ledger: &impl LedgerPort, user: UserId, limit: usize) -> Vec<File> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = ledger.files(user, FilePage { before, limit }).await.expect("read");
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return found };
        assert!(
            before.is_none_or(|before| first.file_id < before),
            "a page goes on where the last one ended"
        );
        before = Some(last.file_id);
        found.extend(page);
    }
}

/// A ledger on a busy machine, as its users treat it: a read that got no answer is repeated, and an unknown outcome
/// is found out by the entry at the version proposed.
#[derive(Clone)]
pub(crate) struct Resolving {
    pub(crate) ledger: ScyllaLedger,
    pub(crate) unknown: Arc<AtomicU64>,
    pub(crate) unknown_but_applied: Arc<AtomicU64>,
}

impl Resolving {
    fn new(ledger: ScyllaLedger) -> Self {
        Self { ledger, unknown: Arc::default(), unknown_but_applied: Arc::default() }
    }

    pub(crate) fn with_history(self, history: Duration) -> Self {
        Self { ledger: self.ledger.with_history(history), ..self }
    }

    /// Who made the first version that this write proposes: it, another, or nobody yet.
    async fn is_mine(&self, write: &Write) -> Option<bool> {
        let user = write.account.user;
        match write.entries.first() {
            Some(first) => Some(self.entry(user, first.version).await.expect("read")?.op == first.op),
            None => (self.load(user).await.expect("read").as_ref() == Some(&write.account)).then_some(true),
        }
    }
}

/// Repeats a read that got no answer, for a minute.
async fn patiently<T, F>(read: impl Fn() -> F) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    let give_up_at = Instant::now() + Duration::from_secs(60);
    loop {
        match read().await {
            Err(LedgerError::Unavailable { .. }) if Instant::now() < give_up_at => {}
            outcome => return outcome,
        }
    }
}

impl LedgerPort for Resolving {
    async fn commit(&self, write: Write) -> Result<(), CommitError> {
        let mut was_unknown = false;
        loop {
            match self.ledger.commit(write.clone()).await {
                Err(CommitError::Unknown { .. }) => {
                    was_unknown = true;
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                }
                Err(CommitError::Conflict) if was_unknown => {}
                outcome => return outcome,
            }
            match self.is_mine(&write).await {
                Some(true) => {
                    self.unknown_but_applied.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Some(false) => return Err(CommitError::Conflict),
                None => {}
            }
        }
    }

    async fn load(&self, user: UserId) -> Result<Option<Account>, LedgerError> {
        patiently(|| self.ledger.load(user)).await
    }

    async fn file(&self, user: UserId, file: FileId) -> Result<Option<File>, LedgerError> {
        patiently(|| self.ledger.file(user, file)).await
    }

    async fn request(&self, user: UserId, key: u64) -> Result<Option<Remembered>, LedgerError> {
        patiently(|| self.ledger.request(user, key)).await
    }

    async fn files(&self, user: UserId, page: FilePage) -> Result<Vec<File>, LedgerError> {
        patiently(|| self.ledger.files(user, page)).await
    }

    async fn entry(&self, user: UserId, version: u64) -> Result<Option<Entry>, LedgerError> {
        patiently(|| self.ledger.entry(user, version)).await
    }

    async fn entries_after(&self, user: UserId, after: u64, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        patiently(|| self.ledger.entries_after(user, after, limit)).await
    }

    async fn entries_before(
        &self,
        user: UserId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        patiently(|| self.ledger.entries_before(user, between, limit)).await
    }

    async fn scan(&self, after: Option<ScanCursor>, limit: usize) -> Result<ScanPage, LedgerError> {
        patiently(|| self.ledger.scan(after.clone(), limit)).await
    }
}
