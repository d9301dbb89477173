//! Setting things up: look, change what is not so, look again.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::failure::{code, reason, status};

/// After a change: from one look to the next. Pauses double up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_LONGEST: Duration = Duration::from_secs(8);
/// A second of looks: elsewhere a change shows at once or never.
const LOOKS_ELSEWHERE: usize = 4;
/// A minute of looks: so long AWS may take to show a change.
const LOOKS_ON_AWS: usize = 12;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub what: String,
    /// Its outcome.
    pub outcome: StepOutcome,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It was as it should be.
    Right,
    /// It is not so yet, and was only looked at.
    Planned {
        /// What is to be done.
        change: String,
    },
    /// It is so now.
    Changed {
        /// What was done.
        change: String,
    },
    /// It was done, and AWS does not show it yet.
    Unseen {
        /// What was done.
        change: String,
    },
    /// The endpoint does not offer it. Nothing else depends on it.
    Lacking {
        /// How that showed.
        reason: String,
    },
    /// It is not so, and should be.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How a thing is, before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adapters) enum Look<T> {
    /// As it should be.
    Right,
    /// Not so; this is to be done.
    Change {
        /// In words.
        change: String,
        /// What to make it; none if that needs what is not there yet.
        to: Option<T>,
    },
}

/// Why a look or a change failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adapters) enum SetupError {
    /// The endpoint does not offer it.
    Lacking(String),
    /// Anything else.
    Failed(String),
}

/// How long a service takes to show a change.
#[derive(Clone, Copy, Debug)]
pub(in crate::adapters) enum Shows {
    /// At once, or never.
    AtOnce,
    /// As on AWS: within a minute.
    Later,
}

impl Shows {
    /// By the endpoint; none is AWS itself.
    pub(in crate::adapters) const fn at(endpoint: Option<&String>) -> Self {
        if endpoint.is_some() { Self::AtOnce } else { Self::Later }
    }

    /// The pauses between looks.
    pub(in crate::adapters) fn pauses(self) -> impl Iterator<Item = Duration> {
        let (longest, count) = match self {
            Self::AtOnce => (PAUSE_FIRST, LOOKS_ELSEWHERE),
            Self::Later => (PAUSE_LONGEST, LOOKS_ON_AWS),
        };
        successors(Some(PAUSE_FIRST), move |pause| Some((*pause * 2).min(longest))).take(count)
    }
}

/// Goes through steps, in order.
#[derive(Debug)]
pub(in crate::adapters) struct Planner {
    is_dry_run: bool,
    shows: Shows,
    steps: Vec<Step>,
}

impl Planner {
    /// One that only looks, or one that changes things too.
    pub(in crate::adapters) const fn new(is_dry_run: bool, shows: Shows) -> Self {
        Self { is_dry_run, shows, steps: Vec::new() }
    }

    /// One step. Repeating it changes nothing.
    pub(in crate::adapters) async fn step<T>(
        &mut self,
        what: impl Into<String>,
        look: impl AsyncFn() -> Result<Look<T>, SetupError>,
        make: impl AsyncFnOnce(T) -> Result<(), SetupError>,
    ) {
        let outcome = self.settle(look, make).await;
        self.steps.push(Step { what: what.into(), outcome });
    }

    /// The outcomes of all of them.
    pub(in crate::adapters) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    async fn settle<T>(
        &self,
        look: impl AsyncFn() -> Result<Look<T>, SetupError>,
        make: impl AsyncFnOnce(T) -> Result<(), SetupError>,
    ) -> StepOutcome {
        let (change, to) = match look().await {
            Ok(Look::Right) => return StepOutcome::Right,
            Ok(Look::Change { change, .. }) if self.is_dry_run => return StepOutcome::Planned { change },
            Ok(Look::Change { change, to: Some(to) }) => (change, to),
            Ok(Look::Change { to: None, .. }) => {
                return StepOutcome::Failed { reason: "what it needs is not there".to_owned() };
            }
            Err(error) => return error.into(),
        };
        if let Err(error) = make(to).await {
            return error.into();
        }
        for pause in self.shows.pauses() {
            match look().await {
                Ok(Look::Right) => return StepOutcome::Changed { change },
                Ok(Look::Change { .. }) => tokio::time::sleep(pause).await,
                Err(error) => return error.into(),
            }
        }
        match self.shows {
            Shows::AtOnce => StepOutcome::Lacking {
                reason: format!("the endpoint took it and does not show it: {change}"),
            },
            Shows::Later => StepOutcome::Unseen { change },
        }
    }
}

