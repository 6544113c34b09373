//! A proven image waits for its boot. No other job is taken: it would overwrite what is about to run.

use ota_manifest::wire::{FailedStage, Stage};
use ota_slots::Staged;

use crate::agent::Core;
use crate::state::{Output, State, code, fail};
use crate::{SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Ready {
    staged: Staged,
    attempts: u8,
    pending: bool,
}

impl Ready {
    pub(crate) const fn new(staged: Staged, attempts: u8) -> Self {
        Self { staged, attempts, pending: false }
    }

    pub(crate) const fn is_pending(&self) -> bool {
        self.pending
    }

    pub(crate) const fn stage(&self) -> Stage {
        if self.pending { Stage::PendingBoot } else { Stage::Verified }
    }

    pub(crate) fn want<'w>(&'w self, core: &Core<'_>) -> Output<'w> {
        if self.pending {
            return Output::Reset;
        }
        let context = core.context_now().encode();
        Output::Slots(SlotWork::RequestBoot { staged: &self.staged, attempts: self.attempts, context })
    }

    pub(crate) fn slots(&mut self, core: &mut Core<'_>, answer: SlotsAnswer) -> Option<State> {
        let code = match answer {
            SlotsAnswer::Done => {
                core.report(Stage::PendingBoot);
                self.pending = true;
                return None;
            }
            SlotsAnswer::Failed { code } => code,
            _ => code::UNEXPECTED,
        };
        Some(fail(core, FailedStage::Pending, code))
    }
}
