//! `wharfinger config print`: every setting, its meaning and its origin.

use clap::Subcommand;

use super::failure::Failure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::config;

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the settings and print each with its meaning and origin, as a settings file; secrets are left out
    Print(SettingsArgs),
}

/// Does it.
pub(super) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Print(args) => {
            let loaded = settings::load(args, Vec::new())?;
            if let Some(line) = config::ignored_line(&loaded.ignored) {
                output::warning(&line);
            }
            output::line(&config::printed(&loaded).join("\n"))
        }
    }
}
