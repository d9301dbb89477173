//! Chance from a seed.

/// `SplitMix64` (Steele, Lea and Flood 2014): small, fast, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `bound`, without it.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Yes, this often in a thousand.
    pub(crate) const fn per_mille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    /// A place of something that has so many.
    pub(crate) fn place(&mut self, len: usize) -> usize {
        let len = u64::try_from(len).unwrap();
        usize::try_from(self.below(len)).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.place(of.len())]
    }

    /// A span in ms: mostly short, sometimes long.
    pub(crate) const fn delay(&mut self) -> u64 {
        match self.below(100) {
            0..50 => self.below(3),
            50..92 => self.between(1, 25),
            92..99 => self.between(20, 400),
            _ => self.between(400, 7000),
        }
    }
}
