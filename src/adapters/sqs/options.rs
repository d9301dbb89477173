//! What a queue is opened with.

use std::fmt;
use std::time::Duration;

use crate::adapters::aws::AwsAccess;

/// Which queue, whose requests, and for how long it hides what it hands out.
#[derive(Clone, Debug)]
pub struct SqsOptions {
    /// Whose requests, and where to.
    pub access: AwsAccess,
    /// Which queue.
    pub queue: QueueName,
    /// How long a delivery stays hidden from others; whole seconds, at most 12 hours.
    pub visibility: Duration,
}

/// How a queue is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueName {
    /// `https://sqs.eu-west-1.amazonaws.com/123456789012/wharf`.
    Url(String),
    /// `wharf`, of the account that the keys belong to.
    Name(String),
}

impl QueueName {
    /// The name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Url(url) => url.rsplit('/').next().unwrap_or_default(),
            Self::Name(name) => name,
        }
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
