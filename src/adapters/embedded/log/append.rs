//! Appending: the dedup window, sequences, bounds and retention. Runs on the committer.

use std::sync::Arc;
use std::time::Duration;

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use serde::{Deserialize, Serialize};

use super::record::{
    EncodedRecord, bytes_of, code, from_code, index_key_of, record_key, sequence_of, slot, stored_at, subject,
};
use super::subject::index_of;
use crate::adapters::embedded::store::{
    BATCH_JOBS_MAX, Batch, Heads, ReadError, Shared, Tables, row, split, u64_at, unrow,
};
use crate::domain::time::Timestamp;
use crate::ports::{Clock, PublishError, Stored, Stream};

/// Old records of a stream removed with one batch.
const PRUNED_PER_BATCH_MAX: usize = 2048;
const _: () = assert!(PRUNED_PER_BATCH_MAX > BATCH_JOBS_MAX, "records go faster than they come");

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long a repeat of an id is recognised.
const fn dedup_window(stream: Stream) -> Duration {
    match stream {
        Stream::Ingest => Duration::from_secs(600),
        Stream::Events | Stream::Dlq => Duration::from_secs(120),
    }
}

/// How long records are kept at least.
const fn retention(stream: Stream) -> Duration {
    match stream {
        Stream::Ingest => Duration::from_secs(3 * DAY.as_secs()),
        Stream::Events => Duration::from_secs(30 * DAY.as_secs()),
        Stream::Dlq => Duration::from_secs(90 * DAY.as_secs()),
    }
}

/// Where a stream ends, and what it holds. Outlives its records, so that no sequence is used twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StreamHead {
    pub(super) first: u64,
    pub(super) last: u64,
    last_at: Timestamp,
    bytes: u64,
    #[serde(skip)]
    is_changed: bool,
}

impl StreamHead {
    const EMPTY: Self =
        Self { first: 1, last: 0, last_at: Timestamp::from_millis(0), bytes: 0, is_changed: false };

    /// As it stands on disk.
    pub(crate) fn load(tables: &Tables, stream: Stream) -> Result<Self, ReadError> {
        let row = tables.meta.get(head_key(stream))?;
        Ok(row.map(|row| unrow(&row, 0)).transpose()?.unwrap_or(Self::EMPTY))
    }
}

fn head_key(stream: Stream) -> [u8; 5] {
    [b'h', b'e', b'a', b'd', code(stream)]
}

/// Adds the ends of what has changed to the batch.
pub(crate) fn put_heads(tables: &Tables, heads: &mut Heads, batch: &mut Batch) {
    for stream in Stream::ALL {
        let head = &mut heads.streams[slot(stream)];
        if std::mem::take(&mut head.is_changed) {
            batch.put(&tables.meta, head_key(stream), row(&[], head));
        }
    }
    heads.queue.put(tables, batch);
}

/// Appends a record, unless its id was stored within the window.
pub(crate) fn append(
    record: EncodedRecord,
    shared: &Shared,
    heads: &mut Heads,
    batch: &mut Batch,
) -> Result<Stored, PublishError> {
    let (tables, stream) = (&shared.tables, record.stream);
    let head = &mut heads.streams[slot(stream)];
    let unavailable = |error: ReadError| PublishError::Unavailable { reason: error.to_string() };
    if batch.pruned.insert(stream) {
        prune(stream, head, shared, batch).map_err(unavailable)?;
    }
    if let Some(sequence) = stored_before(&record, tables, batch).map_err(unavailable)? {
        return Ok(Stored { sequence, duplicate: true });
    }
    if stream == Stream::Ingest && head.bytes + record.len() > shared.options.ingest_bytes_max {
        return Err(PublishError::Full);
    }
    head.last += 1;
    head.last_at = head.last_at.max(batch.now);
    head.bytes += record.len();
    head.is_changed = true;
    put(record, head, tables, batch);
    Ok(Stored { sequence: head.last, duplicate: false })
}

