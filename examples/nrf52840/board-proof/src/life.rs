//! A life with a fault in it, and what it is judged by.

use std::collections::HashSet;
use std::sync::Mutex;

use emulator::{Cut, FlashFault, ResetCause, Stop};
use layout::LAYOUT;
use ota_slots::{Policy, SlotId, SlotState};

use crate::bench::{Beginning, Bench, End};
use crate::settled::{boots, trust_version};
use crate::story::{LONGEST, Outcome, Settled, Story};

/// How long a board may take from its reset to its first word, seconds.
const AWAKE: u64 = 25;
/// Resets that a life may take, at most.
const RESETS: usize = 60;

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Broken {
    /// Nothing was handed over to.
    Unbootable,
    /// Something was handed over to that is not one of the images that may run.
    Unverified,
    /// It came to no end.
    Stuck,
    /// It came to another end than it had to.
    WrongEnd,
    /// It came to its end and did not stay there.
    Unsettled,
    /// Firmware did what it must not: a write without enable, a word programmed too often, a fault without end.
    Misused,
    /// The fault was not reached, so that nothing was tried: the sweep itself is at fault.
    Missed,
}

/// What goes wrong in a life.
#[derive(Debug, Clone)]
pub struct Life {
    /// Where the power goes: the second counts from its return.
    pub faults: Vec<FlashFault>,
    /// While the power is away, the bit of slot B's image that this chooses changes.
    pub rots: Option<u64>,
}

impl Life {
    /// A life with one cut.
    #[must_use]
    pub fn cut(fault: FlashFault) -> Self {
        Self { faults: vec![fault], rots: None }
    }

    /// Leads it, up to where it goes on as one that was led to a good end.
    ///
    /// # Errors
    /// The promise that was broken, and where it ended.
    pub fn lead(
        &self,
        story: &Story,
        policy: &Policy<'_>,
        known: &Known,
    ) -> Result<Bench, Box<(Broken, Bench)>> {
        let Some(first) = self.faults.first() else { return Ok(story.end.clone()) };
        let mut bench = story.before(first.operation).clone();
        match self.judge(&mut bench, story.outcome, policy, known) {
            Ok(()) => Ok(bench),
            Err(broken) => Err(Box::new((broken, bench))),
        }
    }

    fn judge(
        &self,
        bench: &mut Bench,
        outcome: Outcome,
        policy: &Policy<'_>,
        known: &Known,
    ) -> Result<(), Broken> {
        let mut from = 0;
        for fault in &self.faults {
            let fault = FlashFault { operation: from + fault.operation, ..*fault };
            if !self.strike(bench, fault, outcome)? {
                break;
            }
            bench.struck += 1;
            from = bench.machine.flash().operations();
        }
        bench.machine.flash().set_fault(None);
        // A life may be over before its second fault. The first is one of the story's own operations.
        if bench.struck == 0 {
            return Err(Broken::Missed);
        }
        if self.rots.is_some() {
            return runs_what_was_signed(bench);
        }
        if let Followed::ToItsEnd = follow(bench, outcome, known)? {
            let marginal = self.faults.iter().any(|fault| matches!(fault.cut, Cut::Marginal(_)));
            stays(bench, outcome, policy, marginal)?;
            known.learn(bench);
        }
        Ok(())
    }

    /// Runs into a fault and switches the power on again. Whether it was reached.
    fn strike(&self, bench: &mut Bench, fault: FlashFault, outcome: Outcome) -> Result<bool, Broken> {
        bench.machine.flash().set_fault(Some(fault));
        let (resets, mut settled) = (bench.resets.len(), Settled::new(outcome));
        let bitten = matches!(fault.cut, Cut::Bitten(_));
        let has_bitten = |bench: &mut Bench| {
            bitten && bench.machine.flash().operations() >= fault.operation && bench.resets.len() > resets
        };
        match bench.run_until(LONGEST, |bench| has_bitten(bench) || settled.is_so(bench)) {
            End::PowerLost => {
                self.rots.map_or(Ok(()), |seed| rot(bench, seed))?;
                bench.power_on();
                Ok(true)
            }
            End::Done => Ok(has_bitten(bench)),
            End::Late => Err(Broken::Stuck),
            End::Broken(_) => Err(Broken::Misused),
        }
    }
}