impl SetupError {
    /// From an error of the SDK.
    pub(in crate::adapters) fn from_sdk<E: ProvideErrorMetadata + Error + 'static>(
        error: &SdkError<E>,
    ) -> Self {
        let is_word = matches!(
            code(error),
            Some(
                "NotImplemented"
                    | "UnsupportedOperation"
                    | "InvalidAction"
                    | "MethodNotAllowed"
                    | "InvalidAttributeName"
            )
        );
        if is_word || matches!(status(error), Some(405 | 501)) {
            Self::Lacking(reason(error))
        } else {
            Self::Failed(reason(error))
        }
    }
}

impl From<SetupError> for StepOutcome {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Lacking(reason) => Self::Lacking { reason },
            SetupError::Failed(reason) => Self::Failed { reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const ELSEWHERE: Shows = Shows::AtOnce;

    /// A thing that is a number and should be 5; `keeps` says whether a change shows.
    async fn check(now: Result<u32, SetupError>, keeps: bool, is_dry_run: bool, expected: StepOutcome) {
        let (thing, made) = (Cell::new(now.clone().unwrap_or(0)), Cell::new(0));
        let look = async || {
            now.clone()?;
            let change = || Look::Change { change: "make it 5".to_owned(), to: Some(5) };
            Ok(if thing.get() == 5 { Look::Right } else { change() })
        };
        let make = async |to| {
            made.set(made.get() + 1);
            thing.set(if keeps { to } else { thing.get() });
            Ok(())
        };
        let is_made = matches!(expected, StepOutcome::Changed { .. }) || !keeps;
        let mut planner = Planner::new(is_dry_run, ELSEWHERE);
        planner.step("it", look, make).await;
        assert_eq!(planner.into_steps(), [Step { what: "it".to_owned(), outcome: expected }]);
        assert_eq!(made.get(), u32::from(is_made));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_changes_only_what_is_not_so() {
        let change = || "make it 5".to_owned();
        check(Ok(5), true, false, StepOutcome::Right).await;
        check(Ok(4), true, false, StepOutcome::Changed { change: change() }).await;
        check(Ok(4), true, true, StepOutcome::Planned { change: change() }).await;
        let reason = "the endpoint took it and does not show it: make it 5".to_owned();
        check(Ok(4), false, false, StepOutcome::Lacking { reason }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_seen_is_not_changed() {
        let word = || "501 NotImplemented".to_owned();
        check(Err(SetupError::Lacking(word())), true, false, StepOutcome::Lacking { reason: word() }).await;
        check(Err(SetupError::Failed(word())), true, false, StepOutcome::Failed { reason: word() }).await;
        check(Err(SetupError::Failed(word())), true, true, StepOutcome::Failed { reason: word() }).await;
    }

    /// A change that shows after so many seconds.
    async fn check_after(secs: u64, shows: Shows, expected: fn(&StepOutcome) -> bool) {
        let made_at = Cell::new(None::<tokio::time::Instant>);
        let look = async || {
            let is_seen = made_at.get().is_some_and(|at| at.elapsed() >= Duration::from_secs(secs));
            Ok(if is_seen { Look::Right } else { Look::Change { change: "it".to_owned(), to: Some(()) } })
        };
        let make = async |()| {
            made_at.set(Some(tokio::time::Instant::now()));
            Ok(())
        };
        let mut planner = Planner::new(false, shows);
        planner.step("it", look, make).await;
        let steps = planner.into_steps();
        assert!(expected(&steps[0].outcome), "{secs} s, {shows:?}: {steps:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_aws_shows_late_is_done_and_what_it_does_not_show_is_not_called_lacking() {
        let on_aws = Shows::at(None);
        check_after(0, ELSEWHERE, |outcome| matches!(outcome, StepOutcome::Changed { .. })).await;
        check_after(50, ELSEWHERE, |outcome| matches!(outcome, StepOutcome::Lacking { .. })).await;
        check_after(50, on_aws, |outcome| matches!(outcome, StepOutcome::Changed { .. })).await;
        check_after(90, on_aws, |outcome| matches!(outcome, StepOutcome::Unseen { .. })).await;
        let minute: Duration = on_aws.pauses().sum();
        assert!(minute >= Duration::from_secs(60), "{minute:?}");
    }
}
