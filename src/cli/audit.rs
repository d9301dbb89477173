//! `wharfinger audit`: where ledger, bucket and event log disagree.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use super::dev_issuer;
use super::failure::Failure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::app::{self, AuditError, AuditRequest, Summary};
use crate::config::{Config, Flag};
use crate::domain::ids::UserId;

/// The exit code when the user does not exist.
const NO_USER: u8 = 4;
/// The exit code when something could not be read.
const NOT_READ: u8 = 7;

/// Flags of `audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The data folder of `wharfinger dev` or of an embedded deployment; if it is running, it is asked
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

/// Does it. Fails with 1 if there are disagreements, with 2 if there is nothing to audit, with 4 if the user does not
/// exist, and with 7 if something could not be read.
pub(super) fn run(args: &AuditArgs) -> Result<(), Failure> {
    let config = load(args)?;
    let user = args.user.as_deref().map(|user| user_of(&config, user)).transpose()?;
    let request = AuditRequest { user, grace: Duration::from_secs(args.grace), is_json: args.json };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let mut tell = |line: &str| output::line(line).map_err(|_| "standard output is closed".to_owned());
    let audited = runtime.block_on(app::audit(&config, request, &mut tell));
    // A client of a server that does not answer must not delay the exit.
    runtime.shutdown_background();
    let summary = audited.map_err(|error| failed(&error))?;
    output::line(&if args.json { json!({"summary": summary}).to_string() } else { summed(&summary) })?;
    match summary.disagreements {
        0 => Ok(()),
        1 => Err(Failure::other("1 disagreement")),
        many => Err(Failure::other(format!("{many} disagreements"))),
    }
}

fn load(args: &AuditArgs) -> Result<Config, Failure> {
    if args.settings.config.is_none() && args.data.is_none() && args.settings.set.is_empty() {
        return Err(Failure::usage("say what to audit: --config FILE, or --data DIR"));
    }
    let mut flags = Vec::new();
    if let Some(data) = &args.data {
        let value = data.to_str().ok_or_else(|| Failure::usage("--data must be UTF-8"))?.to_owned();
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

fn failed(error: &AuditError) -> Failure {
    let code = match error {
        AuditError::NoData(_) => return Failure::usage(error.to_string()),
        AuditError::NoUser(_) => NO_USER,
        AuditError::Unreadable { .. }
        | AuditError::Silent { .. }
        | AuditError::Unfinished(_)
        | AuditError::NotOpened(_)
        | AuditError::NotTold(_) => NOT_READ,
    };
    Failure::other(error.to_string()).with_code(code)
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
