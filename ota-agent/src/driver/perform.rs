//! One piece of slot work as one machine.

use ota_slots::{
    App, Begin, CheckLeaves, Confirm, EraseInTurn, Fail, FindResumePoint, Finish, LoadChunk, Machine,
    OfferTrust, Opened, Outcome, RequestBoot, Save, Staging, Step, StoreChunk, StoreLeaves, Trial,
};

use super::answer::{begin_failed, finished, flashed, loaded, misuse, offered, recorded, stored};
use crate::SlotsAnswer;

/// Work under way; see [`SlotDriver::start`](super::SlotDriver::start).
#[derive(Debug)]
pub struct Perform<'d, 'a> {
    doing: Doing<'d, 'a>,
    /// The driver's; see there.
    at_work: &'d mut bool,
}

/// Which machine runs. Nothing else is decided here: what goes before it, and may refuse, is in `Slots`.
#[derive(Debug)]
pub(super) enum Doing<'d, 'a> {
    /// Nothing: this is the answer.
    Answering(Option<SlotsAnswer>),
    /// Two machines, one after the other. The staging goes into the driver between them.
    Beginning {
        begin: Begin<'d, 'a>,
        into: Option<&'d mut Option<Staging<'a>>>,
    },
    Finding(FindResumePoint<'d>),
    Erasing(EraseInTurn),
    StoringLeaves(StoreLeaves<'d>),
    CheckingLeaves(CheckLeaves<'d>),
    Loading(LoadChunk<'d>),
    Storing(StoreChunk<'d>),
    Finishing(Finish<'d, 'a>),
    Requesting(RequestBoot<'d>),
    Saving(Save<'d>),
    /// The view of the journal is the machine's until it ends.
    Confirming {
        confirm: Confirm<'a, Trial>,
        app: &'d mut Option<Opened<'a>>,
    },
    Failing {
        fail: Fail<'a>,
        app: &'d mut Option<Opened<'a>>,
    },
    OfferingTrust(OfferTrust<'d>),
}

impl<'d, 'a> Perform<'d, 'a> {
    pub(super) const fn new(doing: Doing<'d, 'a>, at_work: &'d mut bool) -> Self {
        Self { doing, at_work }
    }
}

impl Machine for Perform<'_, '_> {
    type Output = SlotsAnswer;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<SlotsAnswer> {
        let step = match self.doing.begin(buffer, last) {
            Some(step) => step,
            None => self.doing.resume(buffer, last),
        };
        if matches!(step, Step::Done(_)) {
            *self.at_work = false;
        }
        step
    }
}

impl<'a> Doing<'_, 'a> {
    pub(super) const fn at_once(answer: SlotsAnswer) -> Self {
        Self::Answering(Some(answer))
    }

    /// The machine that another one follows. `None` once that one's turn has come.
    fn begin(&mut self, buffer: &mut [u8], last: Outcome) -> Option<Step<SlotsAnswer>> {
        let Self::Beginning { begin, into } = self else { return None };
        let staging = match begin.resume(buffer, last) {
            Step::Op(op) => return Some(Step::Op(op)),
            Step::Done(Err(error)) => return Some(Step::Done(begin_failed(error))),
            Step::Done(Ok(staging)) => staging,
        };
        let Some(into) = into.take() else { return Some(Step::Done(misuse())) };
        *self = Self::Finding(into.insert(staging).find_resume_point());
        // The outcome that ended the first is an `Ok`, which is what the second expects to hear first.
        None
    }

    /// Not inlined into the loop around it: together they take more than a kilobyte of flash more.
    #[inline(never)]
    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<SlotsAnswer> {
        match self {
            Self::Answering(answer) => Step::Done(answer.take().unwrap_or(misuse())),
            Self::Beginning { .. } => Step::Done(misuse()),
            Self::Finding(find) => find.resume(buffer, last).map(SlotsAnswer::Begun),
            Self::Erasing(erase) => erase.resume(buffer, last).map(flashed),
            Self::StoringLeaves(store) => store.resume(buffer, last).map(flashed),
            Self::CheckingLeaves(check) => check.resume(buffer, last).map(SlotsAnswer::LeavesHeld),
            Self::Loading(load) => load.resume(buffer, last).map(loaded),
            Self::Storing(store) => store.resume(buffer, last).map(stored),
            Self::Finishing(finish) => finish.resume(buffer, last).map(finished),
            Self::Requesting(request) => request.resume(buffer, last).map(recorded),
            Self::Saving(save) => save.resume(buffer, last).map(recorded),
            Self::Confirming { confirm, app } => {
                confirm.resume(buffer, last).map(|confirmed| match confirmed {
                    Ok(confirmed) => {
                        **app = Some(Opened::Confirmed(confirmed));
                        SlotsAnswer::Done
                    }
                    Err(trial) => still_on_trial(trial, app),
                })
            }
            Self::Failing { fail, app } => fail.resume(buffer, last).map(|failed| match failed {
                Ok(_reboot) => SlotsAnswer::Done,
                Err(trial) => still_on_trial(trial, app),
            }),
            Self::OfferingTrust(offer) => offer.resume(buffer, last).map(offered),
        }
    }
}

/// The record was not written. A trial goes on, unless its view of the journal was lost too.
fn still_on_trial<'a>(trial: Option<App<'a, Trial>>, app: &mut Option<Opened<'a>>) -> SlotsAnswer {
    *app = trial.map(Opened::Trial);
    recorded(Err::<(), ()>(()))
}
