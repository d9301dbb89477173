//! Finding records: by the index where the filter pins it, else by looking at every subject.

use super::record::{Part, index_key, record, record_key, sequence_of, stored_at, subject};
use super::subject::Filter;
use crate::adapters::embedded::store::{ReadError, Shared};
use crate::domain::time::Timestamp;
use crate::ports::{Record, Stream};

/// Subjects looked at in one go.
const LOOKED_AT_MAX: usize = 512;

/// Which records of which stream to read.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    pub(super) stream: Stream,
    pub(super) filter: Filter,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundRecords {
    /// Matching records, rising.
    pub(super) sequences: Vec<u64>,
    /// There is no other up to here.
    pub(super) looked_to: u64,
}

impl Selector {
    /// Looks for at most `max` matching records above `after`, for a bounded time.
    pub(super) fn look(&self, shared: &Shared, after: u64, max: usize) -> Result<FoundRecords, ReadError> {
        let window = &shared.log.window;
        let last = window.last(self.stream);
        let after = after.max(window.first(self.stream).saturating_sub(1));
        let mut found = FoundRecords { sequences: Vec::new(), looked_to: after };
        if after >= last || max == 0 {
            return Ok(found);
        }
        let mut looked_at = 0;
        for row in self.candidates(shared, after + 1, last) {
            let (sequence, takes) = row?;
            found.looked_to = sequence;
            looked_at += 1;
            if takes {
                found.sequences.push(sequence);
            }
            if found.sequences.len() == max || looked_at == LOOKED_AT_MAX {
                return Ok(found);
            }
        }
        found.looked_to = last;
        Ok(found)
    }

    /// Sequences between the two, with whether the filter takes them.
    fn candidates(
        &self,
        shared: &Shared,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = Result<(u64, bool), ReadError>> {
        let (tables, stream) = (&shared.tables, self.stream);
        let part = self.filter.index(stream).map(Part::of);
        let rows = match part {
            Some(part) => tables.index.range(index_key(stream, part, from)..=index_key(stream, part, to)),
            None => tables.records.range(record_key(stream, from)..=record_key(stream, to)),
        };
        rows.map(move |guard| {
            let (key, value) = guard.into_inner()?;
            let sequence = sequence_of(&key)?;
            let row = match part {
                Some(_) => tables.records.get(record_key(stream, sequence))?,
                None => Some(value),
            };
            // One that has just been removed is none.
            let takes = row.map(|row| subject(&row).map(|subject| self.filter.takes(subject))).transpose()?;
            Ok((sequence, takes.unwrap_or(false)))
        })
    }
}

/// One record, if it is still kept.
pub(super) fn fetch(shared: &Shared, stream: Stream, sequence: u64) -> Result<Option<Record>, ReadError> {
    let row = shared.tables.records.get(record_key(stream, sequence))?;
    row.map(|row| record(sequence, &row)).transpose()
}

/// The first sequence that was stored at `time` or later; one above the last if there is none.
///
/// Times never fall along a stream, so halving finds it.
pub(super) fn first_at(shared: &Shared, stream: Stream, time: Timestamp) -> Result<u64, ReadError> {
    let (mut low, mut high) = (shared.log.window.first(stream), shared.log.window.last(stream) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let row = shared.tables.records.get(record_key(stream, middle))?;
        // A record that has just been removed is older than all that are kept.
        let is_earlier = match row {
            Some(row) => stored_at(&row)? < time,
            None => true,
        };
        if is_earlier {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
