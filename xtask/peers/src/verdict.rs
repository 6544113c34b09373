//! What a life came to.

use serde::{Deserialize, Serialize};

use crate::lives::{History, Life, Running};

/// The harms of one life. One life may suffer several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The bootloader jumped to bytes that are neither image.
    pub unbootable: bool,
    /// And no rest on an image within [`crate::lives::MAX_BOOTS`] boots.
    pub unbootable_for_good: bool,
    /// Healthy firmware, yet the device ends on the old image or an application is told of a rollback.
    pub false_rollback: bool,
    /// Firmware that hangs, and no application is ever told of its rollback.
    pub lost_rollback: bool,
    /// Rolled back although the new image never ran.
    pub lost_trial: bool,
    /// No rest within [`crate::lives::MAX_BOOTS`] boots, though every boot found an image.
    pub stuck: bool,
}

impl Verdict {
    /// Judges a life.
    #[must_use]
    pub fn of(life: Life, history: &History) -> Self {
        let has = |running| history.handovers.contains(&running);
        let ends_old = history.settled && history.handovers.last() == Some(&Running::Old);
        let unbootable = has(Running::Neither);
        Self {
            unbootable,
            unbootable_for_good: unbootable && !history.settled,
            false_rollback: life == Life::Confirm && (ends_old || history.told_of_rollback),
            lost_rollback: life == Life::Revert && history.settled && !history.told_of_rollback,
            lost_trial: ends_old && !has(Running::New),
            stuck: !history.settled && !unbootable,
        }
    }

    /// Nothing went wrong.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self == Self::default()
    }
}

/// Verdicts, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Lives that were disturbed.
    pub cuts: usize,
    /// See [`Verdict::unbootable`].
    pub unbootable: usize,
    /// See [`Verdict::unbootable_for_good`].
    pub unbootable_for_good: usize,
    /// See [`Verdict::false_rollback`].
    pub false_rollback: usize,
    /// See [`Verdict::lost_rollback`].
    pub lost_rollback: usize,
    /// See [`Verdict::lost_trial`].
    pub lost_trial: usize,
    /// See [`Verdict::stuck`].
    pub stuck: usize,
    /// Lives with at least one of these.
    pub harmed: usize,
    /// Bootloader runs that ended in an error with power on.
    pub refused_boots: usize,
    /// Rules of the flash that were broken.
    pub violations: usize,
}

impl Tally {
    /// Counts one life.
    pub fn add(&mut self, life: Life, history: &History) {
        let verdict = Verdict::of(life, history);
        self.cuts += 1;
        self.unbootable += usize::from(verdict.unbootable);
        self.unbootable_for_good += usize::from(verdict.unbootable_for_good);
        self.false_rollback += usize::from(verdict.false_rollback);
        self.lost_rollback += usize::from(verdict.lost_rollback);
        self.lost_trial += usize::from(verdict.lost_trial);
        self.stuck += usize::from(verdict.stuck);
        self.harmed += usize::from(!verdict.is_clean());
        self.refused_boots += history.refused_boots;
        self.violations += history.violations;
    }

    /// Counts what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.unbootable += other.unbootable;
        self.unbootable_for_good += other.unbootable_for_good;
        self.false_rollback += other.false_rollback;
        self.lost_rollback += other.lost_rollback;
        self.lost_trial += other.lost_trial;
        self.stuck += other.stuck;
        self.harmed += other.harmed;
        self.refused_boots += other.refused_boots;
        self.violations += other.violations;
    }
}

impl<'a> FromIterator<&'a Tally> for Tally {
    fn from_iter<T: IntoIterator<Item = &'a Tally>>(tallies: T) -> Self {
        let mut sum = Self::default();
        tallies.into_iter().for_each(|tally| sum.merge(tally));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(handovers: &[Running], told_of_rollback: bool, settled: bool) -> History {
        History { handovers: handovers.to_vec(), told_of_rollback, settled, ..History::default() }
    }

    #[test]
    fn a_rollback_nobody_needed_is_a_false_one() {
        let told = history(&[Running::Old, Running::New], true, true);
        assert!(Verdict::of(Life::Confirm, &told).false_rollback);
        let back = history(&[Running::Old, Running::New, Running::Old], false, true);
        assert!(Verdict::of(Life::Confirm, &back).false_rollback);
        assert!(Verdict::of(Life::Revert, &back).lost_rollback);
    }

    #[test]
    fn a_rollback_without_a_trial_is_a_lost_trial() {
        let untried = history(&[Running::Old, Running::Old], true, true);
        assert!(Verdict::of(Life::Revert, &untried).lost_trial);
        assert!(!Verdict::of(Life::Revert, &untried).lost_rollback);
    }

    #[test]
    fn a_half_moved_image_that_a_later_boot_completes_is_not_for_good() {
        let healed = history(&[Running::Old, Running::Neither, Running::New], false, true);
        let verdict = Verdict::of(Life::Confirm, &healed);
        assert!(verdict.unbootable && !verdict.unbootable_for_good && !verdict.stuck);
    }
}
