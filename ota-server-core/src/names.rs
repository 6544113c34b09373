//! One name for each number that people read: in SQL columns, JSON and logs. Names are frozen like the numbers behind them.

use ota_manifest::wire::{FailedStage, Refusal, ResetCause, RollbackReason};

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
