//! An envelope has arrived: is it authentic, and is it for this device? Nothing is fetched before that is known.

use ota_manifest::wire::{FailedStage, Refusal};

use crate::agent::Core;
use crate::state::idle::refuse;
use crate::state::{Job, Output, Preparing, State, code, fail};
use crate::{SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Admitting;

impl Admitting {
    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Output<'w> {
        Output::Slots(SlotWork::Admit { envelope: core.envelope(), now: core.time() })
    }

    pub(crate) fn slots(core: &mut Core<'_>, answer: SlotsAnswer) -> State {
        match answer {
            SlotsAnswer::Admitted(plan)
                if core.window_holds(plan.block_bytes) && plan.chunks_per_block() <= 64 =>
            {
                core.context.confirm_window_s = plan.confirm_window_s;
                State::Preparing(Preparing { job: Job { plan, refetched: false } })
            }
            SlotsAnswer::Admitted(_) => refuse(core, Refusal::Unsupported, code::WINDOW),
            SlotsAnswer::Refused { refusal, code } => refuse(core, refusal, code),
            _ => fail(core, FailedStage::Preparing, code::UNEXPECTED),
        }
    }
}
