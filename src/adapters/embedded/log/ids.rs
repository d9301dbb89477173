//! Recent publish ids: they make a repeat a duplicate.
//!
//! Kept in memory as hashes; a hit is checked against the record itself. On disk there is one row of hashes for
//! each batch, from which a start fills the memory again.

use std::collections::HashMap;
use std::time::Duration;

use super::record::{code, hash_of, sequence_of, slot};
use crate::adapters::embedded::store::{Batch, ReadError, Tables, row, split, u64_at};
use crate::domain::time::Timestamp;
use crate::ports::Stream;

/// Ids in one generation; there are two. Above 30,000 a second EVENTS remembers less than its window.
const GENERATION_MAX: usize = 3_670_016;
const _: () = assert!(GENERATION_MAX >= 30_000 * 120);
/// Stands in a row for a record without an id.
const NO_ID: u64 = 0;

/// How long a repeat of an id is recognised.
pub(super) const fn dedup_window(stream: Stream) -> Duration {
    match stream {
        Stream::Ingest => Duration::from_secs(600),
        Stream::Events | Stream::Dlq => Duration::from_secs(120),
    }
}

/// An id as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct IdHash(u64);

impl IdHash {
    /// None for the empty id, which repeats nothing.
    pub(super) fn of(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self(hash_of(id).max(NO_ID + 1)))
    }
}

/// The ids that the streams have seen recently. Owned by the committer.
#[derive(Debug)]
pub(crate) struct KnownIds([IdGenerations; 3]);

#[derive(Debug, Default)]
struct IdGenerations {
    young: HashMap<IdHash, u64>,
    old: HashMap<IdHash, u64>,
    turned_at: Timestamp,
}

impl KnownIds {
    /// As they stand on disk.
    pub(crate) fn load(tables: &Tables, now: Timestamp) -> Result<Self, ReadError> {
        let mut known = Self(Default::default());
        for stream in Stream::ALL {
            let generations = &mut known.0[slot(stream)];
            generations.turned_at = now;
            let from = row_key(stream, now.before(dedup_window(stream)), 0);
            for guard in tables.ids.range(from..=row_key(stream, Timestamp::from_millis(u64::MAX), u64::MAX))
            {
                let (key, row) = guard.into_inner()?;
                let (_, hashes) = split(&row, 0)?;
                for (sequence, hash) in (sequence_of(&key)?..).zip(hashes.chunks_exact(8)) {
                    match u64_at(hash)? {
                        NO_ID => {}
                        hash => generations.add(IdHash(hash), sequence),
                    }
                }
            }
        }
        Ok(known)
    }

    /// The sequence of the record that perhaps has this id.
    pub(super) fn find(&self, stream: Stream, id: IdHash) -> Option<u64> {
        let IdGenerations { young, old, .. } = &self.0[slot(stream)];
        young.get(&id).or_else(|| old.get(&id)).copied()
    }

    /// Remembers the id of a record that is in the batch now.
    pub(super) fn add(&mut self, stream: Stream, id: Option<IdHash>, sequence: u64, batch: &mut Batch) {
        let (_, hashes) = batch.ids[slot(stream)].get_or_insert_with(|| (sequence, Vec::new()));
        hashes.extend_from_slice(&id.map_or(NO_ID, |id| id.0).to_be_bytes());
        let Some(id) = id else { return };
        let generations = &mut self.0[slot(stream)];
        let is_past = batch.now.since(generations.turned_at) >= dedup_window(stream);
        if is_past || generations.young.len() >= GENERATION_MAX {
            generations.turn(batch.now);
        }
        generations.add(id, sequence);
    }
}

impl IdGenerations {
    fn add(&mut self, id: IdHash, sequence: u64) {
        self.young.insert(id, sequence);
    }

    fn turn(&mut self, now: Timestamp) {
        // As many will come as came.
        let next = HashMap::with_capacity(self.young.len());
        self.old = std::mem::replace(&mut self.young, next);
        self.turned_at = now;
    }
}

/// Adds the rows from which a start learns the batch's ids.
pub(crate) fn put_ids(tables: &Tables, batch: &mut Batch) {
    for stream in Stream::ALL {
        if let Some((first, hashes)) = batch.ids[slot(stream)].take() {
            let mut row = row(&[], &());
            row.extend_from_slice(&hashes);
            batch.put(&tables.ids, row_key(stream, batch.now, first), row);
        }
    }
}

/// Stream, time, and the sequence of the first record.
fn row_key(stream: Stream, at: Timestamp, first: u64) -> [u8; 17] {
    let mut key = [code(stream); 17];
    key[1..9].copy_from_slice(&at.as_millis().to_be_bytes());
    key[9..].copy_from_slice(&first.to_be_bytes());
    key
}

/// When the ids of a row were stored.
pub(super) fn stored_at(key: &[u8]) -> Option<Timestamp> {
    key.get(1..9).and_then(|at| u64_at(at).ok()).map(Timestamp::from_millis)
}
