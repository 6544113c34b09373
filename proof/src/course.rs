//! The course of a life: power sessions until the device has settled, and proof that it stays so.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ota_manifest::ResetCause;
use ota_slots::{Recovery, SlotState};

use crate::chip::Blow;
use crate::device::{CutPoint, Device, Ended};
use crate::life::Damage;
use crate::memory::Memory;
use crate::stage::{Stage, damage};
use crate::witness::{Fault, Finding};

/// Power sessions within which a device has to settle.
const SESSIONS: usize = 40;
/// What a settled device is reset by, and stays where it is.
const AFTERWARDS: [ResetCause; 9] = {
    use ResetCause::{PowerOn, Software, Watchdog};
    [Watchdog, PowerOn, Software, Watchdog, PowerOn, Software, Watchdog, PowerOn, Software]
};

/// How the course of a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With a device that stays where it is.
    Settled,
    /// With a device that cannot go on; the witness knows why.
    Broken,
    /// With the power failure that was planned.
    PowerLost,
}

/// What is left of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// It is to settle.
    Settling,
    /// It has, on this, and was reset so often since.
    Settled(Option<(u16, SlotState)>, usize),
    /// Then something befell it after which nothing may run, and it was reset so often since.
    Lost(usize),
}

/// Lives on until the device has settled and stayed so, or cannot, or power fails. What was wrong stands in the witness.
pub fn live(device: &mut Device<'_>, cause: ResetCause, memory: Option<&mut Memory>) -> Outcome {
    // What is planned or observed has to happen.
    let memory = memory.filter(|_| device.chip.planned().is_none() && !device.is_observed());
    let Some(memory) = memory else { return go_on(device, cause) };
    device.chip.remember(std::mem::take(memory));
    let mut outcome = go_on(device, cause);
    if let Some(known) = device.chip.known() {
        (outcome, device.witness) = known;
    }
    *memory = device.chip.close(outcome, &device.witness);
    outcome
}

fn go_on(device: &mut Device<'_>, mut cause: ResetCause) -> Outcome {
    let mut phase = Phase::Settling;
    for _ in 0..SESSIONS + AFTERWARDS.len() {
        if device.chip.is_known(&(cause, phase, &device.witness)) {
            return Outcome::PowerLost;
        }
        let ended = device.session(cause);
        match next(device, phase, ended) {
            Next::Session(next_phase, next_cause) => (phase, cause) = (next_phase, next_cause),
            Next::End(outcome) => return outcome,
        }
    }
    device.witness.object(Fault::Stuck, format!("not settled after {SESSIONS} power sessions"));
    Outcome::Broken
}

enum Next {
    Session(Phase, ResetCause),
    End(Outcome),
}

fn next(device: &mut Device<'_>, phase: Phase, ended: Ended) -> Next {
    match (phase, ended) {
        (_, Ended::PowerLost) => Next::End(Outcome::PowerLost),
        (Phase::Lost(resets), ended) => lost(device, resets, ended),
        (_, Ended::Dead(recovery)) => {
            device.witness.object(Fault::Unbootable, recovery.to_string());
            Next::End(Outcome::Broken)
        }
        _ if device.witness.has_seen_enough() => Next::End(Outcome::Broken),
        (Phase::Settling, Ended::Reset(cause)) => Next::Session(phase, cause),
        (Phase::Settling, Ended::Idle) => {
            Next::Session(Phase::Settled(device.witness.last, 0), AFTERWARDS[0])
        }
        (Phase::Settled(on, resets), Ended::Idle) if device.witness.last == on => {
            match AFTERWARDS.get(resets + 1) {
                Some(cause) => Next::Session(Phase::Settled(on, resets + 1), *cause),
                None if device.life.at_end == Damage::None => Next::End(Outcome::Settled),
                None => {
                    damage(device.world, &mut device.chip, &device.witness, device.life.at_end);
                    // Without its journal a device knows nothing of confirmations.
                    device.witness.confirmed = 0;
                    Next::Session(Phase::Lost(0), AFTERWARDS[0])
                }
            }
        }
        (Phase::Settled(on, resets), _) => {
            let (last, cause) = (device.witness.last, AFTERWARDS[resets]);
            device
                .witness
                .object(Fault::Stuck, format!("settled on {on:?}, after {cause:?} {last:?}, {ended:?}"));
            Next::End(Outcome::Broken)
        }
    }
}

/// A reset of a device on which nothing may run.
fn lost(device: &mut Device<'_>, resets: usize, ended: Ended) -> Next {
    if ended != Ended::Dead(Recovery::NothingProven) {
        device.witness.object(Fault::BelowFloor, format!("nothing may run any more: {ended:?}"));
        return Next::End(Outcome::Broken);
    }
    match AFTERWARDS.get(resets + 1) {
        Some(cause) => Next::Session(Phase::Lost(resets + 1), *cause),
        None => Next::End(Outcome::Settled),
    }
}

/// Lives a life to its end and judges it.
pub fn judge(
    stage: &Stage,
    device: &mut Device<'_>,
    cause: ResetCause,
    memory: Option<&mut Memory>,
) -> Vec<Finding> {
    match live(device, cause, memory) {
        Outcome::Settled => {
            let end = stage.end(device.witness.cuts > 0);
            device.witness.judge(&stage.life, &end);
        }
        Outcome::Broken => {}
        Outcome::PowerLost => device.witness.object(Fault::NotFired, "power is gone, and nobody cut it"),
    }
    if device.chip.planned().is_some() {
        device.witness.object(Fault::NotFired, "the life ended before its power failure");
    }
    device.witness.findings.clone()
}

/// Lives on until the planned power failure, and lets power come back; `false` if it did not happen.
pub fn live_until(stage: &Stage, device: &mut Device<'_>, cause: ResetCause, blow: Blow) -> bool {
    device.chip.plan(blow);
    let fired = live(device, cause, None) == Outcome::PowerLost;
    device.chip.power_on();
    if fired {
        stage.power_failed(device);
    }
    fired
}

/// What `lives` finds; if the code under test panics, that.
pub fn caught(lives: impl FnOnce() -> Vec<Finding>) -> Vec<Finding> {
    catch_unwind(AssertUnwindSafe(lives))
        .unwrap_or_else(|panic| vec![Finding { fault: Fault::Panicked, detail: message(&*panic) }])
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".into())
}

/// Leads a life undisturbed from anywhere and shows every cut point to `look`. How it ended.
pub fn walk<'s>(
    stage: &'s Stage,
    mut device: Device<'s>,
    cause: ResetCause,
    look: impl FnMut(CutPoint) + 's,
) -> Vec<Finding> {
    device.observe(Box::new(look));
    judge(stage, &mut device, cause, None)
}

/// Every cut point of a life. For small boards: each holds a flash.
#[must_use]
pub fn cut_points(stage: &Stage) -> Vec<CutPoint> {
    let points = RefCell::new(Vec::new());
    caught(|| walk(stage, stage.device(), stage.cause(), |point| points.borrow_mut().push(point)));
    points.into_inner()
}
