//! What the AWS adapters share: whose keys they use, how long they wait, and errors in one line.
//!
//! Types that both SDKs have in common are named through the one for S3.

mod access;
mod timeouts;
mod failure;
mod plan;

pub use access::{AwsAccess, AwsKeys, Secret, SecretError};
pub use plan::{Step, StepOutcome};

pub(super) use access::Provider;
pub(super) use failure::{causes, code, reason, status};
pub(super) use plan::{Look, Planner, SetupError, Shows};
pub(super) use timeouts::{Timeouts, retries};
