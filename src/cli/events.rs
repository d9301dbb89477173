//! `wharfinger events`: what became of events, out of the ledger.

use clap::{Args, Subcommand};
use tokio::runtime::Builder;

use super::failure::CommandFailure;
use super::output::{self, counted};
use super::settings::{self, SettingsArgs};
use super::who::WhoArgs;
use crate::app::{self, Republish, RepublishFailure, Republished};

/// The exit code when the data cannot be read.
const NOT_READ: u8 = 7;

/// What to do with events.
#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Publish a user's events again, with the same ids, after a broker lost them; safe to repeat
    Republish(RepublishArgs),
}

/// Flags of `events republish`.
#[derive(Debug, Args)]
pub(super) struct RepublishArgs {
    #[command(flatten)]
    who: WhoArgs,
    /// The first version, from 1: the sequence of an event
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// The last version; left out: all that counted as published
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    /// Only say how many there are
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Does it.
pub(super) fn run(command: &EventsCommand) -> Result<(), CommandFailure> {
    let EventsCommand::Republish(args) = command;
    let config = settings::load(&args.settings, Vec::new())?.config;
    let user = args.who.id(&config)?.ok_or_else(|| CommandFailure::usage("--user or --sub is needed"))?;
    let asked = Republish { user, from: args.from, to: args.to, is_dry_run: args.dry_run };
    if asked.to.is_some_and(|to| to < asked.from) {
        return Err(CommandFailure::usage("--to must not be below --from"));
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::other(format!("cannot start: {error}")))?;
    let done = runtime.block_on(app::events_republish(&config, asked));
    let done = done.map_err(|error| failed(&error))?;
    output::line(&told(&asked, &done))
}

/// What was done, in one line.
fn told(asked: &Republish, done: &Republished) -> String {
    let Republished { entries, events, known, .. } = done;
    let Some((first, last)) = done.versions else {
        return format!("nothing to publish from version {} on", asked.from);
    };
    let done = if asked.is_dry_run { "would publish" } else { "published" };
    let gap = if first > asked.from {
        format!("; versions {} to {} are not kept any more", asked.from, first - 1)
    } else {
        String::new()
    };
    let known = if *known > 0 { format!("; the log still knew {known}") } else { String::new() };
    let (events, entries) = (counted(*events, "event", "events"), counted(*entries, "entry", "entries"));
    format!("{done} {events} of {entries}, versions {first} to {last}{known}{gap}")
}

fn failed(error: &RepublishFailure) -> CommandFailure {
    let failure = CommandFailure::other(error.to_string());
    match error {
        RepublishFailure::NoAccess(_) => failure.with_code(NOT_READ),
        RepublishFailure::NoData(_)
        | RepublishFailure::Running { .. }
        | RepublishFailure::Start(_)
        | RepublishFailure::Stopped(_) => failure,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::UserId;

    fn check(is_dry_run: bool, done: Republished, expected: &str) {
        let user = UserId::from_uuid(Uuid::nil());
        assert_eq!(told(&Republish { user, from: 3, to: None, is_dry_run }, &done), expected);
    }

    #[test]
    fn what_was_done_is_one_line() {
        let done = Republished { entries: 2, events: 3, known: 0, versions: Some((3, 4)) };
        check(false, done, "published 3 events of 2 entries, versions 3 to 4");
        check(true, done, "would publish 3 events of 2 entries, versions 3 to 4");
        let known = Republished { known: 1, ..done };
        check(false, known, "published 3 events of 2 entries, versions 3 to 4; the log still knew 1");
        let late = Republished { versions: Some((5, 6)), ..done };
        check(
            false,
            late,
            "published 3 events of 2 entries, versions 5 to 6; versions 3 to 4 are not kept any more",
        );
        let one = Republished { entries: 1, events: 1, known: 0, versions: Some((3, 3)) };
        check(false, one, "published 1 event of 1 entry, versions 3 to 3");
        check(false, Republished::default(), "nothing to publish from version 3 on");
    }
}
