//! The states, one struct each, named for what they do. A state's handling lives on the state.
//!
//! A method returns the next state, or nothing while it stays; handed from one to the other by value, states took a kilobyte
//! of copies.

mod admitting;
mod downloading;
mod idle;
mod leaves;
mod preparing;
mod ready;
mod reporting;
mod testing;
mod verifying;

use ota_manifest::wire::{Down, FailedStage, Stage};

pub(crate) use admitting::Admitting;
pub(crate) use downloading::Downloading;
pub(crate) use idle::Idle;
pub(crate) use leaves::Leaves;
pub(crate) use preparing::Preparing;
pub(crate) use ready::Ready;
pub(crate) use reporting::{Recording, Reporting};
pub(crate) use testing::{Concluding, Testing};
pub(crate) use verifying::Verifying;

use crate::agent::Core;
use crate::context::Progress;
use crate::gates::Step;
use crate::inquiry::SpareTime;
use crate::{Event, Fitness, Output, Plan, SlotsAnswer};

/// Times something that should work is tried again before the job fails.
pub(crate) const RETRIES: u8 = 5;

/// Codes of failures that arise in the agent itself. Frozen.
pub(crate) mod code {
    /// The image was not proven, whatever the check.
    pub(crate) const UNPROVEN: u16 = 0x0200;
    /// The leaf list never matched the manifest.
    pub(crate) const LEAVES: u16 = 0x0501;
    /// A chunk never matched its leaf.
    pub(crate) const CHUNK: u16 = 0x0502;
    /// An answer that no state expects.
    pub(crate) const UNEXPECTED: u16 = 0x0503;
    /// The lent window is smaller than one block, or a block has more than 64 chunks.
    pub(crate) const WINDOW: u16 = 0x0504;
    /// The envelope is longer than devices accept.
    pub(crate) const ENVELOPE: u16 = 0x0505;
    /// Request after request brought nothing that could be used.
    pub(crate) const NOTHING_NEW: u16 = 0x0506;
}

/// A chunk that the slot holds, to be read into the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) chunk: u32,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

#[derive(Debug)]
pub(crate) enum State {
    Idle(Idle),
    Admitting(Admitting),
    Preparing(Preparing),
    Leaves(Leaves),
    Downloading(Downloading),
    Verifying(Verifying),
    Ready(Ready),
    Testing(Testing),
    Concluding(Concluding),
    Recording(Recording),
    Reporting(Reporting),
}

