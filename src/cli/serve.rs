//! `wharfinger serve`: runs with a settings file until a signal stops it.

use clap::Args;

use super::failure::CommandFailure;
use super::process;
use super::settings::{self, SettingsArgs};

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Does it.
pub(super) fn run(args: &ServeArgs) -> Result<(), CommandFailure> {
    let loaded = settings::load(&args.settings, Vec::new())?;
    if loaded.config.auth.issuers.is_empty() {
        return Err(CommandFailure::usage(
            "auth.issuers: without an issuer every request is refused; name a settings file with an [[auth.issuers]] section by \
             --config (examples has some), or try `wharfinger dev`, which needs none",
        ));
    }
    process::run(loaded, || Ok(()), |_, ()| Ok(()))
}
