//! Asking a bus again.

use super::{Fault, Outcome, Step};

/// A part may still be starting, a transfer may be disturbed: one refusal is no verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    left: u8,
    pause_ms: u32,
}

impl Retry {
    /// `attempts` in all, at least one, with `pause_ms` between them.
    pub(super) const fn new(attempts: u8, pause_ms: u32) -> Self {
        Self { left: attempts.saturating_sub(1), pause_ms }
    }

    /// After an attempt that failed: waits for the next, or gives up.
    pub(super) fn again(&mut self, now: u64, fault: Fault) -> Step {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Step::Wait { until: now.saturating_add(u64::from(self.pause_ms)) }
            }
            None => Step::Done(Outcome::Failed(fault)),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(3, 10)
    }
}

/// Whether the two agree in the bits of `mask`.
pub(super) fn agree(found: &[u8], expected: &[u8], mask: &[u8]) -> bool {
    found.iter().zip(expected).zip(mask).all(|((found, expected), mask)| (found ^ expected) & mask == 0)
}
