//! From arguments to a command to an exit code.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use super::failure::Failure;
use super::{audit, aws, config, dev, events, health, output, schema, serve, token};

/// File storage and delivery: quota before a URL, bytes straight to S3, events on NATS.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, for trying out. Needs nothing installed
    Dev(dev::DevArgs),
    /// Run with a settings file
    Serve(serve::ServeArgs),
    /// Ask a running service whether it lives, or whether it is ready
    Health(health::HealthArgs),
    /// Make tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Make the tables of a ledger on ScyllaDB or Apache Cassandra
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Look after events
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Set AWS up
    #[command(subcommand)]
    Aws(aws::AwsCommand),
    /// Read ledger, bucket and event log, and print every disagreement. Changes nothing
    Audit(audit::AuditArgs),
}

/// Does what the arguments of this process say.
///
/// Exit codes: 0 done, 2 wrong usage or settings, 7 an audit that could not read, 1 anything else. What went wrong is one line each on
/// standard error.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse().map_or_else(|error| usage(&error), run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Dev(args) => dev::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Token(command) => token::run(&command),
        Command::Config(command) => config::run(&command),
        Command::Schema(command) => schema::run(&command),
        Command::Events(command) => events::run(&command),
        Command::Aws(command) => aws::run(&command),
        Command::Audit(args) => audit::run(&args),
    }
}

/// Help and version are answers; the rest is a failure in one line.
fn usage(error: &clap::Error) -> Result<(), Failure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return output::line(error.to_string().trim_end());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(Failure::usage("a command is missing; see wharfinger --help"));
    }
    let text = error.to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or_default();
    let said = said.split("\n\nFor more information").next().unwrap_or_default();
    let said = said.trim_start_matches("error: ").replace("\n\n", "; ");
    Err(Failure::usage(format!("{said}; see wharfinger --help")))
}
