//! `wharfinger serve`: run with a settings file until told to stop.

use clap::Args;

use super::failure::Failure;
use super::process;
use super::settings::{self, SettingsArgs};

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Does it.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let loaded = settings::load(&args.settings, Vec::new())?;
    if loaded.config.auth.issuers.is_empty() {
        return Err(Failure::usage("auth.issuers: nobody could call; add an [[auth.issuers]] section"));
    }
    process::run(loaded.config, |_| Ok(()))
}
