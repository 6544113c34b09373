//! A power supply that fails on purpose, once for each plan.

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
