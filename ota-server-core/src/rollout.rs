//! The arithmetic of a rollout: who comes first, how far a wave reaches, when a gate opens and what stops everything.

use alloc::vec::Vec;
use core::fmt;

use ota_manifest::DeviceId;
use ota_verify::Sha256;
use serde::{Deserialize, Serialize};

use crate::names::Named;
use crate::plan::{Gate, HaltRule, Outcome, Wave};
use crate::state::JobKind;

/// A device's place in a campaign's order: the first 8 bytes of SHA-256 over salt and device, big endian.
///
/// Reproducible by anyone who has the salt, and another order for each campaign, so that nobody is always the canary.
#[must_use]
pub fn cohort(device: DeviceId, salt: &[u8; 16]) -> u64 {
    let digest = Sha256::of(&[b"ota cohort", salt, device.as_bytes()]);
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// For each wave the number of devices it reaches, counted from the first. Never falls.
#[must_use]
pub fn reach(waves: &[Wave], members: u32) -> Vec<u32> {
    let mut reached = 0;
    waves
        .iter()
        .map(|wave| {
            let own = match *wave {
                Wave::Count(count) => count,
                Wave::Percent(percent) => share(members, percent),
            };
            reached = own.min(members).max(reached);
            reached
        })
        .collect()
}

fn share(members: u32, percent: u8) -> u32 {
    let share = (u64::from(members) * u64::from(percent)).div_ceil(100);
    u32::try_from(share).unwrap_or(u32::MAX)
}

/// How many jobs are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally([u32; JobKind::ALL.len()]);

impl Tally {
    /// Jobs in `kind`.
    #[must_use]
    pub fn get(&self, kind: JobKind) -> u32 {
        self.0.get(usize::from(kind as u8)).copied().unwrap_or(0)
    }

    /// Counts one more.
    pub fn add(&mut self, kind: JobKind) {
        if let Some(count) = self.0.get_mut(usize::from(kind as u8)) {
            *count += 1;
        }
    }

    /// Counts one less.
    pub fn remove(&mut self, kind: JobKind) {
        if let Some(count) = self.0.get_mut(usize::from(kind as u8)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Adds all of `other`.
    pub fn absorb(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to += from);
    }

    fn sum(&self, wanted: impl Fn(JobKind) -> bool) -> u32 {
        JobKind::ALL.into_iter().filter(|kind| wanted(*kind)).map(|kind| self.get(kind)).sum()
    }

    /// Between offered and finished.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.sum(JobKind::is_in_flight)
    }

    /// Not closed: queued or in flight.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.sum(|kind| !kind.is_terminal())
    }

    /// Ended in a way that says something about the release. Cancelled, superseded and removed say nothing.
    #[must_use]
    pub fn finished(&self) -> u32 {
        self.sum(JobKind::is_verdict)
    }

    /// In flight or finished.
    #[must_use]
    pub fn contacted(&self) -> u32 {
        self.in_flight() + self.finished()
    }

    /// All jobs.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.sum(|_| true)
    }

    fn outcome(&self, outcome: Outcome) -> u32 {
        match outcome {
            Outcome::RolledBack => self.get(JobKind::RolledBack),
            Outcome::Failed => self.get(JobKind::Failed),
            Outcome::Rejected => self.get(JobKind::Rejected),
            Outcome::TimedOut => self.get(JobKind::TimedOut),
            Outcome::Any => self.finished() - self.get(JobKind::Confirmed),
        }
    }
}

/// What a wave's devices say about its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateView {
    /// Passed as things are.
    Passed,
    /// Not yet.
    Waiting,
    /// Every device of the wave is closed and the share was not reached.
    Missed,
}

/// Looks at the gate of a wave, given the tally of the devices that this wave added.
///
/// A wave that adds nobody, or whose devices were all cancelled, superseded or removed, has nothing to show and passes.
#[must_use]
pub fn look_at_gate(gate: Gate, wave: &Tally) -> GateView {
    let answerable = wave.open() + wave.finished();
    let sample = gate.min_sample.min(answerable);
    let contacted = wave.contacted();
    let confirmed = u64::from(wave.get(JobKind::Confirmed)) * 1000;
    if contacted >= sample && confirmed >= u64::from(gate.permille) * u64::from(contacted) {
        GateView::Passed
    } else if wave.open() == 0 {
        GateView::Missed
    } else {
        GateView::Waiting
    }
}

