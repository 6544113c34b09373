//! Why a device restarted and why it went back: numbers that journals and reports share. Frozen.

/// Why a device went back to its old image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum RollbackReason {
    /// The image was reset as often as it may be without confirming itself.
    AttemptsExhausted = 0,
    /// The image found itself unfit.
    SelfTest = 1,
    /// The bootloader could not prove the image.
    Unproven = 2,
    /// The confirm window ended without a verdict.
    WindowExpired = 3,
    /// The confirmed image stopped proving itself, so the other slot took over.
    ConfirmedLost = 4,
    /// The journal was lost, so the best slot took over.
    JournalLost = 5,
}

impl RollbackReason {
    /// The reason with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::AttemptsExhausted,
            1 => Self::SelfTest,
            2 => Self::Unproven,
            3 => Self::WindowExpired,
            4 => Self::ConfirmedLost,
            5 => Self::JournalLost,
            _ => return None,
        })
    }
}

/// What reset the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum ResetCause {
    /// Not known.
    Unknown = 0,
    /// Power came on.
    PowerOn = 1,
    /// The supply dipped.
    BrownOut = 2,
    /// The reset pin.
    Pin = 3,
    /// The watchdog.
    Watchdog = 4,
    /// Software asked for it.
    Software = 5,
    /// The core locked up.
    Lockup = 6,
}

impl ResetCause {
    /// The cause with this number; [`ResetCause::Unknown`] for any other.
    #[must_use]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::PowerOn,
            2 => Self::BrownOut,
            3 => Self::Pin,
            4 => Self::Watchdog,
            5 => Self::Software,
            6 => Self::Lockup,
            _ => Self::Unknown,
        }
    }

    /// Whether the supply, not the firmware, is to blame.
    #[must_use]
    pub const fn is_power(self) -> bool {
        matches!(self, Self::PowerOn | Self::BrownOut)
    }
}
