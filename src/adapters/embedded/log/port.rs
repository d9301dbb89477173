//! The log's port on the store.

use super::consumer::EmbeddedConsumer;
use super::record::{EncodedChain, EncodedRecord};
use super::replay::EmbeddedReplay;
use super::subject::is_subject;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::{Job, ReadError, Unsent};
use crate::ports::{
    ChainEnd, ConsumerSpec, LogError, LogPort, NewRecord, PublishError, ReplayFrom, Stored, Stream,
};

/// Bytes of a record: as much as a NATS server takes unless its settings say otherwise.
const RECORD_BYTES_MAX: usize = 1 << 20;
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
            Err(unsent) => Err(unsent.into()),
        }
    }

    async fn publish_chains(&self, stream: Stream, chains: Vec<Vec<NewRecord>>) -> Vec<ChainEnd> {
        let count = chains.len();
        let encoded = chains.into_iter().map(|chain| EncodedChain::new(stream, chain)).collect();
        let all = |error: PublishError| {
            std::iter::repeat_n(ChainEnd { stored: Vec::new(), failed: Some(error) }, count).collect()
        };
        match self.store.submit(|reply| Job::PublishChains(encoded, reply)).await {
            Ok(Ok(ends)) => ends,
            Ok(Err(error)) => all(error),
            Err(unsent) => all(unsent.into()),
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

impl EncodedChain {
    /// Encodes a chain up to the first record that no log would take.
    fn new(stream: Stream, chain: Vec<NewRecord>) -> Self {
        let mut encoded = Self { records: Vec::with_capacity(chain.len()), refused: None };
        for record in chain {
            if let Err(error) = check(&record) {
                encoded.refused = Some(error);
                break;
            }
            encoded.records.push(EncodedRecord::new(stream, record));
        }
        encoded
    }
}

impl From<Unsent> for PublishError {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Refused(reason) => Self::Unavailable { reason },
            Unsent::Lost(reason) => Self::Unknown { reason },
        }
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
    if record.size_bytes() > RECORD_BYTES_MAX {
        return Err(PublishError::TooLarge { bytes_max: RECORD_BYTES_MAX });
    }
    Ok(())
}

pub(super) fn log_error(error: ReadError) -> LogError {
    LogError { reason: error.to_string() }
}
