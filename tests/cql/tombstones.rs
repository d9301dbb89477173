//! Tombstones slow down nothing: neither their own user, nor another, nor a scan.
//!
//! A server with default thresholds gives up a read at 100,000 tombstones, and counts every null cell of a row that is
//! not there as one. So a wall of a few thousand such rows stands for many deletions.
//! `WHARFDEV_CQL_TOMBSTONES=full` builds it of as many deleted rows as were seen to fail, which takes minutes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use scylla::client::session::Session;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;
use wharfinger::adapters::scylla::{Migration, Migrations, ScyllaLedger};
use wharfinger::domain::account::Account;
use wharfinger::domain::entry::Entry;
use wharfinger::domain::ids::{FileId, UserId};
use wharfinger::ports::{FilePage, LedgerError, LedgerPort as _, ScanPage, Unreadable};

use crate::columns::COLUMNS;
use crate::proxy::Proxy;
use crate::schema::Keyspace;
use crate::world::{account, add, adding, new_user, report};

/// More tombstones than the server walks for one read.
const TOO_MANY: usize = 100_500;
/// Rows written in one batch.
const BATCH: usize = 250;

#[expect(clippy::disallowed_methods, reason = "a test's only setting")]
fn is_full() -> bool {
    std::env::var("WHARFDEV_CQL_TOMBSTONES").is_ok_and(|size| size == "full")
}

/// A keyspace of its own, with a session in it and a ledger.
struct World {
    keyspace: Keyspace,
    session: Session,
    ledger: ScyllaLedger,
}

impl World {
    async fn new() -> Option<Self> {
        let keyspace = Keyspace::new()?;
        Migrations::shipped().apply(&keyspace.connect().await).await.expect("apply");
        Some(Self::of(keyspace).await)
    }

    async fn of(keyspace: Keyspace) -> Self {
        let session = keyspace.session().await;
        session.use_keyspace(keyspace.settings.keyspace.clone(), false).await.expect("it is there");
        let ledger = ScyllaLedger::connect(&keyspace.settings).await.expect("the tables are there");
        Self { keyspace, session, ledger }
    }

    /// A ledger behind a proxy. None, loudly, where there is more than one server, or none of this machine.
    async fn proxied(&self) -> Option<(ScyllaLedger, Proxy)> {
        let mut settings = self.keyspace.settings.clone();
        let proxy = if let [node] = &settings.nodes[..] { Proxy::before(node).await } else { None };
        let Some(proxy) = proxy else {
            report(
                "skipped: a partition that cannot be read (it needs one server, on an address of this machine)",
            );
            return None;
        };
        settings.nodes = vec![proxy.address.to_string()];
        Some((ScyllaLedger::connect(&settings).await.expect("through the proxy"), proxy))
    }

    /// Everything that a scan sees, a page of `limit` at a time.
    async fn scan(&self, ledger: &ScyllaLedger, limit: usize) -> ScanPage {
        let mut all = ScanPage::default();
        loop {
            let page = ledger.scan(all.next.take(), limit).await.expect("scan");
            all.accounts.extend(page.accounts);
            all.unreadable.extend(page.unreadable);
            all.next = page.next;
            if all.next.is_none() {
                return all;
            }
        }
    }

    async fn check_scan(&self, expected: &[UserId]) {
        let found = self.scan(&self.ledger, 500).await;
        let mut users: Vec<UserId> = found.accounts.iter().map(|account| account.user).collect();
        users.sort();
        let mut expected = expected.to_vec();
        expected.sort();
        assert_eq!((users, found.unreadable), (expected, Vec::new()));
    }

    async fn prepared(&self, text: &str) -> PreparedStatement {
        self.session.prepare(text).await.expect("prepare")
    }

    /// Rows of this user that are not there and count as `tombstones`, one every 4 ms, the last at `newest`.
    async fn wall(&self, user: UserId, newest: u64, tombstones: usize) {
        if is_full() {
            self.delete_rows(user, newest, tombstones).await;
        } else {
            let nulls: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = null")).collect();
            let text = format!(
                "UPDATE user_ledger SET {} WHERE user_id = ? AND kind = 0 AND seq = 0 AND file_id = ?",
                nulls.join(", ")
            );
            self.write_rows(&text, user, (newest, 4 * number(COLUMNS.len())), tombstones / COLUMNS.len() + 1)
                .await;
        }
    }

