//! The leaf list comes first: with it every chunk can be checked before it is written.

use ota_manifest::wire::{Down, FailedStage, Fetch, Object, Up};

use crate::agent::Core;
use crate::state::{Downloading, Job, Output, RETRIES, State, code, fail};
use crate::{Event, SlotWork, SlotsAnswer};

const LEAF: usize = 32;

#[derive(Debug)]
pub(crate) struct Leaves {
    job: Job,
    doing: Doing,
    refused: u8,
}

#[derive(Debug, Clone, Copy)]
enum Doing {
    Erasing,
    /// Waiting for leaves from this one.
    Fetching {
        first: u32,
    },
    /// So many leaves, from this one, are in the window.
    Storing {
        first: u32,
        count: u32,
    },
    Checking,
}

impl Leaves {
    pub(crate) const fn new(job: Job) -> Self {
        Self { job, doing: Doing::Erasing, refused: 0 }
    }

    pub(crate) const fn is_fetching(&self) -> bool {
        matches!(self.doing, Doing::Fetching { .. })
    }

    pub(crate) fn want<'w>(&self, core: &'w Core<'_>) -> Output<'w> {
        match self.doing {
            Doing::Erasing => Output::Slots(SlotWork::EraseLeaves),
            Doing::Fetching { first } => Output::Send(Up::Fetch(Fetch {
                job: core.context.job,
                image: self.job.plan.image,
                object: Object::Leaves,
                first,
                count: u16::try_from(self.batch(core, first)).unwrap_or(u16::MAX),
            })),
            Doing::Storing { first, count } => {
                Output::Slots(SlotWork::StoreLeaves { first, leaves: core.window(0, count as usize * LEAF) })
            }
            Doing::Checking => Output::Slots(SlotWork::CheckLeaves),
        }
    }

    /// Leaves asked for at once: what is left, or what the window holds.
    fn batch(&self, core: &Core<'_>, first: u32) -> u32 {
        let room = u32::try_from(core.window_len() / LEAF).unwrap_or(u32::MAX);
        (self.job.plan.chunks() - first).min(room).min(1024)
    }

    pub(crate) fn message(&mut self, core: &mut Core<'_>, message: Down<'_>) -> Option<State> {
        match (self.doing, message) {
            (Doing::Fetching { first }, Down::Chunk { job, object: Object::Leaves, first: found, bytes })
                if job == core.context.job && found == first =>
            {
                let wanted = self.batch(core, first) as usize * LEAF;
                let whole = bytes.len().min(wanted) / LEAF * LEAF;
                if whole == 0 || !core.fill_window(0, bytes.get(..whole).unwrap_or(&[])) {
                    return core.fruitless();
                }
                let count = u32::try_from(whole / LEAF).unwrap_or(0);
                self.doing = Doing::Storing { first, count };
                None
            }
            (_, Down::Refused { refusal, retry_after_ms }) => core.fetch_refused(refusal, retry_after_ms),
            _ => core.fruitless(),
        }
    }

    pub(crate) fn slots(&mut self, core: &mut Core<'_>, answer: SlotsAnswer) -> Option<State> {
        self.doing = match (self.doing, answer) {
            (_, SlotsAnswer::Failed { code }) => return Some(fail(core, FailedStage::Preparing, code)),
            (Doing::Erasing, SlotsAnswer::Done) => Doing::Fetching { first: 0 },
            (Doing::Storing { first, count }, SlotsAnswer::Done) => match first + count {
                end if end == self.job.plan.chunks() => Doing::Checking,
                end => Doing::Fetching { first: end },
            },
            (Doing::Checking, SlotsAnswer::LeavesHeld(true)) => {
                return Some(State::Downloading(Downloading::new(self.job, 0, core)));
            }
            (Doing::Checking, SlotsAnswer::LeavesHeld(false)) => {
                core.log(Event::LeavesRefused);
                self.refused += 1;
                if self.refused > RETRIES {
                    return Some(fail(core, FailedStage::Downloading, code::LEAVES));
                }
                core.stall();
                Doing::Erasing
            }
            _ => return Some(fail(core, FailedStage::Downloading, code::UNEXPECTED)),
        };
        None
    }
}
