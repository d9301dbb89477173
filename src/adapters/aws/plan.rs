//! Setting things up: look, change what is not so, look again.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::failure::{code, reason, status};

/// Looks after a change, until it shows.
const LOOKS_MAX: u32 = 4;
/// Between them.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub what: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
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

/// Why a look or a change came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adapters) enum SetupError {
    /// The endpoint does not offer it.
    Lacking(String),
    /// Anything else.
    Failed(String),
}

/// Goes through steps, in order.
#[derive(Debug, Default)]
pub(in crate::adapters) struct Planner {
    is_dry_run: bool,
    steps: Vec<Step>,
}

impl Planner {
    /// One that only looks, or one that changes things too.
    pub(in crate::adapters) const fn new(is_dry_run: bool) -> Self {
        Self { is_dry_run, steps: Vec::new() }
    }

    /// One step. Repeating it changes nothing.
    pub(in crate::adapters) async fn step<T>(
        &mut self,
        what: impl Into<String>,
        look: impl AsyncFn() -> Result<Look<T>, SetupError>,
        make: impl AsyncFnOnce(T) -> Result<(), SetupError>,
    ) {
        let outcome = settle(self.is_dry_run, look, make).await;
        self.steps.push(Step { what: what.into(), outcome });
    }

    /// What came of all of them.
    pub(in crate::adapters) fn into_steps(self) -> Vec<Step> {
        self.steps
    }
}

async fn settle<T>(
    is_dry_run: bool,
    look: impl AsyncFn() -> Result<Look<T>, SetupError>,
    make: impl AsyncFnOnce(T) -> Result<(), SetupError>,
) -> Outcome {
    let (change, to) = match look().await {
        Ok(Look::Right) => return Outcome::Right,
        Ok(Look::Change { change, .. }) if is_dry_run => return Outcome::Planned { change },
        Ok(Look::Change { change, to: Some(to) }) => (change, to),
        Ok(Look::Change { to: None, .. }) => {
            return Outcome::Failed { reason: "what it needs is not there".to_owned() };
        }
        Err(error) => return error.into(),
    };
    if let Err(error) = make(to).await {
        return error.into();
    }
    for _ in 0..LOOKS_MAX {
        match look().await {
            Ok(Look::Right) => return Outcome::Changed { change },
            Ok(Look::Change { .. }) => tokio::time::sleep(LOOK_PAUSE).await,
            Err(error) => return error.into(),
        }
    }
    Outcome::Lacking { reason: format!("the endpoint took it and does not show it: {change}") }
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

impl From<SetupError> for Outcome {
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

    /// A thing that is a number and should be 5; `keeps` says whether a change shows.
    async fn check(now: Result<u32, SetupError>, keeps: bool, is_dry_run: bool, expected: Outcome) {
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
        let is_made = matches!(expected, Outcome::Changed { .. }) || !keeps;
        let mut planner = Planner::new(is_dry_run);
        planner.step("it", look, make).await;
        assert_eq!(planner.into_steps(), [Step { what: "it".to_owned(), outcome: expected }]);
        assert_eq!(made.get(), u32::from(is_made));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_changes_only_what_is_not_so() {
        let change = || "make it 5".to_owned();
        check(Ok(5), true, false, Outcome::Right).await;
        check(Ok(4), true, false, Outcome::Changed { change: change() }).await;
        check(Ok(4), true, true, Outcome::Planned { change: change() }).await;
        let reason = "the endpoint took it and does not show it: make it 5".to_owned();
        check(Ok(4), false, false, Outcome::Lacking { reason }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_seen_is_not_changed() {
        let word = || "501 NotImplemented".to_owned();
        check(Err(SetupError::Lacking(word())), true, false, Outcome::Lacking { reason: word() }).await;
        check(Err(SetupError::Failed(word())), true, false, Outcome::Failed { reason: word() }).await;
        check(Err(SetupError::Failed(word())), true, true, Outcome::Failed { reason: word() }).await;
    }
}
