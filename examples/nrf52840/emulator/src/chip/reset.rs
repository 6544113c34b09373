//! Reset causes (product specification, "POWER", section "Reset", and the table of reset behaviour there).

/// Why the chip was reset. What each leaves alone: RAM survives all but [`PowerOn`](Self::PowerOn); the watchdog goes on, and
/// GPREGRET is kept, after [`Soft`](Self::Soft) and [`Lockup`](Self::Lockup) alone, which is the least firmware can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResetCause {
    /// Power came back: RESETREAS reads zero.
    PowerOn,
    /// The reset pin.
    Pin,
    /// The watchdog.
    Watchdog,
    /// AIRCR.SYSRESETREQ.
    Soft,
    /// The core could not go on.
    Lockup,
}

impl ResetCause {
    /// The bit of RESETREAS.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::PowerOn => 0,
            Self::Pin => 1,
            Self::Watchdog => 1 << 1,
            Self::Soft => 1 << 2,
            Self::Lockup => 1 << 3,
        }
    }

    /// Whether the watchdog and the retained registers do not notice.
    pub(super) const fn is_light(self) -> bool {
        matches!(self, Self::Soft | Self::Lockup)
    }
}
