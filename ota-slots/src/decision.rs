//! The boot decision: pure, no flash. Given what the journal says and what reset the device, which slot is to be proven
//! next, and which runs?
//!
//! ```text
//!   Confirmed --begin--> Staging --finish--> Staged --request_boot(n)--> Pending
//!       ^                                                                  | proven at boot
//!       |                                                                  v
//!       '------------------------- confirm ---------------------------- Trial(n-1)
//!       |                                                                  | reset: one attempt less
//!       '--- other slot, event, manifest rejected <--- out of attempts, or fail()
//! ```

use ota_manifest::{Order, ResetCause, RollbackReason};

use ota_verify::VerifiedImage;

use crate::snapshot::BROWN_OUT_BUDGET;
use crate::{SlotId, SlotState, Snapshot};

/// Hand-overs of an image that runs because everything else is lost, after the first.
const RESCUE_ATTEMPTS: u8 = 2;

/// What the driver reports back.
#[derive(Debug, Clone, Copy)]
pub enum Input<'i> {
    /// The device was reset.
    Boot(ResetCause),
    /// The slot asked about holds this image.
    Proven(&'i VerifiedImage),
    /// The slot asked about holds nothing that may run.
    Unproven,
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Prove this slot and say how it went.
    Prove(SlotId),
    /// Make the snapshot last, then run the image just proven in this slot.
    HandOver(SlotId),
    /// Nothing may run: wait for help, write nothing.
    Recover,
}

/// The decision half-way: the snapshot as it is going to be, and what is being found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    snapshot: Snapshot,
    cause: ResetCause,
    asking: Asking,
}

/// What a rollback says about what it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The release was tried and found wanting: it is not taken again.
    OnRelease,
    /// This copy of it does not prove itself: it may be fetched again.
    OnCopy,
}

/// Which question the driver is answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Nothing,
    /// Is the pending image good?
    Pending,
    /// Is the image on trial still good?
    Trial,
    /// Is there something to go back to?
    Fallback {
        reason: RollbackReason,
        verdict: Verdict,
    },
    /// There is nothing to go back to: is at least the image on trial good?
    Stranded(RollbackReason),
    /// Is the confirmed image still good?
    Confirmed,
    /// It is not: is the other one?
    Rescue,
    /// No journal: what is in slot A?
    Lost,
    /// And in slot B, where A holds this order?
    LostSecond(Option<Order>),
    /// A is the better one: prove it again, as the last thing before it runs.
    LostFirst,
    Decided,
}

impl Decision {
    /// Starts from the newest record, or from none.
    #[must_use]
    pub fn new(newest: Option<&Snapshot>) -> Self {
        let asking = if newest.is_some() { Asking::Nothing } else { Asking::Lost };
        Self { snapshot: newest.copied().unwrap_or(Snapshot::blank()), cause: ResetCause::Unknown, asking }
    }

    /// The snapshot that must be in the journal before the hand-over.
    #[must_use]
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// One step of the decision. The same inputs give the same steps, always.
    #[must_use]
    pub fn step(self, input: Input<'_>) -> (Self, Action) {
        match input {
            Input::Boot(cause) => Self { cause, ..self }.boot(),
            Input::Proven(image) => self.proven(image),
            Input::Unproven => self.unproven(),
        }
    }

    fn boot(self) -> (Self, Action) {
        if self.asking == Asking::Lost {
            return (self, Action::Prove(SlotId::A));
        }
        let running = self.snapshot.running;
        if self.snapshot.state(running.other()) == SlotState::Pending {
            return self.ask(Asking::Pending, running.other());
        }
        match self.snapshot.state(running) {
            SlotState::Trial => self.boot_trial(),
            SlotState::Failed => self.fall_back(self.snapshot.reason, Verdict::OnRelease),
            _ => self.ask(Asking::Confirmed, running),
        }
    }

    /// Power failures have a budget of their own: a flat battery says nothing about the firmware.
    fn boot_trial(mut self) -> (Self, Action) {
        let running = self.snapshot.running;
        if self.cause.is_power() && self.snapshot.brown_outs > 0 {
            self.snapshot.brown_outs -= 1;
        } else if self.snapshot.attempts > 0 {
            self.snapshot.attempts -= 1;
        } else {
            return self.fall_back(RollbackReason::AttemptsExhausted, Verdict::OnRelease);
        }
        self.snapshot.boots = self.snapshot.boots.saturating_add(1);
        self.ask(Asking::Trial, running)
    }

    /// Whether a proven image is what was made pending: whoever can write the slot must not slip in an older signed one.
    fn is_what_was_asked_for(&self, image: &VerifiedImage) -> bool {
        let running = self.snapshot.running;
        image.manifest_id() == self.snapshot.manifest(running.other())
            && image.order() > self.snapshot.order(running)
    }

