//! The boot decision: pure, no flash. Given what the journal says and what reset the device, which image is to be proven
//! or moved next, and which runs?
//!
//! ```text
//!   Confirmed --begin--> Staging --finish--> Staged --request_boot(n)--> Pending
//!       ^                                                                  | proven at boot [, moved, proven again]
//!       |                                                                  v
//!       '------------------------- confirm ---------------------------- Trial(n-1)
//!       |                                                                  | reset: one attempt less
//!       '--- other image, event, manifest rejected <--- out of attempts, or fail()
//! ```

use core::marker::PhantomData;

use ota_manifest::{ManifestId, Order, ResetCause, RollbackReason, SecurityVersion};
use ota_verify::VerifiedImage;

use crate::activation::{Activation, InPlace, Motion, MotionKind};
use crate::snapshot::BROWN_OUT_BUDGET;
use crate::{Layout, Site, SlotId, SlotState, Snapshot, Strategy};

/// Hand-overs of an image that runs because everything else is lost, after the first; times a copy is made anew.
const RESCUE_ATTEMPTS: u8 = 2;

/// What the driver reports back.
#[derive(Debug, Clone, Copy)]
pub enum Input<'i> {
    /// The device was reset.
    Boot(ResetCause),
    /// The site asked about holds this image.
    Proven(&'i VerifiedImage),
    /// The site asked about holds nothing that may run.
    Unproven,
    /// What was to be moved has been moved, before this reset or now.
    Moved,
    /// Nothing has been moved: its progress cannot be kept.
    NotMoved,
    /// The last move that the progress region knows of, and whether it has ended.
    LastMove(Option<(Motion, bool)>),
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Prove the image at this site and say how it went.
    Prove(Site),
    /// Make the snapshot last, then move what [`Decision::motion`] says, or go on moving it.
    Move,
    /// Look into the progress region for the last move.
    FindMove,
    /// Make the snapshot last, then run the image just proven in the slot that the snapshot says is running.
    HandOver,
    /// Nothing may run: wait for help, write nothing.
    Recover,
}

/// The decision half-way: the snapshot as it is going to be, and what is being found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<A = InPlace> {
    snapshot: Snapshot,
    cause: ResetCause,
    asking: Asking,
    /// Why the image on trial is left, if it is: a number, as an application may know more of them.
    reason: u8,
    /// Whether that is a verdict on the release, which is then not taken again, or on this copy of it only.
    rejects: bool,
    /// Without a journal: what is in slot A, if that proved itself.
    first: Order,
    first_proven: bool,
    /// What is moved, and from where to where.
    kind: MotionKind,
    /// Units to move.
    units: u16,
    unit: u32,
    activation: PhantomData<A>,
}

/// Which question the driver is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    /// What reset the device?
    Cause,
    /// What reset the device, whose journal is lost?
    CauseOfLost,
    /// Is the pending image good?
    Pending,
    /// It is. How many units does the one take that is to make room?
    Outgoing,
    /// Is the image on trial still good?
    Trial,
    /// Is there something to go back to?
    Fallback,
    /// There is nothing to go back to: is at least the image on trial good?
    Stranded,
    /// Is the confirmed image still good?
    Confirmed,
    /// It is not: is the other one?
    Rescue,
    /// Nor is that: is the staged one?
    RescueStaged,
    /// Has it been moved?
    Moving,
    /// Is what was moved good where it is now?
    Arrived,
    /// No journal: what is in slot A?
    Lost,
    /// And in slot B?
    LostSecond,
    /// A is the better one: prove it again, as the last thing before it runs.
    LostFirst,
    Decided,
}

impl<A: Activation> Decision<A> {
    /// Starts without a record of the journal.
    #[must_use]
    pub fn without_journal(layout: &Layout) -> Self {
        let mut snapshot = Snapshot::blank();
        snapshot.set_strategy(layout.strategy());
        Self {
            snapshot,
            cause: ResetCause::Unknown,
            asking: Asking::CauseOfLost,
            reason: 0,
            rejects: false,
            first: Order { epoch: 0, sequence: 0 },
            first_proven: false,
            kind: MotionKind::Swap,
            units: 0,
            unit: layout.unit(),
            activation: PhantomData,
        }
    }

