//! `wharfinger token mint`: a token of the dev issuer, or of an HS256 issuer of the settings.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::dev_issuer::{self, DevIssuer, DevIssuerError};
use super::failure::CommandFailure;
use super::settings::{self, SettingsArgs};
use super::{issuer_key, output, span};
use crate::config::{Config, IssuerAlgorithm, IssuerSettings};
use crate::domain::ids::UserId;
use crate::domain::policy::Role;
use crate::ports::Clock;

/// The exit code when the key cannot be read.
const NOT_READ: u8 = 7;

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Print a token, signed with the key that `wharfinger dev` made, or with the shared key of an HS256 issuer of the
    /// settings
    Mint(MintArgs),
}

/// Flags of `token mint`.
#[derive(Debug, Args)]
pub(super) struct MintArgs {
    /// Whose token it is
    #[arg(long, value_name = "SUBJECT")]
    sub: String,
    /// user, support or admin; may be repeated
    #[arg(long, value_name = "ROLE", default_value = "user")]
    role: Vec<String>,
    /// How long it counts
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = span::parse)]
    ttl: Duration,
    /// Whose key signs, if the settings have several HS256 issuers
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Does it.
pub(super) fn run(command: &TokenCommand) -> Result<(), CommandFailure> {
    let TokenCommand::Mint(args) = command;
    let config = settings::load(&args.settings, Vec::new())?.config;
    check(args)?;
    let now = Clock::System.now();
    let token = match signer(&config, args.issuer.as_deref())? {
        Some(issuer) => issuer_key::sign(issuer, &args.sub, &args.role, (now, args.ttl))?,
        None => DevIssuer::open(&config.data_dir)?.mint(&args.sub, &args.role, now, args.ttl)?,
    };
    output::line(&token)
}

/// The issuer of the settings that signs; none: the dev issuer.
fn signer<'c>(config: &'c Config, asked: Option<&str>) -> Result<Option<&'c IssuerSettings>, CommandFailure> {
    let issuers = &config.auth.issuers;
    if issuers.is_empty() && asked.is_none_or(|asked| asked == dev_issuer::ISSUER) {
        return Ok(None);
    }
    let is_asked = |issuer: &&IssuerSettings| asked.is_none_or(|asked| issuer.issuer == asked);
    let able = issuers.iter().filter(is_asked).filter(|issuer| issuer.algorithm == IssuerAlgorithm::HS256);
    match able.collect::<Vec<_>>().as_slice() {
        [only] => Ok(Some(only)),
        [] => {
            let which = asked.map_or_else(
                || "no issuer of the settings".to_owned(),
                |asked| format!("no issuer {asked:?}"),
            );
            Err(CommandFailure::usage(format!(
                "{which} has algorithm = \"HS256\", whose key can sign; tokens of the others come from where people log in"
            )))
        }
        [first, ..] => Err(CommandFailure::usage(format!(
            "several issuers of the settings have a key that can sign; name one by --issuer, like {}",
            first.issuer
        ))),
    }
}

fn check(args: &MintArgs) -> Result<(), CommandFailure> {
    if UserId::from_subject(dev_issuer::ISSUER, &args.sub).is_err() {
        return Err(CommandFailure::usage("--sub must be 1 to 255 bytes without control characters"));
    }
    match args.role.iter().find(|role| Role::parse(role).is_none()) {
        Some(role) => {
            Err(CommandFailure::usage(format!("--role {role:?} is not one of: user, support, admin")))
        }
        None => Ok(()),
    }
}

impl From<DevIssuerError> for CommandFailure {
    fn from(error: DevIssuerError) -> Self {
        let failure = Self::other(error.to_string());
        if error.is_denied() { failure.with_code(NOT_READ) } else { failure }
    }
}
