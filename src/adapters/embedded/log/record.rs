//! A record's row: time, subject, the rest. The first two can be read alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use fjall::Slice;

use super::ids::IdHash;
use super::subject::index_of;
use crate::adapters::embedded::store::{ReadError, row, split, u64_at};
use crate::domain::time::Timestamp;
use crate::ports::{NewRecord, PublishError, Record, Stream};

/// Bytes of the time in front of everything else.
const TIME_LEN: usize = 8;

/// A record as it will stand in its table, but for its time and sequence.
#[derive(Debug)]
pub(crate) struct EncodedRecord {
    pub(super) stream: Stream,
    pub(super) id: String,
    pub(super) id_hash: Option<IdHash>,
    /// What the index and the bells know of the subject.
    pub(super) part: Option<Part>,
    row: Vec<u8>,
}

impl EncodedRecord {
    /// Encodes a record; its subject has been checked.
    pub(crate) fn new(stream: Stream, record: NewRecord) -> Self {
        let NewRecord { subject, id, headers, payload } = record;
        let mut row = row(&[0; TIME_LEN], &(&subject, &id, &headers));
        row.extend_from_slice(&payload);
        Self { stream, id_hash: IdHash::of(&id), id, part: Part::of_subject(stream, &subject), row }
    }

    /// Bytes it will take.
    pub(super) fn len(&self) -> u64 {
        bytes_of(self.row.len())
    }

    /// The row, stored at `now`.
    pub(super) fn into_row(mut self, now: Timestamp) -> Slice {
        self.row[1..=TIME_LEN].copy_from_slice(&now.as_millis().to_be_bytes());
        Slice::from(self.row)
    }
}

/// Records to append one after the other, up to one that no log would take.
#[derive(Debug)]
pub(crate) struct EncodedChain {
    pub(super) records: Vec<EncodedRecord>,
    pub(super) refused: Option<PublishError>,
}

/// A length as it is counted.
pub(super) fn bytes_of(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits in 64 bits")
}

/// When a record was stored.
pub(super) fn stored_at(row: &[u8]) -> Result<Timestamp, ReadError> {
    let (time, _) = split(row, TIME_LEN)?;
    Ok(Timestamp::from_millis(u64_at(time)?))
}

/// What a record was published as.
pub(super) fn id(row: &[u8]) -> Result<&str, ReadError> {
    let (_, rest) = split(row, TIME_LEN)?;
    let ((_, id), _) = postcard::take_from_bytes::<(&str, &str)>(rest).map_err(damaged)?;
    Ok(id)
}

/// Where a record stands.
pub(super) fn subject(row: &[u8]) -> Result<&str, ReadError> {
    let (_, rest) = split(row, TIME_LEN)?;
    let (subject, _) = postcard::take_from_bytes(rest).map_err(damaged)?;
    Ok(subject)
}

/// The whole record.
pub(super) fn record(sequence: u64, row: &[u8]) -> Result<Record, ReadError> {
    let (_, rest) = split(row, TIME_LEN)?;
    let ((subject, id, headers), payload) = postcard::take_from_bytes(rest).map_err(damaged)?;
    let payload = Bytes::copy_from_slice(payload);
    Ok(Record { sequence, stored_at: stored_at(row)?, subject, id, headers, payload })
}

fn damaged(error: postcard::Error) -> ReadError {
    ReadError::Corrupt(format!("a record does not decode: {error}"))
}

/// A stream's slot in lists of streams.
pub(super) const fn slot(stream: Stream) -> usize {
    match stream {
        Stream::Ingest => 0,
        Stream::Events => 1,
        Stream::Dlq => 2,
    }
}

/// The byte that stands for a stream in keys. Frozen.
pub(super) const fn code(stream: Stream) -> u8 {
    match stream {
        Stream::Ingest => 1,
        Stream::Events => 2,
        Stream::Dlq => 3,
    }
}

/// The stream with this byte.
pub(super) fn from_code(byte: u8) -> Option<Stream> {
    Stream::ALL.into_iter().find(|stream| code(*stream) == byte)
}

/// The key of a record.
pub(super) fn record_key(stream: Stream, sequence: u64) -> [u8; 9] {
    let mut key = [code(stream); 9];
    key[1..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The part of a subject by which its stream is indexed, in the form of its keys. Two may look the same: who finds
/// a record by one looks at its subject too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Part(u64);

impl Part {
    pub(super) fn of(text: &str) -> Self {
        Self(hash_of(text))
    }

    /// None if the stream has no index.
    pub(super) fn of_subject(stream: Stream, subject: &str) -> Option<Self> {
        index_of(stream, subject).map(Self::of)
    }
}

/// The key of a record in the index. Short, so that the engine keeps it beside its pointers.
pub(super) fn index_key(stream: Stream, part: Part, sequence: u64) -> [u8; 17] {
    let mut key = [code(stream); 17];
    key[1..9].copy_from_slice(&part.0.to_be_bytes());
    key[9..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The first 64 bits of the SHA-256. Frozen: it is on disk.
pub(super) fn hash_of(text: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..8]);
    u64::from_be_bytes(first)
}

/// The sequence at the end of a key.
pub(super) fn sequence_of(key: &[u8]) -> Result<u64, ReadError> {
    let sequence = key.last_chunk().ok_or_else(|| ReadError::Corrupt("a key is cut off".to_owned()))?;
    Ok(u64::from_be_bytes(*sequence))
}

/// What readers may see of each stream: first and last sequence. The last moves only after the sync.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window(Arc<[(AtomicU64, AtomicU64); 3]>);

impl Window {
    /// The first sequence that is kept.
    pub(super) fn first(&self, stream: Stream) -> u64 {
        self.0[slot(stream)].0.load(Ordering::Acquire)
    }

    /// The last sequence that is on disk.
    pub(super) fn last(&self, stream: Stream) -> u64 {
        self.0[slot(stream)].1.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, stream: Stream, first: u64, last: u64) {
        self.0[slot(stream)].0.store(first, Ordering::Release);
        self.0[slot(stream)].1.store(last, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_its_subject_alone_too() {
        let new = NewRecord {
            subject: "a.b".to_owned(),
            id: "id-1".to_owned(),
            headers: vec![("name".to_owned(), "value".to_owned())],
            payload: Bytes::from_static(b"bytes"),
        };
        let now = Timestamp::from_millis(1_795_169_642_161);
        let row = EncodedRecord::new(Stream::Events, new.clone()).into_row(now);
        assert_eq!(subject(&row), Ok("a.b"));
        assert_eq!(stored_at(&row), Ok(now));
        let read = record(7, &row).unwrap();
        assert_eq!((read.sequence, read.stored_at), (7, now));
        let NewRecord { subject, id, headers, payload } = new;
        assert_eq!((read.subject, read.id, read.headers, read.payload), (subject, id, headers, payload));
    }

    #[test]
    fn keys_sort_by_stream_part_and_sequence() {
        let (a, b) = (Part::of("a"), Part::of("b"));
        let keys = [
            index_key(Stream::Ingest, b, 1),
            index_key(Stream::Ingest, b, 256),
            index_key(Stream::Ingest, a, 1),
            index_key(Stream::Events, b, 1),
        ];
        assert!(keys.is_sorted());
        assert_eq!(sequence_of(&keys[1]), Ok(256));
        assert_eq!(hash_of("abc"), 0xba78_16bf_8f01_cfea, "frozen: it stands on disk");
        assert!(record_key(Stream::Events, 255) < record_key(Stream::Events, 256));
        for stream in Stream::ALL {
            assert_eq!(from_code(code(stream)), Some(stream));
        }
    }
}
