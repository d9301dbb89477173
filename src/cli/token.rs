//! `wharfinger token mint`: a token of the dev issuer.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::dev_issuer::{self, DevIssuer, DevIssuerError};
use super::failure::Failure;
use super::{output, span};
use crate::domain::ids::UserId;
use crate::domain::policy::Role;
use crate::ports::Clock;

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Print a token signed with the key that `wharfinger dev` made
    Mint(MintArgs),
}

/// Flags of `token mint`.
#[derive(Debug, Args)]
pub(super) struct MintArgs {
    /// Data folder of `wharfinger dev`
    #[arg(long, value_name = "DIR", default_value = "wharf-data")]
    data: PathBuf,
    /// Whose token it is
    #[arg(long, value_name = "SUBJECT")]
    sub: String,
    /// user, support or admin; may be repeated
    #[arg(long, value_name = "ROLE", default_value = "user")]
    role: Vec<String>,
    /// How long it counts
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span::parse)]
    ttl: Duration,
}

/// Does it.
pub(super) fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Mint(args) => {
            check(args)?;
            let mint = |issuer: DevIssuer| issuer.mint(&args.sub, &args.role, Clock::System.now(), args.ttl);
            let token = DevIssuer::open(&args.data).and_then(mint)?;
            output::line(&token)
        }
    }
}

fn check(args: &MintArgs) -> Result<(), Failure> {
    if UserId::from_subject(dev_issuer::ISSUER, &args.sub).is_err() {
        return Err(Failure::usage("--sub must be 1 to 255 bytes without control characters"));
    }
    match args.role.iter().find(|role| Role::parse(role).is_none()) {
        Some(role) => Err(Failure::usage(format!("--role {role:?} is not one of: user, support, admin"))),
        None => Ok(()),
    }
}

impl From<DevIssuerError> for Failure {
    fn from(error: DevIssuerError) -> Self {
        Self::other(error.to_string())
    }
}
