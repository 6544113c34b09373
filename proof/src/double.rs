//! Two power failures in each life: the first at every operation, the second at every operation of the life as it goes on.

use std::cell::RefCell;

use ota_manifest::ResetCause;
use ota_slots::sim::CutMode;

use crate::chip::Blow;
use crate::course::{caught, judge, walk};
use crate::device::CutPoint;
use crate::memory::Memory;
use crate::progress::Ticker;
use crate::stage::Stage;
use crate::sweep::{Share, not_fired, seed_of};
use crate::tally::Tally;

/// What is swept.
#[derive(Debug, Clone)]
pub struct Pairs {
    /// Modes of the first and the second failure.
    pub modes: Vec<(CutMode, CutMode)>,
    /// Where the first falls.
    pub first: Share,
    /// Of the operations after it, every so many-th is the second's.
    pub every: usize,
}

/// Cuts power twice. The tally's operations are those of the first failure.
#[must_use]
pub fn double(stage: &Stage, pairs: &Pairs, seed: u64, ticker: &Ticker) -> Tally {
    let tally = RefCell::new(Tally::default());
    let memory = RefCell::new(Memory::default());
    let look = |point: CutPoint| {
        if pairs.first.has(point.eve.number()) {
            tally.borrow_mut().operations += 1;
            for mode in firsts(&pairs.modes) {
                if !ticker.is_stopped() {
                    second(stage, &point, mode, pairs, seed, &memory, &tally);
                    ticker.heed(&tally.borrow());
                }
            }
            ticker.tick();
        }
    };
    walk(stage, stage.device(), stage.cause(), look);
    tally.into_inner()
}

fn firsts(modes: &[(CutMode, CutMode)]) -> Vec<CutMode> {
    let mut firsts = Vec::new();
    for (first, _) in modes {
        if !firsts.contains(first) {
            firsts.push(*first);
        }
    }
    firsts
}

fn second(
    stage: &Stage,
    point: &CutPoint,
    mode: CutMode,
    pairs: &Pairs,
    seed: u64,
    memory: &RefCell<Memory>,
    tally: &RefCell<Tally>,
) {
    let operation = point.eve.number();
    let blow = Blow { operation, mode, seed: seed_of(seed, operation, mode) };
    let Some(device) = stage.struck(point, mode, blow.seed) else {
        tally.borrow_mut().count(&stage.name(), &[blow], &[not_fired()]);
        return;
    };
    let seconds: Vec<CutMode> =
        pairs.modes.iter().filter(|(first, _)| *first == mode).map(|(_, second)| *second).collect();
    let look = |later: CutPoint| {
        if later.eve.number().is_multiple_of(pairs.every) {
            for mode in &seconds {
                third(stage, blow, &later, *mode, memory, tally);
            }
        }
    };
    // How this life ends with one failure alone is counted by the single sweep.
    caught(|| walk(stage, device, ResetCause::PowerOn, look));
}

/// The rest of the life, after both.
fn third(
    stage: &Stage,
    first: Blow,
    point: &CutPoint,
    mode: CutMode,
    memory: &RefCell<Memory>,
    tally: &RefCell<Tally>,
) {
    let operation = point.eve.number();
    let blow = Blow { operation, mode, seed: seed_of(first.seed, operation, mode) };
    let findings = caught(|| {
        let Some(mut device) = stage.struck(point, mode, blow.seed) else { return vec![not_fired()] };
        judge(stage, &mut device, ResetCause::PowerOn, Some(&mut memory.borrow_mut()))
    });
    tally.borrow_mut().count(&stage.name(), &[first, blow], &findings);
}