    /// Starts from the newest record of the journal.
    #[must_use]
    pub fn new(layout: &Layout, newest: &Snapshot) -> Self {
        let mut decision = Self::without_journal(layout);
        decision.read(newest);
        decision
    }

    /// Takes over the newest record.
    pub(crate) const fn read(&mut self, newest: &Snapshot) {
        let strategy = self.snapshot.strategy();
        self.snapshot = *newest;
        if A::MOVES {
            // What the layout says is true, whatever somebody has written.
            self.snapshot.set_strategy(strategy);
            self.snapshot.set_running(SlotId::A);
        }
        self.asking = Asking::Cause;
    }

    /// Takes over what the guard region says: nothing below `floor` runs, whatever the journal says.
    pub fn raise_floor(&mut self, floor: SecurityVersion) {
        self.snapshot.set_floor(self.snapshot.floor().max(floor));
    }

    /// The snapshot that must be in the journal before the hand-over or the move.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What is to be moved.
    #[must_use]
    pub const fn motion(&self) -> Motion {
        Motion { kind: self.kind, id: self.snapshot.move_id(), units: self.snapshot.move_units() }
    }

    /// One step of the decision. The same inputs give the same steps, always.
    #[must_use]
    pub fn step(mut self, input: Input<'_>) -> (Self, Action) {
        let action = self.take(input);
        (self, action)
    }

    /// [`Self::step`] in place.
    pub(crate) fn take(&mut self, input: Input<'_>) -> Action {
        match input {
            Input::Boot(cause) => {
                self.cause = cause;
                self.boot()
            }
            Input::Proven(image) => self.proven(image),
            Input::Unproven => self.unproven(),
            Input::Moved if A::MOVES => self.moved(),
            Input::NotMoved if A::MOVES => self.not_moved(),
            Input::LastMove(last) if A::MOVES => self.take_last_move(last),
            Input::Moved | Input::NotMoved | Input::LastMove(_) => self.recover(),
        }
    }

    fn running(&self) -> SlotId {
        if A::MOVES { SlotId::A } else { self.snapshot.running() }
    }

    fn boot(&mut self) -> Action {
        if self.asking == Asking::CauseOfLost {
            return if A::MOVES { Action::FindMove } else { self.ask(Asking::Lost, Site::Slot(SlotId::A)) };
        }
        let running = self.running();
        if A::MOVES
            && let Some(kind) = self.motion_under_way()
        {
            return self.go_on_moving(kind);
        }
        if self.snapshot.is(running.other(), SlotState::Pending) {
            return self.ask(Asking::Pending, Site::Slot(running.other()));
        }
        if self.snapshot.is(running, SlotState::Trial) {
            return self.boot_trial();
        }
        if self.snapshot.is(running, SlotState::Failed) {
            return self.fall_back(self.snapshot.reason_number(), true);
        }
        self.ask(Asking::Confirmed, Site::Slot(running))
    }

    /// Power failures have a budget of their own: a flat battery says nothing about the firmware.
    fn boot_trial(&mut self) -> Action {
        let (attempts, brown_outs) = (self.snapshot.attempts(), self.snapshot.brown_outs());
        if self.cause.is_power() && brown_outs > 0 {
            self.snapshot.set_brown_outs(brown_outs - 1);
        } else if attempts > 0 {
            self.snapshot.set_attempts(attempts - 1);
        } else {
            return self.fall_back(RollbackReason::AttemptsExhausted as u8, true);
        }
        self.snapshot.set_boots(self.snapshot.boots().saturating_add(1));
        self.ask(Asking::Trial, Site::Slot(self.running()))
    }

    /// Whether a proven image is what was made pending: whoever can write the slot must not slip in an older signed one.
    fn is_what_was_asked_for(&self, image: &VerifiedImage) -> bool {
        let running = self.running();
        image.manifest_id() == self.snapshot.manifest(running.other())
            && image.order() > self.snapshot.order(running)
    }

