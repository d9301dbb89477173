//! Migrations: ordered, checked, resumable, one at a time.

use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use uuid::Uuid;
use wharfinger::adapters::scylla::{
    ConnectError, CqlSession, Migration, MigrationState, Migrations, SchemaError, ScyllaLedger,
};
use wharfinger::config::ScyllaSettings;

use crate::world::{nodes, settings};

/// A keyspace of its own, to be dropped at the end.
pub(crate) struct Keyspace {
    nodes: Vec<String>,
    pub(crate) settings: ScyllaSettings,
}

impl Keyspace {
    pub(crate) fn new() -> Option<Self> {
        let nodes = nodes()?;
        let settings = settings(&nodes, &format!("wharf_{}", Uuid::new_v4().simple()));
        Some(Self { nodes, settings })
    }

    pub(crate) async fn connect(&self) -> CqlSession {
        CqlSession::connect(&self.settings).await.expect("the servers answer")
    }

    pub(crate) async fn dropped(self) {
        let text = format!("DROP KEYSPACE IF EXISTS {}", self.settings.keyspace);
        self.session().await.query_unpaged(text, ()).await.expect("drop");
    }

    pub(crate) async fn session(&self) -> Session {
        let builder = SessionBuilder::new().known_nodes(&self.nodes);
        builder.build().await.expect("the servers answer")
    }
}

fn migration(version: i32, text: &str) -> Migration {
    Migration { version, name: format!("{version:04}_test.cql"), text: text.to_owned() }
}

const ONE: &str =
    "CREATE TABLE IF NOT EXISTS one (k int PRIMARY KEY); CREATE TABLE IF NOT EXISTS two (k int PRIMARY KEY)";
const THREE: &str = "CREATE TABLE IF NOT EXISTS three (k int PRIMARY KEY)";

/// The files of this release.
const SHIPPED: [i32; 3] = [1, 2, 3];

/// How often several processes start at once.
const MEETINGS: usize = 3;

async fn versions(migrations: &Migrations, cql: &CqlSession) -> Vec<(i32, &'static str)> {
    let status = migrations.status(cql).await.expect("status");
    let word = |state| match state {
        MigrationState::Pending => "pending",
        MigrationState::Applied(_) => "applied",
        MigrationState::Changed(_) => "changed",
        MigrationState::Newer(_) => "newer",
    };
    status.into_iter().map(|status| (status.version, word(status.state))).collect()
}

/// A column is added once, also if the first run stopped behind it.
#[tokio::test]
async fn a_column_that_is_there_is_not_added_again() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    Migrations::of(vec![migration(1, THREE)]).apply(&cql).await.expect("apply");
    let text = "ALTER TABLE three ADD more int; ALTER TABLE three ADD most nonsense";
    let stopped = Migrations::of(vec![migration(2, text)]).apply(&cql).await;
    assert!(matches!(stopped, Err(SchemaError::Statement { number: 2, .. })), "{stopped:?}");
    let whole = Migrations::of(vec![migration(2, &text.replace("nonsense", "int"))]);
    assert_eq!(whole.apply(&cql).await.expect("apply").len(), 1);
    keyspace.dropped().await;
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    let shipped = Migrations::shipped();
    assert_eq!(versions(&shipped, &cql).await, SHIPPED.map(|n| (n, "pending")), "there is no keyspace yet");
    let refused = ScyllaLedger::connect(&keyspace.settings).await;
    assert!(matches!(refused, Err(ConnectError::Schema { .. })), "{refused:?}");

    let applied = shipped.apply(&cql).await.expect("apply");
    assert_eq!(applied.iter().map(|status| status.version).collect::<Vec<_>>(), SHIPPED);
    assert_eq!(versions(&shipped, &cql).await, SHIPPED.map(|n| (n, "applied")));
    ScyllaLedger::connect(&keyspace.settings).await.expect("the tables are there");
    assert_eq!(shipped.apply(&cql).await, Ok(Vec::new()), "nothing was left to do");
    keyspace.dropped().await;
}

