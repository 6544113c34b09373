//! A job has ended: written down, then told until the server has it.

use ota_manifest::wire::Stage;

use crate::agent::Core;
use crate::context::Progress;
use crate::state::{Idle, Output, State};
use crate::{Event, SlotWork, SlotsAnswer};

/// Writes down how the job ended before it is told.
#[derive(Debug)]
pub(crate) struct Recording;

impl Recording {
    #[expect(clippy::unused_self, reason = "one shape for all states")]
    pub(crate) fn want(&self, core: &Core<'_>) -> Output<'_> {
        let context = core.context.encode();
        Output::Slots(if core.ack_event {
            SlotWork::AckEvent { context }
        } else {
            SlotWork::Save { context }
        })
    }

    /// Even if the journal does not take it, the server is told; after a reset the job would be offered again.
    pub(crate) fn slots(core: &mut Core<'_>, now: u64, answer: SlotsAnswer) -> State {
        if let SlotsAnswer::Failed { code } = answer {
            core.log(Event::FlashFailed { code });
        }
        core.ack_event = false;
        if core.context.acknowledged {
            return State::Idle(Idle::later(core, now, 0));
        }
        match core.context.terminal() {
            Some(stage) => {
                core.report_terminal(stage);
                State::Reporting(Reporting)
            }
            None => State::Idle(Idle::now()),
        }
    }
}

/// Waits until the server has the terminal report.
#[derive(Debug)]
pub(crate) struct Reporting;

impl Reporting {
    /// The report itself is in the outbox; if it is no longer, somebody has answered.
    #[expect(clippy::unused_self, reason = "one shape for all states")]
    pub(crate) fn want(&self) -> Output<'_> {
        Output::Wait
    }

    pub(crate) fn acknowledged(core: &mut Core<'_>, now: u64, stage: Stage) -> Option<State> {
        if !stage.is_terminal() {
            return None;
        }
        core.backoff.succeed();
        core.log(Event::Settled { job: core.context.job });
        core.context.acknowledged = true;
        Some(match stage {
            // Nothing of a refused offer is in the journal.
            Stage::Rejected { .. } => State::Idle(Idle::later(core, now, 0)),
            Stage::RolledBack { .. } => {
                core.context.progress = Progress::RolledBack;
                core.settle_event()
            }
            _ => {
                core.ack_event = core.boot.event.take().is_some();
                State::Recording(Recording)
            }
        })
    }
}
