//! Runs operations on a device and on the reference at once, and compares after each.

use ota_manifest::{ResetCause, RollbackReason};
use ota_slots::sim::{Cut, CutMode};
use ota_slots::{Site, SlotId, SlotState, Strategy};

use super::reference::{Act, Model, Place, View};
use super::rig::{Booted, JOURNAL, Reply, Rig};

/// One thing that happens to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Act(Act),
    Reset(ResetCause),
    /// Power fails at the flash operation after so many.
    Cut(usize, CutMode),
    /// The first page of an image is spoilt.
    Damage(Place),
    /// The newest record cannot be read any more, and the device is reset.
    SpoilNewestCell,
    /// No record can be read any more, and the device is reset.
    LoseJournal,
    /// The next read fails.
    FailRead,
}

/// A device beside everything that the reference says it may be.
pub(crate) struct Judge {
    rig: Rig,
    models: Vec<Model>,
    strategy: Strategy,
    /// No image has been spoilt since the last boot, and that one ended in a hand-over.
    is_well: bool,
}

/// Why a device is not what it should be.
pub(crate) type Verdict = Result<(), String>;

impl Judge {
    pub(crate) fn new(strategy: Strategy, seed: u64) -> Self {
        let models = vec![Model::provisioned(strategy)];
        Self { rig: Rig::new(strategy, seed), models, strategy, is_well: false }
    }

    /// Runs all of it, and a few resets more.
    pub(crate) fn run(strategy: Strategy, seed: u64, ops: &[Op]) -> Verdict {
        let mut judge = Self::new(strategy, seed);
        judge.step(Op::Reset(ResetCause::PowerOn)).map_err(|what| format!("at the first boot: {what}"))?;
        for (number, op) in ops.iter().enumerate() {
            judge.step(*op).map_err(|what| format!("at operation {number}, {op:?}: {what}"))?;
        }
        for cause in [ResetCause::PowerOn, ResetCause::Software] {
            judge.step(Op::Reset(cause)).map_err(|what| format!("at the last resets: {what}"))?;
        }
        match judge.rig.flash.violations() {
            0 => Ok(()),
            count => Err(format!("{count} broken rules of flash")),
        }
    }

    pub(crate) fn step(&mut self, op: Op) -> Verdict {
        match op {
            Op::Act(act) => self.act(act),
            Op::Reset(cause) => self.reset(cause),
            Op::Cut(after, mode) => {
                let operation = self.rig.flash.operations() + after;
                self.rig.flash.cut(Cut { operation, mode });
                Ok(())
            }
            Op::Damage(place) => {
                self.damage(place);
                Ok(())
            }
            Op::SpoilNewestCell => self.spoil_newest_cell(),
            Op::LoseJournal => {
                self.rig.flash.corrupt(JOURNAL.start, &vec![0xA5; JOURNAL.len()]);
                self.models.iter_mut().for_each(Model::lose_journal);
                self.reset(ResetCause::PowerOn)
            }
            Op::FailRead => {
                self.rig.flash.fail_reads(1);
                Ok(())
            }
        }
    }

    fn damage(&mut self, place: Place) {
        let site = match place {
            Place::A => Site::Slot(SlotId::A),
            Place::Displaced if self.strategy == Strategy::SwapOffset => Site::Displaced,
            Place::B | Place::Displaced => Site::Slot(SlotId::B),
        };
        self.is_well = false;
        let place = if site == Site::Slot(SlotId::B) { Place::B } else { place };
        let at = self.rig.image_at(site) + 100;
        self.rig.flash.corrupt(at, &[0; 4]);
        self.models.iter_mut().for_each(|model| model.damage(place));
    }

    /// Not together with a spoilt image: how a move that is taken up again fares on that is beyond the reference.
    fn spoil_newest_cell(&mut self) -> Verdict {
        let Some(cell) = self.rig.newest_cell().filter(|_| self.is_well) else { return Ok(()) };
        let byte = self.rig.flash.bytes_in(cell + 10..cell + 11)[0];
        self.rig.flash.corrupt(cell + 10, &[byte ^ 0x10]);
        if self.rig.record().is_some() {
            self.models = self.models.iter().flat_map(Model::without_newest_cell).collect();
        } else {
            self.models.iter_mut().for_each(Model::lose_journal);
        }
        self.reset(ResetCause::PowerOn)
    }

