//! `schema`: the tables of a ledger on CQL, looked at or brought up to date.

use crate::adapters::scylla::{ConnectError, CqlSession, MigrationStatus, Migrations, SchemaError};
use crate::config::Config;

/// Why the tables could not be looked at or changed.
#[derive(Debug, thiserror::Error)]
pub enum SchemaFailure {
    /// The servers cannot be reached.
    #[error("ledger.scylla: {0}")]
    Connect(#[from] ConnectError),
    /// The tables are not as they should be, or did not change.
    #[error("schema: {0}")]
    Schema(#[from] SchemaError),
}

/// Every migration with its state, one line each.
///
/// # Errors
/// See [`SchemaFailure`].
pub async fn schema_status(config: &Config) -> Result<Vec<String>, SchemaFailure> {
    let cql = CqlSession::connect(&config.ledger.scylla).await?;
    Ok(lines(&Migrations::shipped().status(&cql).await?))
}

/// Applies what is not applied yet, in order; repeating it changes nothing. Returns what was applied now.
///
/// # Errors
/// See [`SchemaFailure`]. After a failure it can be repeated: it goes on where it stopped.
pub async fn schema_apply(config: &Config) -> Result<Vec<String>, SchemaFailure> {
    let cql = CqlSession::connect(&config.ledger.scylla).await?;
    Ok(lines(&Migrations::shipped().apply(&cql).await?))
}

fn lines(all: &[MigrationStatus]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}
