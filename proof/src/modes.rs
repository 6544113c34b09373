//! Groups of cut modes.

use ota_slots::sim::CutMode;

use crate::print::may_read_at_random;

/// The modes without anything random in them.
pub const CLEAN: [CutMode; 4] = [CutMode::Before, CutMode::After, CutMode::FirstHalf, CutMode::LastHalf];

/// The modes that leave cells behind which read differently from time to time.
#[must_use]
pub fn weak() -> Vec<CutMode> {
    CutMode::ALL.into_iter().filter(|mode| may_read_at_random(*mode)).collect()
}

/// Pairs for two power failures: each mode followed by a clean failure, and by its own like. A clean failure after an
/// operation is the one before the next, so `Before` stands for both.
#[must_use]
pub fn pairs() -> Vec<(CutMode, CutMode)> {
    let clean = CutMode::ALL.into_iter().map(|first| (first, CutMode::Before));
    let alike = CutMode::ALL.into_iter().filter(|mode| *mode != CutMode::Before).map(|mode| (mode, mode));
    clean.chain(alike).collect()
}

/// Some of them: the first failure weak, torn or clean, the second one likewise or clean.
#[must_use]
pub fn few_pairs() -> Vec<(CutMode, CutMode)> {
    use CutMode::{AlmostDone, BarelyBegun, Before, LastHalf, WeaklyDone};
    vec![
        (AlmostDone(1), AlmostDone(1)),
        (BarelyBegun(1), BarelyBegun(1)),
        (WeaklyDone(1), Before),
        (LastHalf, LastHalf),
        (Before, Before),
    ]
}

/// The mode that [`CutMode`]'s `Debug` calls so.
#[must_use]
pub fn find(name: &str) -> Option<CutMode> {
    CutMode::ALL.into_iter().find(|mode| format!("{mode:?}") == name)
}
