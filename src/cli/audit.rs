//! `wharfinger audit`: where ledger, bucket and event log disagree.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;

use super::failure::CommandFailure;
use super::output::{self, counted};
use super::settings::{self, SettingsArgs};
use super::span;
use super::who::WhoArgs;
use crate::app::{self, AuditError, AuditRequest, AuditSummary};

/// The exit code when the user does not exist.
const NO_USER: u8 = 4;
/// The exit code when something could not be read.
const NOT_READ: u8 = 7;
/// How long a change takes, while all is well, until ledger, bucket and log agree about it.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Flags of `audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    who: WhoArgs,
    /// Print JSON: a line for each disagreement, and one with the sums
    #[arg(long)]
    json: bool,
    /// How long what is under way may take: one sweep period and what it finds. What only the deep sweep does may take
    /// `sweep.deep_every_secs` longer
    #[arg(long, value_name = "SPAN", default_value = "20m", value_parser = span::parse_or_secs)]
    grace: Duration,
}

/// Does it. Fails with 1 if there are disagreements, with 2 if there is nothing to audit, with 4 if the user does not
/// exist, and with 7 if something could not be read.
pub(super) fn run(args: &AuditArgs) -> Result<(), CommandFailure> {
    let config = settings::load(&args.settings, Vec::new())?.config;
    let user = args.who.id(&config)?;
    let request = AuditRequest { user, grace: args.grace, is_json: args.json };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::other(format!("cannot start: {error}")))?;
    let mut report = |line: &str| output::line(line).map_err(|_| "standard output is closed".to_owned());
    let audited = runtime.block_on(app::audit(&config, request, &mut report));
    // A client of a server that does not answer must not delay the exit.
    runtime.shutdown_background();
    let summary = audited.map_err(|error| failed(&error))?;
    output::line(&if args.json { json!({"summary": summary}).to_string() } else { summed(&summary) })?;
    match summary.disagreements {
        0 => Ok(()),
        found => Err(CommandFailure::other(found_line(found, request.grace))),
    }
}

fn failed(error: &AuditError) -> CommandFailure {
    let code = match error {
        AuditError::NoData(_) => return CommandFailure::usage(error.to_string()),
        AuditError::NoUser(_) => NO_USER,
        AuditError::Unreadable { .. }
        | AuditError::Silent { .. }
        | AuditError::Unfinished(_)
        | AuditError::NotOpened(_)
        | AuditError::NotReported(_) => NOT_READ,
    };
    CommandFailure::other(error.to_string()).with_code(code)
}

/// The number of disagreements. With a short grace, some of them may be under way and not wrong.
fn found_line(found: u64, grace: Duration) -> String {
    let number = counted(found, "disagreement", "disagreements");
    if grace >= SETTLED_WITHIN {
        return number;
    }
    // 0 is the one value that the flag takes without a unit only.
    let grace = if grace.is_zero() { "0".to_owned() } else { format!("{}s", grace.as_secs()) };
    let settled = SETTLED_WITHIN.as_secs();
    format!(
        "{number}; with --grace {grace}, what changed in the last {settled} seconds counts although it may still be \
         under way: repeat the audit, or say --grace {settled}s or more"
    )
}

/// The sums in one line.
fn summed(summary: &AuditSummary) -> String {
    let AuditSummary {
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
        counted(*users, "user", "users"),
        counted(*files, "file", "files"),
        counted(*objects, "object", "objects"),
        counted(*entries, "entry", "entries"),
        counted(*events, "event", "events"),
        counted(*events_repeated, "event repeated", "events repeated"),
        counted(*events_repaired, "event repaired", "events repaired"),
        counted(*dlq_records, "record on the DLQ", "records on the DLQ"),
        counted(*moving, "user kept moving", "users kept moving"),
        counted(*disagreements, "disagreement", "disagreements"),
    ];
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(summary: AuditSummary, expected: &str) {
        assert_eq!(summed(&summary), expected);
    }

    #[test]
    fn the_sums_are_one_line_and_one_is_no_plural() {
        check(
            AuditSummary { users: 2, files: 3, ..AuditSummary::default() },
            "2 users, 3 files, 0 objects, 0 entries, 0 events, 0 events repeated, 0 events repaired, \
             0 records on the DLQ, 0 users kept moving, 0 disagreements",
        );
        let one = AuditSummary {
            users: 1,
            moving: 1,
            files: 1,
            objects: 1,
            entries: 1,
            events: 1,
            events_repeated: 1,
            events_repaired: 1,
            dlq_records: 1,
            disagreements: 1,
        };
        check(
            one,
            "1 user, 1 file, 1 object, 1 entry, 1 event, 1 event repeated, 1 event repaired, 1 record on the DLQ, \
             1 user kept moving, 1 disagreement",
        );
    }

    #[test]
    fn a_short_grace_says_that_changes_may_be_under_way() {
        assert_eq!(found_line(1, Duration::from_secs(10)), "1 disagreement");
        let second = found_line(2, Duration::from_secs(1));
        assert!(
            second.contains("with --grace 1s,") && second.ends_with("say --grace 10s or more"),
            "{second}"
        );
        let short = found_line(2, Duration::ZERO);
        assert!(
            short.starts_with("2 disagreements; with --grace 0, what changed in the last 10 seconds"),
            "{short}"
        );
    }
}
