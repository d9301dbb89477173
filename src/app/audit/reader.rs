//! Reads with a pace, a deadline and a count of tries.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use crate::adapters::{Ledger, Log, Objects};
use crate::domain::ids::UserId;
use crate::ports::{Clock, LedgerError, LogError, ObjectsError};

/// How long one read may take.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Tries of one read, and the pause after the first; it doubles. Together enough for a restart of a server.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(200);

/// Where an audit reads.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Accounts, rows and entries.
    pub ledger: Ledger,
    /// Events.
    pub log: Log,
    /// Objects.
    pub objects: Objects,
    /// What is too old is so by this clock.
    pub clock: Clock,
}

/// Why an audit did not finish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Something did not answer, however often it was asked.
    #[error("cannot read {what}: {reason}")]
    Unreadable {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// There is no embedded data where the settings say.
    #[error("there is nothing to audit: {} does not exist; name the deployment by --config or --data", .0.display())]
    NoData(PathBuf),
    /// The ledger has no such user.
    #[error("there is no user {0} in this ledger")]
    NoUser(UserId),
    /// A running process holds the data and does not answer.
    #[error(
        "a running process holds the data and does not answer on {}: {reason}; if its release is older, stop it first",
        socket.display()
    )]
    Silent {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        reason: String,
    },
    /// The running process could not finish the audit.
    #[error("the running process did not finish the audit: {0}")]
    Unfinished(String),
    /// The ports cannot be opened.
    #[error("{0}")]
    NotOpened(String),
    /// The findings cannot be reported.
    #[error("cannot report the findings: {0}")]
    NotReported(String),
}

/// Why one thing was not read.
#[derive(Clone, Debug)]
pub(super) enum AuditReadError {
    /// The last of some tries.
    Away { what: &'static str, reason: String },
    /// Some of several things was read, and then no more.
    BrokeOff { what: &'static str, reason: String },
    /// It is there and cannot be understood.
    Corrupt { reason: String },
}

impl From<AuditReadError> for AuditError {
    fn from(error: AuditReadError) -> Self {
        match error {
            AuditReadError::Away { what, reason } | AuditReadError::BrokeOff { what, reason } => {
                Self::Unreadable { what, reason }
            }
            AuditReadError::Corrupt { reason } => Self::Unreadable { what: "the ledger", reason },
        }
    }
}

/// Why one try failed.
pub(super) enum TryError {
    Away(String),
    Corrupt(String),
}

impl From<LedgerError> for TryError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Unavailable { reason } => Self::Away(reason),
            LedgerError::Unreadable { reason } | LedgerError::Corrupt { reason } => Self::Corrupt(reason),
        }
    }
}

impl From<LogError> for TryError {
    fn from(error: LogError) -> Self {
        Self::Away(error.reason)
    }
}

impl From<ObjectsError> for TryError {
    fn from(error: ObjectsError) -> Self {
        Self::Away(error.to_string())
    }
}

/// Keeps reads apart, so that an audit takes a share of a running deployment and no more.
#[derive(Debug)]
pub(super) struct ReadPace(Option<Interval>);

impl ReadPace {
    /// At most so many reads a second; none: as many as come.
    pub(super) fn new(reads_per_sec: Option<u32>) -> Self {
        Self(reads_per_sec.filter(|rate| *rate > 0).map(|rate| {
            let mut ticks = interval(Duration::from_secs(1) / rate);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        }))
    }

    /// Reads one thing; retries while it is unreachable.
    pub(super) async fn read<T, E, F>(
        &mut self,
        what: &'static str,
        read: impl Fn() -> F,
    ) -> Result<T, AuditReadError>
    where
        E: Into<TryError>,
        F: Future<Output = Result<T, E>>,
    {
        let mut last = String::new();
        for nth in 0..TRIES {
            if nth > 0 {
                sleep(PAUSE * 2_u32.pow(nth - 1)).await;
            }
            if let Some(ticks) = &mut self.0 {
                ticks.tick().await;
            }
            last = match timeout(READ_WITHIN, read()).await.map(|read| read.map_err(Into::into)) {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(TryError::Corrupt(reason))) => return Err(AuditReadError::Corrupt { reason }),
                Ok(Err(TryError::Away(reason))) => reason,
                Err(_) => format!("no answer within {READ_WITHIN:?}"),
            };
        }
        Err(AuditReadError::Away { what, reason: last })
    }
}