    fn proven(mut self, image: &VerifiedImage) -> (Self, Action) {
        let running = self.snapshot.running;
        match self.asking {
            Asking::Pending if !self.is_what_was_asked_for(image) => self.unproven(),
            Asking::Pending => {
                self.start_trial(running.other(), image, self.snapshot.attempts.saturating_sub(1))
            }
            Asking::Fallback { reason, verdict } => self.roll_back(reason, verdict),
            Asking::Stranded(reason) => {
                self.snapshot.set_state(running, SlotState::Stranded);
                self.snapshot.raise_event(reason, self.cause);
                self.hand_over()
            }
            Asking::Rescue => self.rescue(image),
            Asking::Lost => self.ask(Asking::LostSecond(Some(image.order())), SlotId::B),
            Asking::LostSecond(Some(first)) if first >= image.order() => {
                self.ask(Asking::LostFirst, SlotId::A)
            }
            Asking::LostFirst => self.start_over(SlotId::A, image),
            Asking::LostSecond(_) => self.start_over(SlotId::B, image),
            Asking::Trial | Asking::Confirmed | Asking::Nothing | Asking::Decided => self.hand_over(),
        }
    }

    fn unproven(mut self) -> (Self, Action) {
        let running = self.snapshot.running;
        match self.asking {
            Asking::Pending => {
                // A failed proof is no verdict on the release: the manifest is not rejected and may be fetched again.
                self.snapshot.set_state(running.other(), SlotState::Empty);
                self.snapshot.boots = 0;
                self.snapshot.raise_event(RollbackReason::Unproven, self.cause);
                self.ask(Asking::Confirmed, running)
            }
            Asking::Trial => self.fall_back(RollbackReason::Unproven, Verdict::OnCopy),
            Asking::Fallback { reason, .. } => self.ask(Asking::Stranded(reason), running),
            Asking::Confirmed => self.ask(Asking::Rescue, running.other()),
            Asking::Lost => self.ask(Asking::LostSecond(None), SlotId::B),
            Asking::LostSecond(Some(_)) => self.ask(Asking::LostFirst, SlotId::A),
            // A proved itself a moment ago and does not now; B may have been good all along.
            Asking::LostFirst => self.ask(Asking::LostSecond(None), SlotId::B),
            _ => (Self { asking: Asking::Decided, ..self }, Action::Recover),
        }
    }

    fn fall_back(self, reason: RollbackReason, verdict: Verdict) -> (Self, Action) {
        self.ask(Asking::Fallback { reason, verdict }, self.snapshot.running.other())
    }

    fn roll_back(mut self, reason: RollbackReason, verdict: Verdict) -> (Self, Action) {
        let failed = self.snapshot.running;
        if verdict == Verdict::OnRelease {
            self.snapshot.reject(self.snapshot.manifest(failed));
        }
        self.snapshot.set_state(failed, SlotState::Empty);
        if self.snapshot.state(failed.other()) != SlotState::Confirmed {
            // It was never confirmed; going back to it does not make it so.
            self.snapshot.set_state(failed.other(), SlotState::Stranded);
        }
        self.snapshot.running = failed.other();
        self.snapshot.raise_event(reason, self.cause);
        self.hand_over()
    }

    /// The confirmed image is gone and the other slot holds a good one.
    fn rescue(mut self, image: &VerifiedImage) -> (Self, Action) {
        let lost = self.snapshot.running;
        let was_confirmed = self.snapshot.state(lost.other()) == SlotState::Confirmed;
        self.snapshot.set_state(lost, SlotState::Empty);
        self.snapshot.raise_event(RollbackReason::ConfirmedLost, self.cause);
        if was_confirmed {
            self.snapshot.running = lost.other();
            return self.hand_over();
        }
        self.start_trial(lost.other(), image, RESCUE_ATTEMPTS)
    }

    fn start_over(mut self, slot: SlotId, image: &VerifiedImage) -> (Self, Action) {
        self.snapshot.raise_event(RollbackReason::JournalLost, self.cause);
        self.start_trial(slot, image, RESCUE_ATTEMPTS)
    }

    fn start_trial(mut self, slot: SlotId, image: &VerifiedImage, attempts: u8) -> (Self, Action) {
        self.snapshot.running = slot;
        self.snapshot.set_state(slot, SlotState::Trial);
        self.snapshot.set_manifest(slot, image.manifest_id(), image.order());
        self.snapshot.trial_security = image.security_version();
        self.snapshot.attempts = attempts;
        self.snapshot.brown_outs = BROWN_OUT_BUDGET;
        self.snapshot.boots = 1;
        self.hand_over()
    }

    fn ask(self, asking: Asking, slot: SlotId) -> (Self, Action) {
        (Self { asking, ..self }, Action::Prove(slot))
    }

    fn hand_over(self) -> (Self, Action) {
        (Self { asking: Asking::Decided, ..self }, Action::HandOver(self.snapshot.running))
    }
}
