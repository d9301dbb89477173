//! The ledger on ScyllaDB or Apache Cassandra: one partition a user, one conditional batch a write.
//!
//! `rows` is what stands in the table, `statements` is every statement, `write` builds the one batch,
//! `ledger` is the port, `schema` makes the tables.

mod cells;
mod rows;
mod statements;
mod write;
mod outcome;
mod errors;
mod tls;
mod retry;
mod session;
mod ring;
mod spans;
mod history;
mod identity;
mod schema;
mod ledger;
mod lazy;

pub use errors::ConnectError;
pub use lazy::LazyScyllaLedger;
pub use ledger::ScyllaLedger;
pub use schema::{Migration, MigrationState, MigrationStatus, Migrations, SchemaError};
pub use session::CqlSession;
