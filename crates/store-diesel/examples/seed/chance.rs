//! Deterministic random numbers, so that two databases get the same rows.

/// A pseudo-random generator (`SplitMix64`).
pub(crate) struct SeededRandom(pub(crate) u64);

impl SeededRandom {
    /// Returns the next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below the bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Returns `true` in `often` of 100 cases.
    pub(crate) fn percent(&mut self, often: u64) -> bool {
        self.below(100) < often
    }
}
