//! When and how power fails.

/// When and how power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cut {
    /// Number of the write or page erase that is hit, from 0, counted over the life of the flash.
    pub operation: usize,
    /// What becomes of it.
    pub mode: CutMode,
}

/// What becomes of the operation during which power fails.
///
/// "Happened" is per bit: a write programs the bits in which its data differs from erased cells, an erase sets back the
/// bits that were programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CutMode {
    /// Nothing of it happened. The only mode after which the units of a write may still be programmed.
    Before,
    /// All of it happened, but nobody was told.
    After,
    /// The first half of its bytes happened (of a single byte, the low four bits).
    FirstHalf,
    /// The second half of its bytes happened (of a single byte, the high four bits).
    LastHalf,
    /// Each bit happened with this probability, in percent.
    RandomBits(u8),
    /// Each program unit happened or not, evenly.
    RandomWords,
    /// Nothing is decided: each bit that was to change reads either way, anew at every read.
    Marginal,
    /// All of it happened but for so many bits, which read either way, anew at every read.
    AlmostDone(u8),
    /// Nothing of it happened but for so many bits, which read either way, anew at every read. A cell that looks blank,
    /// every second time, and is not.
    BarelyBegun(u8),
    /// All of it happened, but so many bits read as if it had not, one read in 32. The hardest to notice: it passes a
    /// read-back, and fails tomorrow.
    WeaklyDone(u8),
    /// Nothing of it happened, but so many bits read as if it had, one read in 32. It passes a blank check, and fails
    /// tomorrow.
    WeaklyBegun(u8),
}

impl CutMode {
    /// A spread over all of them: what a sweep should go through.
    ///
    /// One and 99 percent are for long operations (a few bits of a record, a few cells of a page), 10 and 90 percent for
    /// single program units. With error correction on, add modes with more undecided bits: it puts a single one right.
    pub const ALL: [Self; 16] = [
        Self::Before,
        Self::After,
        Self::FirstHalf,
        Self::LastHalf,
        Self::RandomBits(1),
        Self::RandomBits(10),
        Self::RandomBits(50),
        Self::RandomBits(90),
        Self::RandomBits(99),
        Self::RandomWords,
        Self::Marginal,
        Self::AlmostDone(1),
        Self::AlmostDone(3),
        Self::BarelyBegun(1),
        Self::WeaklyDone(1),
        Self::WeaklyBegun(1),
    ];
}
