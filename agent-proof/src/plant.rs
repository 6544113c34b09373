//! Faults planted on purpose: each must be noticed, or the rig proves nothing.

use ota_agent::{BootReport, Context, Progress, SlotWork, SlotsAnswer, Started};
use ota_manifest::wire::{Down, Report, RollbackReason, Up};
use ota_manifest::{Frame, Freshness, JobId};
use ota_slots::{OPAQUE, SlotId, TrustOffer};

use crate::board::{Board, SimFlash, ruin};
use crate::witness::Fault;

/// What is wrong with the agent, or with what carries out its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// Nothing.
    None,
    /// It forgets its bytes of the journal at every reset.
    ForgetsContext,
    /// A chunk that does not match its leaf counts as stored.
    TakesAnyChunk,
    /// How a job ended is not written down.
    SkipsRecords,
    /// Every repetition of a report gets a number of its own.
    Renumbers,
    /// It forgets at every reset which numbers it has given to reports.
    ForgetsNumbers,
    /// No timeout is ever handed in.
    HasNoClock,
    /// The slot is wiped at every reset.
    LosesSlot,
    /// A byte of the slot changes between proof and request.
    AltersAfterProof,
    /// A cancellation is taken for an acknowledgement.
    HearsNoCancel,
    /// Whatever the self-test says, the firmware counts as fit.
    AlwaysFit,
    /// It forgets at every reset how its last job ended, once the server has heard of it.
    ForgetsEnds,
    /// Without its journal it believes that the job was done.
    BelievesItDone,
    /// How far a move of images has come is lost at every reset.
    LosesProgress,
    /// A reply to any question counts as the answer to the last one.
    TakesAnyReply,
    /// A trust document that was there already counts as new.
    RestartsForHeld,
    /// What the bootloader has adopted is lost at every reset.
    LosesTrust,
}

impl Plant {
    /// All of them, each with what it must be noticed as.
    pub const ALL: [(Self, Fault); 16] = [
        (Self::ForgetsContext, Fault::WrongTerminal),
        (Self::TakesAnyChunk, Fault::WrongTerminal),
        (Self::SkipsRecords, Fault::WrongTerminal),
        (Self::Renumbers, Fault::DoubleTerminal),
        (Self::ForgetsNumbers, Fault::Misnumbered),
        (Self::HasNoClock, Fault::Stuck),
        (Self::LosesSlot, Fault::Refetched),
        (Self::AltersAfterProof, Fault::Unproven),
        (Self::HearsNoCancel, Fault::Deaf),
        (Self::AlwaysFit, Fault::WrongTerminal),
        (Self::ForgetsEnds, Fault::RetoldOtherwise),
        (Self::BelievesItDone, Fault::WrongTerminal),
        (Self::LosesProgress, Fault::Stuck),
        (Self::TakesAnyReply, Fault::Trust),
        (Self::RestartsForHeld, Fault::Trust),
        (Self::LosesTrust, Fault::Trust),
    ];

    pub(crate) fn at_reset(self, flash: &mut SimFlash, board: &Board) {
        let lost = match self {
            Self::LosesProgress => board.layout.progress(),
            Self::LosesTrust => board.layout.guard(),
            _ => None,
        };
        lost.into_iter().for_each(|region| ruin(flash, region, 0xFF));
    }

    pub(crate) fn at_boot(
        self,
        report: &mut BootReport,
        flash: &mut SimFlash,
        board: &Board,
        running: SlotId,
        reboots: u32,
    ) {
        match self {
            Self::ForgetsContext if reboots > 0 => report.opaque = [0; OPAQUE],
            Self::ForgetsNumbers => {
                let mut context = Context::decode(&report.opaque);
                // Of a job that has ended the number is that of its last report, which is repeated.
                if context.progress == Progress::UnderWay {
                    context.seq = 0;
                }
                report.opaque = context.encode();
            }
            Self::ForgetsEnds if Context::decode(&report.opaque).acknowledged => report.opaque = [0; OPAQUE],
            Self::LosesSlot => flash.corrupt(board.image_at(running.other()), &[0xFF; 32]),
            _ => {}
        }
    }

    /// What the agent makes of a journal that is gone, `offered` being the job it was offered last.
    pub(crate) fn believe(self, report: &mut BootReport, offered: Option<JobId>) {
        let lost = report.event.is_some_and(|event| event.reason == RollbackReason::JournalLost);
        if let (Self::BelievesItDone, true, Some(job)) = (self, lost, offered) {
            let done = Context {
                job,
                attempt: 1,
                progress: Progress::Confirmed,
                acknowledged: false,
                ..Context::EMPTY
            };
            (report.opaque, report.event, report.started) = (done.encode(), None, Started::Settled);
        }
    }

    /// The work as it is understood.
    pub(crate) fn misread(self, work: SlotWork<'_>) -> SlotWork<'_> {
        match work {
            SlotWork::Believe { envelope, nonce } if self == Self::TakesAnyReply => {
                let reply = Frame::parse(envelope).ok().and_then(|frame| {
                    Freshness::decode_unauthenticated(frame.payload_unauthenticated()).ok()
                });
                SlotWork::Believe { envelope, nonce: reply.map_or(nonce, |reply| reply.nonce) }
            }
            work => work,
        }
    }

    /// An answer instead of doing the work.
    pub(crate) const fn instead(self, work: &SlotWork<'_>) -> Option<SlotsAnswer> {
        match (self, work) {
            (Self::SkipsRecords, SlotWork::Save { .. } | SlotWork::AckEvent { .. }) => {
                Some(SlotsAnswer::Done)
            }
            _ => None,
        }
    }

    pub(crate) fn after(
        self,
        answer: SlotsAnswer,
        flash: &mut SimFlash,
        board: &Board,
        target: SlotId,
    ) -> SlotsAnswer {
        match (self, answer) {
            (Self::TakesAnyChunk, SlotsAnswer::ChunkRefused) => SlotsAnswer::Done,
            (Self::RestartsForHeld, SlotsAnswer::TrustOffered(_)) => {
                SlotsAnswer::TrustOffered(TrustOffer::Written)
            }
            (Self::AltersAfterProof, SlotsAnswer::Finished(staged)) => {
                alter(flash, board, target);
                SlotsAnswer::Finished(staged)
            }
            (_, answer) => answer,
        }
    }

    pub(crate) fn renumbered(self, up: Up, times: u32) -> Up {
        match up {
            Up::Report(report) if self == Self::Renumbers => {
                Up::Report(Report { seq: report.seq.wrapping_add(times), ..report })
            }
            up => up,
        }
    }

    pub(crate) fn heard<'d>(self, asked: Option<&Up>, down: Down<'d>) -> Down<'d> {
        match (self, asked, down) {
            (Self::Renumbers, Some(Up::Report(report)), Down::Ack { .. }) => Down::Ack { seq: report.seq },
            (Self::HearsNoCancel, Some(Up::Report(report)), Down::Cancel { .. }) => {
                Down::Ack { seq: report.seq }
            }
            (_, _, down) => down,
        }
    }

    pub(crate) fn verdict(self, fit: bool) -> bool {
        fit || self == Self::AlwaysFit
    }
}

/// Changes one byte of an image.
pub(crate) fn alter(flash: &mut SimFlash, board: &Board, slot: SlotId) {
    let at = board.image_at(slot);
    let byte = flash.bytes_in(at..at + 1);
    flash.corrupt(at, &[byte[0] ^ 0x10]);
}
