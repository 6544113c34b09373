//! One probe after the other, to a verdict.

use ota_manifest::Nonce;
use ota_manifest::wire::FailedProbes;
use ota_verify::AuthenticFreshness;
use thiserror::Error;

use super::{Outcome, Probe, Step, Watchdog};
use crate::{Fitness, Input};

/// Most probes of a self-test: as many as [`Probes`] has bits.
pub const MAX_PROBES: usize = 32;

/// Turns without time rising after which the clock counts as stopped. No processor turns that fast: at 64 MHz a
/// million turns in a millisecond would leave each a sixteenth of a cycle. Without it a stopped clock would stop
/// every timeout.
const STOPPED: u32 = 1 << 20;

/// A probe in the list, and what it has found.
pub struct Check<'p> {
    probe: &'p mut dyn Probe,
    required: bool,
    outcome: Option<Outcome>,
}

impl<'p> Check<'p> {
    /// A probe that decides: the firmware is fit only if it passes.
    pub fn required(probe: &'p mut dyn Probe) -> Self {
        Self { probe, required: true, outcome: None }
    }

    /// A probe that is asked for the record.
    pub fn optional(probe: &'p mut dyn Probe) -> Self {
        Self { probe, required: false, outcome: None }
    }

    /// What the probe is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.probe.name()
    }

    /// What it has found, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }
}

/// Runs the probes of a lent list, one after the other, each within its own time.
///
/// A failure does not end the run: the others are asked all the same, so that one look at the record tells all that
/// is wrong. So the whole takes at most the sum of the timeouts; the trial's deadline is above all of them. Put a
/// stack watermark last, to see what the others took, and connectivity before it.
///
/// ```
/// use ota_agent::self_test::{Check, Outcome, Probe, SelfTest, Step, Turn, Verdict};
/// # use ota_agent::self_test::Fault;
/// # struct Says(&'static str, Outcome);
/// # impl Probe for Says {
/// #     fn name(&self) -> &'static str { self.0 }
/// #     fn timeout_ms(&self) -> u32 { 100 }
/// #     fn poll(&mut self, _: u64) -> Step { Step::Done(self.1) }
/// # }
/// // Two probes, one of which fails:
/// let mut sensor = Says("sensor", Outcome::Passed);
/// let mut radio = Says("radio", Outcome::Failed(Fault::NoAnswer));
///
/// let mut checks = [Check::required(&mut sensor), Check::optional(&mut radio)];
/// let mut test = SelfTest::new(&mut checks).unwrap();
/// let verdict = loop {
///     match test.poll(0) { // your clock, ms
///         Turn::Done(verdict) => break verdict,
///         Turn::Progress | Turn::Ended { .. } => {} // feed the watchdog
///         Turn::Ask(nonce) => { /* send it; hand in the answer with `answer` */ }
///         Turn::Wait { until } => { /* sleep until then, or until an answer arrives */ }
///     }
/// };
/// assert_eq!(verdict, Verdict::Passed, "the radio was not required");
/// assert_eq!(test.summary().failed.bits(), 0b10, "but is on record");
/// ```
pub struct SelfTest<'t, 'p> {
    checks: &'t mut [Check<'p>],
    /// The probe that is asked.
    at: usize,
    /// When it was asked first, ms.
    started: Option<u64>,
    /// The highest time told, ms, and turns since it last rose.
    latest: u64,
    turns: u32,
}

/// What became of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// A probe got further: feed the watchdog, look after everything else, poll again.
    Progress,
    /// Ask the server this, poll again, and hand in the answer with [`SelfTest::answer`] when it is there. Counts as
    /// progress.
    Ask(Nonce),
    /// A probe has ended: a line for the log. Counts as progress.
    Ended {
        /// Its place in the list.
        probe: usize,
        /// What it is called.
        name: &'static str,
        /// What it has found.
        outcome: Outcome,
    },
    /// Nothing is to be done before `until`, ms. Not a reason to feed the watchdog.
    Wait {
        /// When to poll again, at the latest.
        until: u64,
    },
    /// All have ended.
    Done(Verdict),
}

