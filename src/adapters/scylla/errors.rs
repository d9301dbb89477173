//! What the driver and the servers say, as what callers can do about it.

use metrics::counter;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use scylla::response::query_result::{QueryResult, QueryRowsResult};
use scylla::statement::Consistency;

use super::cells::CellError;
use super::schema::SchemaError;
use crate::config::ScyllaSettingsError;
use crate::ports::{CommitError, LedgerError};
use crate::telemetry::names::CQL_ERRORS_TOTAL;

/// Why there is no connection to a ledger on CQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The settings cannot be right.
    #[error(transparent)]
    Settings(#[from] ScyllaSettingsError),
    /// A file that the settings name cannot be used.
    #[error("{path} cannot be used: {reason}")]
    File {
        /// The file.
        path: String,
        /// For the operator; never what the file holds.
        reason: String,
    },
    /// No server answers, or none lets us in.
    #[error("no CQL server lets us in: {reason}")]
    Unreachable {
        /// For the operator.
        reason: String,
    },
    /// The tables are not what this release needs.
    #[error("the tables are not ready, run `wharfinger schema apply`: {reason}")]
    Schema {
        /// For the operator.
        reason: String,
    },
}

impl From<SchemaError> for ConnectError {
    fn from(error: SchemaError) -> Self {
        Self::Schema { reason: error.to_string() }
    }
}

impl From<CellError> for LedgerError {
    fn from(error: CellError) -> Self {
        Self::Corrupt { reason: error.to_string() }
    }
}

impl From<CellError> for CommitError {
    /// The row was refused before anything was sent.
    fn from(error: CellError) -> Self {
        Self::Refused { reason: error.to_string() }
    }
}

/// A read that failed. Only what concerns every user is an outage: replicas that answer, and cannot read the one
/// partition that was asked for, are none.
pub(super) fn read_error(error: &ExecutionError) -> LedgerError {
    let reason = error.to_string();
    match count(error).scope {
        ErrorScope::Everyone => LedgerError::Unavailable { reason },
        ErrorScope::OnePartition => LedgerError::Unreadable { reason },
    }
}

/// The rows of a read. None at all: [`super::retry::ReadRetryPolicy`] ended it, because replicas could not read them.
pub(super) fn rows_of_read(result: QueryResult) -> Result<QueryRowsResult, LedgerError> {
    if !result.is_rows() {
        counter!(CQL_ERRORS_TOTAL, "kind" => "failure").increment(1);
        let reason = "replicas could not read it; their logs say why".to_owned();
        return Err(LedgerError::Unreadable { reason });
    }
    result.into_rows_result().map_err(shape_error)
}

/// A result that is not of the shape that was asked for.
pub(super) fn shape_error(error: impl ToString) -> LedgerError {
    LedgerError::Corrupt { reason: error.to_string() }
}

/// A write that failed. It is unknown unless it is certain that no replica was asked to accept it.
pub(super) fn commit_error(error: &ExecutionError) -> CommitError {
    let failure = count(error);
    let reason = error.to_string();
    match (failure.was_refused, failure.scope) {
        (false, _) => CommitError::Unknown { reason },
        (true, ErrorScope::Everyone) => CommitError::Unavailable { reason },
        (true, ErrorScope::OnePartition) => CommitError::Refused { reason },
    }
}

/// What a failed request means for a conditional write, and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure {
    /// The write certainly had, and will have, no effect.
    was_refused: bool,
    /// One of a closed set.
    kind: &'static str,
    /// Whom it concerns.
    scope: ErrorScope,
}

/// Whom a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorScope {
    /// Connections, replicas, time: the next request of any user may fail in the same way.
    Everyone,
    /// The partition that was asked for, or what was asked of it.
    OnePartition,
}

impl Failure {
    const fn of_one_partition(self) -> Self {
        Self { scope: ErrorScope::OnePartition, ..self }
    }
}

const fn refused(kind: &'static str) -> Failure {
    Failure { was_refused: true, kind, scope: ErrorScope::Everyone }
}

const fn unknown(kind: &'static str) -> Failure {
    Failure { was_refused: false, kind, scope: ErrorScope::Everyone }
}

fn count(error: &ExecutionError) -> Failure {
    let failure = failure_of(error);
    counter!(CQL_ERRORS_TOTAL, "kind" => failure.kind).increment(1);
    failure
}

