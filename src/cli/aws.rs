//! `wharfinger aws setup`: bucket and queues as they should be.

use clap::{Args, Subcommand};
use tokio::runtime::{Builder, Runtime};

use super::failure::CommandFailure;
use super::output;
use super::settings::{self, SettingsArgs};
use crate::app::{self, Step, StepOutcome};
use crate::config::{BucketKind, Config, QueueKind};

/// What to do on AWS.
#[derive(Debug, Subcommand)]
pub(super) enum AwsCommand {
    /// Make bucket and queues as the settings say, on AWS or what speaks like it; safe to repeat
    Setup(SetupArgs),
    /// Make bucket and queue belong to the ledger of the settings, after they belonged to another; safe to repeat
    Adopt(SetupArgs),
}

/// Flags of `aws setup`.
#[derive(Debug, Args)]
pub(super) struct SetupArgs {
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Does it.
pub(super) fn run(command: &AwsCommand) -> Result<(), CommandFailure> {
    match command {
        AwsCommand::Setup(args) => setup(args),
        AwsCommand::Adopt(args) => adopt(args),
    }
}

/// What the calls of one command run on.
fn runtime() -> Result<Runtime, CommandFailure> {
    let built = Builder::new_current_thread().enable_all().build();
    built.map_err(|error| CommandFailure::other(format!("cannot start: {error}")))
}

fn setup(args: &SetupArgs) -> Result<(), CommandFailure> {
    let config = settings::load(&args.settings, Vec::new())?.config;
    check(&config)?;
    let runtime = runtime()?;
    let steps = runtime.block_on(app::aws_setup(&config, args.dry_run));
    let steps =
        steps.map_err(|error| CommandFailure::other(error.to_string()).with_code(error.exit_code()))?;
    for step in &steps {
        output::line(&told(step))?;
    }
    output::line(&summed(&steps))?;
    let failed = steps.iter().filter(|step| matches!(step.outcome, StepOutcome::Failed { .. })).count();
    if failed == 0 {
        Ok(())
    } else {
        Err(CommandFailure::other(format!("{failed} of {} steps failed", steps.len())))
    }
}

fn adopt(args: &SetupArgs) -> Result<(), CommandFailure> {
    let config = settings::load(&args.settings, Vec::new())?.config;
    check(&config)?;
    let runtime = runtime()?;
    let lines = runtime.block_on(app::aws_adopt(&config, args.dry_run));
    runtime.shutdown_background();
    let lines = lines.map_err(|error| CommandFailure::other(error.to_string()))?;
    lines.iter().try_for_each(|line| output::line(line))
}

fn check(config: &Config) -> Result<(), CommandFailure> {
    if config.objects.kind == BucketKind::Embedded && config.queue.kind == QueueKind::Embedded {
        let text =
            "objects.kind and queue.kind: both are embedded, so there is nothing to set up; choose s3 or sqs";
        return Err(CommandFailure::usage(text));
    }
    Ok(())
}

/// A step in one line.
fn told(Step { what, outcome }: &Step) -> String {
    match outcome {
        StepOutcome::Right => format!("right    {what}"),
        StepOutcome::Planned { change } => format!("to do    {what}: {change}"),
        StepOutcome::Changed { change } => format!("done     {what}: {change}"),
        StepOutcome::Unseen { change } => {
            format!("unseen   {what}: {change}: not visible yet; repeat this in a minute")
        }
        StepOutcome::Lacking { reason } => format!("lacking  {what}: {reason}"),
        StepOutcome::Failed { reason } => format!("failed   {what}: {reason}"),
    }
}

/// All of them in one line.
fn summed(steps: &[Step]) -> String {
    let count = |of: fn(&StepOutcome) -> bool| steps.iter().filter(|step| of(&step.outcome)).count();
    let counts = [
        (count(|outcome| matches!(outcome, StepOutcome::Planned { .. })), "to do"),
        (count(|outcome| matches!(outcome, StepOutcome::Changed { .. })), "done"),
        (count(|outcome| matches!(outcome, StepOutcome::Right)), "right already"),
        (count(|outcome| matches!(outcome, StepOutcome::Unseen { .. })), "not visible yet"),
        (count(|outcome| matches!(outcome, StepOutcome::Lacking { .. })), "not offered there"),
        (count(|outcome| matches!(outcome, StepOutcome::Failed { .. })), "failed"),
    ];
    let some = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    some.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(outcome: StepOutcome) -> Step {
        Step { what: "bucket files".to_owned(), outcome }
    }

    #[test]
    fn a_step_is_a_line_and_all_are_one_more() {
        let make = || "make it".to_owned();
        let steps = [
            step(StepOutcome::Right),
            step(StepOutcome::Right),
            step(StepOutcome::Planned { change: make() }),
            step(StepOutcome::Changed { change: make() }),
            step(StepOutcome::Unseen { change: make() }),
            step(StepOutcome::Lacking { reason: "501".to_owned() }),
            step(StepOutcome::Failed { reason: "403".to_owned() }),
        ];
        let lines: Vec<_> = steps.iter().map(told).collect();
        let expected = [
            "right    bucket files",
            "right    bucket files",
            "to do    bucket files: make it",
            "done     bucket files: make it",
            "unseen   bucket files: make it: not visible yet; repeat this in a minute",
            "lacking  bucket files: 501",
            "failed   bucket files: 403",
        ];
        assert_eq!(lines, expected);
        assert_eq!(
            summed(&steps),
            "1 to do, 1 done, 2 right already, 1 not visible yet, 1 not offered there, 1 failed"
        );
        assert_eq!(summed(&steps[..1]), "1 right already");
    }

    #[test]
    fn there_must_be_something_to_set_up() {
        let mut config = Config::default();
        assert!(check(&config).is_err());
        config.queue.kind = QueueKind::Sqs;
        assert_eq!(check(&config), Ok(()));
    }
}
