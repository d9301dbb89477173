//! The log's port on the store.

use super::consumer::EmbeddedConsumer;
use super::record::EncodedRecord;
use super::replay::EmbeddedReplay;
use super::subject::is_subject;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::{Job, ReadError, Unsent};
use crate::ports::{ConsumerSpec, LogError, LogPort, NewRecord, PublishError, ReplayFrom, Stored, Stream};

/// Bytes of a record's payload: as much as a NATS server takes unless told otherwise.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of a record's id.
const ID_BYTES_MAX: usize = 4096;

/// The log in an embedded store. Cheap to clone.
///
/// Acknowledgements reach the disk with the next write after a fifth of a second, and at the latest when the
/// store is closed or dropped. One that is lost in a crash only means another delivery.
#[derive(Clone, Debug)]
pub struct EmbeddedLog {
    store: EmbeddedStore,
}

impl EmbeddedLog {
    /// The log of a store.
    #[must_use]
    pub fn new(store: &EmbeddedStore) -> Self {
        Self { store: store.clone() }
    }
}

impl LogPort for EmbeddedLog {
    type Consumer = EmbeddedConsumer;
    type Replay = EmbeddedReplay;

    async fn publish(&self, stream: Stream, record: NewRecord) -> Result<Stored, PublishError> {
        check(&record)?;
        let encoded = EncodedRecord::new(stream, record);
        match self.store.submit(|reply| Job::Publish(encoded, reply)).await {
            Ok(outcome) => outcome,
            Err(Unsent::Refused(reason)) => Err(PublishError::Unavailable { reason }),
            Err(Unsent::Lost(reason)) => Err(PublishError::Unknown { reason }),
        }
    }

    async fn consumer(&self, spec: ConsumerSpec) -> Result<EmbeddedConsumer, LogError> {
        EmbeddedConsumer::open(&self.store, spec)
    }

    async fn replay(
        &self,
        stream: Stream,
        filter: String,
        from: ReplayFrom,
    ) -> Result<EmbeddedReplay, LogError> {
        EmbeddedReplay::open(&self.store, stream, &filter, from)
    }
}

/// A record that no log would take is a bug of the caller.
fn check(record: &NewRecord) -> Result<(), PublishError> {
    let refuse = |what: &str| {
        let reason = format!("{what} of a record on {:?} cannot be stored", record.subject);
        Err(PublishError::Unavailable { reason })
    };
    if !is_subject(&record.subject) {
        return refuse("the subject");
    }
    if record.id.len() > ID_BYTES_MAX {
        return refuse("the id");
    }
    if record.payload.len() > PAYLOAD_BYTES_MAX {
        return refuse("the payload");
    }
    Ok(())
}

pub(super) fn log_error(error: ReadError) -> LogError {
    LogError { reason: error.to_string() }
}
