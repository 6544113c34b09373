//! The bootloader's side: read the journal, prove, write down, hand over.

use ota_manifest::{ResetCause, SecurityVersion};
use ota_verify::{Hardened, VerifiedImage};
use thiserror::Error;

use crate::activation::{Activation, InPlace, MotionKind, Moved, Moving};
use crate::decision::{Action, Decision, Input};
use crate::journal::Journal;
use crate::log::{Append, Kind, Log, Scan};
use crate::op::{Machine, Outcome, Step, drive};
use crate::prove::{Policy, ProveSlot};
use crate::{Guard, JournalError, Layout, Region, Site, SlotId, SlotState, motion};

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
    state: SlotState,
    floor: SecurityVersion,
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
        self.state
    }

    /// The anti-rollback floor, as the journal and the guard region have it.
    #[must_use]
    pub const fn floor(&self) -> SecurityVersion {
        self.floor
    }

    /// The last step before the jump: has the guard region write-protected, if the layout has one, and tells the address to
    /// jump to.
    ///
    /// `lock` is called for the guard region, and for that of adopted trust; it must protect at least that region until the next reset (nRF52840: an ACL entry). A bootloader may protect
    /// itself there as well.
    #[must_use]
    pub fn lock(self, layout: &Layout, lock: impl FnMut(Region)) -> u32 {
        layout.guard().into_iter().chain(layout.kept_trust()).for_each(lock);
        self.image.link_address()
    }
}

/// Why nothing is handed over. Nothing has been written on that account; what to do is up to the board: wait for help over
/// a cable, blink, try again after a while. [`ProveSlot`](crate::ProveSlot) tells what is wrong with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Recovery {
    /// No slot holds an image that may run.
    #[error("no slot holds an image that may run")]
    NothingProven,
    /// The bootloader does not do what its layout asks for: a layout that moves images needs [`Boot::moving`], one that does
    /// not [`Boot::new`], one with a guard region [`Boot::with_guard`], and every layout a work buffer of
    /// [`Layout::work_buffer`] bytes. Nothing was proven.
    #[error(
        "the layout asks for the other of Boot::new and Boot::moving, Boot::with_guard or a longer work buffer"
    )]
    WrongBoot,
}

/// The boot decision as a machine; see [`Decision`] for the rules.
///
/// ```no_run
/// # fn main_of_a_bootloader<F: embedded_storage::nor_flash::NorFlash>(
/// #     flash: &mut F, layout: &ota_slots::Layout, policy: &ota_slots::Policy<'_>, watchdog: &mut impl FnMut()) {
/// use ota_manifest::{ResetCause, SecurityVersion};
/// use ota_slots::{Boot, WORK_BUFFER, run_blocking};
///
/// let mut buffer = [0; WORK_BUFFER];
/// let boot = Boot::new(layout, policy, ResetCause::PowerOn);
/// match run_blocking(boot, flash, layout, &mut buffer, watchdog) {
///     Ok(handover) => {
///         let address = handover.lock(layout, |region| { /* write-protect it until the next reset */ });
///         // jump to address
///     }
///     Err(recovery) => { /* blink, wait, try again; never write */ }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Boot<'a, A: Activation = InPlace> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    guarded: bool,
    journal: Journal,
    decision: Decision<A>,
    cause: ResetCause,
    /// The image that was proven last.
    image: Option<VerifiedImage>,
    next: Next,
    doing: Doing<'a, A>,
}

#[derive(Debug)]
enum Doing<'a, A: Activation> {
    Scanning(Scan),
    Proving(ProveSlot<'a>),
    Appending(Append),
    Moving(A::Mover<'a>),
}

/// What is done with the result.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// The journal has been read.
    Decide,
    /// The progress region has been read.
    LastMove,
    /// An image has been proven, or not.
    Step,
    /// The journal takes no record of the trial: the other slot runs if it has been proven.
    FallBack,
    /// The journal has the record: the running slot is handed over.
    HandOver,
    /// The journal has the record: images are moved.
    Move,
}

