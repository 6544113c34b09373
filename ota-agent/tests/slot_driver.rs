//! What the slot driver does with work that it should not have been given.

use ota_agent::{Bench, SlotDriver, SlotWork, SlotsAnswer};
use ota_manifest::RollbackReason;
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{Layout, Machine, Op, Policy, SlotId, Step, WORK_BUFFER};

const MISUSE: u16 = 0x0603;

/// A driver's firmware, confirmed in slot A.
struct Board {
    layout: Layout,
    policy: Policy<'static>,
    flash: LabFlash,
}

impl Board {
    fn new() -> Self {
        let lab = Lab::new();
        Self { layout: lab.layout(), policy: lab.policy(), flash: lab.provisioned(&lab.release(1, 3000)) }
    }

    fn open(&mut self) -> (SlotDriver<'_>, &mut LabFlash) {
        let bench = Bench { flash: &mut self.flash, buffer: &mut [0; WORK_BUFFER], feed: &mut || () };
        let (slots, _) = SlotDriver::open(&self.layout, &self.policy, SlotId::A, bench).expect("slots open");
        (slots, &mut self.flash)
    }
}

fn perform(slots: &mut SlotDriver<'_>, flash: &mut LabFlash, work: SlotWork<'_>) -> SlotsAnswer {
    slots.perform(work, Bench { flash, buffer: &mut [0; WORK_BUFFER], feed: &mut || () })
}

#[test]
fn verdict_on_firmware_that_is_not_on_trial_is_refused_and_costs_nothing() {
    let mut board = Board::new();
    let (mut slots, flash) = board.open();
    let context = [7; 32];
    let answer = perform(&mut slots, flash, SlotWork::Confirm { context });
    assert!(matches!(answer, SlotsAnswer::Failed { code: MISUSE }), "{answer:?}");
    let answer = perform(&mut slots, flash, SlotWork::Save { context });
    assert!(matches!(answer, SlotsAnswer::Done), "{answer:?}");
}

#[test]
fn driver_whose_work_was_left_undone_refuses_all_work_and_leaves_flash_alone() {
    let lab = Lab::new();
    let envelope = &lab.release(2, 5000).envelope[..];
    let mut board = Board::new();
    let context = [7; 32];
    let (mut slots, flash) = board.open();
    let mut buffer = [0; WORK_BUFFER];
    let begin = || SlotWork::Begin { envelope, now: None, context };
    let mut left = slots.start(begin());
    assert!(matches!(left.resume(&mut buffer, Ok(())), Step::Op(Op::Write { .. })));
    drop(left);

    let before = (flash.log().len(), flash.bytes());
    let works = [
        SlotWork::Admit { envelope, now: None },
        begin(),
        SlotWork::EraseLeaves,
        SlotWork::StoreLeaves { first: 0, leaves: &[0; 32] },
        SlotWork::CheckLeaves,
        SlotWork::EraseBlock { block: 0 },
        SlotWork::LoadChunk { chunk: 0, into: &mut [0; 1024] },
        SlotWork::StoreChunk { chunk: 0, bytes: &[0; 1024] },
        SlotWork::Finish,
        SlotWork::Confirm { context },
        SlotWork::Fail { reason: RollbackReason::SelfTest, context },
        SlotWork::AckEvent { context },
        SlotWork::Save { context },
    ];
    for work in works {
        let shown = format!("{work:?}");
        let answer = perform(&mut slots, flash, work);
        assert!(matches!(answer, SlotsAnswer::Failed { code: MISUSE }), "{shown}: {answer:?}");
    }
    assert!(before == (flash.log().len(), flash.bytes()));

    let (mut slots, flash) = board.open();
    let answer = perform(&mut slots, flash, begin());
    assert!(matches!(answer, SlotsAnswer::Begun(_)), "opened anew: {answer:?}");
}
