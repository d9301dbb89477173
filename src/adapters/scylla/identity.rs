//! The identity of a ledger on CQL: one row, made with the tables.

use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;
use uuid::Uuid;

use super::session::CqlSession;

// ledger_identity: who this ledger is. Key: the one name. Sole writer: the holder of the schema lock, IF NOT EXISTS, so
// it is made once.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS ledger_identity (name text PRIMARY KEY, id uuid)";
/// Makes it, unless it is there.
pub(super) const INSERT: &str = "INSERT INTO ledger_identity (name, id) VALUES ('ledger', ?) IF NOT EXISTS";

impl CqlSession {
    /// The identity of the ledger in this keyspace, made by `wharfinger schema apply`.
    ///
    /// # Errors
    /// The servers do not answer, or the tables were made by an older release.
    pub(super) async fn identity(&self) -> Result<Uuid, String> {
        let keyspace = &self.settings.keyspace;
        let mut select =
            Statement::new(format!("SELECT id FROM {keyspace}.ledger_identity WHERE name = 'ledger'"));
        select.set_consistency(Consistency::LocalQuorum);
        let found = self.session.query_unpaged(select, ()).await;
        let found = found.map_err(|error| format!("{error}; run `wharfinger schema apply`"))?;
        let rows = found.into_rows_result().map_err(|error| error.to_string())?;
        let row = rows.maybe_first_row::<(Option<Uuid>,)>().map_err(|error| error.to_string())?;
        let missing = || "the ledger has no identity yet: run `wharfinger schema apply`".to_owned();
        row.and_then(|(id,)| id).ok_or_else(missing)
    }
}
