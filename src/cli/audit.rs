//! `wharfinger audit`: what ledger, bucket and event log say differently.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use super::dev_issuer;
use super::failure::Failure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::app::{self, AuditError, Finding, Summary};
use crate::config::{Config, Flag};
use crate::domain::ids::UserId;

/// The exit code when something could not be read.
const NOT_READ: u8 = 7;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The folder of a stopped `wharfinger dev`, or of a stopped embedded deployment
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only this user: a UUID, or who the tokens of the only issuer say
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Print JSON: a line for each disagreement, and one with the sums
    #[arg(long)]
    json: bool,
    /// How long what is under way may take: one sweep period and what it finds. What only the deep sweep does may take
    /// `sweep.deep_every_secs` longer
    #[arg(long, value_name = "SECS", default_value_t = 1200)]
    grace: u64,
}

/// Does it. Fails with 1 if there are disagreements, and with 7 if something could not be read.
pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let user = args.user.as_deref().map(|user| user_of(&config, user)).transpose()?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let is_json = args.json;
    let mut tell = move |finding: &Finding| {
        let line = if is_json { json!({"disagreement": finding}).to_string() } else { finding.to_string() };
        output::line(&line).map_err(|_| "standard output is closed".to_owned())
    };
    let audited = runtime.block_on(app::audit(&config, (user, Duration::from_secs(args.grace)), &mut tell));
    // A client of a server that is away must not hold the exit up.
    runtime.shutdown_background();
    let summary = audited.map_err(|error| not_read(&error))?;
    output::line(&if is_json { json!({"summary": summary}).to_string() } else { summed(&summary) })?;
    match summary.disagreements {
        0 => Ok(()),
        1 => Err(Failure::other("1 disagreement")),
        many => Err(Failure::other(format!("{many} disagreements"))),
    }
}

fn load(args: &AuditArgs) -> Result<Config, Failure> {
    if args.settings.config.is_none() && args.data.is_none() && args.settings.set.is_empty() {
        return Err(Failure::usage("say what to audit: --config FILE, or --data DIR of a stopped one"));
    }
    let mut flags = Vec::new();
    if let Some(data) = &args.data {
        let value = data.to_str().ok_or_else(|| Failure::usage("--data must be UTF-8"))?.to_owned();
        if !data.join("store").is_dir() {
            return Err(Failure::usage(format!("--data {value}: there is no store in it")));
        }
        flags.push(Flag { name: "--data".to_owned(), key: "data_dir".to_owned(), value });
    }
    Ok(settings::load(&args.settings, flags)?.config)
}

fn user_of(config: &Config, user: &str) -> Result<UserId, Failure> {
    let refused = || Failure::usage(format!("--user {user:?}: not a UUID, and not one issuer's subject"));
    if let Ok(id) = UserId::parse(user) {
        return Ok(id);
    }
    let found = match config.auth.issuers.as_slice() {
        [] => UserId::from_subject(dev_issuer::ISSUER, user),
        [only] => only.user_of(user),
        [_, _, ..] => return Err(refused()),
    };
    found.map_err(|_| refused())
}

fn not_read(error: &AuditError) -> Failure {
    Failure::other(error.to_string()).with_code(NOT_READ)
}

/// The sums in one line.
fn summed(summary: &Summary) -> String {
    let Summary {
        users,
        moving,
        files,
        objects,
        entries,
        events,
        events_repeated,
        events_repaired,
        dlq_records,
        disagreements,
    } = summary;
    let counts = [
        (users, "users"),
        (files, "files"),
        (objects, "objects"),
        (entries, "entries"),
        (events, "events"),
        (events_repeated, "events repeated"),
        (events_repaired, "events repaired"),
        (dlq_records, "records on the DLQ"),
        (moving, "users kept moving"),
        (disagreements, "disagreements"),
    ];
    counts.map(|(count, what)| format!("{count} {what}")).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IssuerSettings;

    #[test]
    fn a_user_is_a_uuid_or_the_subject_of_the_only_issuer() {
        let mut config = Config::default();
        let id = "0199a3c4-0000-7000-8000-000000000001";
        assert_eq!(user_of(&config, id), Ok(UserId::parse(id).unwrap()));
        assert_eq!(user_of(&config, "ann"), Ok(UserId::from_subject(dev_issuer::ISSUER, "ann").unwrap()));
        let issuer = |name: &str| -> IssuerSettings {
            let text =
                format!("issuer = {name:?}\naudience = \"a\"\nalgorithm = \"HS256\"\nkey_file = \"k\"");
            toml::from_str(&text).unwrap()
        };
        config.auth.issuers = vec![issuer("one")];
        assert_eq!(user_of(&config, "ann"), Ok(UserId::from_subject("one", "ann").unwrap()));
        config.auth.issuers.push(issuer("two"));
        assert!(user_of(&config, "ann").is_err());
    }

    #[test]
    fn the_sums_are_one_line() {
        let summary = Summary { users: 2, files: 3, disagreements: 1, ..Summary::default() };
        assert!(summed(&summary).starts_with("2 users, 3 files, 0 objects"), "{}", summed(&summary));
        assert!(summed(&summary).ends_with("1 disagreements"), "{}", summed(&summary));
    }
}
