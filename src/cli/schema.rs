//! `wharfinger schema`: the tables of a ledger on ScyllaDB or Apache Cassandra.

use clap::Subcommand;
use tokio::runtime::Builder;

use super::failure::CommandFailure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::app;
use crate::config::LedgerKind;

/// What to do with the tables.
#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Bring the tables up to date; safe to repeat, and for several nodes at once
    Apply(SettingsArgs),
    /// Say which changes of the tables are applied
    Status(SettingsArgs),
}

/// Does it.
pub(super) fn run(command: &SchemaCommand) -> Result<(), CommandFailure> {
    let (SchemaCommand::Apply(args) | SchemaCommand::Status(args)) = command;
    let config = settings::load(args, Vec::new())?.config;
    if config.ledger.kind != LedgerKind::Scylla {
        return Err(CommandFailure::usage("ledger.kind: only \"scylla\" has tables"));
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::other(format!("cannot start: {error}")))?;
    let lines = runtime.block_on(async {
        match command {
            SchemaCommand::Apply(_) => app::schema_apply(&config).await,
            SchemaCommand::Status(_) => app::schema_status(&config).await,
        }
    });
    let lines = lines.map_err(|error| CommandFailure::other(error.to_string()))?;
    lines.iter().try_for_each(|line| output::line(line))?;
    if lines.is_empty() { output::line("up to date") } else { Ok(()) }
}