    /// The product's own deletions.
    async fn delete_rows(&self, user: UserId, newest: u64, count: usize) {
        let text = "DELETE FROM user_ledger WHERE user_id = ? AND kind = 0 AND seq = 0 AND file_id = ?";
        self.write_rows(text, user, (newest, 4), count).await;
    }

    async fn write_rows(&self, text: &str, user: UserId, (newest, step): (u64, u64), count: usize) {
        let statement = self.prepared(text).await;
        let ids: Vec<Uuid> = (0..number(count)).map(|nth| id_at(newest - nth * step)).collect();
        let write = |ids: Vec<Uuid>| {
            let mut batch = Batch::new(BatchType::Unlogged);
            ids.iter().for_each(|_| batch.append_statement(statement.clone()));
            let values: Vec<(Uuid, Uuid)> = ids.iter().map(|id| (user.uuid(), *id)).collect();
            async move { self.session.batch(&batch, values).await.map(drop) }
        };
        let batches = ids.chunks(BATCH).map(<[Uuid]>::to_vec);
        stream::iter(batches.map(write)).buffer_unordered(8).try_collect::<()>().await.expect("written");
    }

    /// Entries of a user, up to a version, that are not there any more.
    async fn expire_entries(&self, user: UserId, last: i64) {
        let nulls: Vec<String> = COLUMNS.iter().map(|column| format!("{column} = null")).collect();
        let text = format!(
            "UPDATE user_ledger SET {} WHERE user_id = ? AND kind = 1 AND file_id = ? AND seq = ?",
            nulls.join(", ")
        );
        let statement = self.prepared(&text).await;
        let versions: Vec<i64> = (1..=last).collect();
        for versions in versions.chunks(BATCH) {
            let mut batch = Batch::new(BatchType::Unlogged);
            versions.iter().for_each(|_| batch.append_statement(statement.clone()));
            let values: Vec<(Uuid, Uuid, i64)> =
                versions.iter().map(|version| (user.uuid(), Uuid::nil(), *version)).collect();
            self.session.batch(&batch, values).await.expect("written");
        }
    }

    /// An account as an earlier release wrote it: without an anchor row.
    async fn account_without_anchor(&self) -> UserId {
        let user = new_user();
        let put = self.prepared("UPDATE user_ledger SET version = 1, published = 1 WHERE user_id = ?").await;
        self.session.execute_unpaged(&put, (user.uuid(),)).await.expect("written");
        user
    }

    /// Its only entry.
    async fn entry_without_anchor(&self, user: UserId) {
        let text = "INSERT INTO user_ledger (user_id, kind, seq, file_id, at) VALUES (?, 1, 1, ?, 0)";
        let put = self.prepared(text).await;
        self.session.execute_unpaged(&put, (user.uuid(), Uuid::nil())).await.expect("written");
    }
}

/// The first id of a millisecond.
fn id_at(millis: u64) -> Uuid {
    Uuid::from_u128((u128::from(millis) << 80) | (7 << 76) | (2 << 62))
}

fn number(count: usize) -> u64 {
    u64::try_from(count).expect("small")
}

fn now_ms() -> u64 {
    let (secs, nanos) = Uuid::now_v7().get_timestamp().expect("a version 7").to_unix();
    secs * 1000 + u64::from(nanos / 1_000_000)
}