/// Changes a bit of what was staged.
fn rot(bench: &mut Bench, seed: u64) -> Result<(), Broken> {
    let region = LAYOUT.slot(SlotId::B).region;
    let (len, bit) = (u64::from(bench.len_of(SlotId::B)), seed % 8);
    let at = region.start + u32::try_from(seed / 8 % len).unwrap_or(0);
    let flash = bench.machine.flash();
    let byte = flash.bytes(at, 1).and_then(|bytes| bytes.first().copied()).ok_or(Broken::Missed)?;
    flash.load(at, &[byte ^ 1 << bit]).map_err(|_| Broken::Missed)
}

/// Whatever becomes of a release that has rotted: what runs is what was signed.
fn runs_what_was_signed(bench: &mut Bench) -> Result<(), Broken> {
    awake(bench)?;
    let polls = bench.desk.polls;
    let end = bench.run_until(LONGEST, |bench| bench.desk.polls > polls + 1);
    held(bench, end)
}

/// Beginnings from which lives of one story came to a good end.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashSet<Beginning>>);

impl Known {
    /// Whether the last reset of a life was one of them.
    fn has(&self, bench: &Bench) -> bool {
        let last = bench.beginnings.last().copied().flatten();
        last.is_some_and(|last| self.0.lock().is_ok_and(|known| known.contains(&last)))
    }

    fn learn(&self, bench: &Bench) {
        if let Ok(mut known) = self.0.lock() {
            known.extend(bench.beginnings.iter().flatten());
        }
    }
}

/// How far a life was led.
enum Followed {
    ToItsEnd,
    /// To a reset from which another one went on.
    AsKnown,
}

/// Lets it come to its end.
fn follow(bench: &mut Bench, outcome: Outcome, known: &Known) -> Result<Followed, Broken> {
    // What was reset before the fault says nothing about it.
    bench.beginnings.drain(..bench.beginnings.len().saturating_sub(1));
    if known.has(bench) {
        return Ok(Followed::AsKnown);
    }
    awake(bench)?;
    let (mut settled, mut seen, mut as_known) = (Settled::new(outcome), bench.resets.len(), false);
    let resets = bench.resets.len() + RESETS;
    let end = bench.run_until(LONGEST, |bench| {
        if bench.resets.len() > seen {
            seen = bench.resets.len();
            as_known = known.has(bench);
        }
        as_known || bench.resets.len() > resets || settled.is_so(bench)
    });
    held(bench, end)?;
    match as_known {
        true => Ok(Followed::AsKnown),
        false if bench.resets.len() > resets => Err(Broken::Stuck),
        false if outcome.is_told(bench.desk.end()) => Ok(Followed::ToItsEnd),
        false => Err(Broken::WrongEnd),
    }
}

/// Something is handed over to, soon.
fn awake(bench: &mut Bench) -> Result<(), Broken> {
    match bench.run_until(AWAKE, |bench| bench.running.is_some()) {
        End::Late => Err(Broken::Unbootable),
        end => held(bench, end),
    }
}

fn held(bench: &mut Bench, end: End) -> Result<(), Broken> {
    if bench.unverified > 0 {
        return Err(Broken::Unverified);
    }
    match end {
        End::Done => Ok(()),
        End::Late | End::PowerLost => Err(Broken::Stuck),
        End::Broken(Stop::Idle) => Err(Broken::Unbootable),
        End::Broken(_) => Err(Broken::Misused),
    }
}

/// It stays as it is: resets change nothing. Where bits read differently each time, the board itself is reset as well.
fn stays(bench: &mut Bench, outcome: Outcome, policy: &Policy<'_>, marginal: bool) -> Result<(), Broken> {
    for _ in 0..if marginal { 2 } else { 0 } {
        bench.reset(ResetCause::Watchdog);
        awake(bench)?;
        if bench.running != Some(outcome.slot()) {
            return Err(Broken::Unsettled);
        }
    }
    // The cells of a cut word may be programmed once more: the log voids them. Nothing else is.
    if let Outcome::Trusts(version) = outcome
        && trust_version(&mut bench.machine) != version
    {
        return Err(Broken::Unsettled);
    }
    let settled = Some((outcome.slot(), SlotState::Confirmed));
    // Several times, as bits may read differently from one to the other.
    if (0..3).all(|_| boots(bench.machine.clone(), policy) == settled) {
        Ok(())
    } else {
        Err(Broken::Unsettled)
    }
}
