//! Jobs: everything that is ever written, as plain data with the caller's ear.

use tokio::sync::oneshot;

use super::batch::{Batch, Heads};
use super::open::Shared;
use super::room::Need;
use super::tables::ReadError;
use crate::adapters::embedded::ledger::{self, EncodedWrite};
use crate::adapters::embedded::log::{self, EncodedChain, EncodedRecord, Trim, Trimmed};
use crate::adapters::embedded::queue;
use crate::ports::{ChainEnd, CommitError, LogError, PublishError, QueueError, Stored};
use crate::telemetry::names::REPLIES_ABANDONED_TOTAL;

/// Where an answer goes.
pub(crate) type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// A callback with the outcome of a write. Called from any thread; must not wait.
pub(crate) type CommitCallback = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// One thing to write.
pub(crate) enum Job {
    /// The ledger's one write.
    Commit(EncodedWrite, CommitCallback),
    /// A record for the log.
    Publish(EncodedRecord, Reply<Stored, PublishError>),
    /// Chains of records for the log.
    PublishChains(Vec<EncodedChain>, Reply<Vec<ChainEnd>, PublishError>),
    /// Acknowledged records that may go.
    Trim(Trim, Reply<Trimmed, LogError>),
    /// The places of consumers, as they are when it is its turn.
    SaveConsumers,
    /// A notification for the queue.
    Send(String, Reply<(), QueueError>),
    /// Notifications that are done with.
    Delete(Vec<u64>, Reply<(), QueueError>),
    /// A notification was handed out again.
    Recount {
        /// Which.
        number: u64,
        /// How many times so far.
        deliveries: u32,
    },
    /// A notification was handed out too often.
    Bury {
        /// Which.
        number: u64,
        /// How many times.
        deliveries: u32,
    },
    /// Finish what waits, then stop.
    Close(oneshot::Sender<()>),
}

/// Why a job has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It never reached the committer: nothing was or will be written.
    Refused(String),
    /// It did, and then no answer arrived.
    Lost(String),
}

/// The outcome of a job, delivered once its batch is on disk.
pub(crate) enum Answer {
    Commit(Result<(), CommitError>, CommitCallback),
    Publish(Result<Stored, PublishError>, Reply<Stored, PublishError>),
    PublishChains(Vec<ChainEnd>, Reply<Vec<ChainEnd>, PublishError>),
    Trim(Result<Trimmed, LogError>, Reply<Trimmed, LogError>),
    Queue(Result<(), QueueError>, Reply<(), QueueError>),
    Nobody,
}

impl Job {
    /// Puts what the job writes into the batch.
    pub(crate) fn apply(self, shared: &Shared, heads: &mut Heads, batch: &mut Batch) -> Answer {
        let tables = &shared.tables;
        match self {
            Self::Commit(write, callback) => {
                Answer::Commit(ledger::apply(write, tables, heads, batch), callback)
            }
            Self::Publish(record, reply) => Answer::Publish(log::append(record, shared, heads, batch), reply),
            Self::PublishChains(chains, reply) => {
                let ends = chains.into_iter().map(|chain| log::append_chain(chain, shared, heads, batch));
                Answer::PublishChains(ends.collect(), reply)
            }
            Self::Trim(trim, reply) => {
                let trimmed = log::trim(&trim, shared, heads, batch);
                Answer::Trim(trimmed.map_err(|error| LogError { reason: error.to_string() }), reply)
            }
            Self::SaveConsumers => {
                shared.log.save_consumers(tables, batch);
                Answer::Nobody
            }
            Self::Send(body, reply) => {
                queue::append(body, tables, &mut heads.queue, batch);
                Answer::Queue(Ok(()), reply)
            }
            Self::Delete(numbers, reply) => {
                queue::delete(&numbers, tables, batch);
                Answer::Queue(Ok(()), reply)
            }
            Self::Recount { number, deliveries } => {
                Answer::note(queue::recount(number, deliveries, tables, batch))
            }
            Self::Bury { number, deliveries } => Answer::note(queue::bury(number, deliveries, tables, batch)),
            Self::Close(_) => Answer::Nobody,
        }
    }

    /// What it means for the disk.
    pub(super) fn need(&self) -> Need {
        match self {
            Self::Commit(write, _) if write.begins_something() => Need::Beginning,
            Self::Commit(..)
            | Self::Trim(..)
            | Self::SaveConsumers
            | Self::Delete(..)
            | Self::Recount { .. }
            | Self::Bury { .. }
            | Self::Close(_) => Need::Freeing,
            Self::Publish(..) | Self::PublishChains(..) | Self::Send(..) => Need::Finishing,
        }
    }

    /// Answers that nothing was written, and nothing will be.
    pub(crate) fn refuse(self, reason: &str) {
        let reason = reason.to_owned();
        match self {
            Self::Commit(_, callback) => callback(Err(CommitError::Unavailable { reason })),
            Self::Publish(_, reply) => tell(reply, Err(PublishError::Unavailable { reason })),
            Self::PublishChains(_, reply) => tell(reply, Err(PublishError::Unavailable { reason })),
            Self::Trim(_, reply) => tell(reply, Err(LogError { reason })),
            Self::Send(_, reply) | Self::Delete(_, reply) => tell(reply, Err(QueueError { reason })),
            Self::SaveConsumers | Self::Recount { .. } | Self::Bury { .. } | Self::Close(_) => {}
        }
    }
}

impl Answer {
    /// Nobody waits for it; it is tried again when its notification is due again.
    fn note(outcome: Result<(), ReadError>) -> Self {
        if let Err(error) = outcome {
            tracing::warn!(%error, "a notification could not be read");
        }
        Self::Nobody
    }

    /// Tells the caller. After a failed sync, what would have been written is unknown.
    pub(crate) fn give(self, failed: Option<&str>) {
        let reason = failed.map(ToOwned::to_owned);
        match (self, reason) {
            (Self::Commit(Ok(()), callback), Some(reason)) => callback(Err(CommitError::Unknown { reason })),
            (Self::Publish(Ok(_), reply), Some(reason)) => {
                tell(reply, Err(PublishError::Unknown { reason }));
            }
            // Whether a record is there that was not stored for a reason of its own is not known either.
            (Self::PublishChains(_, reply), Some(reason)) => {
                tell(reply, Err(PublishError::Unknown { reason }));
            }
            (Self::Trim(_, reply), Some(reason)) => tell(reply, Err(LogError { reason })),
            (Self::Queue(Ok(()), reply), Some(reason)) => tell(reply, Err(QueueError { reason })),
            (Self::Commit(outcome, callback), _) => callback(outcome),
            (Self::Publish(outcome, reply), _) => tell(reply, outcome),
            (Self::PublishChains(ends, reply), None) => tell(reply, Ok(ends)),
            (Self::Trim(outcome, reply), None) => tell(reply, outcome),
            (Self::Queue(outcome, reply), _) => tell(reply, outcome),
            (Self::Nobody, _) => {}
        }
    }
}

/// Answers a caller, who may have gone.
pub(crate) fn tell<T, E>(reply: Reply<T, E>, outcome: Result<T, E>) {
    if reply.send(outcome).is_err() {
        metrics::counter!(REPLIES_ABANDONED_TOTAL).increment(1);
    }
}