fn put(record: EncodedRecord, head: &StreamHead, tables: &Tables, batch: &mut Batch) {
    let (stream, sequence) = (record.stream, head.last);
    if !record.id.is_empty() {
        let mut known = [0; 16];
        known[..8].copy_from_slice(&head.last_at.as_millis().to_be_bytes());
        known[8..].copy_from_slice(&sequence.to_be_bytes());
        batch.put(&tables.ids, id_key(&record), row(&known, &()));
        batch.published.insert((stream, record.id.clone()), sequence);
    }
    if let Some(key) = index_key_of(stream, &record.subject, sequence) {
        batch.put(&tables.index, key, record.subject.as_bytes());
    }
    batch.appended.push((stream, index_of(stream, &record.subject).map(ToOwned::to_owned)));
    batch.put(&tables.records, record_key(stream, sequence), record.into_row(head.last_at));
}

fn id_key(record: &EncodedRecord) -> Vec<u8> {
    let mut key = Vec::with_capacity(record.id.len() + 1);
    key.push(code(record.stream));
    key.extend_from_slice(record.id.as_bytes());
    key
}

/// The sequence under which this id was stored within the window; without an id, none.
fn stored_before(record: &EncodedRecord, tables: &Tables, batch: &Batch) -> Result<Option<u64>, ReadError> {
    if record.id.is_empty() {
        return Ok(None);
    }
    let name = (record.stream, record.id.clone());
    if let Some(sequence) = batch.published.get(&name) {
        return Ok(Some(*sequence));
    }
    let Some(row) = tables.ids.get(id_key(record))? else { return Ok(None) };
    let (known, _) = split(&row, 16)?;
    let age = batch.now.since(Timestamp::from_millis(u64_at(known)?));
    let is_recent = age < dedup_window(record.stream);
    Ok(if is_recent { Some(sequence_of(known)?) } else { None })
}

/// Removes some records that are older than they need to be.
fn prune(stream: Stream, head: &mut StreamHead, shared: &Shared, batch: &mut Batch) -> Result<(), ReadError> {
    let tables = &shared.tables;
    let end = shared.log.window.last(stream);
    for _ in 0..PRUNED_PER_BATCH_MAX {
        if head.first > end {
            break;
        }
        let key = record_key(stream, head.first);
        if let Some(row) = tables.records.get(key)? {
            if batch.now.since(stored_at(&row)?) <= retention(stream) {
                break;
            }
            if let Some(index_key) = index_key_of(stream, subject(&row)?, head.first) {
                batch.remove(&tables.index, index_key);
            }
            batch.remove(&tables.records, key);
            head.bytes = head.bytes.saturating_sub(bytes_of(row.len()));
        }
        head.first += 1;
        head.is_changed = true;
    }
    Ok(())
}

/// Lets the engine drop ids outside their window while it rewrites files; nobody sees them any more.
///
/// An older row of the same id that comes to light again is outside the window too.
pub(crate) fn tidy(clock: Clock) -> impl Fn(&str) -> Option<Arc<dyn Factory>> + Send + Sync + 'static {
    move |table| {
        (table == crate::adapters::embedded::store::IDS)
            .then(|| -> Arc<dyn Factory> { Arc::new(OldIds(clock.clone())) })
    }
}

struct OldIds(Clock);

impl Factory for OldIds {
    fn name(&self) -> &'static str {
        "old publish ids"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(OldIdsBefore(self.0.now()))
    }
}

struct OldIdsBefore(Timestamp);

impl CompactionFilter for OldIdsBefore {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let stream = item.key().first().and_then(|byte| from_code(*byte));
        let row = item.value()?;
        let stored = split(&row, 16).and_then(|(known, _)| u64_at(known)).map(Timestamp::from_millis);
        Ok(match (stream, stored) {
            (Some(stream), Ok(stored)) if self.0.since(stored) > dedup_window(stream) => Verdict::Destroy,
            (Some(_) | None, Ok(_) | Err(_)) => Verdict::Keep,
        })
    }
}
