//! The log: the streams INGEST, EVENTS and DLQ.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::domain::time::Timestamp;

/// A stream of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// Arrivals, `wharf.ingest.v1.<shard>.<user>`. Internal.
    Ingest,
    /// Events, `wharf.<domain>.v1.<event>.<user>`. The public contract.
    Events,
    /// What could not be understood or processed, `wharf.dlq.v1.<source>`.
    Dlq,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Events, Self::Dlq];

    /// Its name in every backend.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "WHARF_INGEST",
            Self::Events => "WHARF_EVENTS",
            Self::Dlq => "WHARF_DLQ",
        }
    }
}

/// Streams of records with subjects.
///
/// Contract: `publish` is durable when it returns `Ok`, and a repeat of an `id` within the stream's window
/// is stored once. A record that is too large is refused with the limit, and fits once it is cut to that. Records of a stream have rising sequences and are read in that order. A filter is a
/// subject in which `*` matches one token and a last `>` the rest. Checked by `contract::log`.
pub trait LogPort: Send + Sync {
    /// A durable consumer's reader.
    type Consumer: ConsumerPort;
    /// A reader from some point on.
    type Replay: ReplayPort;

    /// Appends a record.
    ///
    /// # Errors
    /// After [`PublishError::Unknown`] the record may be there: repeat it with the same id.
    fn publish(
        &self,
        stream: Stream,
        record: NewRecord,
    ) -> impl Future<Output = Result<Stored, PublishError>> + Send;

    /// Appends chains of records. Each comes as far as it would have with one `publish` after the other: a record
    /// is tried when the one before it is stored. Chains do not wait for each other. The ends are in the order of
    /// the chains.
    fn publish_chains(
        &self,
        stream: Stream,
        chains: Vec<Vec<NewRecord>>,
    ) -> impl Future<Output = Vec<ChainEnd>> + Send {
        join_all(chains.into_iter().map(move |chain| one_by_one(self, stream, chain)))
    }

    /// Opens a durable consumer, making it at the stream's start if it is new. What it has acknowledged
    /// stays so over restarts.
    fn consumer(&self, spec: ConsumerSpec) -> impl Future<Output = Result<Self::Consumer, LogError>> + Send;

    /// Reads matching records from some point on, without acknowledgements.
    fn replay(
        &self,
        stream: Stream,
        filter: String,
        from: ReplayFrom,
    ) -> impl Future<Output = Result<Self::Replay, LogError>> + Send;

    /// Whether the record with this sequence is still there, and has this subject and id. A stream that was purged still
    /// takes a repeat for known, so a duplicate proves nothing.
    fn holds(
        &self,
        stream: Stream,
        sequence: u64,
        record: &NewRecord,
    ) -> impl Future<Output = Result<bool, LogError>> + Send {
        let (subject, id) = (record.subject.clone(), record.id.clone());
        async move {
            let mut replay = self.replay(stream, subject, ReplayFrom::Sequence(sequence)).await?;
            let found = replay.next(HOLDS_WAIT).await?;
            Ok(found.is_some_and(|found| found.sequence == sequence && found.id == id))
        }
    }

    /// Removes records that are acknowledged, to make room; returns how many.
    ///
    /// Each of these consumers gives up what its filter takes, up to the last record below which it has acknowledged
    /// everything. A consumer that is not there, or has another filter, gives up nothing, and nothing else is removed. Any
    /// number of processes may do it, at any time. A log without limits keeps everything.
    fn trim(
        &self,
        stream: Stream,
        consumers: Vec<ConsumerSpec>,
        when: TrimWhen,
    ) -> impl Future<Output = Result<u64, LogError>> + Send {
        let _ = (stream, consumers, when);
        async { Ok(0) }
    }
}

/// How long a record that is asked for by its sequence is waited for.
const HOLDS_WAIT: Duration = Duration::from_millis(500);

/// When a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrimWhen {
    /// When it holds more than a quarter of what it takes. Until then acknowledged records stay, for a replay.
    Filling,
    /// Whatever it holds.
    Now,
}

async fn one_by_one<L: LogPort + ?Sized>(log: &L, stream: Stream, chain: Vec<NewRecord>) -> ChainEnd {
    let mut end = ChainEnd { stored: Vec::with_capacity(chain.len()), failed: None };
    for record in chain {
        match log.publish(stream, record).await {
            Ok(stored) => end.stored.push(stored),
            Err(error) => {
                end.failed = Some(error);
                break;
            }
        }
    }
    end
}

