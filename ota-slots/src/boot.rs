//! The bootloader's side: read the journal, prove, write down, hand over.

use ota_manifest::ResetCause;
use ota_verify::{Hardened, VerifiedImage};
use thiserror::Error;

use crate::decision::{Action, Decision, Input};
use crate::journal::{Append, Journal, Scan};
use crate::op::{Machine, Outcome, Step, WORK_BUFFER, drive};
use crate::prove::{Policy, Prove};
use crate::{Layout, SlotId, SlotState, Snapshot};

/// Permission to jump: a slot whose image was proven during this boot, and which the journal knows about.
///
/// Made by [`Boot`] alone.
///
/// ```compile_fail
/// let forged = ota_slots::Handover { slot: ota_slots::SlotId::A };
/// ```
#[derive(Debug)]
#[must_use]
pub struct Handover {
    slot: SlotId,
    image: VerifiedImage,
    snapshot: Snapshot,
}

impl Handover {
    /// The slot.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// The image that was proven.
    pub const fn image(&self) -> &VerifiedImage {
        &self.image
    }

    /// The state the journal has for the slot: confirmed, on trial or stranded; anything else if the journal takes no more
    /// records and this slot runs instead of a trial that nobody could count.
    #[must_use]
    pub const fn state(&self) -> SlotState {
        self.snapshot.state(self.slot)
    }
}

/// No slot holds an image that may run. Nothing has been written; wait for help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no slot holds an image that may run")]
pub struct NothingBootable;

/// The boot decision as a machine; see [`Decision`] for the rules.
///
/// ```no_run
/// # fn main_of_a_bootloader<F: embedded_storage::nor_flash::NorFlash>(
/// #     flash: &mut F, layout: &ota_slots::Layout, policy: &ota_slots::Policy<'_>, watchdog: &mut impl FnMut()) {
/// use ota_manifest::ResetCause;
/// use ota_slots::{Boot, WORK_BUFFER, run_blocking};
///
/// let mut buffer = [0; WORK_BUFFER];
/// let boot = Boot::new(layout, policy, ResetCause::PowerOn);
/// match run_blocking(boot, flash, layout, &mut buffer, watchdog) {
///     Ok(handover) => { /* jump to handover.image().link_address() */ }
///     Err(nothing_bootable) => { /* blink, wait, try again; never write */ }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Boot<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    cause: ResetCause,
    doing: Doing<'a>,
}

#[derive(Debug)]
enum Doing<'a> {
    Scanning(Scan<'a>),
    Proving {
        decision: Decision,
        journal: Journal,
        slot: SlotId,
        prove: Prove<'a>,
    },
    Appending {
        append: Append<'a>,
        slot: SlotId,
        image: VerifiedImage,
    },
    /// The journal takes no record of the trial: the other slot runs if it can.
    FallingBack {
        snapshot: Snapshot,
        trial: VerifiedImage,
        prove: Prove<'a>,
    },
    Finished,
}

impl<'a> Boot<'a> {
    /// Starts a decision. `cause` is what reset the device; the bootloader reads and clears it.
    #[must_use]
    pub fn new(layout: &'a Layout, policy: &'a Policy<'a>, cause: ResetCause) -> Self {
        Self { layout, policy, cause, doing: Doing::Scanning(Scan::new(layout)) }
    }

