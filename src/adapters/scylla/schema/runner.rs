//! Looks at the tables of a keyspace, and brings them up to date.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use scylla::DeserializeRow;
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::errors::{DbError, RequestAttemptError, UseKeyspaceError};
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;
use scylla::statement::{Consistency, SerialConsistency};
use scylla::value::CqlTimestamp;
use tokio::time::{Instant, sleep};

use super::anchors;
use super::lock::SchemaLock;
use super::migrations::{Migration, MigrationState, MigrationStatus, Migrations, added_column};
use crate::adapters::scylla::cells::time;
use crate::adapters::scylla::identity;
use crate::adapters::scylla::outcome::ConditionalResult;
use crate::adapters::scylla::session::CqlSession;
use crate::config::ScyllaSettings;
use crate::domain::time::Timestamp;

/// How long one change of the tables may take, with every node agreeing.
const CHANGE_WITHIN: Duration = Duration::from_secs(45);
/// How long a keyspace that another process makes may be known and not yet usable.
const VISIBLE_WITHIN: Duration = Duration::from_secs(15);
/// How long to wait before trying it again.
const VISIBLE_PAUSE: Duration = Duration::from_millis(50);

// schema_migrations: which files were applied. Key: the version. Sole writer: the holder of the lock, IF NOT
// EXISTS, so the first writes and a repeat is refused.
const MIGRATIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations \
     (version int PRIMARY KEY, checksum text, applied_at timestamp)";
// schema_lock: who changes the tables now. Key: the one lock. Writers: whoever wants it, IF NOT EXISTS and IF
// owner = itself. It expires, and must: everything done under it can be repeated.
const LOCK_TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_lock (name text PRIMARY KEY, owner uuid)";

/// Why the tables are not, or cannot be brought, up to date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A file was edited after it was applied.
    #[error("migration {version:04} was applied with other statements: nothing is changed")]
    Changed {
        /// Its number.
        version: i32,
    },
    /// A file is still to be applied.
    #[error("migration {version:04} is not applied")]
    Pending {
        /// Its number.
        version: i32,
    },
    /// Another process changes the tables, for longer than it should.
    #[error("another process is changing the tables")]
    Locked,
    /// Our right to change the tables ran out in the middle. Repeating goes on where it stopped.
    #[error("the lock on the tables was lost, run it again")]
    LockLost,
    /// A statement was refused. Repeating goes on where it stopped.
    #[error("statement {number} of migration {version:04} failed: {reason}")]
    Statement {
        /// The migration's number.
        version: i32,
        /// The statement's, from 1.
        number: usize,
        /// For the operator.
        reason: String,
    },
    /// The servers do not answer as they should.
    #[error("the CQL servers do not answer: {reason}")]
    Cql {
        /// For the operator.
        reason: String,
    },
}

impl SchemaError {
    pub(super) fn cql(error: impl ToString) -> Self {
        Self::Cql { reason: error.to_string() }
    }
}

#[derive(DeserializeRow)]
struct AppliedRow {
    version: i32,
    checksum: String,
    applied_at: CqlTimestamp,
}

impl Migrations {
    /// Where every migration stands, by version. A keyspace that is not there has none applied.
    ///
    /// # Errors
    /// The servers do not answer.
    pub async fn status(&self, cql: &CqlSession) -> Result<Vec<MigrationStatus>, SchemaError> {
        let mut applied = applied(cql).await?;
        let mut all = Vec::new();
        for known in &self.0 {
            let state = match applied.remove(&known.version) {
                None => MigrationState::Pending,
                Some((sum, at)) if sum == known.checksum() => MigrationState::Applied(at),
                Some((_, at)) => MigrationState::Changed(at),
            };
            all.push(MigrationStatus { version: known.version, name: Some(known.name.clone()), state });
        }
        let newer =
            |(version, (_, at))| MigrationStatus { version, name: None, state: MigrationState::Newer(at) };
        all.extend(applied.into_iter().map(newer));
        Ok(all)
    }

    /// Brings a keyspace up to date, making it if it is not there; says what was applied now.
    ///
    /// Repeating it changes nothing; after a crash in the middle it goes on. Of two at the same time, one waits
    /// (up to a minute and a half if the other died). Dropping the future may leave a file half applied.
    ///
    /// # Errors
    /// See [`SchemaError`].
    pub async fn apply(&self, cql: &CqlSession) -> Result<Vec<MigrationStatus>, SchemaError> {
        let runner = Runner::new(cql);
        runner.prepare_keyspace(cql).await?;
        let lock = SchemaLock::take(&cql.session, async |text: &str| runner.prepared(text).await).await?;
        let outcome = self.apply_locked(cql, &runner, &lock).await;
        lock.release().await;
        outcome
    }

