//! How long a request to AWS may take, and how often it is repeated.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;

/// Until a connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The first pause before a repetition; the SDK doubles it, spreads it, and stops when too many fail.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LAST: Duration = Duration::from_secs(1);

/// The deadlines of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::adapters) struct Timeouts {
    /// For one try.
    pub(in crate::adapters) attempt: Duration,
    /// For all of them, pauses included.
    pub(in crate::adapters) operation: Duration,
}

impl Timeouts {
    /// The same in the words of the SDK.
    pub(in crate::adapters) fn to_sdk(self) -> TimeoutConfig {
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_WITHIN)
            .operation_attempt_timeout(self.attempt)
            .operation_timeout(self.operation)
            .build()
    }
}

/// At most `attempts` tries, the first included.
pub(in crate::adapters) fn retries(attempts: u32) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(attempts)
        .with_initial_backoff(PAUSE_FIRST)
        .with_max_backoff(PAUSE_LAST)
}