/// What a step ends in.
enum End {
    NotYet,
    HandOver(SlotId),
    Recover(Recovery),
}

impl<'a> Boot<'a, InPlace> {
    /// Starts a decision for a layout of [`Strategy::DirectXip`](crate::Strategy::DirectXip). `cause` is what reset the
    /// device; the bootloader reads and clears it.
    #[must_use]
    pub fn new(layout: &'a Layout, policy: &'a Policy<'a>, cause: ResetCause) -> Self {
        Self::begin(layout, policy, cause)
    }
}

impl<'a> Boot<'a, Moving> {
    /// Starts a decision for a layout that moves images; what moves them is linked. `cause` as for [`Boot::new`].
    #[must_use]
    pub fn moving(layout: &'a Layout, policy: &'a Policy<'a>, cause: ResetCause) -> Self {
        Self::begin(layout, policy, cause)
    }
}

impl<'a, A: Activation> Boot<'a, A> {
    /// Takes over what the guard region says. A layout that has one does not boot without.
    #[must_use]
    pub fn with_guard(mut self, guard: &Guard) -> Self {
        self.decision.raise_floor(guard.floor());
        self.guarded = true;
        self
    }

    fn begin(layout: &'a Layout, policy: &'a Policy<'a>, cause: ResetCause) -> Self {
        Self {
            layout,
            policy,
            guarded: false,
            journal: Journal::empty(),
            decision: Decision::without_journal(layout),
            cause,
            image: None,
            next: Next::Decide,
            doing: Doing::Scanning(Scan::new(Log::journal(layout))),
        }
    }

    #[inline(never)]
    fn take_scan(&mut self, buffer: usize) -> End {
        let Doing::Scanning(scan) = &self.doing else { return End::NotYet };
        let moves = self.layout.strategy().moves();
        // With too short a buffer no slot would prove itself, and a trial would be given up for it.
        let is_short = buffer < self.layout.work_buffer();
        if is_short || moves != A::MOVES || self.layout.guard().is_some() && !self.guarded {
            return End::Recover(Recovery::WrongBoot);
        }
        if A::MOVES
            && let Next::LastMove = self.next
        {
            let last = motion::last(scan.newest());
            return self.step(Input::LastMove(last));
        }
        self.journal.found(scan);
        if let Some(newest) = self.journal.newest() {
            let floor = self.decision.snapshot().floor();
            self.decision.read(newest);
            self.decision.raise_floor(floor);
        }
        self.step(Input::Boot(self.cause))
    }

    fn find_move(&mut self) -> End {
        let Some(log) = Log::of(self.layout, Kind::Progress) else {
            return self.step(Input::LastMove(None));
        };
        self.next = Next::LastMove;
        self.doing = Doing::Scanning(Scan::new(log));
        End::NotYet
    }

    fn step(&mut self, input: Input<'_>) -> End {
        let action = self.decision.take(input);
        self.follow(action)
    }

    fn follow(&mut self, action: Action) -> End {
        match action {
            Action::Prove(site) => self.prove(site, Next::Step),
            Action::HandOver => self.affirm(Next::HandOver),
            Action::Move => self.affirm(Next::Move),
            Action::FindMove if A::MOVES => self.find_move(),
            Action::FindMove => End::Recover(Recovery::NothingProven),
            Action::Recover => End::Recover(Recovery::NothingProven),
        }
    }

    fn prove(&mut self, site: Site, next: Next) -> End {
        self.next = next;
        let floor = self.decision.snapshot().floor();
        self.doing = Doing::Proving(ProveSlot::new(self.layout, self.policy, site, floor));
        End::NotYet
    }

    #[inline(never)]
    fn take_verdict(&mut self, verdict: Option<VerifiedImage>) -> End {
        if let Next::FallBack = self.next {
            // Better the trial than nothing.
            let trial = self.decision.snapshot().running();
            if verdict.is_none() {
                return End::HandOver(trial);
            }
            self.image = verdict;
            return End::HandOver(trial.other());
        }
        self.image = verdict;
        let input = self.image.as_ref().map_or(Input::Unproven, Input::Proven);
        let action = self.decision.take(input);
        self.follow(action)
    }

