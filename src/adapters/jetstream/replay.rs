//! A reader from some point on, without acknowledgements.
//!
//! It keeps its own position. The consumer on the server is a throw-away: when it is lost, or skips something,
//! a new one begins after the last record that was seen.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::declare::{Declared, nanos};
use super::link::failed;
use super::log::Shared;
use super::manage::{StreamInfo, info};
use super::puller::{Lost, Puller};
use super::record::{check_filter, record_of};
use crate::domain::time::Timestamp;
use crate::limits::PULL_BATCH_MAX;
use crate::ports::{LogError, Record, ReplayFrom, ReplayPort, Stream};
use crate::telemetry::names;

/// How long the server keeps a consumer that nobody reads.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// Throw-away consumers that one call may lose before it fails.
const LOST_MAX: u32 = 2;
/// How long messages may lie in a buffer of ours: for ever, nobody else gets them.
const KEEP: Duration = Duration::from_secs(24 * 3600);

/// A reader from some point on.
pub struct JetStreamReplay {
    shared: Arc<Shared>,
    stream: Stream,
    filter: String,
    position: ReplayPosition,
    /// The stream that `position` is a position in.
    created: String,
    reader: Option<Reader>,
    ready: VecDeque<Record>,
}

/// Where the next record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ReplayPosition {
    start: Start,
    /// The highest sequence that the stream is known to have had.
    known: u64,
    /// Where to begin if the stream is another one than it was.
    anew: Start,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    First,
    Sequence(u64),
    Time(Timestamp),
}

/// A throw-away consumer.
struct Reader {
    puller: Puller,
    handed_out: u64,
}

#[derive(Deserialize)]
struct Made {
    name: String,
}

impl ReplayPosition {
    fn new(from: ReplayFrom, last: u64, now: Timestamp) -> Self {
        let (start, anew) = match from {
            ReplayFrom::Start => (Start::First, Start::First),
            ReplayFrom::Sequence(sequence) if sequence > last.saturating_add(1) => {
                (Start::First, Start::First)
            }
            ReplayFrom::Sequence(sequence) => (Start::Sequence(sequence.max(1)), Start::First),
            ReplayFrom::Time(time) => (Start::Time(time), Start::Time(time)),
            ReplayFrom::New => (Start::Sequence(last + 1), Start::Time(now)),
        };
        Self { start, known: last, anew }
    }

    const fn passed(&mut self, record: &Record) {
        self.start = Start::Sequence(record.sequence + 1);
        self.anew = Start::Time(record.stored_at);
        if record.sequence > self.known {
            self.known = record.sequence;
        }
    }

    /// The stream lost records that we know of, or is a new one: places mean nothing, times still do.
    const fn restart(&mut self, last: u64) {
        self.start = self.anew;
        self.known = last;
    }
}

impl Start {
    fn declare(self, config: &mut Declared) {
        let (policy, start) = match self {
            Self::First => ("all", None),
            Self::Sequence(sequence) => ("by_start_sequence", Some(("opt_start_seq", Value::from(sequence)))),
            Self::Time(time) => ("by_start_time", Some(("opt_start_time", Value::from(time.to_string())))),
        };
        config.insert("deliver_policy".to_owned(), policy.into());
        config.extend(start.map(|(key, value)| (key.to_owned(), value)));
    }
}

impl fmt::Debug for JetStreamReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, filter, position, .. } = self;
        f.debug_struct("JetStreamReplay")
            .field("stream", stream)
            .field("filter", filter)
            .field("position", position)
            .finish_non_exhaustive()
    }
}

impl JetStreamReplay {
    pub(super) async fn open(
        shared: Arc<Shared>,
        stream: Stream,
        filter: String,
        from: ReplayFrom,
    ) -> Result<Self, LogError> {
        check_filter(&filter).map_err(failed)?;
        let now = shared.clock.now();
        let StreamInfo { created, state, .. } = find(&shared, stream).await?;
        let position = ReplayPosition::new(from, state.last_seq, now);
        let mut replay =
            Self { shared, stream, filter, position, created, reader: None, ready: VecDeque::new() };
        let reader = replay.begin().await?;
        replay.reader = Some(reader);
        Ok(replay)
    }

    /// A new consumer at our position.
    async fn begin(&self) -> Result<Reader, LogError> {
        let mut config = Declared::new();
        config.insert("ack_policy".to_owned(), "none".into());
        config.insert("replay_policy".to_owned(), "instant".into());
        config.insert("filter_subject".to_owned(), self.filter.clone().into());
        config.insert("inactive_threshold".to_owned(), nanos(IDLE_MAX).into());
        config.insert("mem_storage".to_owned(), true.into());
        config.insert("num_replicas".to_owned(), 1.into());
        self.position.start.declare(&mut config);
        // The last part of an inbox is unique, which makes it a name for the consumer too.
        let inbox = self.shared.link.client.new_inbox();
        let name = format!("replay-{}", inbox.rsplit('.').next().unwrap_or_default());
        config.insert("name".to_owned(), name.clone().into());
        let stream = self.stream.name();
        let subject = format!("CONSUMER.CREATE.{stream}.{name}.{}", self.filter);
        let body = json!({"stream_name": stream, "config": config});
        let made: Made = self.shared.link.ask(subject, &body).await.map_err(|error| {
            failed(format_args!("cannot read {:?} of stream {stream}: {error}", self.filter))
        })?;
        let puller = Puller::new(Arc::clone(&self.shared.link), self.stream, &made.name, KEEP);
        Ok(Reader { puller, handed_out: 0 })
    }

