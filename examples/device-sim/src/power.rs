//! A power supply that fails on purpose, once for each plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::{Happening, Line};

/// When the power of a device fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerPlan {
    /// In the middle of writing this chunk of an update, counted from 0.
    pub in_download_at_chunk: Option<u32>,
    /// After the first boot of a new image, before it confirms itself.
    pub before_confirm: bool,
}

/// Where in an update the power failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutPoint {
    /// While a chunk was written.
    Download,
    /// While the new image ran on trial.
    Trial,
}

impl PowerPlan {
    /// What of the plan a device's log does not show yet: a cut is planned for the life of a device, however many processes
    /// it takes. A process killed after the cut and before its line leaves no trace of it; then it happens again.
    #[must_use]
    pub fn left_after(self, log: &[Line]) -> Self {
        let done = |at| log.iter().any(|line| line.what == Happening::PowerCut { at });
        Self {
            in_download_at_chunk: self.in_download_at_chunk.filter(|_| !done(CutPoint::Download)),
            before_confirm: self.before_confirm && !done(CutPoint::Trial),
        }
    }
}

/// Power, and a fuse. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Supply(Arc<State>);

#[derive(Debug)]
struct State {
    /// Operations on flash that still succeed before the power fails.
    fuse: AtomicUsize,
    is_on: AtomicBool,
}

/// A fuse that does not blow.
const STEADY: usize = usize::MAX;

impl Supply {
    /// Steady power.
    pub(crate) fn new() -> Self {
        Self(Arc::new(State { fuse: STEADY.into(), is_on: true.into() }))
    }

    /// Lets the power fail in the middle of the operation on flash after the next `operations`.
    pub fn fail_after(&self, operations: usize) {
        self.0.fuse.store(operations, Ordering::Relaxed);
    }

    /// Whether there is power.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_on.load(Ordering::Relaxed)
    }

    /// Power is back.
    pub fn restore(&self) {
        self.0.is_on.store(true, Ordering::Relaxed);
    }

    /// Burns one operation off the fuse; `true` when this is the one that power fails in.
    pub(crate) fn fuse_blows(&self) -> bool {
        match self.0.fuse.load(Ordering::Relaxed) {
            STEADY => false,
            0 => {
                self.fail_after(STEADY);
                self.0.is_on.store(false, Ordering::Relaxed);
                true
            }
            left => {
                self.fail_after(left - 1);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_that_stands_in_the_log_is_not_planned_again() {
        let plan = PowerPlan { in_download_at_chunk: Some(29), before_confirm: true };
        let cut = |at| Line { at_ms: 1, what: Happening::PowerCut { at } };
        assert_eq!(plan.left_after(&[]), plan);
        let download = [cut(CutPoint::Download)];
        assert_eq!(plan.left_after(&download), PowerPlan { in_download_at_chunk: None, ..plan });
        let both = [cut(CutPoint::Download), cut(CutPoint::Trial)];
        assert_eq!(plan.left_after(&both), PowerPlan::default());
    }
}