impl Turn {
    /// Whether something was done that will not be done again, so that the watchdog may be fed.
    #[must_use]
    pub const fn is_progress(&self) -> bool {
        matches!(self, Self::Progress | Self::Ask(_) | Self::Ended { .. })
    }
}

/// Whether the firmware is fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every required probe passed.
    Passed,
    /// A required probe failed; this is the first that did.
    Failed {
        /// Its place in the list.
        probe: usize,
        /// What it is called.
        name: &'static str,
        /// All that failed, for the report of the rollback.
        failed: FailedProbes,
    },
    /// None failed, but this required probe could not tell.
    Inconclusive {
        /// Its place in the list.
        probe: usize,
        /// What it is called.
        name: &'static str,
    },
}

impl Verdict {
    /// What to tell the agent: nothing where the verdict is inconclusive. The trial then goes on to the end of its
    /// window, in which the self-test may be run again; a reset at the end uses up one attempt.
    ///
    /// ```
    /// use ota_agent::{Input, self_test::Verdict};
    /// # use ota_agent::Fitness;
    /// # use ota_manifest::wire::FailedProbes;
    /// let failed = FailedProbes { probes: 0b1, code: 0x0B02 };
    /// let radio = Verdict::Failed { probe: 0, name: "radio", failed };
    /// assert!(matches!(Verdict::Passed.input(), Some(Input::SelfTest(Fitness::Fit))));
    /// assert!(matches!(radio.input(), Some(Input::SelfTest(Fitness::Unfit(found))) if found == failed));
    /// assert!(Verdict::Inconclusive { probe: 0, name: "server" }.input().is_none());
    /// ```
    #[must_use]
    pub const fn input(self) -> Option<Input<'static>> {
        match self.fitness() {
            Some(fitness) => Some(Input::SelfTest(fitness)),
            None => None,
        }
    }

    /// The same, for whoever tells the agent.
    #[must_use]
    pub const fn fitness(self) -> Option<Fitness> {
        match self {
            Self::Passed => Some(Fitness::Fit),
            Self::Failed { failed, .. } => Some(Fitness::Unfit(failed)),
            Self::Inconclusive { .. } => None,
        }
    }
}

/// A set of probes, by their places in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Probes(u32);

impl Probes {
    /// Bit n stands for probe n.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether no probe is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the probe at this place is in it.
    #[must_use]
    pub const fn contains(self, probe: usize) -> bool {
        probe < MAX_PROBES && self.0 >> probe & 1 == 1
    }
}

/// The record of a self-test, small enough for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Who failed, required or not.
    pub failed: Probes,
    /// Who could not tell.
    pub inconclusive: Probes,
    /// [`Fault::code`](super::Fault::code) of the first required probe that failed, or of the first optional one if
    /// no required one did; 0 if none failed.
    pub code: u16,
}

/// Why a list of probes is no self-test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoSelfTest {
    /// No probe is required: it could not fail.
    #[error("no probe of the list is required")]
    NothingRequired,
    /// More than [`MAX_PROBES`].
    #[error("more than {MAX_PROBES} probes")]
    TooManyProbes,
}