    fn prove(&self, slot: SlotId, snapshot: &Snapshot) -> Prove<'a> {
        // No order to be above: a bootloader proves what is there, what to take was decided before the download.
        Prove::new(self.layout, self.policy, slot, None, snapshot.floor)
    }

    /// Acts on a decision that needs no image in hand; `Err` is the end.
    fn follow(
        &mut self,
        (decision, action): (Decision, Action),
        journal: Journal,
    ) -> Result<(), NothingBootable> {
        let Action::Prove(slot) = action else { return Err(NothingBootable) };
        let prove = self.prove(slot, decision.snapshot());
        self.doing = Doing::Proving { decision, journal, slot, prove };
        Ok(())
    }

    /// Makes the decision last before it is acted upon (the affirm rule).
    ///
    /// A record found in flash may read differently tomorrow: power may have failed on its last bits. So the bootloader
    /// hands over only on a record it has just written, or on a tail that repeats the record before it: of those two, one
    /// power cut can have spoilt only one. "Confirmed" is no exception, and neither are the bootloader's own records of an
    /// earlier boot.
    fn affirm(
        &mut self,
        decision: &Decision,
        journal: Journal,
        slot: SlotId,
        image: VerifiedImage,
    ) -> Option<Handover> {
        let snapshot = *decision.snapshot();
        let copy = journal.newest() == Some(&snapshot);
        if copy && journal.is_affirmed() {
            return hand_over(self.layout, slot, image, snapshot);
        }
        let append = Append::new(self.layout, journal, snapshot, copy);
        self.doing = Doing::Appending { append, slot, image };
        None
    }

    fn after_append(
        &mut self,
        written: bool,
        journal: &Journal,
        snapshot: Snapshot,
        slot: SlotId,
        image: VerifiedImage,
    ) -> Option<Result<Handover, NothingBootable>> {
        let before = journal.newest().copied().unwrap_or(snapshot);
        let settled = !matches!(snapshot.state(slot), SlotState::Trial);
        if written || settled {
            // A worn journal never keeps a confirmed image from running.
            return Some(hand_over(self.layout, slot, image, snapshot).ok_or(NothingBootable));
        }
        let prove = self.prove(slot.other(), &before);
        self.doing = Doing::FallingBack { snapshot, trial: image, prove };
        None
    }
}

/// The third and last place where a hardened verdict is looked at.
fn hand_over(layout: &Layout, slot: SlotId, image: VerifiedImage, snapshot: Snapshot) -> Option<Handover> {
    let here = layout.slot(slot).link_address == image.link_address();
    Hardened::of(here).passed().then_some(Handover { slot, image, snapshot })
}

impl Machine for Boot<'_> {
    type Output = Result<Handover, NothingBootable>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        loop {
            let next = match &mut self.doing {
                Doing::Scanning(scan) => {
                    let journal = drive!(scan, buffer, last);
                    let step = Decision::new(journal.newest()).step(Input::Boot(self.cause));
                    self.follow(step, journal).err().map(Err)
                }
                Doing::Proving { prove, .. } => {
                    let verdict = drive!(prove, buffer, last);
                    self.take_verdict(verdict.ok())
                }
                Doing::Appending { append, .. } => {
                    let (journal, written) = drive!(append, buffer, last);
                    self.take_append(&journal, written.is_ok())
                }
                Doing::FallingBack { prove, .. } => {
                    let verdict = drive!(prove, buffer, last);
                    Some(self.take_fallback(verdict.ok()))
                }
                Doing::Finished => Some(Err(NothingBootable)),
            };
            if let Some(result) = next {
                return Step::Done(result);
            }
            last = Ok(());
        }
    }
}

impl Boot<'_> {
    fn take_verdict(&mut self, verdict: Option<VerifiedImage>) -> Option<Result<Handover, NothingBootable>> {
        let Doing::Proving { decision, journal, slot, .. } =
            core::mem::replace(&mut self.doing, Doing::Finished)
        else {
            return Some(Err(NothingBootable));
        };
        match verdict {
            None => self.follow(decision.step(Input::Unproven), journal).err().map(Err),
            Some(image) => match decision.step(Input::Proven(&image)) {
                (decision, Action::HandOver(_)) => self.affirm(&decision, journal, slot, image).map(Ok),
                step => self.follow(step, journal).err().map(Err),
            },
        }
    }

    fn take_append(&mut self, journal: &Journal, written: bool) -> Option<Result<Handover, NothingBootable>> {
        let Doing::Appending { append, slot, image } = core::mem::replace(&mut self.doing, Doing::Finished)
        else {
            return Some(Err(NothingBootable));
        };
        self.after_append(written, journal, *append.snapshot(), slot, image)
    }

    fn take_fallback(&mut self, verdict: Option<VerifiedImage>) -> Result<Handover, NothingBootable> {
        let Doing::FallingBack { snapshot, trial, .. } = core::mem::replace(&mut self.doing, Doing::Finished)
        else {
            return Err(NothingBootable);
        };
        let trial_slot = snapshot.running;
        // Without a journal nobody counts the attempts of a trial, so the other image is preferred; better the trial
        // than nothing.
        let (slot, image) = match verdict {
            Some(other) => (trial_slot.other(), other),
            None => (trial_slot, trial),
        };
        hand_over(self.layout, slot, image, snapshot).ok_or(NothingBootable)
    }
}
