//! Appending: the dedup window, sequences, bounds and retention. Runs on the committer.

use std::sync::Arc;
use std::time::Duration;

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};
use serde::{Deserialize, Serialize};

use super::ids::{self, dedup_window};
use super::record::{
    EncodedChain, EncodedRecord, Part, bytes_of, code, from_code, id, index_key, record_key, slot, stored_at,
    subject,
};
use crate::adapters::embedded::store::{Appended, Batch, Heads, ReadError, Shared, Tables, row, unrow};
use crate::domain::time::Timestamp;
use crate::ports::{ChainEnd, Clock, PublishError, Stored, Stream};

/// Old records are looked for with the first record of a batch, and again after this many.
const PRUNE_EVERY: usize = 1024;
/// Old records of a stream removed in one go.
const PRUNED_MAX: usize = 2048;
const _: () = assert!(PRUNED_MAX > PRUNE_EVERY, "records go faster than they come");

const DAY: Duration = Duration::from_secs(24 * 3600);

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

    /// Bytes of its records.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Notes that a record of so many bytes is gone.
    pub(super) const fn forget(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.is_changed = true;
    }

    /// Its form on disk.
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
    ids::put_ids(tables, batch);
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
    let asked = &mut batch.asked[slot(stream)];
    *asked += 1;
    if *asked % PRUNE_EVERY == 1 {
        prune(stream, head, shared, batch).map_err(unavailable)?;
    }
    let known = record.id_hash.and_then(|id| heads.ids.find(stream, id));
    if let Some(sequence) = known
        && is_repeat(&record, sequence, tables, batch).map_err(unavailable)?
    {
        return Ok(Stored { sequence, duplicate: true });
    }
    if stream == Stream::Ingest && head.bytes + record.len() > shared.options.ingest_bytes_max {
        return Err(PublishError::Full);
    }
    head.last += 1;
    head.last_at = head.last_at.max(batch.now);
    head.bytes += record.len();
    head.is_changed = true;
    heads.ids.add(stream, record.id_hash, head.last, batch);
    let stored = Stored { sequence: head.last, duplicate: false };
    put(record, head, tables, batch);
    Ok(stored)
}

/// Appends records one after the other, up to the first that cannot be.
pub(crate) fn append_chain(
    chain: EncodedChain,
    shared: &Shared,
    heads: &mut Heads,
    batch: &mut Batch,
) -> ChainEnd {
    let mut stored = Vec::with_capacity(chain.records.len());
    for record in chain.records {
        match append(record, shared, heads, batch) {
            Ok(place) => stored.push(place),
            Err(error) => return ChainEnd { stored, failed: Some(error) },
        }
    }
    ChainEnd { stored, failed: chain.refused }
}

fn put(record: EncodedRecord, head: &StreamHead, tables: &Tables, batch: &mut Batch) {
    let (stream, sequence) = (record.stream, head.last);
    let EncodedRecord { part, .. } = record;
    if let Some(part) = part {
        batch.put(&tables.index, index_key(stream, part, sequence), []);
    }
    let row = record.into_row(head.last_at);
    batch.appended.push(Appended { stream, sequence, part, row: row.clone() });
    batch.put(&tables.records, record_key(stream, sequence), row);
}

/// Whether the record at `sequence` has this id, and was stored within the window.
fn is_repeat(
    record: &EncodedRecord,
    sequence: u64,
    tables: &Tables,
    batch: &Batch,
) -> Result<bool, ReadError> {
    let is_it = |at: &&Appended| (at.stream, at.sequence) == (record.stream, sequence);
    let row = match batch.appended.iter().find(is_it) {
        Some(appended) => Some(appended.row.clone()),
        None => tables.records.get(record_key(record.stream, sequence))?,
    };
    let Some(row) = row else { return Ok(false) };
    let age = batch.now.since(stored_at(&row)?);
    Ok(id(&row)? == record.id && age < dedup_window(record.stream))
}

/// Removes some records that are older than they need to be.
fn prune(stream: Stream, head: &mut StreamHead, shared: &Shared, batch: &mut Batch) -> Result<(), ReadError> {
    // What this batch trims is still in the tables, and nothing may be counted twice.
    if batch.has_trimmed {
        return Ok(());
    }
    let tables = &shared.tables;
    let end = shared.log.window.last(stream);
    for _ in 0..PRUNED_MAX {
        if head.first > end {
            break;
        }
        let key = record_key(stream, head.first);
        if let Some(row) = tables.records.get(key)? {
            if batch.now.since(stored_at(&row)?) <= retention(stream) {
                break;
            }
            if let Some(part) = Part::of_subject(stream, subject(&row)?) {
                batch.remove(&tables.index, index_key(stream, part, head.first));
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
/// An older row of the same id that reappears is outside the window too.
pub(crate) fn old_ids(clock: Clock) -> Arc<dyn Factory> {
    Arc::new(OldIds(clock))
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
        Ok(match (stream, ids::stored_at(item.key())) {
            (Some(stream), Some(stored)) if self.0.since(stored) > dedup_window(stream) => Verdict::Destroy,
            (Some(_) | None, Some(_) | None) => Verdict::Keep,
        })
    }
}
