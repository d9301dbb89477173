//! Which reads are tried again.

use scylla::errors::{DbError, RequestAttemptError};
use scylla::policies::retry::{DefaultRetryPolicy, RequestInfo, RetryDecision, RetryPolicy, RetrySession};

/// The driver's own policy, but a read that replicas answered with a failure ends at once.
///
/// Left to itself the driver waits for a second node, a second later, before it gives such an error back, and the second
/// node asks the same replicas. `IgnoreWriteError` is the only decision that ends a request without an error: what comes
/// back has no rows, which no read has otherwise, and [`super::errors::rows_of_read`] makes an error of it again.
#[derive(Debug)]
pub(super) struct ReadRetryPolicy;

struct ReadRetrySession(Box<dyn RetrySession>);

impl RetryPolicy for ReadRetryPolicy {
    fn new_session(&self) -> Box<dyn RetrySession> {
        Box::new(ReadRetrySession(DefaultRetryPolicy::new().new_session()))
    }
}

impl RetrySession for ReadRetrySession {
    fn decide_should_retry(&mut self, request: RequestInfo<'_>) -> RetryDecision {
        if let RequestAttemptError::DbError(DbError::ReadFailure { .. }, message) = request.error {
            tracing::debug!("replicas could not read what was asked for: {message}");
            return RetryDecision::IgnoreWriteError;
        }
        self.0.decide_should_retry(request)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
