//! All chunks are in flash: the whole image is proven from there, not from what was received.

use ota_manifest::wire::{FailedStage, Stage};

use crate::agent::Core;
use crate::state::{Job, Output, Preparing, Ready, State, code, fail};
use crate::{Event, SlotWork, SlotsAnswer};

#[derive(Debug)]
pub(crate) struct Verifying {
    pub(crate) job: Job,
}

impl Verifying {
    #[expect(clippy::unused_self, reason = "one shape for all states")]
    pub(crate) fn want(&self) -> Output<'_> {
        Output::Slots(SlotWork::Finish)
    }

    pub(crate) fn slots(&self, core: &mut Core<'_>, answer: SlotsAnswer) -> State {
        match answer {
            SlotsAnswer::Finished(staged) => {
                core.report(Stage::Verified);
                State::Ready(Ready::new(staged, self.job.plan.trial_attempts))
            }
            // Every chunk was good when it was written; a flash that lost one gets one more chance.
            SlotsAnswer::Failed { code } if !self.job.refetched => {
                core.log(Event::FlashFailed { code });
                State::Preparing(Preparing { job: Job { refetched: true, ..self.job } })
            }
            SlotsAnswer::Failed { code } => fail(core, FailedStage::Verifying, code),
            _ => fail(core, FailedStage::Verifying, code::UNEXPECTED),
        }
    }
}
