//! The manifest is good: record the job, then see what the slot holds already.

use ota_manifest::wire::{FailedStage, Stage};
use ota_slots::ResumePoint;

use crate::agent::Core;
use crate::context::Progress;
use crate::state::idle::refuse;
use crate::state::{Downloading, Job, Leaves, Output, State, code, fail};
use crate::{Event, SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Preparing {
    pub(crate) job: Job,
}

impl Preparing {
    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Output<'w> {
        let mut context = core.context_now();
        context.progress = Progress::UnderWay;
        context.acknowledged = false;
        Output::Slots(SlotWork::Begin {
            envelope: core.envelope(),
            now: core.time(),
            context: context.encode(),
        })
    }

    pub(crate) fn slots(&mut self, core: &mut Core<'_>, answer: SlotsAnswer) -> Option<State> {
        Some(match answer {
            SlotsAnswer::Begun(resume) => self.begun(core, resume),
            // What is said while a gate is closed has its numbers in the journal first.
            SlotsAnswer::Done if !core.recorded => {
                core.recorded = true;
                return None;
            }
            SlotsAnswer::Refused { refusal, code } => refuse(core, refusal, code),
            SlotsAnswer::Failed { code } => fail(core, FailedStage::Preparing, code),
            _ => fail(core, FailedStage::Preparing, code::UNEXPECTED),
        })
    }

    fn begun(&self, core: &mut Core<'_>, resume: ResumePoint) -> State {
        // The journal has known of this job since its staging began, whatever has reached the slot by now.
        let cut_off = matches!(core.context.progress, Progress::UnderWay);
        core.context.progress = Progress::UnderWay;
        core.context.acknowledged = false;
        core.recorded = true;
        core.report(Stage::Accepted);
        let plan = self.job.plan;
        if resume.block >= plan.chunks().div_ceil(plan.chunks_per_block()) {
            return fail(core, FailedStage::Preparing, code::UNEXPECTED);
        }
        let held = resume.block.saturating_mul(plan.block_bytes).min(plan.size);
        if cut_off || held > 0 {
            core.log(Event::Resumed { held, total: plan.size });
        }
        if resume.leaves_held {
            return State::Downloading(Downloading::resumed(self.job, resume.block, core));
        }
        State::Leaves(Leaves::new(self.job))
    }
}
