//! Values by chance, the same in every run.

/// A xorshift generator.
pub(crate) struct Chance(u64);

/// Words that instructions treat in their own ways.
const WORDS: [u32; 10] = [
    0,
    1,
    u32::MAX,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0001,
    0x0000_8000,
    0x7FFF_8000,
    0x8080_8080,
    0x7F7F_7F7F,
];

/// The same for single-precision numbers: zeros, ones, infinities, NaNs, the ends of each range.
const SINGLES: [u32; 18] = [
    0,
    0x8000_0000,
    0x3F80_0000,
    0xBF80_0000,
    0x7F80_0000,
    0xFF80_0000,
    0x7FC0_0000,
    0xFFC1_2345,
    0x7F80_0001,
    0xFFA0_0000,
    1,
    0x807F_FFFF,
    0x0080_0000,
    0x7F7F_FFFF,
    0x3F00_0000,
    0x4F00_0000,
    0xCF00_0001,
    0x4B80_0001,
];

/// Numbers whose sums and products, and integers whose conversions, end in exact halves: one, a little more, half of that
/// little, two and a half, and the first integers that do not fit a significand.
const TIES: [u32; 10] = [
    0x3F80_0000,
    0x3F80_0001,
    0xBF80_0003,
    0x3380_0000,
    0xB380_0000,
    0x4020_0000,
    0x4060_0000,
    0x0100_0001,
    0x0100_0003,
    0x3F80_1000,
];

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        ((self.next() % u64::from(end.max(1))) & 0xFFFF_FFFF) as u32
    }

    pub(crate) fn word(&mut self) -> u32 {
        let any = (self.next() & 0xFFFF_FFFF) as u32;
        match self.below(4) {
            0 => WORDS[any as usize % WORDS.len()],
            1 => any >> self.below(32),
            _ => any,
        }
    }

    /// Any number, one of the special ones, or one of moderate size; half of the latter are near to integers.
    pub(crate) fn single(&mut self) -> u32 {
        let any = (self.next() & 0xFFFF_FFFF) as u32;
        match self.below(7) {
            0 => any,
            1 | 2 => SINGLES[any as usize % SINGLES.len()],
            3 => any & 0x80FF_FFFF,
            _ => any & 0x807F_F000 | (110 + self.below(40)) << 23 | self.below(2),
        }
    }

    pub(crate) fn tie(&mut self) -> u32 {
        TIES[self.below(1 << 16) as usize % TIES.len()]
    }
}