/// A durable consumer's reader. Two readers of the same name share its records.
///
/// Contract: a delivery that is neither acknowledged nor refused within `ack_wait` is delivered again, with a
/// higher `deliveries`; also after a restart. At most `ack_pending_max` deliveries are open.
pub trait ConsumerPort: Send {
    /// Up to `max` deliveries; waits up to `wait` for the first, and returns none if none came.
    /// Cancelling it loses nothing: its records are redelivered.
    fn pull(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<LogDelivery>, LogError>> + Send;

    /// Done: not delivered again. Repeating it, or doing it late, is harmless.
    fn ack(&self, token: &AckToken) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Not now: delivered again after `delay`.
    fn nak(&self, token: &AckToken, delay: Duration) -> impl Future<Output = Result<(), LogError>> + Send;
}

/// A reader from some point on.
pub trait ReplayPort: Send {
    /// The next matching record; waits up to `wait` and returns none if none came. Cancelling it loses nothing.
    fn next(&mut self, wait: Duration) -> impl Future<Output = Result<Option<Record>, LogError>> + Send;
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its subject: tokens of `[A-Za-z0-9_-]` joined by dots.
    pub subject: String,
    /// Tells it from every other record, over repeats (`Nats-Msg-Id`).
    pub id: String,
    /// Names and values beside the payload.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub payload: Bytes,
}

/// Bytes of a record's headers beside their names and values: the line in front, the names of the id and the stream, and
/// the longest stream's name.
const HEADER_BYTES: usize = 96;

impl NewRecord {
    /// Bytes of headers and payload, at least as many as any backend counts for them.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        HEADER_BYTES + self.id.len() + headers + self.payload.len()
    }
}

/// The log's word that it has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub sequence: u64,
    /// It was there already.
    pub duplicate: bool,
}

/// How far a chain of records came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEnd {
    /// Its first records, which the log has.
    pub stored: Vec<Stored>,
    /// Why the next one is not among them; none: all are.
    pub failed: Option<PublishError>,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place; rising in a stream, from 1, with holes.
    pub sequence: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Its subject.
    pub subject: String,
    /// See [`NewRecord::id`].
    pub id: String,
    /// Names and values beside the payload.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub payload: Bytes,
}

/// A durable consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// The subjects it reads.
    pub stream: Stream,
    /// Its name: `[A-Za-z0-9_-]`, up to 64 bytes.
    pub name: String,
    /// The subjects it reads. The filter of a consumer that is already there does not change.
    pub filter: String,
    /// How long a delivery stays hidden from others.
    pub ack_wait: Duration,
    /// How many may be open.
    pub ack_pending_max: usize,
}

/// A record, handed out for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDelivery {
    /// The record.
    pub record: Record,
    /// How many times it has been handed out, this time included; from 1.
    pub deliveries: u32,
    /// What to acknowledge it with.
    pub token: AckToken,
}

/// Names one delivery to its consumer. Means something to its backend only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckToken(pub String);

/// Where a replay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// With what is still kept.
    Start,
    /// With this sequence, or the next that is still kept. With what is kept, if the log has not come as far as the one
    /// before: it is not the log that it was, and nothing in it has been read.
    Sequence(u64),
    /// With what was stored at this time or later.
    Time(Timestamp),
    /// With what comes after this call.
    New,
}

/// Why a record was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The stream takes no more; nothing was stored.
    #[error("the stream is full")]
    Full,
    /// The record is larger than the log takes; nothing was stored.
    #[error("the record is too large: the log takes {bytes_max} bytes of headers and payload")]
    TooLarge {
        /// The most that [`NewRecord::size_bytes`] may be.
        bytes_max: usize,
    },
    /// Nothing was stored.
    #[error("the log does not answer: {reason}")]
    Unavailable {
        /// For the log.
        reason: String,
    },
    /// It may have been stored: repeat it with the same id.
    #[error("the log did not say whether it stored: {reason}")]
    Unknown {
        /// For the log.
        reason: String,
    },
}

/// Why nothing was read or acknowledged. Worth repeating, after a pause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log does not answer: {reason}")]
pub struct LogError {
    /// For the log.
    pub reason: String,
}