    /// An agent fills a slot in doubt before it has it proven; see `Staging`.
    fn act(&mut self, act: Act) -> Verdict {
        if act == Act::Finish && self.models.iter().any(Model::is_in_doubt) {
            return Ok(());
        }
        match on_device(&mut self.rig, act) {
            Reply::PowerLost => {
                self.models = self.models.iter().flat_map(|model| model.cut_act(act)).collect();
                self.power_on()
            }
            reply => {
                self.models.retain_mut(|model| model.act(act) == reply);
                self.compare(&format!("replied {reply:?}"))
            }
        }
    }

    fn reset(&mut self, cause: ResetCause) -> Verdict {
        match self.rig.boot(cause) {
            Booted::PowerLost => {
                self.models = self.models.iter().flat_map(|model| model.cut_boot(cause)).collect();
                self.power_on()
            }
            booted => self.take(cause, booted),
        }
    }

    fn power_on(&mut self) -> Verdict {
        self.rig.flash.power_on();
        self.forget_doubles();
        self.reset(ResetCause::PowerOn)
    }

    fn take(&mut self, cause: ResetCause, booted: Booted) -> Verdict {
        self.is_well = booted.ran().is_some();
        let possible: Vec<_> = self.models.iter().flat_map(|model| model.boot(cause)).collect();
        let expected: Vec<_> = possible.iter().map(|(model, booted)| (*booted, model.view())).collect();
        self.models = possible.into_iter().filter(|(_, it)| *it == booted).map(|(model, _)| model).collect();
        if self.models.is_empty() {
            return Err(format!("{booted:?}, but the reference says {expected:#?}"));
        }
        self.compare(&format!("{booted:?}"))?;
        self.forget_doubles();
        Ok(())
    }

    /// Keeps what agrees with the journal in flash.
    fn compare(&mut self, what: &str) -> Verdict {
        let found = self.rig.record().as_ref().map(View::of);
        let expected: Vec<_> = self.models.iter().map(Model::view).collect();
        self.models.retain(|model| model.view() == found);
        if self.models.is_empty() {
            return Err(format!("{what}, the journal says {found:#?}, but the reference {expected:#?}"));
        }
        Ok(())
    }

    fn forget_doubles(&mut self) {
        let mut different: Vec<Model> = Vec::new();
        for model in self.models.drain(..) {
            if !different.contains(&model) {
                different.push(model);
            }
        }
        self.models = different;
    }
}

fn on_device(rig: &mut Rig, act: Act) -> Reply {
    match act {
        Act::Begin(release) => rig.begin(release),
        Act::Fill(whole) => rig.fill(whole),
        Act::Finish => rig.finish(),
        Act::Request(attempts) => rig.request(attempts),
        Act::Confirm => rig.confirm(),
        Act::Fail => rig.fail(RollbackReason::SelfTest),
        Act::Acknowledge => rig.acknowledge(),
        Act::Save(byte) => rig.save(byte),
    }
}

/// Runs acts, resets and cuts on a device alone: after each reset something runs, and nothing older than was confirmed.
pub(crate) fn run_undecided(strategy: Strategy, seed: u64, ops: &[Op]) -> Verdict {
    let mut rig = Rig::new(strategy, seed);
    let mut confirmed = 1;
    let first = [Op::Reset(ResetCause::PowerOn)];
    for (number, op) in first.iter().chain(ops).chain(&first).enumerate() {
        let mut cause = None;
        match *op {
            Op::Act(act) => {
                let told = on_device(&mut rig, act) == Reply::Done && act == Act::Confirm;
                let running = rig.record().map_or(0, |record| record.order(record.running()).sequence);
                confirmed = if told { confirmed.max(running) } else { confirmed };
            }
            Op::Reset(why) => cause = Some(why),
            Op::Cut(after, mode) => {
                let operation = rig.flash.operations() + after;
                rig.flash.cut(Cut { operation, mode });
            }
            _ => {}
        }
        if !rig.flash.is_powered() {
            cause = Some(ResetCause::PowerOn);
        }
        let Some(cause) = cause else { continue };
        let (state, release) =
            boot_until_it_runs(&mut rig, cause).ok_or(format!("{number}, {op:?}: recovery"))?;
        if release < confirmed {
            return Err(format!(
                "{number}, {op:?}: release {release} {state:?}, though {confirmed} was confirmed"
            ));
        }
    }
    if rig.flash.violations() > 0 { Err("a broken rule of flash".into()) } else { Ok(()) }
}

fn boot_until_it_runs(rig: &mut Rig, cause: ResetCause) -> Option<(SlotState, u32)> {
    let mut cause = cause;
    loop {
        rig.flash.power_on();
        match rig.boot(cause) {
            Booted::PowerLost => cause = ResetCause::PowerOn,
            booted => return booted.ran(),
        }
    }
}
