//! From arguments to a command to an exit code.

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{CommandFactory as _, Parser, Subcommand};

#[cfg(feature = "aws")]
use super::aws;
use super::failure::CommandFailure;
#[cfg(feature = "cql")]
use super::schema;
use super::{audit, config, dev, events, health, output, serve, token, users};

/// What to do first, below the list of commands.
const START: &str = "Start with `wharfinger dev`: it needs nothing else and prints commands to paste. `wharfinger config print` \
                     lists every setting with its meaning; `wharfinger config check --config FILE` tries what a settings \
                     file names.";

/// File storage and delivery: quota before a URL, bytes straight to S3, events on NATS.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, subcommand_required = true, after_help = START)]
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
    /// Look at users
    #[command(subcommand)]
    Users(users::UsersCommand),
    /// Look at the settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
    #[cfg(feature = "cql")]
    /// Make the tables of a ledger on ScyllaDB or Apache Cassandra
    #[command(subcommand)]
    Schema(schema::SchemaCommand),
    /// Look after events
    #[command(subcommand)]
    Events(events::EventsCommand),
    #[cfg(feature = "aws")]
    /// Set AWS up
    #[command(subcommand)]
    Aws(aws::AwsCommand),
    /// Read ledger, bucket and event log, of all users or of one, and print every disagreement. Changes nothing
    Audit(audit::AuditArgs),
}

/// Does what the arguments of this process say.
///
/// Exit codes: 0 done, 2 wrong usage or settings, 3 the service refuses the token, 4 no such user, 7 something could not be
/// read, 1 anything else. What went wrong is one line each on standard error.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse().map_or_else(|error| usage(&error), run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), CommandFailure> {
    match cli.command {
        Command::Dev(args) => dev::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Token(command) => token::run(&command),
        Command::Users(command) => users::run(&command),
        Command::Config(command) => config::run(&command),
        #[cfg(feature = "cql")]
        Command::Schema(command) => schema::run(&command),
        Command::Events(command) => events::run(&command),
        #[cfg(feature = "aws")]
        Command::Aws(command) => aws::run(&command),
        Command::Audit(args) => audit::run(&args),
    }
}

/// Help and version are answers; the rest is a failure in one line.
fn usage(error: &clap::Error) -> Result<(), CommandFailure> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return output::line(error.to_string().trim_end());
    }
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let path = command_path(&text);
        let commands = commands_below(&path).join(", ");
        return Err(CommandFailure::usage(format!(
            "a command is missing; there are: {commands}; see {path} --help"
        )));
    }
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    let message = message.split("\n\nFor more information").next().unwrap_or_default();
    let message = message.trim_start_matches("error: ").replace("\n\n", "; ");
    let path = command_path(&text);
    let has_near = error.get(ContextKind::SuggestedSubcommand).is_some();
    let commands = if error.kind() == ErrorKind::InvalidSubcommand && !has_near {
        format!("; there are: {}", commands_below(&path).join(", "))
    } else {
        String::new()
    };
    Err(CommandFailure::usage(format!("{message}{commands}; see {path} --help")))
}

/// The command that a usage text is about: `wharfinger config` of `Usage: wharfinger config <COMMAND>`.
fn command_path(text: &str) -> String {
    let usage = text.split_once("Usage: ").map_or("", |(_, usage)| usage);
    let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let words: Vec<_> = usage.split_whitespace().take_while(is_word).collect();
    if words.is_empty() { called_path(std::env::args().skip(1)) } else { words.join(" ") }
}

/// The command that these arguments call, for errors without a usage text: its names come before the first flag.
fn called_path(args: impl Iterator<Item = String>) -> String {
    let whole = Cli::command();
    let (mut path, mut command) = (vec![whole.get_name().to_owned()], &whole);
    for name in args {
        let Some(found) = command.find_subcommand(&name) else { break };
        command = found;
        path.push(name);
    }
    path.join(" ")
}

/// The commands below one, by name.
fn commands_below(path: &str) -> Vec<String> {
    let whole = Cli::command();
    let found = path.split(' ').skip(1).try_fold(&whole, |command, name| command.find_subcommand(name));
    let below = found.unwrap_or(&whole).get_subcommands();
    below.filter(|command| !command.is_hide_set()).map(|command| command.get_name().to_owned()).collect()
}
