//! How a row looks: a version byte, fixed fields, then postcard.
//!
//! Fixed fields can be read without understanding the rest: a version to compare, a time to prune by.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The only shape of rows so far.
const ROW_VERSION: u8 = 1;

/// A row that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    /// It is shorter than its fixed fields.
    #[error("a row of {len} bytes is cut off")]
    CutOff {
        /// What is there.
        len: usize,
    },
    /// A newer version of this program wrote it.
    #[error("a row has shape {found}, this version knows {ROW_VERSION}")]
    Newer {
        /// Its version byte.
        found: u8,
    },
    /// Its content is not what it should be.
    #[error("a row does not decode: {0}")]
    Content(#[from] postcard::Error),
}

/// A row with these fixed fields.
pub(crate) fn row<T: Serialize>(fixed: &[u8], content: &T) -> Vec<u8> {
    let mut row = Vec::with_capacity(256);
    row.push(ROW_VERSION);
    row.extend_from_slice(fixed);
    postcard::to_extend(content, row).expect("our rows have no sequence of unknown length")
}

/// A row's fixed fields, and what comes after them.
pub(crate) fn split(row: &[u8], fixed_len: usize) -> Result<(&[u8], &[u8]), RowError> {
    let (version, rest) = row.split_first().ok_or(RowError::CutOff { len: 0 })?;
    if *version != ROW_VERSION {
        return Err(RowError::Newer { found: *version });
    }
    rest.split_at_checked(fixed_len).ok_or(RowError::CutOff { len: row.len() })
}

/// A row's content.
pub(crate) fn unrow<T: DeserializeOwned>(row: &[u8], fixed_len: usize) -> Result<T, RowError> {
    let (_, content) = split(row, fixed_len)?;
    Ok(postcard::from_bytes(content)?)
}

/// The big-endian number at the start of `bytes`.
pub(crate) fn u64_at(bytes: &[u8]) -> Result<u64, RowError> {
    let number = bytes.first_chunk().ok_or(RowError::CutOff { len: bytes.len() })?;
    Ok(u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_and_its_fixed_fields_need_no_decoding() {
        let text = "content".to_owned();
        let row = row(&7_u64.to_be_bytes(), &text);
        assert_eq!(unrow::<String>(&row, 8), Ok(text));
        let (fixed, _) = split(&row, 8).unwrap();
        assert_eq!(u64_at(fixed), Ok(7));
    }

    #[test]
    fn a_row_from_the_future_or_a_torn_one_is_refused() {
        let mut bytes = row(&[], &1_u32);
        bytes[0] = 2;
        assert_eq!(unrow::<u32>(&bytes, 0), Err(RowError::Newer { found: 2 }));
        assert_eq!(unrow::<u32>(&[], 0), Err(RowError::CutOff { len: 0 }));
        assert_eq!(unrow::<u32>(&[1, 0, 0], 8), Err(RowError::CutOff { len: 3 }));
        assert!(matches!(unrow::<u32>(&[1], 0), Err(RowError::Content(_))));
    }
}
