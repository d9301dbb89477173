//! `wharfinger config`: prints every setting with its meaning and origin, and tries what the settings name.

use clap::Subcommand;
use tokio::runtime::Builder;

use super::failure::CommandFailure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::app::{self, Checked};
use crate::config::{self, Config};

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the settings and print each with its meaning and origin, as a settings file; secrets are left out
    Print(SettingsArgs),
    /// Try everything that the settings name: keys, data folder, ports, and each engine; starts and makes nothing
    Check(SettingsArgs),
}

/// Does it.
pub(super) fn run(command: &ConfigCommand) -> Result<(), CommandFailure> {
    let (ConfigCommand::Print(args) | ConfigCommand::Check(args)) = command;
    let loaded = settings::load(args, Vec::new())?;
    if let Some(line) = config::ignored_line(&loaded.ignored) {
        output::warning(&line);
    }
    match command {
        ConfigCommand::Print(_) => output::line(&config::printed(&loaded).join("\n")),
        ConfigCommand::Check(_) => check(&loaded.config),
    }
}

/// One line for each thing that was tried. Fails with 1 if one of them failed.
fn check(config: &Config) -> Result<(), CommandFailure> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::other(format!("cannot start: {error}")))?;
    let checked = runtime.block_on(app::config_check(config));
    // A client of a server that does not answer must not delay the exit.
    runtime.shutdown_background();
    checked.iter().try_for_each(|checked| output::line(&line(checked)))?;
    match checked.iter().filter(|checked| checked.outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(CommandFailure::other(format!("{failed} of {} checks failed", checked.len()))),
    }
}

fn line(Checked { part, outcome }: &Checked) -> String {
    match outcome {
        Ok(detail) => format!("ok      {part:9} {detail}"),
        Err(detail) => {
            format!("failed  {part:9} {}", detail.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}