impl<'t, 'p> SelfTest<'t, 'p> {
    /// A self-test that has not begun.
    ///
    /// # Errors
    /// [`NoSelfTest`].
    pub fn new(checks: &'t mut [Check<'p>]) -> Result<Self, NoSelfTest> {
        if checks.len() > MAX_PROBES {
            return Err(NoSelfTest::TooManyProbes);
        }
        if !checks.iter().any(|check| check.required) {
            return Err(NoSelfTest::NothingRequired);
        }
        checks.iter_mut().for_each(|check| check.outcome = None);
        Ok(Self { checks, at: 0, started: None, latest: 0, turns: 0 })
    }

    /// Does one step at time `now`, ms, by a clock that rises at least every 10 ms.
    pub fn poll(&mut self, now: u64) -> Turn {
        let is_stopped = self.count_turn(now);
        let Some(check) = self.checks.get_mut(self.at) else { return Turn::Done(self.verdict()) };
        let begins = self.started.is_none();
        let started = *self.started.get_or_insert(now);
        let deadline = started.saturating_add(u64::from(check.probe.timeout_ms()));
        // The first poll is never late: a probe is asked at least once.
        let is_late = !begins && now >= deadline;
        let step =
            if is_late || is_stopped { Step::Done(check.probe.expire()) } else { check.probe.poll(now) };
        match step {
            Step::Progress => Turn::Progress,
            Step::Ask(nonce) => Turn::Ask(nonce),
            Step::Wait { until } => Turn::Wait { until: until.min(deadline) },
            Step::Done(outcome) => self.end(outcome),
        }
    }

    /// As [`Self::poll`], and feeds the watchdog if that was progress.
    pub fn poll_feeding(&mut self, now: u64, watchdog: &mut impl Watchdog) -> Turn {
        let turn = self.poll(now);
        if turn.is_progress() {
            watchdog.feed();
        }
        turn
    }

    /// Hands in an answer that [`Trust::freshness`](ota_verify::Trust::freshness) has believed, and does one step. An
    /// answer to nobody's question does nothing, and neither does one that comes after the probe's time.
    pub fn answer(&mut self, now: u64, fresh: &AuthenticFreshness) -> Turn {
        if let (Some(check), Some(_)) = (self.checks.get_mut(self.at), self.started) {
            check.probe.answer(fresh);
        }
        self.poll(now)
    }

    /// The list, with what each probe has found so far.
    #[must_use]
    pub fn checks(&self) -> &[Check<'p>] {
        self.checks
    }

    /// The record so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        let mut required_failed = false;
        let bits = core::iter::successors(Some(1_u32), |bit| Some(bit << 1));
        for (check, bit) in self.checks.iter().zip(bits) {
            match check.outcome {
                Some(Outcome::Failed(fault)) => {
                    summary.failed.0 |= bit;
                    let decides = check.required && !required_failed;
                    if decides || summary.code == 0 {
                        summary.code = fault.code();
                    }
                    required_failed |= check.required;
                }
                Some(Outcome::Inconclusive) => summary.inconclusive.0 |= bit,
                Some(Outcome::Passed) | None => {}
            }
        }
        summary
    }

    fn end(&mut self, outcome: Outcome) -> Turn {
        let probe = self.at;
        let Some(check) = self.checks.get_mut(probe) else { return Turn::Done(self.verdict()) };
        check.outcome = Some(outcome);
        let name = check.probe.name();
        self.at += 1;
        self.started = None;
        self.turns = 0;
        Turn::Ended { probe, name, outcome }
    }

    /// Counts the turns since time last rose; true when the clock stands still.
    fn count_turn(&mut self, now: u64) -> bool {
        if now > self.latest {
            self.latest = now;
            self.turns = 0;
        }
        self.turns = self.turns.saturating_add(1);
        self.turns > STOPPED
    }

    /// Once all have ended: a failure outweighs what could not be told.
    fn verdict(&self) -> Verdict {
        let required = || self.checks.iter().enumerate().filter(|(_, check)| check.required);
        let failed = required().find(|(_, check)| matches!(check.outcome, Some(Outcome::Failed(_))));
        if let Some((probe, check)) = failed {
            let Summary { failed, code, .. } = self.summary();
            let failed = FailedProbes { probes: failed.bits(), code };
            return Verdict::Failed { probe, name: check.name(), failed };
        }
        match required().find(|(_, check)| check.outcome != Some(Outcome::Passed)) {
            Some((probe, check)) => Verdict::Inconclusive { probe, name: check.name() },
            None => Verdict::Passed,
        }
    }
}