/// Adds files of a day ago: they stand behind every row of a wall.
async fn add_old(ledger: &ScyllaLedger, user: UserId, count: usize) -> Account {
    let mut write = adding(&account(ledger, user).await, count);
    for (nth, (file, entry)) in write.files.iter_mut().zip(&mut write.entries).enumerate() {
        let at = now_ms() - 86_400_000 + number(nth);
        file.file_id = FileId::from_uuid(id_at(at));
        entry.file_id = Some(file.file_id);
    }
    ledger.commit(write.clone()).await.expect("commit");
    write.account
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_many_deleted_rows_is_served_like_any_other() {
    let Some(world) = World::new().await else { return };
    let (ledger, user, other) = (&world.ledger, new_user(), new_user());
    let before = add_old(ledger, user, 3).await;
    add_old(ledger, other, 1).await;
    world.wall(user, now_ms(), if is_full() { 150_000 } else { TOO_MANY }).await;

    assert_eq!(ledger.load(user).await, Ok(Some(before.clone())), "usage");
    let after = add_old(ledger, user, 2).await;
    assert_eq!(after.version, before.version + 2, "a write");
    let started = Instant::now();
    let files = ledger.files(user, FilePage { before: None, limit: 200 }).await.expect("a list");
    let took = started.elapsed();
    report(&format!("a list behind a wall of deleted rows: {took:?}"));
    assert_eq!(files.len(), 5);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let page = FilePage { before: Some(files[1].file_id), limit: 2 };
    let next: Vec<FileId> =
        ledger.files(user, page).await.expect("a page").iter().map(|f| f.file_id).collect();
    assert_eq!(next, [files[2].file_id, files[3].file_id]);
    let inside = FileId::from_uuid(id_at(now_ms() - 60_000));
    let page = FilePage { before: Some(inside), limit: 1 };
    assert_eq!(ledger.files(user, page).await.expect("a page")[0].file_id, files[0].file_id);
    world.check_scan(&[user, other]).await;
    world.keyspace.dropped().await;
}

/// No single account has too many; the page of a scan would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_with_some_deleted_rows_each_do_not_stop_a_scan() {
    let Some(world) = World::new().await else { return };
    let (accounts, rows) = if is_full() { (300, 600) } else { (30, TOO_MANY / 30) };
    let mut users = Vec::new();
    for _ in 0..accounts {
        let user = new_user();
        add_old(&world.ledger, user, 1).await;
        world.wall(user, now_ms(), rows).await;
        users.push(user);
    }
    let started = Instant::now();
    world.check_scan(&users).await;
    report(&format!("a scan of {accounts} accounts with {rows} tombstones each: {:?}", started.elapsed()));
    world.keyspace.dropped().await;
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_one_unreadable_account_and_the_scan_goes_on() {
    let Some(world) = World::new().await else { return };
    let mut users = Vec::new();
    for _ in 0..12 {
        users.push(new_user());
        add(&world.ledger, users[users.len() - 1], 1).await;
    }
    let bad = users[5];
    let text = "SELECT token(user_id) FROM user_ledger WHERE user_id = ? LIMIT 1";
    let found = world.session.query_unpaged(text, (bad.uuid(),)).await.expect("read").into_rows_result();
    let (token,) = found.expect("rows").first_row::<(i64,)>().expect("a row");
    if let Some((ledger, proxy)) = world.proxied().await {
        proxy.make_unreadable(token);
        let found = world.scan(&ledger, 500).await;
        let seen: BTreeSet<UserId> = found.accounts.iter().map(|account| account.user).collect();
        let expected: BTreeSet<UserId> = users.into_iter().filter(|user| *user != bad).collect();
        assert_eq!((seen, found.accounts.len()), (expected, 11));
        let [Unreadable { user, error }] = &found.unreadable[..] else { panic!("{:?}", found.unreadable) };
        assert_eq!(*user, Some(bad), "its entries say whose it is");
        assert!(!error.is_outage(), "{error}");
    }
    world.keyspace.dropped().await;
}

#[tokio::test]
async fn an_account_of_an_earlier_release_is_found_and_seen_by_scans_from_then_on() {
    let Some(world) = World::new().await else { return };
    let (plain, walled) = (world.account_without_anchor().await, world.account_without_anchor().await);
    world.wall(walled, now_ms(), TOO_MANY).await;
    let stranger = new_user();
    assert_eq!(world.ledger.load(stranger).await, Ok(None));
    world.check_scan(&[]).await;
    for user in [plain, walled] {
        let account = account(&world.ledger, user).await;
        assert_eq!((account.version, account.published), (1, 1));
        assert_eq!(add(&world.ledger, user, 1).await.version, 2);
    }
    world.check_scan(&[plain, walled]).await;
    world.keyspace.dropped().await;
}

#[tokio::test]
async fn bringing_the_tables_up_to_date_gives_every_account_its_anchor() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    let first = Migration {
        version: 1,
        name: "0001_ledger.cql".to_owned(),
        text: include_str!("../../scylla/0001_ledger.cql").to_owned(),
    };
    Migrations::of(vec![first]).apply(&cql).await.expect("the tables of the release before");
    // The ledger needs the new tables, which bring anchors to nobody yet.
    Migrations::shipped().apply(&cql).await.expect("apply");
    let world = World::of(keyspace).await;
    let mut users = Vec::new();
    for with_entry in [true, false, true, false] {
        let user = world.account_without_anchor().await;
        if with_entry {
            world.entry_without_anchor(user).await;
            world.wall(user, now_ms(), TOO_MANY).await;
        }
        users.push(user);
    }
    let anchored = new_user();
    add(&world.ledger, anchored, 1).await;
    world.check_scan(&[anchored]).await;

    // As it runs before the next upgrade: nodes of the earlier release were still at work after this one.
    assert_eq!(Migrations::shipped().apply(&cql).await, Ok(Vec::new()), "no file was left to apply");
    users.push(anchored);
    world.check_scan(&users).await;
    world.keyspace.dropped().await;
}

