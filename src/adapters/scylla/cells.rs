//! Values on their way into a cell and out of it. CQL has no unsigned numbers: every conversion is checked.

use scylla::deserialize::value::DeserializeValue;
use scylla::deserialize::{DeserializationError, FrameSlice, TypeCheckError};
use scylla::frame::response::result::ColumnType;
use scylla::serialize::SerializationError;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};
use scylla::value::CqlTimestamp;

use crate::domain::time::Timestamp;

/// A value that does not fit its column, or a column that holds something it should not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{column} cannot be {value}")]
pub(super) struct CellError {
    column: &'static str,
    value: String,
}

impl CellError {
    pub(super) fn new(column: &'static str, value: impl ToString) -> Self {
        Self { column, value: value.to_string() }
    }
}

/// A number for a `bigint` column: at most 2^63 - 1.
pub(super) fn bigint(column: &'static str, value: u64) -> Result<i64, CellError> {
    i64::try_from(value).map_err(|_| CellError::new(column, value))
}

/// A number out of a `bigint` column.
pub(super) fn unsigned<N: TryFrom<i64>>(column: &'static str, value: i64) -> Result<N, CellError> {
    N::try_from(value).map_err(|_| CellError::new(column, value))
}

/// A point in time for a `timestamp` column.
pub(super) fn timestamp(time: Timestamp) -> CqlTimestamp {
    CqlTimestamp(i64::try_from(time.as_millis()).expect("the year 9999 fits"))
}

/// A point in time out of a `timestamp` column.
pub(super) fn time(column: &'static str, value: CqlTimestamp) -> Result<Timestamp, CellError> {
    unsigned(column, value.0).map(Timestamp::from_millis)
}

/// Something with a code or a word of its own, out of its column.
pub(super) fn known<C: ToString, T>(
    column: &'static str,
    code: C,
    find: impl FnOnce(&C) -> Option<T>,
) -> Result<T, CellError> {
    find(&code).ok_or_else(|| CellError::new(column, code))
}

/// A cell that may have no value.
///
/// Null is a tombstone, which every read walks over until the server drops it. So it is written only where a value of an
/// earlier version of the row has to go; otherwise the cell is left unset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell<T> {
    value: Option<T>,
    is_cleared: bool,
}

impl<T> Cell<T> {
    /// A value, or none; none was there before either.
    pub(super) const fn kept(value: Option<T>) -> Self {
        Self { value, is_cleared: false }
    }

    /// A value, or none; none takes the place of an earlier value where `may_replace`.
    pub(super) const fn replaced(value: Option<T>, may_replace: bool) -> Self {
        Self { value, is_cleared: may_replace }
    }

    /// What is in the cell.
    pub(super) fn into_option(self) -> Option<T> {
        self.value
    }
}

impl<T: SerializeValue> SerializeValue for Cell<T> {
    fn serialize<'b>(
        &self,
        column: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        match &self.value {
            Some(value) => value.serialize(column, writer),
            None if self.is_cleared => Ok(writer.set_null()),
            None => Ok(writer.set_unset()),
        }
    }
}

impl<'frame, 'metadata, T: DeserializeValue<'frame, 'metadata>> DeserializeValue<'frame, 'metadata>
    for Cell<T>
{
    fn type_check(column: &ColumnType<'_>) -> Result<(), TypeCheckError> {
        Option::<T>::type_check(column)
    }

    fn deserialize(
        column: &'metadata ColumnType<'metadata>,
        value: Option<FrameSlice<'frame>>,
    ) -> Result<Self, DeserializationError> {
        Option::<T>::deserialize(column, value).map(Self::kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_do_not_fit_are_refused_not_bent() {
        assert_eq!(bigint("n", 1 << 62), Ok(1 << 62));
        assert_eq!(bigint("n", 1 << 63), Err(CellError::new("n", 1_u64 << 63)));
        assert_eq!(unsigned::<u64>("n", -1), Err(CellError::new("n", -1)));
        assert_eq!(unsigned::<u32>("n", 1 << 32), Err(CellError::new("n", 1_i64 << 32)));
        assert_eq!(unsigned::<u64>("n", i64::MAX), Ok(u64::try_from(i64::MAX).unwrap()));
    }

    #[test]
    fn a_cell_without_a_value_is_null_only_where_it_replaces_one() {
        use scylla::frame::response::result::NativeType;
        let bytes = |cell: Cell<i8>| {
            let mut bytes = Vec::new();
            let column = ColumnType::Native(NativeType::TinyInt);
            cell.serialize(&column, CellWriter::new(&mut bytes)).unwrap();
            bytes
        };
        let (null, unset) = ((-1_i32).to_be_bytes(), (-2_i32).to_be_bytes());
        assert_eq!(bytes(Cell::kept(None)), unset);
        assert_eq!(bytes(Cell::replaced(None, false)), unset);
        assert_eq!(bytes(Cell::replaced(None, true)), null);
        assert_eq!(bytes(Cell::replaced(Some(7), true)), [0, 0, 0, 1, 7]);
    }

    #[test]
    fn times_read_back() {
        for millis in [0, 1, 1_795_169_642_161, u64::MAX] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(time("at", timestamp(at)), Ok(at));
        }
        assert!(time("at", CqlTimestamp(-1)).is_err());
    }

    #[test]
    fn the_column_is_named() {
        let error = known("state", 7_i8, |_| None::<()>).unwrap_err();
        assert_eq!(error.to_string(), "state cannot be 7");
    }
}
