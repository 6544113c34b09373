//! One power failure in each life: at every operation, in every mode.

use std::cell::RefCell;

use ota_manifest::ResetCause;
use ota_slots::sim::CutMode;

use crate::chip::Blow;
use crate::course::{caught, judge, walk};
use crate::device::CutPoint;
use crate::memory::Memory;
use crate::print::mix;
use crate::progress::Ticker;
use crate::stage::Stage;
use crate::tally::Tally;

/// Which of the cut points of a life are looked at: every `of`-th, from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The first.
    pub first: usize,
    /// And every so many-th after it.
    pub of: usize,
}

impl Share {
    /// All of them.
    pub const WHOLE: Self = Self { first: 0, of: 1 };

    /// Whether a cut point is among them.
    #[must_use]
    pub const fn has(self, number: usize) -> bool {
        number % self.of == self.first
    }
}

/// Cuts power at every operation of the life that falls into `share`, in each of `modes`.
#[must_use]
pub fn single(stage: &Stage, modes: &[CutMode], share: Share, seed: u64, ticker: &Ticker) -> Tally {
    let tally = RefCell::new(Tally::default());
    let mut memory = Memory::default();
    let look = |point: CutPoint| {
        if share.has(point.eve.number()) && !ticker.is_stopped() {
            let mut tally = tally.borrow_mut();
            tally.operations += 1;
            modes.iter().for_each(|mode| cut(stage, &point, *mode, seed, &mut memory, &mut tally));
            ticker.heed(&tally);
            ticker.tick();
        }
    };
    let findings = caught(|| walk(stage, stage.device(), stage.cause(), look));
    let mut tally = tally.into_inner();
    if share.first == 0 {
        tally.count(&stage.name(), &[], &findings);
    }
    ticker.heed(&tally);
    tally
}

/// Seed of one power failure: another one for each operation and mode.
#[must_use]
pub fn seed_of(seed: u64, operation: usize, mode: CutMode) -> u64 {
    let mode = CutMode::ALL.iter().position(|other| *other == mode).unwrap_or(0);
    mix(seed, mix(operation as u64, mode as u64)) % 1_000_000
}

fn cut(stage: &Stage, point: &CutPoint, mode: CutMode, seed: u64, memory: &mut Memory, tally: &mut Tally) {
    let operation = point.eve.number();
    let blow = Blow { operation, mode, seed: seed_of(seed, operation, mode) };
    let mut refusals = 0;
    let findings = caught(|| {
        let Some(mut device) = stage.struck(point, mode, blow.seed) else { return vec![not_fired()] };
        let findings = judge(stage, &mut device, ResetCause::PowerOn, Some(memory));
        refusals = device.witness.refusals;
        findings
    });
    tally.refusals += u64::from(refusals);
    tally.count(&stage.name(), &[blow], &findings);
}

/// The finding of a cut that missed.
#[must_use]
pub(crate) fn not_fired() -> crate::witness::Finding {
    let detail = "the operation went on as if power had not failed".to_owned();
    crate::witness::Finding { fault: crate::witness::Fault::NotFired, detail }
}