/// As entries of an earlier release are, once their time to live has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_have_expired_do_not_stop_the_history() {
    let Some(world) = World::new().await else { return };
    let user = new_user();
    let expired = if is_full() { 20_000 } else { 4_000 };
    let put = world.prepared("UPDATE user_ledger SET version = ?, published = ? WHERE user_id = ?").await;
    world.session.execute_unpaged(&put, (expired, expired, user.uuid())).await.expect("written");
    world.expire_entries(user, expired).await;
    let last = add(&world.ledger, user, 5).await.version;
    let first = last - 4;

    let versions = |found: Result<Vec<Entry>, LedgerError>| -> Vec<u64> {
        found.expect("read").iter().map(|entry| entry.version).collect()
    };
    assert_eq!(versions(world.ledger.entries_after(user, 0, 100).await), Vec::from_iter(first..=last));
    assert_eq!(versions(world.ledger.entries_after(user, first, 2).await), [first + 1, first + 2]);
    for (before, expected) in [(u64::MAX, last), (first + 2, first + 1), (first, first - 1), (300, 0)] {
        let started = Instant::now();
        let found = versions(world.ledger.entries_before(user, (0, before), 201).await);
        assert_eq!(found, (first..=expected).rev().collect::<Vec<_>>(), "before {before}");
        report(&format!("a page of history behind {expired} expired entries: {:?}", started.elapsed()));
    }
    let above_floor = world.ledger.entries_before(user, (first - 1, u64::MAX), 201).await;
    assert_eq!(versions(above_floor).len(), 5, "what is at or below the floor is not looked at");
    world.keyspace.dropped().await;
}

/// A null cell is a tombstone: a list of 200 files with seven of them each made the server warn.
#[tokio::test]
async fn rows_that_are_there_cost_no_tombstones() {
    let Some(world) = World::new().await else { return };
    let user = new_user();
    for _ in 0..7 {
        add(&world.ledger, user, 32).await;
    }
    let all = "SELECT * FROM user_ledger WHERE user_id = ?";
    let found = world.session.query_unpaged(all, (user.uuid(),)).await.expect("read");
    let warnings: Vec<String> = found.warnings().map(str::to_owned).collect();
    assert_eq!(warnings, [""; 0]);
    // Without this server's warnings the test would say nothing.
    world.wall(user, now_ms(), 1100).await;
    let found = world.session.query_unpaged(all, (user.uuid(),)).await.expect("read");
    if !world.is_scylla() {
        assert!(found.warnings().any(|warning| warning.contains("tombstone")), "no warning");
    }
    world.keyspace.dropped().await;
}

impl World {
    fn is_scylla(&self) -> bool {
        self.session.get_cluster_state().get_nodes_info().iter().any(|node| node.sharder().is_some())
    }
}
