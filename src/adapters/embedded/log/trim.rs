//! Removing acknowledged records before their time, to make room. Runs on the committer, some records at a time.

use super::record::{Part, bytes_of, index_key, record_key, sequence_of, slot, subject};
use super::subject::Filter;
use crate::adapters::embedded::store::{Batch, Heads, ReadError, Shared};
use crate::ports::Stream;

/// Records looked at by one job.
const LOOKED_AT_MAX: usize = 2_048;

/// What may be removed.
#[derive(Clone, Debug)]
pub(crate) struct Trim {
    pub(super) stream: Stream,
    /// What each consumer reads, and up to where it has acknowledged everything.
    pub(super) floors: Vec<(Filter, u64)>,
    /// Only while the stream holds more.
    pub(super) above_bytes: u64,
    /// Up to here all was looked at.
    pub(super) after: u64,
}

/// What a job removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(super) removed: u64,
    /// Where to go on; none: there is nothing left to do.
    pub(super) next: Option<u64>,
}

impl Trim {
    /// Up to where records of this subject may go.
    fn floor(&self, subject: &str) -> u64 {
        let floors = self.floors.iter().filter(|(filter, _)| filter.takes(subject));
        floors.map(|(_, floor)| *floor).min().unwrap_or(0)
    }
}

/// Removes what may go among the next records.
pub(crate) fn trim(
    trim: &Trim,
    shared: &Shared,
    heads: &mut Heads,
    batch: &mut Batch,
) -> Result<Trimmed, ReadError> {
    let (tables, stream) = (&shared.tables, trim.stream);
    let head = &mut heads.streams[slot(stream)];
    if head.bytes() <= trim.above_bytes {
        return Ok(Trimmed::default());
    }
    // The tables do not show what this batch removes already, and nothing may be counted twice.
    if std::mem::replace(&mut batch.has_trimmed, true) {
        return Ok(Trimmed { removed: 0, next: Some(trim.after) });
    }
    let last = trim.floors.iter().map(|(_, floor)| *floor).max().unwrap_or(0).min(head.last);
    let from = head.first.max(trim.after.saturating_add(1));
    let mut is_head = from == head.first;
    let (mut removed, mut seen) = (0, 0);
    if from > last {
        return Ok(Trimmed::default());
    }
    for guard in tables.records.range(record_key(stream, from)..=record_key(stream, last)) {
        let (key, row) = guard.into_inner()?;
        let sequence = sequence_of(&key)?;
        seen += 1;
        let subject = subject(&row)?;
        if sequence <= trim.floor(subject) {
            if let Some(part) = Part::of_subject(stream, subject) {
                batch.remove(&tables.index, index_key(stream, part, sequence));
            }
            batch.remove(&tables.records, record_key(stream, sequence));
            head.forget(bytes_of(row.len()));
            removed += 1;
            if is_head {
                head.first = sequence + 1;
            }
        } else {
            is_head = false;
        }
        if seen == LOOKED_AT_MAX {
            return Ok(Trimmed { removed, next: Some(sequence) });
        }
    }
    Ok(Trimmed { removed, next: None })
}
