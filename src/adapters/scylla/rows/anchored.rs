//! What is read through an account's anchor row.

use scylla::deserialize::row::{ColumnIterator, DeserializeRow};
use scylla::deserialize::{DeserializationError, TypeCheckError};
use scylla::frame::response::result::ColumnSpec;

/// A row behind a first column that is read only because the servers let a key be named in full just where more than
/// static columns is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adapters::scylla) struct Anchored<R>(pub(in crate::adapters::scylla) R);

impl<'frame, 'metadata, R: DeserializeRow<'frame, 'metadata>> DeserializeRow<'frame, 'metadata>
    for Anchored<R>
{
    fn type_check(specs: &[ColumnSpec<'_>]) -> Result<(), TypeCheckError> {
        R::type_check(specs.get(1..).unwrap_or_default())
    }

    fn deserialize(mut row: ColumnIterator<'frame, 'metadata>) -> Result<Self, DeserializationError> {
        row.next().transpose()?;
        R::deserialize(row).map(Self)
    }
}