    fn proven(&mut self, image: &VerifiedImage) -> Action {
        let running = self.running();
        match self.asking {
            Asking::Pending if !self.is_what_was_asked_for(image) => self.unproven(),
            Asking::Pending if A::MOVES => self.make_room(image),
            Asking::Pending => {
                self.start_trial(running.other(), image, self.snapshot.attempts().saturating_sub(1))
            }
            Asking::Outgoing if A::MOVES => {
                self.units = self.units.max(self.units(image));
                self.start_move(MotionKind::Swap)
            }
            // A copy of the image that failed is no way back from it.
            Asking::Fallback if A::MOVES && self.is_rejected_copy(image) => self.unproven(),
            Asking::Fallback => self.roll_back(image),
            Asking::Stranded => {
                self.snapshot.set_state(running, SlotState::Stranded);
                self.snapshot.raise_event_of(self.reason, self.cause);
                self.hand_over()
            }
            Asking::Rescue | Asking::RescueStaged => self.rescue(image),
            Asking::Arrived if A::MOVES => self.arrived(image),
            Asking::Lost if A::MOVES => self.start_over(SlotId::A, image),
            Asking::Lost => {
                (self.first, self.first_proven) = (image.order(), true);
                self.ask(Asking::LostSecond, Site::Slot(SlotId::B))
            }
            Asking::LostSecond if self.first_proven && self.first >= image.order() => {
                self.ask(Asking::LostFirst, Site::Slot(SlotId::A))
            }
            Asking::LostFirst => self.start_over(SlotId::A, image),
            Asking::LostSecond => self.start_over(SlotId::B, image),
            Asking::Trial | Asking::Confirmed => self.hand_over(),
            _ => self.recover(),
        }
    }

    fn unproven(&mut self) -> Action {
        let running = self.running();
        match self.asking {
            // A move that the journal does not know of may have begun: its record can have been lost.
            Asking::Pending | Asking::Outgoing | Asking::Confirmed if A::MOVES => Action::FindMove,
            Asking::Pending => self.give_up_pending(),
            Asking::Trial if A::MOVES && self.snapshot.strategy() == Strategy::Overwrite => {
                self.ask(Asking::RescueStaged, Site::Slot(SlotId::B))
            }
            Asking::Trial => self.fall_back(RollbackReason::Unproven as u8, false),
            Asking::Fallback => self.ask(Asking::Stranded, Site::Slot(running)),
            Asking::Confirmed => self.ask(Asking::Rescue, self.fallback()),
            Asking::Rescue if A::MOVES => self.ask(Asking::RescueStaged, Site::Slot(SlotId::B)),
            Asking::Lost if A::MOVES => self.ask(Asking::Rescue, self.fallback()),
            Asking::Arrived if A::MOVES => self.did_not_arrive(),
            Asking::LostSecond if self.first_proven => self.ask(Asking::LostFirst, Site::Slot(SlotId::A)),
            // For slot A: it proved itself a moment ago and does not now; B may have been good all along.
            Asking::Lost | Asking::LostFirst => {
                self.first_proven = false;
                self.ask(Asking::LostSecond, Site::Slot(SlotId::B))
            }
            _ => self.recover(),
        }
    }

    /// A failed proof is no verdict on the release: the manifest is not rejected and may be fetched again.
    fn give_up_pending(&mut self) -> Action {
        self.snapshot.set_state(self.running().other(), SlotState::Empty);
        self.snapshot.set_boots(0);
        self.snapshot.raise_event(RollbackReason::Unproven, self.cause);
        self.ask(Asking::Confirmed, Site::Slot(self.running()))
    }

    /// Where the image that ran before is.
    fn fallback(&self) -> Site {
        if self.snapshot.strategy() == Strategy::SwapOffset && A::MOVES {
            Site::Displaced
        } else {
            Site::Slot(self.running().other())
        }
    }