/// The write profile tries once: where choosing a connection failed, nothing was ever sent.
#[expect(clippy::wildcard_enum_match_arm, reason = "what a new version of the driver adds is unknown")]
fn failure_of(error: &ExecutionError) -> Failure {
    match error {
        ExecutionError::BadQuery(_) => refused("request").of_one_partition(),
        ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => refused("connection"),
        ExecutionError::RequestTimeout(_) => unknown("timeout"),
        ExecutionError::LastAttemptError(attempt) => attempt_failure_of(attempt),
        _ => unknown("other"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what a new version of the driver adds is unknown")]
fn attempt_failure_of(error: &RequestAttemptError) -> Failure {
    match error {
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => {
            refused("request").of_one_partition()
        }
        RequestAttemptError::UnableToAllocStreamId => refused("overloaded"),
        RequestAttemptError::BrokenConnectionError(_) => unknown("connection"),
        RequestAttemptError::DbError(error, _) => server_failure_of(error),
        _ => unknown("other"),
    }
}

/// A server refuses for certain only before it asks any replica.
#[expect(clippy::wildcard_enum_match_arm, reason = "what a new version of the driver adds is unknown")]
fn server_failure_of(error: &DbError) -> Failure {
    match error {
        // The server's answer to a batch that is too large, among others.
        DbError::Invalid => refused("request").of_one_partition(),
        DbError::SyntaxError
        | DbError::AuthenticationError
        | DbError::Unauthorized
        | DbError::ConfigError
        | DbError::ProtocolError
        | DbError::Unprepared { .. } => refused("request"),
        DbError::IsBootstrapping => refused("unavailable"),
        DbError::Unavailable { consistency: Consistency::Serial | Consistency::LocalSerial, .. } => {
            refused("unavailable")
        }
        // At any other level the proposal was accepted: too few replicas were there to hear of it.
        DbError::Unavailable { .. } => unknown("unavailable"),
        // Cassandra also says so while it hands out what was accepted, when too many hints wait; and in ScyllaDB
        // replicas keep the rate.
        DbError::Overloaded => unknown("overloaded"),
        DbError::RateLimitReached { .. } => unknown("overloaded").of_one_partition(),
        DbError::ReadTimeout { .. } | DbError::WriteTimeout { .. } => unknown("timeout"),
        DbError::ReadFailure { .. } | DbError::WriteFailure { .. } => unknown("failure").of_one_partition(),
        _ => unknown("other"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scylla::errors::{OperationType, WriteType};

    use super::*;

    fn check(error: DbError, expected: Failure) {
        let error = ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, String::new()));
        assert_eq!(failure_of(&error), expected, "{error}");
        let is_outage = expected.scope == ErrorScope::Everyone;
        let outcome = commit_error(&error);
        match (expected.was_refused, is_outage) {
            (false, _) => assert!(matches!(outcome, CommitError::Unknown { .. }), "{outcome}"),
            (true, true) => assert!(matches!(outcome, CommitError::Unavailable { .. }), "{outcome}"),
            (true, false) => assert!(matches!(outcome, CommitError::Refused { .. }), "{outcome}"),
        }
        assert_eq!(read_error(&error).is_outage(), is_outage, "{error}");
    }

    fn read_failure() -> DbError {
        let consistency = Consistency::LocalQuorum;
        DbError::ReadFailure { consistency, received: 0, required: 1, numfailures: 1, data_present: false }
    }

    #[test]
    fn a_partition_that_cannot_be_read_is_no_outage() {
        check(read_failure(), unknown("failure").of_one_partition());
        let limited =
            DbError::RateLimitReached { op_type: OperationType::Read, rejected_by_coordinator: true };
        check(limited, unknown("overloaded").of_one_partition());
        check(DbError::Invalid, refused("request").of_one_partition());
    }

    #[test]
    fn what_the_next_request_may_meet_too_is_an_outage() {
        let timeout = DbError::ReadTimeout {
            consistency: Consistency::LocalQuorum,
            received: 0,
            required: 1,
            data_present: false,
        };
        check(timeout, unknown("timeout"));
        check(DbError::Overloaded, unknown("overloaded"));
        check(DbError::Unauthorized, refused("request"));
        for error in [ExecutionError::EmptyPlan, ExecutionError::RequestTimeout(Duration::from_secs(3))] {
            assert!(read_error(&error).is_outage(), "{error}");
        }
    }

    fn unavailable(consistency: Consistency) -> DbError {
        DbError::Unavailable { consistency, required: 2, alive: 1 }
    }

    // proves: F35
    #[test]
    fn too_few_replicas_to_agree_is_a_refusal() {
        check(unavailable(Consistency::LocalSerial), refused("unavailable"));
        check(unavailable(Consistency::Serial), refused("unavailable"));
    }

    // proves: F34
    #[test]
    fn too_few_replicas_to_learn_may_be_a_success() {
        for level in [Consistency::LocalQuorum, Consistency::Quorum, Consistency::One] {
            check(unavailable(level), unknown("unavailable"));
        }
    }

    // proves: F33
    #[test]
    fn a_timeout_at_any_stage_is_unknown() {
        for write_type in [WriteType::Cas, WriteType::Simple] {
            let consistency = Consistency::LocalSerial;
            let timeout = DbError::WriteTimeout { consistency, received: 1, required: 2, write_type };
            check(timeout, unknown("timeout"));
        }
        let error = ExecutionError::RequestTimeout(Duration::from_secs(3));
        assert_eq!(failure_of(&error), unknown("timeout"));
    }

    // proves: F36
    #[test]
    fn an_overloaded_server_may_have_gone_on() {
        check(DbError::Overloaded, unknown("overloaded"));
        let op_type = OperationType::Write;
        let limited = DbError::RateLimitReached { op_type, rejected_by_coordinator: true };
        check(limited, unknown("overloaded").of_one_partition());
    }

    #[test]
    fn what_a_server_never_started_is_a_refusal() {
        for error in [DbError::SyntaxError, DbError::Unauthorized] {
            check(error, refused("request"));
        }
        check(DbError::Invalid, refused("request").of_one_partition());
        check(DbError::IsBootstrapping, refused("unavailable"));
        assert_eq!(failure_of(&ExecutionError::EmptyPlan), refused("connection"));
        let busy = ExecutionError::LastAttemptError(RequestAttemptError::UnableToAllocStreamId);
        assert_eq!(failure_of(&busy), refused("overloaded"));
    }

    #[test]
    fn what_nobody_knows_is_unknown() {
        check(DbError::ServerError, unknown("other"));
        check(DbError::Other(0x1700), unknown("other"));
    }
}
