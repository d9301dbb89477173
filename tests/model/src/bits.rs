//! Small numbers, side by side in one large number.

/// A number that grows by a few bits at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bits {
    word: u128,
    used: u32,
}

impl Bits {
    /// Adds a number of at most `width` bits.
    pub(crate) fn put(&mut self, value: u8, width: u32) {
        assert!(u32::from(value) < 1 << width, "{value} needs more than {width} bits");
        self.word |= u128::from(value) << self.used;
        self.used += width;
        assert!(self.used <= u128::BITS, "a state must fit into {} bits", u128::BITS);
    }

    /// Adds a yes or no.
    pub(crate) fn flag(&mut self, value: bool) {
        self.put(u8::from(value), 1);
    }

    /// All of it.
    pub(crate) const fn word(self) -> u128 {
        self.word
    }
}
