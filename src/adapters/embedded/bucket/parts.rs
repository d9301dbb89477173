//! The sizes of the parts that an object was made of.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Sizes in the order of the parts, as runs of equal ones: `(parts, bytes of each)`.
///
/// Empty for an object that came in one PUT, or in parts before sizes were kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartSizes(Vec<(u32, u64)>);

impl PartSizes {
    /// Adds the next part.
    pub(super) fn push(&mut self, size_bytes: u64) {
        match self.0.last_mut() {
            Some((parts, size)) if *size == size_bytes => *parts = parts.saturating_add(1),
            Some(_) | None => self.0.push((1, size_bytes)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many parts there are.
    pub(super) fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, (parts, _)| sum.saturating_add(*parts))
    }

    /// The bytes of a part; parts count from 1.
    pub(super) fn range(&self, number: u32) -> Option<Range<u64>> {
        let mut before = number.checked_sub(1)?;
        let mut start = 0_u64;
        for (parts, size) in &self.0 {
            let skipped = before.min(*parts);
            start = start.saturating_add(size.saturating_mul(u64::from(skipped)));
            if skipped < *parts {
                return Some(start..start.saturating_add(*size));
            }
            before -= skipped;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_its_number() {
        let mut sizes = PartSizes::default();
        assert!(sizes.is_empty());
        for size in [8, 8, 8, 9, 9, 3] {
            sizes.push(size);
        }
        assert_eq!((sizes.count(), sizes.is_empty()), (6, false));
        assert_eq!(serde_json::to_string(&sizes).unwrap(), "[[3,8],[2,9],[1,3]]");
        for (number, expected) in
            [(0, None), (1, Some(0..8)), (3, Some(16..24)), (4, Some(24..33)), (6, Some(42..45)), (7, None)]
        {
            assert_eq!(sizes.range(number), expected, "{number}");
        }
    }
}
