//! What is on ScyllaDB or Apache Cassandra: the ledger opened and tried, and the tables of `schema`.

mod engine;
mod schema;

pub use schema::{SchemaFailure, schema_apply, schema_status};

pub(super) use engine::{check_ledger, identity, ledger};