/// Why a campaign stopped itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// Too many devices ended in this way.
    Outcome {
        /// Which way.
        outcome: Outcome,
        /// Devices that did.
        count: u32,
        /// Devices finished.
        finished: u32,
        /// The share that stops, in thousandths.
        permille: u16,
    },
    /// Every device of a wave is closed and too few of them confirmed.
    GateMissed {
        /// Devices that confirmed.
        confirmed: u32,
        /// Devices contacted.
        contacted: u32,
        /// The share that was needed, in thousandths.
        permille: u16,
    },
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome { outcome, count, finished, permille } => {
                write!(f, "{}: {count} of {finished} finished devices, limit {permille}/1000", outcome.name())
            }
            Self::GateMissed { confirmed, contacted, permille } => {
                write!(
                    f,
                    "gate missed: {confirmed} of {contacted} contacted devices confirmed, needed {permille}/1000"
                )
            }
        }
    }
}

/// The first halt rule that the campaign's tally breaks.
#[must_use]
pub fn broken_rule(rules: &[HaltRule], tally: &Tally) -> Option<HaltReason> {
    let finished = tally.finished();
    rules.iter().find_map(|rule| {
        let count = tally.outcome(rule.outcome);
        let reached = u64::from(count) * 1000 >= u64::from(rule.permille) * u64::from(finished);
        (count > 0 && finished >= rule.min_sample && reached).then_some(HaltReason::Outcome {
            outcome: rule.outcome,
            count,
            finished,
            permille: rule.permille,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(kinds: &[(JobKind, u32)]) -> Tally {
        let mut tally = Tally::default();
        kinds.iter().for_each(|(kind, count)| (0..*count).for_each(|_| tally.add(*kind)));
        tally
    }

    #[test]
    fn reach_is_cumulative_rounds_up_and_never_falls() {
        let waves = [Wave::Count(1), Wave::Percent(25), Wave::Count(3), Wave::Percent(100)];
        assert_eq!(reach(&waves, 24), [1, 6, 6, 24]);
        assert_eq!(reach(&waves, 1), [1, 1, 1, 1]);
        assert_eq!(reach(&waves, 0), [0, 0, 0, 0]);
        assert_eq!(reach(&[Wave::Percent(1)], u32::MAX), [42_949_673]);
    }

    #[test]
    fn one_canary_rolled_back_breaks_a_rule_with_sample_one() {
        let rule = [HaltRule { outcome: Outcome::RolledBack, permille: 20, min_sample: 1 }];
        assert!(broken_rule(&rule, &tally(&[(JobKind::RolledBack, 1)])).is_some());
        assert!(broken_rule(&rule, &tally(&[(JobKind::Failed, 1)])).is_none());
        assert!(broken_rule(&rule, &tally(&[(JobKind::RolledBack, 1), (JobKind::Confirmed, 50)])).is_none());
    }

    #[test]
    fn gate_counts_contacted_devices_and_silence_never_passes_it() {
        let gate = Gate { permille: 500, min_sample: 4 };
        assert_eq!(
            look_at_gate(gate, &tally(&[(JobKind::Confirmed, 2), (JobKind::Queued, 8)])),
            GateView::Waiting
        );
        assert_eq!(
            look_at_gate(gate, &tally(&[(JobKind::Confirmed, 2), (JobKind::Testing, 2)])),
            GateView::Passed
        );
        assert_eq!(
            look_at_gate(gate, &tally(&[(JobKind::Confirmed, 1), (JobKind::TimedOut, 3)])),
            GateView::Missed
        );
        assert_eq!(look_at_gate(gate, &tally(&[(JobKind::Superseded, 9)])), GateView::Passed);
        assert_eq!(look_at_gate(gate, &Tally::default()), GateView::Passed);
    }
}