    /// Makes the decision last before it is acted upon (the affirm rule).
    ///
    /// A record found in flash may read differently tomorrow: power may have failed on its last bits. So the bootloader
    /// acts only on a record it has just written, or on a tail that repeats the record before it and has nothing but voids
    /// behind it: of those two, one power cut can have spoilt only one, and whoever reads next reads the same. "Confirmed" is no exception, and neither are the bootloader's own records of an
    /// earlier boot.
    fn affirm(&mut self, next: Next) -> End {
        self.next = next;
        let snapshot = self.decision.snapshot();
        if self.journal.affirms(snapshot) {
            return self.go_on(true);
        }
        self.doing = Doing::Appending(self.journal.affirm(self.layout, snapshot));
        End::NotYet
    }

    #[inline(never)]
    fn take_append(&mut self, written: Result<(), JournalError>) -> End {
        if let Doing::Appending(append) = &self.doing {
            let _ = self.journal.take(append, written);
        }
        self.go_on(written.is_ok())
    }

    /// Acts on the record, or without one if the journal takes none.
    fn go_on(&mut self, recorded: bool) -> End {
        let snapshot = self.decision.snapshot();
        let running = snapshot.running();
        if let Next::Move = self.next {
            return if A::MOVES { self.start_moving(recorded) } else { End::NotYet };
        }
        if snapshot.is(running, SlotState::Trial) && !recorded && !A::MOVES {
            // Nobody counts its attempts, so the other image is preferred where it can run.
            return self.prove(Site::Slot(running.other()), Next::FallBack);
        }
        // A worn journal never keeps a proven image from running.
        End::HandOver(running)
    }

    fn start_moving(&mut self, recorded: bool) -> End {
        let motion = self.decision.motion();
        // The others leave their source alone: decided anew at every boot they still end well. A swap that an older record
        // knows of may have begun, and then there is no way but forward.
        let is_known = recorded || self.journal.repeats(self.decision.snapshot());
        if (is_known || motion.kind != MotionKind::Swap)
            && let Some(mover) = A::mover(self.layout, motion)
        {
            self.doing = Doing::Moving(mover);
            return End::NotYet;
        }
        self.step(Input::NotMoved)
    }

    /// The third and last place where a hardened verdict is looked at.
    #[inline(never)]
    fn hand_over(&mut self, slot: SlotId) -> Result<Handover, Recovery> {
        let image = self.image.take().ok_or(Recovery::NothingProven)?;
        let here = self.layout.slot(slot).link_address == image.link_address();
        if !Hardened::of(here).passed() {
            return Err(Recovery::NothingProven);
        }
        let snapshot = self.decision.snapshot();
        Ok(Handover { slot, image, state: snapshot.state(slot), floor: snapshot.floor() })
    }
}

impl<A: Activation> Machine for Boot<'_, A> {
    type Output = Result<Handover, Recovery>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        loop {
            let end = match &mut self.doing {
                Doing::Scanning(scan) => {
                    drive!(scan, buffer, last);
                    self.take_scan(buffer.len())
                }
                Doing::Proving(prove) => {
                    let verdict = drive!(prove, buffer, last);
                    self.take_verdict(verdict.ok())
                }
                Doing::Appending(append) => {
                    let written = drive!(append, buffer, last);
                    self.take_append(written)
                }
                Doing::Moving(mover) => match drive!(mover, buffer, last) {
                    Moved::Done => self.step(Input::Moved),
                    Moved::NotBegun => self.step(Input::NotMoved),
                    Moved::Stopped => End::Recover(Recovery::NothingProven),
                },
            };
            match end {
                End::NotYet => last = Ok(()),
                End::HandOver(slot) => return Step::Done(self.hand_over(slot)),
                End::Recover(recovery) => return Step::Done(Err(recovery)),
            }
        }
    }
}
