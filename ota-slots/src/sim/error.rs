//! Why the simulated flash refuses.

use embedded_storage::nor_flash::{NorFlashError, NorFlashErrorKind};

/// Why the simulated flash refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// Power is off; nothing works until [`Flash::power_on`](super::Flash::power_on).
    #[error("power is off")]
    PowerLost,
    /// Not a multiple of the bank's write size or erase page. A bug in the code under test.
    #[error("not aligned to the bank's write size or erase page")]
    Unaligned,
    /// Beyond the end of the flash, or across two banks. A bug in the code under test.
    #[error("beyond the end of the flash or of the bank")]
    OutOfBounds,
    /// A program unit was programmed more often than the part allows without an erase. A bug in the code under test.
    #[error("programmed again without an erase")]
    ProgrammedTwice,
    /// Error correction found more wrong bits in a program unit than it can put right.
    #[error("more wrong bits than error correction can put right")]
    Uncorrectable,
    /// The page takes no more erases and writes; it keeps what it holds, and can be read.
    #[error("the page is worn out")]
    Worn,
    /// This read failed; the next one may succeed.
    #[error("this read failed")]
    ReadFailed,
    /// The part of the flash that was asked does not answer at all.
    #[error("the chip does not answer")]
    NoAnswer,
}

impl SimError {
    /// Whether the code under test is at fault: it broke a rule that every NOR flash has.
    ///
    /// ```
    /// use ota_slots::sim::SimError;
    ///
    /// assert!(SimError::ProgrammedTwice.is_violation());
    /// assert!(!SimError::Worn.is_violation(), "that happens to the best");
    /// ```
    #[must_use]
    pub fn is_violation(self) -> bool {
        matches!(self, Self::Unaligned | Self::OutOfBounds | Self::ProgrammedTwice)
    }
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Unaligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            _ => NorFlashErrorKind::Other,
        }
    }
}
