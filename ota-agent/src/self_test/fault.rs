//! What can be wrong with a device, in numbers.

use thiserror::Error;

/// Why a probe failed.
///
/// The codes of [`Fault::code`] are frozen: a number that has left a device means the same for ever.
///
/// ```
/// use ota_agent::self_test::Fault;
/// assert_eq!(Fault::WrongIdentity.code(), 0x0B04);
/// assert_eq!(Fault::Own(7).code(), 0x0C07, "the codes of your own probes");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// No result within the probe's time.
    #[error("no result in time")]
    TimedOut,
    /// Nobody acknowledged, or nobody drove the line.
    #[error("nobody answers on the bus")]
    NoAnswer,
    /// The bus or its driver failed.
    #[error("the bus failed")]
    BusFailed,
    /// Somebody else answered.
    #[error("another part answers")]
    WrongIdentity,
    /// The driver of a pin failed.
    #[error("a pin cannot be driven or read")]
    PinFailed,
    /// A pin was driven and read back otherwise.
    #[error("driven {} and read back otherwise", if *driven_high { "high" } else { "low" })]
    WrongLevel {
        /// How it was driven.
        driven_high: bool,
    },
    /// A clock stands still.
    #[error("a clock stands still")]
    ClockStopped,
    /// Two clocks disagree.
    #[error("clock off by {ppm} ppm")]
    ClockOff {
        /// By how much, parts per million; above zero where the clock under test is the faster one.
        ppm: i32,
    },
    /// Flash does not read.
    #[error("flash does not read")]
    FlashUnreadable,
    /// Flash holds other bytes.
    #[error("flash holds other bytes")]
    WrongDigest,
    /// The stack has come too close to its end.
    #[error("{free_words} words of stack were never used")]
    StackMargin {
        /// Words that were never used.
        free_words: u32,
    },
    /// Memory did not keep what was written.
    #[error("word {word} of memory differs in bits {bits:#010x}")]
    Memory {
        /// Number of the word, from the beginning of what was lent.
        word: u32,
        /// The bits that differed.
        bits: u32,
    },
    /// Memory did not take its contents back: they are lost.
    #[error("word {word} of memory did not take its contents back")]
    NotRestored {
        /// Number of the word, from the beginning of what was lent.
        word: u32,
    },
    /// Memory that contents were to be kept in did not keep what was written.
    #[error("word {word} of scratch memory differs in bits {bits:#010x}")]
    ScratchMemory {
        /// Number of the word, from the beginning of what was lent.
        word: u32,
        /// The bits that differed.
        bits: u32,
    },
    /// What a probe of your own has found.
    #[error("fault {0} of a probe of this device's own")]
    Own(u8),
}

impl Fault {
    /// The frozen number for log and report.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::TimedOut => 0x0B01,
            Self::NoAnswer => 0x0B02,
            Self::BusFailed => 0x0B03,
            Self::WrongIdentity => 0x0B04,
            Self::PinFailed => 0x0B05,
            Self::WrongLevel { .. } => 0x0B06,
            Self::ClockStopped => 0x0B07,
            Self::ClockOff { .. } => 0x0B08,
            Self::FlashUnreadable => 0x0B09,
            Self::WrongDigest => 0x0B0A,
            Self::StackMargin { .. } => 0x0B0B,
            Self::Memory { .. } => 0x0B0C,
            Self::NotRestored { .. } => 0x0B0D,
            Self::ScratchMemory { .. } => 0x0B0E,
            // Lossless: a `From` is not yet callable in constants.
            Self::Own(number) => 0x0C00 | number as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_frozen() {
        let faults = [
            Fault::TimedOut,
            Fault::NoAnswer,
            Fault::BusFailed,
            Fault::WrongIdentity,
            Fault::PinFailed,
            Fault::WrongLevel { driven_high: true },
            Fault::ClockStopped,
            Fault::ClockOff { ppm: -7 },
            Fault::FlashUnreadable,
            Fault::WrongDigest,
            Fault::StackMargin { free_words: 7 },
            Fault::Memory { word: 7, bits: 7 },
            Fault::NotRestored { word: 7 },
            Fault::ScratchMemory { word: 7, bits: 7 },
        ];
        assert!(faults.iter().map(|fault| fault.code()).eq(0x0B01..=0x0B0E));
        assert_eq!([Fault::Own(0).code(), Fault::Own(255).code()], [0x0C00, 0x0CFF]);
    }
}
