//! The manifest is good: record the job, then see what the slot holds already.

use ota_manifest::wire::{FailedStage, Stage};

use crate::agent::Core;
use crate::context::Progress;
use crate::state::idle::refuse;
use crate::state::{Downloading, Job, Leaves, State, Want, code, fail};
use crate::{Begun, Event, SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Preparing {
    pub(crate) job: Job,
}

impl Preparing {
    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Want<'w> {
        let mut context = core.context_now();
        context.progress = Progress::UnderWay;
        context.acknowledged = false;
        Want::Slots(SlotWork::Begin { envelope: core.envelope(), context: context.encode() })
    }

    pub(crate) fn slots(self, core: &mut Core<'_>, now: u64, answer: SlotsAnswer) -> State {
        match answer {
            SlotsAnswer::Begun(begun) => self.begun(core, begun),
            SlotsAnswer::Refused { refusal, code } => refuse(core, now, refusal, code),
            SlotsAnswer::Failed { code } => fail(core, FailedStage::Preparing, code),
            _ => fail(core, FailedStage::Preparing, code::UNEXPECTED),
        }
    }

    fn begun(self, core: &mut Core<'_>, begun: Begun) -> State {
        core.context.progress = Progress::UnderWay;
        core.context.acknowledged = false;
        if !core.window_holds(begun.block_bytes) {
            return fail(core, FailedStage::Preparing, code::WINDOW);
        }
        core.report(Stage::Accepted);
        let resume = begun.resume;
        let held = resume.block.saturating_mul(begun.block_bytes).min(self.job.plan.size);
        if held > 0 {
            core.log(Event::Resumed { held, total: self.job.plan.size });
        }
        if resume.leaves_held {
            return State::Downloading(Downloading::resumed(self.job, begun.block_bytes, resume.block, core));
        }
        State::Leaves(Leaves::new(self.job, begun.block_bytes))
    }
}
