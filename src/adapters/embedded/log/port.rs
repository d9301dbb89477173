//! The log's port on the store.

use super::consumer::EmbeddedConsumer;
use super::record::{EncodedChain, EncodedRecord};
use super::replay::EmbeddedReplay;
use super::subject::{Filter, is_subject};
use super::trim::Trim;
use crate::adapters::embedded::EmbeddedStore;
use crate::adapters::embedded::store::{Job, ReadError, Unsent};
use crate::ports::{
    ChainEnd, ConsumerSpec, LogError, LogPort, NewRecord, PublishError, ReplayFrom, Stored, Stream, TrimWhen,
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

    async fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> Result<u64, LogError> {
        let above_bytes = match (when, stream) {
            (TrimWhen::Now, _) => 0,
            (TrimWhen::Filling, Stream::Ingest) => self.store.shared().options.ingest_bytes_max / 4,
            (TrimWhen::Filling, Stream::Events | Stream::Dlq) => return Ok(0),
        };
        let mut trim = Trim { stream, floors: self.floors(stream, &consumers)?, above_bytes, after: 0 };
        let mut removed = 0;
        loop {
            let asked = trim.clone();
            let trimmed = match self.store.submit(|reply| Job::Trim(asked, reply)).await {
                Ok(outcome) => outcome?,
                Err(Unsent::Refused(reason) | Unsent::Lost(reason)) => return Err(LogError { reason }),
            };
            removed += trimmed.removed;
            match trimmed.next {
                Some(after) => trim.after = after,
                None => return Ok(removed),
            }
        }
    }
}

impl EmbeddedLog {
    /// The filters of the consumers that are there, each with the place up to which it has acknowledged everything.
    fn floors(&self, stream: Stream, consumers: &[ConsumerSpec]) -> Result<Vec<(Filter, u64)>, LogError> {
        let shared = self.store.shared();
        let mut floors = Vec::with_capacity(consumers.len());
        for spec in consumers {
            let filter =
                Filter::parse(&spec.filter).map_err(|error| LogError { reason: error.to_string() })?;
            let floor =
                shared.log.floor(stream, &spec.name, &spec.filter, &shared.tables).map_err(log_error)?;
            floors.extend(floor.map(|floor| (filter, floor)));
        }
        Ok(floors)
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