    async fn apply_locked(
        &self,
        cql: &CqlSession,
        runner: &Runner<'_>,
        lock: &SchemaLock<'_>,
    ) -> Result<Vec<MigrationStatus>, SchemaError> {
        let before = self.status(cql).await?;
        let changed = before.iter().find(|status| matches!(status.state, MigrationState::Changed(_)));
        if let Some(MigrationStatus { version, .. }) = changed {
            return Err(SchemaError::Changed { version: *version });
        }
        let is_pending = |status: &MigrationStatus| status.state == MigrationState::Pending;
        let pending: Vec<i32> = before.iter().filter(|s| is_pending(s)).map(|s| s.version).collect();
        for migration in &self.0 {
            if migration.brings_anchor_rows() {
                let added = anchors::add_missing(cql, lock).await?;
                if added > 0 {
                    tracing::info!(added, "gave {added} accounts the row that they are read by");
                }
            }
            if pending.contains(&migration.version) {
                runner.apply(migration, lock).await?;
            }
        }
        runner.make_identity().await?;
        let after = self.status(cql).await?;
        Ok(after.into_iter().filter(|status| pending.contains(&status.version)).collect())
    }

    /// Whether everything that this release needs is there. What a newer release added is no obstacle.
    pub(in crate::adapters::scylla) async fn require_applied(
        &self,
        cql: &CqlSession,
    ) -> Result<(), SchemaError> {
        for MigrationStatus { version, state, .. } in self.status(cql).await? {
            match state {
                MigrationState::Applied(_) | MigrationState::Newer(_) => {}
                MigrationState::Pending => return Err(SchemaError::Pending { version }),
                MigrationState::Changed(_) => return Err(SchemaError::Changed { version }),
            }
        }
        Ok(())
    }
}

/// Whether a question about our keyspace has an answer.
async fn is_there(cql: &CqlSession, question: &str) -> Result<bool, SchemaError> {
    let found = cql.session.query_unpaged(question, (&cql.settings.keyspace,)).await;
    let rows = found.map_err(SchemaError::cql)?.into_rows_result().map_err(SchemaError::cql)?;
    Ok(rows.rows_num() > 0)
}

/// The versions that were applied, with checksum and time.
async fn applied(cql: &CqlSession) -> Result<BTreeMap<i32, (String, Timestamp)>, SchemaError> {
    let question = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? \
         AND table_name = 'schema_migrations'";
    if !is_there(cql, question).await? {
        return Ok(BTreeMap::new());
    }
    let keyspace = &cql.settings.keyspace;
    let mut select =
        Statement::new(format!("SELECT version, checksum, applied_at FROM {keyspace}.schema_migrations"));
    select.set_consistency(Consistency::Quorum);
    let found = cql.session.query_unpaged(select, ()).await.map_err(SchemaError::cql)?;
    let found = found.into_rows_result().map_err(SchemaError::cql)?;
    let mut applied = BTreeMap::new();
    for row in found.rows::<AppliedRow>().map_err(SchemaError::cql)? {
        let row = row.map_err(SchemaError::cql)?;
        let at = time("applied_at", row.applied_at).map_err(SchemaError::cql)?;
        applied.insert(row.version, (row.checksum, at));
    }
    Ok(applied)
}

/// Runs statements that change tables.
struct Runner<'s> {
    session: &'s Session,
    profile: ExecutionProfileHandle,
}

impl<'s> Runner<'s> {
    /// All changes go through the node with the lowest id: Cassandra gives a table that two nodes make at the same
    /// moment two identities, also under IF NOT EXISTS, and the lock's own table is made before there is a lock.
    fn new(cql: &'s CqlSession) -> Self {
        let nodes = cql.session.get_cluster_state();
        let connected = nodes.get_nodes_info().iter().filter(|node| node.is_connected());
        let mut profile = ExecutionProfile::builder()
            .request_timeout(Some(CHANGE_WITHIN))
            .retry_policy(Arc::new(FallthroughRetryPolicy))
            .consistency(Consistency::Quorum)
            .serial_consistency(Some(SerialConsistency::Serial));
        if let Some(host_id) = connected.map(|node| node.host_id).min() {
            let node = NodeIdentifier::HostId(host_id);
            profile = profile.load_balancing_policy(SingleTargetLoadBalancingPolicy::new(node, None));
        }
        Self { session: &cql.session, profile: profile.build().into_handle() }
    }

    /// Changes a table and waits until every node has the same tables. Also where nothing had to be changed: the
    /// driver does not wait then, and the process that did change it may be waiting still.
    async fn change(&self, text: &str) -> Result<(), String> {
        let mut statement = Statement::new(text);
        statement.set_execution_profile_handle(Some(self.profile.clone()));
        self.session.query_unpaged(statement, ()).await.map_err(|error| error.to_string())?;
        self.session.await_schema_agreement().await.map(drop).map_err(|error| error.to_string())
    }

