//! The new firmware runs on trial: it tests itself, and the deadline runs from boot, whatever the network does.

use ota_manifest::wire::{RollbackReason, Stage};

use crate::agent::Core;
use crate::context::Progress;
use crate::state::{Output, Reporting, State};
use crate::{Event, Fitness, SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Testing {
    /// When the window ends, ms.
    deadline: u64,
    fit: Option<bool>,
    /// The server has answered.
    connected: bool,
    expired: bool,
}

impl Testing {
    pub(crate) fn new(core: &mut Core<'_>, booted_at: u64) -> Self {
        if core.has_job() {
            core.report(Stage::Testing);
        }
        let window = u64::from(core.context.confirm_window_s) * 1000;
        // Firmware that was started without a job (the journal was lost) owes its proof to nobody but itself.
        let connected = !core.config.confirm_needs_server || !core.has_job();
        Self { deadline: booted_at.saturating_add(window), fit: None, connected, expired: false }
    }

    pub(crate) fn want(&self) -> Output<'_> {
        match (self.expired, self.fit) {
            (true, _) => Output::Reset,
            (false, None) => Output::SelfTest,
            (false, Some(_)) => Output::Wait,
        }
    }

    /// Whether the window has ended.
    pub(crate) const fn is_over(&self) -> bool {
        self.expired
    }

    pub(crate) fn verdict(&mut self, core: &mut Core<'_>, now: u64, fitness: Fitness) -> Option<State> {
        self.fit = Some(fitness == Fitness::Fit);
        if let Fitness::Unfit(failed) = fitness {
            core.context.failed = failed;
        }
        self.expired |= now >= self.deadline;
        self.conclude(core)
    }

    pub(crate) fn acknowledged(&mut self, core: &mut Core<'_>) -> Option<State> {
        self.connected = true;
        self.conclude(core)
    }

    fn conclude(&self, core: &mut Core<'_>) -> Option<State> {
        match (self.fit, self.connected) {
            _ if self.expired => None,
            (Some(false), _) => Some(State::Concluding(Concluding::Fail)),
            (Some(true), true) => {
                core.conclude(Progress::Confirmed);
                Some(State::Concluding(Concluding::Confirm))
            }
            _ => None,
        }
    }

    /// No verdict within the window: inconclusive. A reset uses up one attempt, so an outage of the server alone never
    /// rolls back a device that has attempts left.
    pub(crate) fn timeout(&mut self, now: u64) {
        self.expired |= now >= self.deadline;
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        (!self.expired).then_some(self.deadline)
    }
}

/// The trial is decided; the journal has to know before anybody else.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Concluding {
    Confirm,
    Fail,
    Reset,
}

impl Concluding {
    pub(crate) fn want(&self, core: &Core<'_>) -> Output<'_> {
        match self {
            Self::Confirm => Output::Slots(SlotWork::Confirm { context: core.context.encode() }),
            Self::Fail => Output::Slots(SlotWork::Fail {
                reason: RollbackReason::SelfTest,
                context: core.context.encode(),
            }),
            Self::Reset => Output::Reset,
        }
    }

    pub(crate) fn slots(&self, core: &mut Core<'_>, answer: SlotsAnswer) -> State {
        match (*self, answer) {
            (Self::Confirm, SlotsAnswer::Done) => {
                if !core.has_job() {
                    return core.settle_event();
                }
                core.report_terminal(Stage::Confirmed);
                State::Reporting(Reporting)
            }
            (_, SlotsAnswer::Failed { code }) => {
                // The journal would not take it: a reset lets the bootloader count the attempt.
                core.log(Event::FlashFailed { code });
                State::Concluding(Self::Reset)
            }
            _ => State::Concluding(Self::Reset),
        }
    }
}