    fn fall_back(&mut self, reason: u8, rejects: bool) -> Action {
        (self.reason, self.rejects) = (reason, rejects);
        if A::MOVES && self.snapshot.strategy() == Strategy::Overwrite {
            // What slot B holds is a copy of what failed.
            return self.ask(Asking::Stranded, Site::Slot(SlotId::A));
        }
        self.ask(Asking::Fallback, self.fallback())
    }

    fn roll_back(&mut self, image: &VerifiedImage) -> Action {
        let failed = self.running();
        if self.rejects {
            self.snapshot.reject(self.snapshot.manifest(failed));
        }
        self.snapshot.raise_event_of(self.reason, self.cause);
        if A::MOVES {
            return self.start_restore(image);
        }
        self.snapshot.set_state(failed, SlotState::Empty);
        self.settle(failed.other(), image);
        self.snapshot.set_running(failed.other());
        self.hand_over()
    }

    /// An image that was never confirmed is not confirmed by going back to it. If it is one day, the floor rises to its
    /// security version, not to that of the image that was tried in between.
    fn settle(&mut self, slot: SlotId, image: &VerifiedImage) {
        self.note(slot, image);
        if !self.snapshot.is(slot, SlotState::Confirmed) {
            self.snapshot.set_state(slot, SlotState::Stranded);
        }
    }

    /// What runs now. The journal may not have known of it, if one was lost; then any older release would be an update.
    fn note(&mut self, slot: SlotId, image: &VerifiedImage) {
        self.snapshot.set_manifest(slot, image.manifest_id(), image.order());
        self.snapshot.set_trial_security(image.security_version());
    }

    /// The confirmed image is gone, or the journal and what it said, and another one proves itself.
    fn rescue(&mut self, image: &VerifiedImage) -> Action {
        let lost = self.running();
        if A::MOVES && self.snapshot.is(lost, SlotState::Trial) {
            return self.copy_again(image);
        }
        let without_journal = self.snapshot.is(lost, SlotState::Empty);
        let reason =
            if without_journal { RollbackReason::JournalLost } else { RollbackReason::ConfirmedLost };
        self.snapshot.raise_event(reason, self.cause);
        if A::MOVES {
            return self.rescue_by_copy(image);
        }
        self.snapshot.set_state(lost, SlotState::Empty);
        if self.snapshot.is(lost.other(), SlotState::Confirmed) {
            self.snapshot.set_running(lost.other());
            return self.hand_over();
        }
        self.start_trial(lost.other(), image, RESCUE_ATTEMPTS)
    }

    fn start_over(&mut self, slot: SlotId, image: &VerifiedImage) -> Action {
        self.snapshot.raise_event(RollbackReason::JournalLost, self.cause);
        if A::MOVES {
            // What is in the other slot nobody knows, and nobody waits for it.
            self.snapshot.set_state(slot.other(), SlotState::Empty);
        }
        self.start_trial(slot, image, RESCUE_ATTEMPTS)
    }

    fn start_trial(&mut self, slot: SlotId, image: &VerifiedImage, attempts: u8) -> Action {
        self.note(slot, image);
        let snapshot = &mut self.snapshot;
        snapshot.set_running(slot);
        snapshot.set_state(slot, SlotState::Trial);
        snapshot.set_attempts(attempts);
        snapshot.set_brown_outs(BROWN_OUT_BUDGET);
        snapshot.set_boots(1);
        self.hand_over()
    }

    fn ask(&mut self, asking: Asking, site: Site) -> Action {
        self.asking = asking;
        Action::Prove(site)
    }

    fn hand_over(&mut self) -> Action {
        self.asking = Asking::Decided;
        Action::HandOver
    }

    fn recover(&mut self) -> Action {
        self.asking = Asking::Decided;
        Action::Recover
    }
}

/// Strategies that move images to slot A.
impl<A: Activation> Decision<A> {
    fn units(&self, image: &VerifiedImage) -> u16 {
        let shift = self.unit.trailing_zeros();
        let units = (image.size() >> shift) + u32::from(image.size() & (self.unit - 1) != 0);
        u16::try_from(units).unwrap_or(u16::MAX)
    }