    /// A new consumer at our position, after looking whether the stream still has it.
    async fn resume(&mut self) -> Result<Reader, LogError> {
        let StreamInfo { created, state, .. } = find(&self.shared, self.stream).await?;
        if created != self.created || state.last_seq < self.position.known {
            warn!(
                stream = self.stream.name(),
                "{} is not what it was; reading on by time",
                self.stream.name()
            );
            self.created = created;
            self.position.restart(state.last_seq);
        }
        self.begin().await
    }

    /// Reads on until something is ready or `until` has passed.
    async fn fill(&mut self, until: Instant) -> Result<(), Lost> {
        if self.reader.is_none() {
            self.reader = Some(self.resume().await.map_err(Lost::Refused)?);
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        for message in reader.puller.pull(PULL_BATCH_MAX, until).await? {
            let (record, counts) = record_of(&self.shared.link, message).map_err(Lost::Refused)?;
            if counts.consumer_sequence != reader.handed_out + 1 {
                debug!(stream = self.stream.name(), "a replay missed a message and goes back to it");
                self.begin_anew("gap");
                return Ok(());
            }
            reader.handed_out = counts.consumer_sequence;
            self.position.passed(&record);
            self.ready.push_back(record);
        }
        Ok(())
    }

    fn begin_anew(&mut self, reason: &'static str) {
        counter!(names::NATS_READERS_REBUILT_TOTAL, "reason" => reason).increment(1);
        self.reader = None;
    }
}

/// The stream as it is. What was known of it is forgotten if it is not there, so that it is made again if we may.
async fn find(shared: &Shared, stream: Stream) -> Result<StreamInfo, LogError> {
    if let Ok(found) = info(&shared.link, stream).await {
        return Ok(found);
    }
    shared.readiness.forget(stream);
    shared.ready(stream).await?;
    info(&shared.link, stream).await
}

impl ReplayPort for JetStreamReplay {
    async fn next(&mut self, wait: Duration) -> Result<Option<Record>, LogError> {
        let until = Instant::now() + wait;
        if let Some(record) = self.ready.pop_front() {
            return Ok(Some(record));
        }
        self.shared.link.connected(wait).await?;
        let mut lost = 0;
        loop {
            match self.fill(until).await {
                Ok(()) => {}
                Err(Lost::Refused(error)) => {
                    self.reader = None;
                    return Err(error);
                }
                Err(Lost::Gone) => self.begin_anew("gone"),
                Err(Lost::Silent) => self.begin_anew("silent"),
            }
            lost += u32::from(self.reader.is_none());
            if lost > LOST_MAX {
                return Err(failed(format_args!("stream {} does not stay readable", self.stream.name())));
            }
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            self.shared.link.connected(until.saturating_duration_since(Instant::now())).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn record(sequence: u64, millis: u64) -> Record {
        Record {
            sequence,
            stored_at: Timestamp::from_millis(millis),
            subject: String::new(),
            id: String::new(),
            headers: Vec::new(),
            payload: Bytes::new(),
        }
    }

    fn check(from: ReplayFrom, seen: &[Record], expected: (Start, Start)) {
        let mut position = ReplayPosition::new(from, 40, NOW);
        for record in seen {
            position.passed(record);
        }
        let goes_on = position.start;
        position.restart(2);
        assert_eq!((goes_on, position.start), expected);
        assert_eq!(position.known, 2);
    }

    #[test]
    fn a_replay_begins_where_it_was_told_to() {
        check(ReplayFrom::Start, &[], (Start::First, Start::First));
        check(ReplayFrom::Sequence(7), &[], (Start::Sequence(7), Start::First));
        check(ReplayFrom::Sequence(0), &[], (Start::Sequence(1), Start::First));
        check(ReplayFrom::Sequence(41), &[], (Start::Sequence(41), Start::First));
        check(ReplayFrom::Sequence(42), &[], (Start::First, Start::First));
        check(ReplayFrom::Time(NOW), &[], (Start::Time(NOW), Start::Time(NOW)));
        check(ReplayFrom::New, &[], (Start::Sequence(41), Start::Time(NOW)));
    }

    // proves: F27
    #[test]
    fn a_replay_goes_on_after_the_last_record_and_by_its_time_in_a_new_stream() {
        let seen = [record(41, 5_000), record(44, 6_000)];
        let by_time = Start::Time(Timestamp::from_millis(6_000));
        check(ReplayFrom::Start, &seen, (Start::Sequence(45), by_time));
        check(ReplayFrom::New, &seen, (Start::Sequence(45), by_time));
    }

    #[test]
    fn a_start_is_told_in_the_servers_words() {
        let mut config = Declared::new();
        Start::Time(NOW).declare(&mut config);
        assert_eq!(config["opt_start_time"], "1970-01-01T00:00:01.000Z");
        assert_eq!(config["deliver_policy"], "by_start_time");
    }
}