#[tokio::test]
async fn an_edited_file_is_refused_and_nothing_is_applied_on_top() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    Migrations::of(vec![migration(1, ONE)]).apply(&cql).await.expect("apply");
    let edited = Migrations::of(vec![migration(1, &format!("{ONE} ")), migration(2, THREE)]);
    assert_eq!(versions(&edited, &cql).await, [(1, "changed"), (2, "pending")]);
    assert_eq!(edited.apply(&cql).await, Err(SchemaError::Changed { version: 1 }));
    assert_eq!(versions(&edited, &cql).await, [(1, "changed"), (2, "pending")]);
    keyspace.dropped().await;
}

#[tokio::test]
async fn what_stopped_in_the_middle_goes_on() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    let broken = Migrations::of(vec![
        migration(1, &ONE.replace("two (k int", "two (k nonsense")),
        migration(2, THREE),
    ]);
    let stopped = broken.apply(&cql).await;
    assert!(matches!(stopped, Err(SchemaError::Statement { version: 1, number: 2, .. })), "{stopped:?}");
    assert_eq!(versions(&broken, &cql).await, [(1, "pending"), (2, "pending")]);
    let whole = Migrations::of(vec![migration(1, ONE), migration(2, THREE)]);
    let applied = whole.apply(&cql).await.expect("the lock was let go");
    assert_eq!(applied.len(), 2);
    assert_eq!(versions(&whole, &cql).await, [(1, "applied"), (2, "applied")]);
    keyspace.dropped().await;
}

#[tokio::test]
async fn an_older_release_works_on_newer_tables() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    let shipped = Migrations::shipped();
    shipped.apply(&cql).await.expect("apply");
    Migrations::of(vec![migration(99, THREE)]).apply(&cql).await.expect("apply");
    let mut expected = SHIPPED.map(|n| (n, "applied")).to_vec();
    expected.push((99, "newer"));
    assert_eq!(versions(&shipped, &cql).await, expected);
    ScyllaLedger::connect(&keyspace.settings).await.expect("what is newer is no obstacle");
    keyspace.dropped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_the_same_time_one_waits() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = [keyspace.connect().await, keyspace.connect().await];
    let shipped = Migrations::shipped();
    let (first, second) = tokio::join!(shipped.apply(&cql[0]), shipped.apply(&cql[1]));
    let applied = first.expect("apply").len() + second.expect("apply").len();
    assert_eq!(applied, SHIPPED.len(), "one of them applied each, the other found it done");
    assert_eq!(versions(&shipped, &cql[0]).await, SHIPPED.map(|n| (n, "applied")));
    ScyllaLedger::connect(&keyspace.settings).await.expect("the tables are there");
    keyspace.dropped().await;
}

/// A client that sees the keyspace in the schema may be a moment too early to use it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_make_the_keyspace_at_the_same_time_none_fails() {
    for _ in 0..MEETINGS {
        let Some(keyspace) = Keyspace::new() else { return };
        let sessions = futures_util::future::join_all((0..6).map(|_| keyspace.connect())).await;
        let migrations = Migrations::of(vec![migration(1, THREE)]);
        let outcomes = futures_util::future::join_all(sessions.iter().map(|cql| migrations.apply(cql))).await;
        let applied: usize = outcomes.into_iter().map(|outcome| outcome.expect("apply").len()).sum();
        assert_eq!(applied, 1, "one of them applied it, the others found it done");
        keyspace.dropped().await;
    }
}

#[tokio::test]
async fn the_lock_of_a_process_that_died_goes_away() {
    let Some(keyspace) = Keyspace::new() else { return };
    let cql = keyspace.connect().await;
    Migrations::of(Vec::new()).apply(&cql).await.expect("the lock's table");
    let other = keyspace.session().await;
    let text = format!(
        "INSERT INTO {}.schema_lock (name, owner) VALUES ('schema', ?) IF NOT EXISTS USING TTL 2",
        keyspace.settings.keyspace
    );
    other.query_unpaged(text, (Uuid::new_v4(),)).await.expect("lock");
    let one = Migrations::of(vec![migration(1, ONE)]);
    let started = std::time::Instant::now();
    one.apply(&cql).await.expect("apply");
    assert!(started.elapsed().as_millis() > 1000, "it waited");
    keyspace.dropped().await;
}
