//! The chunks of a file that comes in several: how many, how large, and which are missing.

use super::file::File;
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNKS_MAX};

/// How a file is cut: chunks of one size, and a last one that may be smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlan {
    size_bytes: u64,
    chunk_bytes: u64,
    count: u16,
}

/// One chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// From 1.
    pub number: u16,
    /// Exactly this many.
    pub size_bytes: u64,
}

/// Why a file cannot be cut so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkPlanError {
    /// The chunks are too small or too large.
    #[error("a chunk has {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX} bytes")]
    ChunkBytes,
    /// There would be no chunk, or too many.
    #[error("a file has 1 to {CHUNKS_MAX} chunks")]
    Count,
}

impl ChunkPlan {
    /// Cuts `size_bytes` into chunks of `chunk_bytes`.
    ///
    /// # Errors
    /// See [`ChunkPlanError`].
    pub fn new(size_bytes: u64, chunk_bytes: u64) -> Result<Self, ChunkPlanError> {
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&chunk_bytes) {
            return Err(ChunkPlanError::ChunkBytes);
        }
        let count = u16::try_from(size_bytes.div_ceil(chunk_bytes)).map_err(|_| ChunkPlanError::Count)?;
        if !(1..=CHUNKS_MAX).contains(&count) {
            return Err(ChunkPlanError::Count);
        }
        Ok(Self { size_bytes, chunk_bytes, count })
    }

    /// How a file is cut; none if it comes whole.
    #[must_use]
    pub fn of(file: &File) -> Option<Self> {
        let multipart = file.multipart.as_ref()?;
        Self::new(file.size_bytes, multipart.chunk_bytes).ok()
    }

    /// Bytes of every chunk but the last.
    #[must_use]
    pub const fn chunk_bytes(self) -> u64 {
        self.chunk_bytes
    }

    /// The chunk with this number, if there is one.
    #[must_use]
    pub fn chunk(self, number: u16) -> Option<Chunk> {
        let before = u64::from(number.checked_sub(1)?) * self.chunk_bytes;
        let left = self.size_bytes.checked_sub(before).filter(|left| *left > 0)?;
        Some(Chunk { number, size_bytes: left.min(self.chunk_bytes) })
    }

    /// All of them, in order.
    pub fn chunks(self) -> impl Iterator<Item = Chunk> {
        (1..=self.count).filter_map(move |number| self.chunk(number))
    }

    /// Those that are not among `arrived`, number and bytes each; one of another size has not arrived.
    #[must_use]
    pub fn missing(self, arrived: impl IntoIterator<Item = (u16, u64)>) -> Vec<Chunk> {
        let arrived: std::collections::BTreeMap<u16, u64> = arrived.into_iter().collect();
        self.chunks().filter(|chunk| arrived.get(&chunk.number) != Some(&chunk.size_bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(size_bytes: u64, chunk_bytes: u64, expected: Result<&[u64], ChunkPlanError>) {
        let sizes = |plan: ChunkPlan| plan.chunks().map(|chunk| chunk.size_bytes).collect::<Vec<_>>();
        let found = ChunkPlan::new(size_bytes, chunk_bytes).map(sizes);
        assert_eq!(found, expected.map(<[u64]>::to_vec), "{size_bytes} in {chunk_bytes}");
    }

    #[test]
    fn a_file_is_cut_into_equal_chunks_and_a_rest() {
        check(1, 5 * MIB, Ok(&[1]));
        check(5 * MIB, 5 * MIB, Ok(&[5 * MIB]));
        check(5 * MIB + 1, 5 * MIB, Ok(&[5 * MIB, 1]));
        check(17 * MIB, 6 * MIB, Ok(&[6 * MIB, 6 * MIB, 5 * MIB]));
    }

    #[test]
    fn chunks_keep_to_the_rules_of_s3() {
        check(1, 5 * MIB - 1, Err(ChunkPlanError::ChunkBytes));
        check(1, CHUNK_BYTES_MAX + 1, Err(ChunkPlanError::ChunkBytes));
        check(0, 5 * MIB, Err(ChunkPlanError::Count));
        check(u64::MAX, 5 * MIB, Err(ChunkPlanError::Count));
        let most = ChunkPlan::new(u64::from(CHUNKS_MAX) * 5 * MIB, 5 * MIB).map(|plan| plan.count);
        assert_eq!(most, Ok(CHUNKS_MAX));
        check(u64::from(CHUNKS_MAX) * 5 * MIB + 1, 5 * MIB, Err(ChunkPlanError::Count));
    }

    #[test]
    fn what_has_not_arrived_as_it_should_is_missing() {
        let plan = ChunkPlan::new(11 * MIB, 5 * MIB).unwrap();
        let missing = |arrived: &[(u16, u64)]| -> Vec<u16> {
            plan.missing(arrived.iter().copied()).iter().map(|chunk| chunk.number).collect()
        };
        assert_eq!(missing(&[]), [1, 2, 3]);
        assert_eq!(missing(&[(3, MIB), (1, 5 * MIB)]), [2]);
        assert_eq!(missing(&[(1, 5 * MIB), (2, 5 * MIB), (3, MIB)]), [0; 0]);
        assert_eq!(missing(&[(1, 5 * MIB), (2, 4 * MIB), (3, MIB), (4, MIB)]), [2], "another size");
    }

    proptest! {
        #[test]
        fn the_chunks_of_a_file_are_its_bytes(size in 1..=64 * 5 * MIB, chunk in 5 * MIB..=40 * MIB) {
            let plan = ChunkPlan::new(size, chunk).expect("few and large enough");
            let chunks: Vec<Chunk> = plan.chunks().collect();
            prop_assert_eq!(chunks.iter().map(|chunk| chunk.size_bytes).sum::<u64>(), size);
            let (last, rest) = chunks.split_last().expect("at least one");
            prop_assert!(rest.iter().all(|one| one.size_bytes == chunk) && (1..=chunk).contains(&last.size_bytes));
            prop_assert!(chunks.iter().zip(1..).all(|(chunk, number)| chunk.number == number));
            prop_assert_eq!(plan.chunk(0), None);
            prop_assert_eq!(plan.chunk(last.number + 1), None);
            prop_assert_eq!(plan.missing(chunks.iter().map(|chunk| (chunk.number, chunk.size_bytes))), []);
        }
    }
}