impl State {
    pub(crate) fn want<'w>(&'w self, core: &'w Core<'_>) -> Output<'w> {
        match self {
            Self::Idle(state) => state.want(core),
            Self::Admitting(state) => state.want(core),
            Self::Preparing(state) => state.want(core),
            Self::Leaves(state) => state.want(core),
            Self::Downloading(state) => state.want(core),
            Self::Verifying(state) => state.want(),
            Self::Ready(state) => state.want(core),
            Self::Testing(state) => state.want(),
            Self::Concluding(state) => state.want(core),
            Self::Recording(state) => state.want(core),
            Self::Reporting(state) => state.want(),
        }
    }

    /// Whether there is time for a question.
    pub(crate) const fn spare_time(&self) -> SpareTime {
        match self {
            Self::Idle(Idle { asking: true, .. }) => SpareTime::BeforePoll,
            Self::Idle(_) => SpareTime::Idle,
            Self::Testing(_) => SpareTime::OnTrial,
            _ => SpareTime::None,
        }
    }

    /// The one want that needs the window for itself; asked before [`Self::want`].
    pub(crate) fn load(&self) -> Option<Load> {
        match self {
            Self::Downloading(state) => state.load(),
            _ => None,
        }
    }

    /// What comes next, if it may have to wait for a gate.
    pub(crate) fn step(&self) -> Option<Step> {
        match self {
            Self::Preparing(_) => Some(Step::Download),
            Self::Leaves(state) if state.is_fetching() => Some(Step::Download),
            Self::Downloading(state) if state.is_fetching() => Some(Step::Download),
            Self::Ready(_) => Some(Step::Restart),
            _ => None,
        }
    }

    /// How far the job has come, as far as the server may hear it again.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Self::Preparing(_) | Self::Leaves(_) => Some(Stage::Accepted),
            Self::Downloading(state) => Some(state.stage()),
            Self::Ready(state) => Some(state.stage()),
            _ => None,
        }
    }

    /// An answer from the server that is neither an acknowledgement nor a cancellation.
    #[inline(never)]
    pub(crate) fn message(&mut self, core: &mut Core<'_>, now: u64, message: Down<'_>) {
        let next = match self {
            Self::Idle(_) => Some(Idle::message(core, now, message)),
            Self::Leaves(state) => state.message(core, message),
            Self::Downloading(state) => state.message(core, message),
            _ => {
                core.log(Event::Ignored);
                None
            }
        };
        self.follow(next);
    }

    #[inline(never)]
    pub(crate) fn slots(&mut self, core: &mut Core<'_>, now: u64, answer: SlotsAnswer) {
        let next = match self {
            Self::Admitting(_) => Some(Admitting::slots(core, answer)),
            Self::Preparing(state) => state.slots(core, answer),
            Self::Leaves(state) => state.slots(core, answer),
            Self::Downloading(state) => state.slots(core, answer),
            Self::Verifying(state) => Some(state.slots(core, answer)),
            Self::Ready(state) => state.slots(core, answer),
            Self::Concluding(state) => Some(state.slots(core, answer)),
            Self::Recording(_) => Some(Recording::slots(core, now, answer)),
            _ => {
                core.log(Event::FlashFailed { code: code::UNEXPECTED });
                None
            }
        };
        self.follow(next);
    }

    /// The server has stored this report for good.
    pub(crate) fn acknowledged(&mut self, core: &mut Core<'_>, now: u64, stage: Stage) {
        let next = match self {
            Self::Testing(state) => state.acknowledged(core),
            Self::Reporting(_) => Reporting::acknowledged(core, now, stage),
            _ => None,
        };
        self.follow(next);
    }

    /// The server takes the job back. Legal until the image is pending.
    pub(crate) fn cancelled(&mut self, core: &mut Core<'_>, now: u64) {
        match self {
            Self::Idle(_) => {
                core.log(Event::Ignored);
                *self = Self::Idle(Idle::later(core, now, 0));
            }
            Self::Ready(state) if state.is_pending() => {}
            Self::Admitting(_)
            | Self::Preparing(_)
            | Self::Leaves(_)
            | Self::Downloading(_)
            | Self::Verifying(_)
            | Self::Ready(_) => *self = end(core, Progress::Cancelled),
            _ => {}
        }
    }

    /// The self-test has ended.
    pub(crate) fn verdict(&mut self, core: &mut Core<'_>, now: u64, fitness: Fitness) {
        if let Self::Testing(testing) = self {
            let next = testing.verdict(core, now, fitness);
            self.follow(next);
        }
    }

    fn follow(&mut self, next: Option<Self>) {
        if let Some(next) = next {
            *self = next;
        }
    }

    /// A point in time has come, ms.
    pub(crate) fn timeout(&mut self, now: u64) {
        match self {
            Self::Idle(state) => state.timeout(now),
            Self::Testing(state) => state.timeout(now),
            _ => {}
        }
    }

    /// The next point in time at which [`Self::timeout`] has something to do, ms.
    pub(crate) fn deadline(&self) -> Option<u64> {
        match self {
            Self::Idle(state) => state.deadline(),
            Self::Testing(state) => state.deadline(),
            _ => None,
        }
    }
}

/// The job ends here: remembered in the journal first, then reported until acknowledged.
pub(crate) fn end(core: &mut Core<'_>, progress: Progress) -> State {
    core.conclude(progress);
    State::Recording(Recording)
}

pub(crate) fn fail(core: &mut Core<'_>, at: FailedStage, code: u16) -> State {
    core.log(Event::FlashFailed { code });
    end(core, Progress::Failed(at, wire_code(code)))
}

/// Which check of a proof failed is for the device's log; the wire gets one number for all of them.
const fn wire_code(code: u16) -> u16 {
    match code {
        0x0200..=0x04FF => code::UNPROVEN,
        other => other,
    }
}

/// The envelope and the buffer hold the same job until it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) plan: Plan,
    /// Whether a failed proof has already led to one more fetch.
    pub(crate) refetched: bool,
}
