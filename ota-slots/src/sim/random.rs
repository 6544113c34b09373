//! Where everything undecided gets its decisions.

use super::alloc::collections::BTreeSet;

/// xorshift64*: small, seeded, and good enough to tear flash with (Vigna 2016).
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The seed goes through the finaliser of splitmix64: neighbouring seeds must not begin alike, and a state of 0 would
    /// stay 0 for good.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((state ^ (state >> 31)).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(super) fn percent(&mut self, percent: u8) -> bool {
        (self.next() >> 33) % 100 < u64::from(percent)
    }

    /// Each bit set with this probability.
    pub(super) fn mask(&mut self, percent: u8) -> u8 {
        (0..8).fold(0, |mask, bit| mask | u8::from(self.percent(percent)) << bit)
    }

    /// Bits of `even` set one time in two, bits of `rare` one time in 32.
    pub(super) fn noise(&mut self, even: u8, rare: u8) -> u8 {
        if even | rare == 0 {
            return 0;
        }
        // Five bytes that must agree: 1/2 to the fifth. The low bytes of xorshift64* are its weakest and stay unused.
        let [a, b, c, d, e, f, ..] = self.next().to_be_bytes();
        (even & f) | (rare & a & b & c & d & e)
    }

    /// So many different numbers below `end`, in ascending order (Floyd's sample).
    pub(super) fn sample(&mut self, end: usize, count: usize) -> BTreeSet<usize> {
        let mut chosen = BTreeSet::new();
        for last in end.saturating_sub(count)..end {
            let number = self.below(last + 1);
            if !chosen.insert(number) {
                chosen.insert(last);
            }
        }
        chosen
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 11) % end as u64) as usize
    }
}