    /// Whether an earlier run, which did not finish its file, has added this column of this table.
    async fn has_column(&self, (table, column): (&str, &str)) -> Result<bool, SchemaError> {
        let question = "SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? \
             AND table_name = ? AND column_name = ?";
        let keyspace = self.session.get_keyspace().map(|name| name.to_string()).unwrap_or_default();
        let found = self.session.query_unpaged(question, (keyspace, table, column)).await;
        let rows = found.map_err(SchemaError::cql)?.into_rows_result().map_err(SchemaError::cql)?;
        Ok(rows.rows_num() > 0)
    }

    async fn prepared(&self, text: &str) -> Result<PreparedStatement, SchemaError> {
        let mut statement = self.session.prepare(text).await.map_err(SchemaError::cql)?;
        statement.set_execution_profile_handle(Some(self.profile.clone()));
        Ok(statement)
    }

    /// Makes the keyspace and the tables that the migrations need themselves.
    async fn prepare_keyspace(&self, cql: &CqlSession) -> Result<(), SchemaError> {
        // Another role may have created it beforehand because ours may not.
        if !is_there(cql, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?").await?
        {
            let create = create_keyspace(&cql.settings, cql.is_scylla());
            self.change(&create).await.map_err(SchemaError::cql)?;
        }
        self.session.await_schema_agreement().await.map_err(SchemaError::cql)?;
        self.use_keyspace(&cql.settings.keyspace).await?;
        for table in [MIGRATIONS_TABLE, LOCK_TABLE, identity::TABLE] {
            self.change(table).await.map_err(SchemaError::cql)?;
        }
        Ok(())
    }

    /// Gives the ledger its identity, unless it has one.
    async fn make_identity(&self) -> Result<(), SchemaError> {
        let insert = self.prepared(identity::INSERT).await?;
        let made = self.session.execute_unpaged(&insert, (uuid::Uuid::new_v4(),)).await;
        ConditionalResult::of(made.map_err(SchemaError::cql)?).map(drop).map_err(SchemaError::cql)
    }

    /// Chooses the keyspace, which may just be coming to be by another's hand: Cassandra shows it in the tables of
    /// the schema, and lets a lone node agree with itself, a moment before it can be used.
    async fn use_keyspace(&self, keyspace: &str) -> Result<(), SchemaError> {
        let give_up_at = Instant::now() + VISIBLE_WITHIN;
        loop {
            match self.session.use_keyspace(keyspace, false).await {
                Err(UseKeyspaceError::RequestError(RequestAttemptError::DbError(DbError::Invalid, _)))
                    if Instant::now() < give_up_at =>
                {
                    sleep(VISIBLE_PAUSE).await;
                }
                outcome => return outcome.map_err(SchemaError::cql),
            }
        }
    }

    /// Runs every statement of a file, then notes that it was applied.
    async fn apply(&self, migration: &Migration, lock: &SchemaLock<'_>) -> Result<(), SchemaError> {
        let version = migration.version;
        for (statement, number) in migration.statements().iter().zip(1..) {
            lock.renew().await?;
            if let Some(column) = added_column(statement)
                && self.has_column(column).await?
            {
                continue;
            }
            let done = self.change(statement).await;
            done.map_err(|reason| SchemaError::Statement { version, number, reason })?;
        }
        lock.renew().await?;
        let note = self
            .prepared(
                "INSERT INTO schema_migrations (version, checksum, applied_at) \
                 VALUES (?, ?, toTimestamp(now())) IF NOT EXISTS",
            )
            .await?;
        let noted = self.session.execute_unpaged(&note, (version, migration.checksum())).await;
        ConditionalResult::of(noted.map_err(SchemaError::cql)?).map_err(SchemaError::cql)?;
        tracing::info!(migration.version = version, "applied migration {}", migration.name);
        Ok(())
    }
}

fn create_keyspace(settings: &ScyllaSettings, is_scylla: bool) -> String {
    let ScyllaSettings { keyspace, replication, .. } = settings;
    let copies = match &settings.datacenter {
        Some(name) => format!("{{'class': 'NetworkTopologyStrategy', '{name}': {replication}}}"),
        None => format!("{{'class': 'SimpleStrategy', 'replication_factor': {replication}}}"),
    };
    // Conditional writes on tablets are young (2025.4); Cassandra does not know the word.
    let tablets = if is_scylla { " AND tablets = {'enabled': false}" } else { "" };
    format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {copies}{tablets}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyspace_is_made_as_the_settings_say() {
        let mut settings = ScyllaSettings::default();
        assert_eq!(
            create_keyspace(&settings, false),
            "CREATE KEYSPACE IF NOT EXISTS wharfinger WITH replication = \
             {'class': 'SimpleStrategy', 'replication_factor': 1}"
        );
        settings.datacenter = Some("eu-1".to_owned());
        settings.replication = 3;
        assert_eq!(
            create_keyspace(&settings, true),
            "CREATE KEYSPACE IF NOT EXISTS wharfinger WITH replication = \
             {'class': 'NetworkTopologyStrategy', 'eu-1': 3} AND tablets = {'enabled': false}"
        );
    }
}