    fn motion_under_way(&self) -> Option<MotionKind> {
        match (self.snapshot.state(SlotId::A), self.snapshot.state(SlotId::B)) {
            (SlotState::Reverting, _) => Some(MotionKind::Restore),
            (_, SlotState::Swapping) => Some(MotionKind::Swap),
            (_, SlotState::Installing) => Some(MotionKind::Install),
            _ => None,
        }
    }

    /// An image does not prove itself: is it because it is being moved? Or the journal is lost, and nothing is known yet.
    fn take_last_move(&mut self, last: Option<(Motion, bool)>) -> Action {
        let unfinished = last.filter(|(_, ended)| !ended).map(|(motion, _)| motion);
        if self.asking == Asking::CauseOfLost {
            return self.begin_without_journal(last, unfinished);
        }
        match (unfinished, self.asking) {
            (Some(motion), _) => self.go_on_with(motion),
            (None, Asking::Pending) => self.give_up_pending(),
            // What runs does not prove itself, so it is no loss.
            (None, Asking::Outgoing) => self.start_move(MotionKind::Swap),
            (None, _) => self.ask(Asking::Rescue, self.fallback()),
        }
    }

    /// A move that was cut short is carried to its end. Otherwise what stands in slot A is preferred, if it proves itself.
    fn begin_without_journal(&mut self, last: Option<(Motion, bool)>, unfinished: Option<Motion>) -> Action {
        // Whether what was displaced had ever been confirmed, nobody knows.
        self.snapshot.set_state(SlotId::B, SlotState::Staged);
        if let Some(motion) = unfinished {
            // What stands in slot A may prove itself, and be marginal where the move was cut short.
            self.asking = Asking::Lost;
            return self.go_on_with(motion);
        }
        if let Some((motion, _)) = last {
            // Its number must not be given to the next move, which would look ended.
            self.snapshot.set_move(motion.id, motion.units);
        }
        self.ask(Asking::Lost, Site::Slot(SlotId::A))
    }

    /// Neither slot may hold a whole image now: the progress region alone knows what to do.
    fn go_on_with(&mut self, Motion { kind, id, units }: Motion) -> Action {
        if self.asking == Asking::Lost {
            self.snapshot.raise_event(RollbackReason::JournalLost, self.cause);
        }
        if !matches!(self.asking, Asking::Pending | Asking::Outgoing) {
            self.snapshot.set_attempts(RESCUE_ATTEMPTS + 1);
        }
        self.kind = kind;
        self.snapshot.set_move(id, units);
        self.mark();
        self.go_on_moving(kind)
    }

    /// The image on trial is damaged where it runs, and whole where it was staged.
    fn copy_again(&mut self, image: &VerifiedImage) -> Action {
        // This hand-over has been counted, and will be again.
        self.snapshot.set_attempts(self.snapshot.attempts().saturating_add(1));
        self.snapshot.set_manifest(SlotId::B, image.manifest_id(), image.order());
        self.units = self.units(image);
        self.start_move(MotionKind::Install)
    }

    fn is_rejected_copy(&self, image: &VerifiedImage) -> bool {
        self.rejects && image.manifest_id() == self.snapshot.manifest(SlotId::A)
    }

    /// Writes down what is being moved, in the state of the slot whose image is to go.
    fn mark(&mut self) {
        match self.kind {
            MotionKind::Swap => self.snapshot.set_state(SlotId::B, SlotState::Swapping),
            MotionKind::Install => self.snapshot.set_state(SlotId::B, SlotState::Installing),
            MotionKind::Restore => self.snapshot.set_state(SlotId::A, SlotState::Reverting),
        }
    }

    /// The pending image is good. What does it replace?
    fn make_room(&mut self, image: &VerifiedImage) -> Action {
        self.units = self.units(image);
        if self.snapshot.strategy() == Strategy::Overwrite {
            return self.start_move(MotionKind::Install);
        }
        self.ask(Asking::Outgoing, Site::Slot(SlotId::A))
    }

