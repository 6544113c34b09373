//! One name for each number that people read: in SQL columns, JSON and logs. Names are frozen like the numbers behind them.

use ota_manifest::wire::{FailedStage, Refusal, ResetCause, RollbackReason};

/// What a self-test found, by the code that a device reports: the faults of `ota_agent::self_test`, and those of a device's
/// own probes, which only its maker can name. `None` for codes of anything else.
///
/// ```
/// use ota_server_core::fault_name;
/// assert_eq!(fault_name(0x0B02), Some("nobody answers"));
/// assert_eq!(fault_name(0x0C07), Some("the device's own"));
/// assert_eq!(fault_name(0x0501), None);
/// ```
#[must_use]
pub fn fault_name(code: u16) -> Option<&'static str> {
    Some(match code {
        0x0B01 => "timed out",
        0x0B02 => "nobody answers",
        0x0B03 => "bus",
        0x0B04 => "another part answers",
        0x0B05 => "pin",
        0x0B06 => "level",
        0x0B07 => "clock stands still",
        0x0B08 => "clock off",
        0x0B09 => "flash does not read",
        0x0B0A => "flash holds other bytes",
        0x0B0B => "stack margin",
        0x0B0C => "memory",
        0x0B0D => "contents not restored",
        0x0B0E => "scratch memory",
        0x0C00..=0x0CFF => "the device's own",
        _ => return None,
    })
}

/// A value with a name.
pub(crate) trait Named: Copy + Sized {
    /// The name, in `snake_case`.
    fn name(self) -> &'static str;

    /// The value of this name.
    fn parse(name: &str) -> Option<Self>;
}

macro_rules! names {
    ($type:ty { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $crate::names::Named for $type {
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use names;

names!(ota_manifest::Role {
    Root => "root",
    Release => "release",
    Approval => "approval",
    Freshness => "freshness",
});

names!(RollbackReason {
    AttemptsExhausted => "attempts_exhausted",
    SelfTest => "self_test",
    Unproven => "unproven",
    WindowExpired => "window_expired",
    ConfirmedLost => "confirmed_lost",
    JournalLost => "journal_lost",
});

names!(ResetCause {
    Unknown => "unknown",
    PowerOn => "power_on",
    BrownOut => "brown_out",
    Pin => "pin",
    Watchdog => "watchdog",
    Software => "software",
    Lockup => "lockup",
});

names!(Refusal {
    Malformed => "malformed",
    Unauthentic => "unauthentic",
    NotForThisDevice => "not_for_this_device",
    NotNewer => "not_newer",
    BelowFloor => "below_floor",
    NoFittingImage => "no_fitting_image",
    Unsupported => "unsupported",
    RejectedBefore => "rejected_before",
    Busy => "busy",
    Gone => "gone",
    Expired => "expired",
    NotYet => "not_yet",
});

names!(FailedStage {
    Preparing => "preparing",
    Downloading => "downloading",
    Verifying => "verifying",
    Pending => "pending",
});
