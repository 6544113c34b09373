//! Conditions of the device's own: a battery that must hold, a user who must agree, a window that must be open.

/// A set of conditions under which an update may go on.
///
/// ```
/// use ota_agent::Gates;
/// let wanted = Gates::BATTERY.with(Gates::USER);
/// assert_eq!(wanted.without(Gates::BATTERY), Gates::USER);
/// assert!(wanted.without(wanted).is_empty());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gates(u8);

impl Gates {
    /// None.
    pub const NONE: Self = Self(0);
    /// Enough energy for a download, or for an erase and a restart.
    pub const BATTERY: Self = Self(1);
    /// Somebody at the device agrees.
    pub const USER: Self = Self(2);
    /// A maintenance window is open.
    pub const WINDOW: Self = Self(4);
    /// Whatever else the application knows: a machine that must not stop now, a connection that costs too much.
    pub const APPLICATION: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// Both sets.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The set without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a device waits with while gates are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Staging: erasing, fetching.
    Download,
    /// Asking the bootloader for the new image, and the restart.
    Restart,
}
