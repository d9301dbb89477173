//! The tables: what they should be, what they are, and how they get there.

mod migrations;
mod runner;
mod lock;
mod anchors;

pub use migrations::{Migration, MigrationState, MigrationStatus, Migrations};
pub use runner::SchemaError;