    fn start_move(&mut self, kind: MotionKind) -> Action {
        self.kind = kind;
        self.snapshot.set_move(Motion::next_id(self.snapshot.move_id()), self.units);
        self.mark();
        self.go_on_moving(kind)
    }

    fn start_restore(&mut self, image: &VerifiedImage) -> Action {
        self.snapshot.set_attempts(RESCUE_ATTEMPTS);
        self.units = self.units(image);
        self.start_move(MotionKind::Restore)
    }

    fn rescue_by_copy(&mut self, image: &VerifiedImage) -> Action {
        if self.asking == Asking::Rescue && self.snapshot.strategy() == Strategy::SwapOffset {
            return self.start_restore(image);
        }
        self.snapshot.set_manifest(SlotId::B, image.manifest_id(), image.order());
        self.snapshot.set_attempts(RESCUE_ATTEMPTS + 1);
        self.units = self.units(image);
        self.start_move(MotionKind::Install)
    }

    fn go_on_moving(&mut self, kind: MotionKind) -> Action {
        (self.asking, self.kind) = (Asking::Moving, kind);
        Action::Move
    }

    fn moved(&mut self) -> Action {
        if self.asking == Asking::Moving {
            return self.ask(Asking::Arrived, Site::Slot(SlotId::A));
        }
        self.recover()
    }

    /// Only a swap needs its progress to be kept, and it has not begun.
    fn not_moved(&mut self) -> Action {
        if self.asking != Asking::Moving || self.kind != MotionKind::Swap {
            return self.recover();
        }
        if self.snapshot.is(SlotId::A, SlotState::Empty) {
            // Without a journal nothing was pending either.
            self.snapshot.set_state(SlotId::B, SlotState::Staged);
            return self.ask(Asking::Lost, Site::Slot(SlotId::A));
        }
        self.give_up_pending()
    }

    fn arrived(&mut self, image: &VerifiedImage) -> Action {
        let kind = self.kind;
        let before = self.snapshot;
        let meant = before.manifest(SlotId::B);
        if kind != MotionKind::Restore && meant != ManifestId::NONE && meant != image.manifest_id() {
            return self.did_not_arrive();
        }
        match kind {
            MotionKind::Restore => return self.restored(image),
            MotionKind::Swap => self.put_aside(),
            MotionKind::Install => self.snapshot.set_state(SlotId::B, SlotState::Empty),
        }
        self.start_trial(SlotId::A, image, before.attempts().saturating_sub(1))
    }

    /// What ran in slot A is in slot B now.
    fn put_aside(&mut self) {
        let before = self.snapshot;
        self.snapshot.set_state(SlotId::B, before.state(SlotId::A));
        self.snapshot.set_manifest(SlotId::B, before.manifest(SlotId::A), before.order(SlotId::A));
    }

    fn restored(&mut self, image: &VerifiedImage) -> Action {
        let state = self.snapshot.state(SlotId::B);
        self.snapshot.set_state(SlotId::B, SlotState::Empty);
        if state == SlotState::Staged || image.manifest_id() != self.snapshot.manifest(SlotId::B) {
            // Whether this one was ever confirmed, nobody knows.
            return self.start_trial(SlotId::A, image, RESCUE_ATTEMPTS);
        }
        self.snapshot.set_state(SlotId::A, state);
        self.settle(SlotId::A, image);
        self.hand_over()
    }

    fn did_not_arrive(&mut self) -> Action {
        if self.kind == MotionKind::Swap {
            // The copy failed, not the release.
            self.put_aside();
            return self.fall_back(RollbackReason::Unproven as u8, false);
        }
        // Its source is untouched: copied again, as often as is good for the flash.
        let attempts = self.snapshot.attempts().min(RESCUE_ATTEMPTS + 1);
        if attempts == 0 {
            return self.recover();
        }
        self.snapshot.set_attempts(attempts - 1);
        self.units = self.snapshot.move_units();
        self.start_move(self.kind)
    }
}
