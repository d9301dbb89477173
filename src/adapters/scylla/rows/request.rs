//! A remembered request's row: kind 2, seq the hash of its key.

use scylla::value::CqlTimestamp;
use scylla::{DeserializeRow, SerializeRow};
use uuid::Uuid;

use crate::adapters::scylla::cells::{CellError, time, timestamp};
use crate::domain::account::Remembered;
use crate::domain::ids::FileId;

/// A remembered request's cells. The hashes keep all 64 bits, whatever their sign.
#[derive(Clone, Debug, PartialEq, SerializeRow, DeserializeRow)]
pub(in crate::adapters::scylla) struct RequestRow {
    seq: i64,
    request_body: i64,
    at: CqlTimestamp,
    #[scylla(default_when_null)]
    request_files: Vec<Uuid>,
}

/// Where the request with this key is.
pub(in crate::adapters::scylla) const fn seq_of(key: u64) -> i64 {
    key.cast_signed()
}

impl From<&Remembered> for RequestRow {
    fn from(request: &Remembered) -> Self {
        Self {
            seq: seq_of(request.key),
            request_body: request.body.cast_signed(),
            at: timestamp(request.at),
            request_files: request.files.iter().map(|file| file.uuid()).collect(),
        }
    }
}

impl TryFrom<RequestRow> for Remembered {
    type Error = CellError;

    fn try_from(row: RequestRow) -> Result<Self, CellError> {
        Ok(Self {
            key: row.seq.cast_unsigned(),
            body: row.request_body.cast_unsigned(),
            at: time("at", row.at)?,
            files: row.request_files.into_iter().map(FileId::from_uuid).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_request_reads_back() {
        let files = [1, 2].map(|n| FileId::from_uuid(Uuid::from_u128(n))).to_vec();
        let request = Remembered { key: u64::MAX, body: 1 << 63, at: Timestamp::from_millis(5), files };
        assert_eq!(Remembered::try_from(RequestRow::from(&request)), Ok(request));
    }
}
