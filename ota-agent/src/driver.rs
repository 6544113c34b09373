//! Carries out slot work on blocking flash.

use core::num::NonZeroU8;

use embedded_storage::nor_flash::NorFlash;
use ota_manifest::wire::{Refusal, RollbackReason};
use ota_manifest::{Frame, Nonce, Role};
use ota_slots::{
    App, BeginError, Event, FinishError, Layout, Machine, MayBegin, OPAQUE, OfferError, OpenError, Opened,
    Policy, SlotId, Staged, Staging, StoreError, WORK_BUFFER, run_blocking,
};
use ota_verify::{AdmitError, Applicable, DeviceState, Trust, TrustedTime};

use crate::{BootReport, Plan, SlotWork, SlotsAnswer, Started};

/// Codes of failures of journal and flash. Frozen.
mod code {
    pub(super) const JOURNAL: u16 = 0x0601;
    pub(super) const FLASH: u16 = 0x0602;
    pub(super) const MISUSE: u16 = 0x0603;
    pub(super) const FRAME: u16 = 0x0604;
}

/// The slots of the running firmware, on behalf of an [`Agent`](crate::Agent).
#[derive(Debug)]
pub struct SlotDriver<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    /// `None` only if a confirm failed in a way that cost the view of the journal.
    app: Option<Opened<'a>>,
    staging: Option<Staging<'a>>,
}

/// Flash, memory to work in, and the watchdog: what [`SlotDriver::perform`] needs beside the work.
pub struct Bench<'f, F, const BUFFER: usize = WORK_BUFFER> {
    /// The flash.
    pub flash: &'f mut F,
    /// Memory to work in, [`WORK_BUFFER`] bytes or more.
    pub buffer: &'f mut [u8; BUFFER],
    /// Feeds the watchdog; called before every flash operation, none of which is longer than one page erase. Slot work is
    /// bounded by the length of a slot, so this cannot keep a stuck loop alive.
    pub feed: &'f mut dyn FnMut(),
}

/// What runs machines: a bench, whatever its flash and however long its buffer.
trait Runner {
    fn run<M: Machine>(&mut self, layout: &Layout, machine: M) -> M::Output;
}

impl<F: NorFlash, const BUFFER: usize> Runner for Bench<'_, F, BUFFER> {
    fn run<M: Machine>(&mut self, layout: &Layout, machine: M) -> M::Output {
        run_blocking(machine, self.flash, layout, self.buffer, &mut *self.feed)
    }
}

impl<'a> SlotDriver<'a> {
    /// Reads the journal on behalf of the firmware that runs from `slot`.
    ///
    /// # Errors
    /// [`OpenError`]: the firmware may run on, but it cannot update.
    pub fn open<F: NorFlash, const BUFFER: usize>(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        mut bench: Bench<'_, F, BUFFER>,
    ) -> Result<(Self, BootReport), OpenError> {
        let opened = bench.run(layout, Opened::open(layout, policy, slot))?;
        let trust = &policy.trust;
        let report = match &opened {
            Opened::Confirmed(app) => report(app, Started::Settled, trust),
            Opened::Stranded(app) => report(app, Started::Settled, trust),
            Opened::Trial(app) => report(app, Started::Trial, trust),
        };
        Ok((Self { layout, policy, app: Some(opened), staging: None }, report))
    }

    /// Does one piece of work.
    pub fn perform<F: NorFlash, const BUFFER: usize>(
        &mut self,
        work: SlotWork<'_>,
        mut bench: Bench<'_, F, BUFFER>,
    ) -> SlotsAnswer {
        match work {
            SlotWork::Admit { envelope, now } => self.admit(envelope, now),
            SlotWork::Begin { envelope, now, context } => self.begin((envelope, now), context, &mut bench),
            SlotWork::Finish => self.finish(&mut bench),
            SlotWork::RequestBoot { staged, attempts, context } => {
                self.request_boot(staged, attempts, context, &mut bench)
            }
            SlotWork::Confirm { context } => self.confirm(context, &mut bench),
            SlotWork::Fail { reason, context } => self.fail(reason, context, &mut bench),
            SlotWork::AckEvent { context } => self.save(context, true, &mut bench),
            SlotWork::Save { context } => self.save(context, false, &mut bench),
            SlotWork::Believe { envelope, nonce } => self.believe(envelope, nonce),
            SlotWork::OfferTrust { envelope } => self.offer_trust(envelope, &mut bench),
            filling => self.fill(filling, &mut bench),
        }
    }

    fn admit(&self, envelope: &[u8], now: Option<TrustedTime>) -> SlotsAnswer {
        let update = match self.applicable(envelope, now) {
            Ok(update) => update,
            Err(refused) => return refused,
        };
        let page = self.layout.geometry(self.target()).erase_page;
        SlotsAnswer::Admitted(Plan {
            manifest: update.id(),
            image: update.image_index(),
            size: update.image().size,
            chunk_bytes: update.image().chunk_size.bytes(),
            block_bytes: update.image().chunk_size.bytes().max(page),
            trial_attempts: update.manifest().trial_attempts,
            confirm_window_s: update.manifest().confirm_window_s,
        })
    }

    /// The slot that is filled; where images move, that is always the second.
    fn target(&self) -> SlotId {
        match &self.app {
            Some(Opened::Confirmed(app)) => app.slot().other(),
            Some(Opened::Stranded(app)) => app.slot().other(),
            Some(Opened::Trial(app)) => app.slot().other(),
            None => SlotId::B,
        }
    }

    /// The chain of proofs from bytes to "for this device".
    fn applicable<'e>(
        &self,
        envelope: &'e [u8],
        now: Option<TrustedTime>,
    ) -> Result<Applicable<'e>, SlotsAnswer> {
        let unauthentic = |code| SlotsAnswer::Refused { refusal: Refusal::Unauthentic, code };
        let frame = Frame::parse(envelope).map_err(|_| unauthentic(code::FRAME))?;
        let authentic = self
            .policy
            .trust
            .authenticate(frame, Role::Release)
            .map_err(|error| unauthentic(error.code()))?;
        let state = match &self.app {
            Some(Opened::Confirmed(app)) => app.device_state(),
            Some(Opened::Stranded(app)) => app.device_state(),
            Some(Opened::Trial(app)) => app.device_state(),
            None => return Err(misuse()),
        };
        authentic
            .admit(&DeviceState { now, ..state })
            .map_err(|error| SlotsAnswer::Refused { refusal: refusal(&error), code: error.code() })
    }

    fn begin(
        &mut self,
        (envelope, now): (&[u8], Option<TrustedTime>),
        context: [u8; OPAQUE],
        bench: &mut impl Runner,
    ) -> SlotsAnswer {
        let update = match self.applicable(envelope, now) {
            Ok(update) => update,
            Err(refused) => return refused,
        };
        let begun = match &mut self.app {
            Some(Opened::Confirmed(app)) => begin(app, &update, envelope, context, self.layout, bench),
            Some(Opened::Stranded(app)) => begin(app, &update, envelope, context, self.layout, bench),
            _ => return misuse(),
        };
        let staging = match begun {
            Ok(staging) => staging,
            Err(error) => return begin_failed(error),
        };
        let resume = bench.run(self.layout, staging.find_resume_point());
        self.staging = Some(staging);
        SlotsAnswer::Begun(resume)
    }

    fn fill(&mut self, work: SlotWork<'_>, bench: &mut impl Runner) -> SlotsAnswer {
        let Some(staging) = &mut self.staging else { return misuse() };
        match work {
            SlotWork::EraseLeaves => flash_answer(bench.run(self.layout, staging.erase_leaves())),
            SlotWork::CheckLeaves => SlotsAnswer::LeavesHeld(bench.run(self.layout, staging.check_leaves())),
            SlotWork::EraseBlock { block } => {
                flash_answer(bench.run(self.layout, staging.erase_block(block)))
            }
            SlotWork::StoreLeaves { first, leaves } => match staging.store_leaves(first, leaves) {
                Ok(store) => flash_answer(bench.run(self.layout, store)),
                Err(_) => misuse(),
            },
            SlotWork::LoadChunk { chunk, into } => {
                match bench.run(self.layout, staging.load_chunk(chunk, into)) {
                    Ok(()) => SlotsAnswer::Done,
                    Err(_) => SlotsAnswer::ChunkRefused,
                }
            }
            SlotWork::StoreChunk { chunk, bytes } => {
                match bench.run(self.layout, staging.store_chunk(chunk, bytes)) {
                    Ok(()) => SlotsAnswer::Done,
                    Err(StoreError::Flash(_)) => SlotsAnswer::Failed { code: code::FLASH },
                    Err(_) => SlotsAnswer::ChunkRefused,
                }
            }
            _ => misuse(),
        }
    }

    fn finish(&mut self, bench: &mut impl Runner) -> SlotsAnswer {
        let Some(staging) = self.staging.take() else { return misuse() };
        let finished = match &mut self.app {
            Some(Opened::Confirmed(app)) => bench.run(self.layout, app.finish(&staging)),
            Some(Opened::Stranded(app)) => bench.run(self.layout, app.finish(&staging)),
            _ => return misuse(),
        };
        match finished {
            Ok(staged) => SlotsAnswer::Finished(staged),
            Err(FinishError::Slot(error)) => SlotsAnswer::Failed { code: error.code() },
            Err(_) => SlotsAnswer::Failed { code: code::JOURNAL },
        }
    }

    fn request_boot(
        &mut self,
        staged: &Staged,
        attempts: u8,
        context: [u8; OPAQUE],
        bench: &mut impl Runner,
    ) -> SlotsAnswer {
        match &mut self.app {
            Some(Opened::Confirmed(app)) => request_boot(app, staged, attempts, context, self.layout, bench),
            Some(Opened::Stranded(app)) => request_boot(app, staged, attempts, context, self.layout, bench),
            _ => misuse(),
        }
    }

    fn confirm(&mut self, context: [u8; OPAQUE], bench: &mut impl Runner) -> SlotsAnswer {
        let Some(Opened::Trial(mut app)) = self.app.take() else { return misuse() };
        app.set_opaque(context);
        match bench.run(self.layout, app.confirm()) {
            Ok(app) => {
                self.app = Some(Opened::Confirmed(app));
                SlotsAnswer::Done
            }
            Err(app) => {
                self.app = app.map(Opened::Trial);
                SlotsAnswer::Failed { code: code::JOURNAL }
            }
        }
    }

    fn fail(
        &mut self,
        reason: RollbackReason,
        context: [u8; OPAQUE],
        bench: &mut impl Runner,
    ) -> SlotsAnswer {
        let Some(Opened::Trial(mut app)) = self.app.take() else { return misuse() };
        app.set_opaque(context);
        match bench.run(self.layout, app.fail(reason)) {
            Ok(_reboot) => SlotsAnswer::Done,
            Err(app) => {
                self.app = app.map(Opened::Trial);
                SlotsAnswer::Failed { code: code::JOURNAL }
            }
        }
    }

    fn save(&mut self, context: [u8; OPAQUE], ack_event: bool, bench: &mut impl Runner) -> SlotsAnswer {
        match &mut self.app {
            Some(Opened::Confirmed(app)) => save(app, context, ack_event, self.layout, bench),
            Some(Opened::Stranded(app)) => save(app, context, ack_event, self.layout, bench),
            Some(Opened::Trial(app)) => save(app, context, ack_event, self.layout, bench),
            None => misuse(),
        }
    }

    fn believe(&self, envelope: &[u8], nonce: Nonce) -> SlotsAnswer {
        let Ok(frame) = Frame::parse(envelope) else { return SlotsAnswer::Failed { code: code::FRAME } };
        match self.policy.trust.freshness(frame, nonce) {
            Ok(fresh) => SlotsAnswer::Fresh(fresh),
            Err(error) => SlotsAnswer::Failed { code: error.code() },
        }
    }

    /// Only what the roots in force have signed is worth an erase and a reset.
    fn offer_trust(&self, envelope: &[u8], bench: &mut impl Runner) -> SlotsAnswer {
        let Ok(frame) = Frame::parse(envelope) else { return SlotsAnswer::Failed { code: code::FRAME } };
        if let Err(error) = self.policy.trust.names_successor(&frame) {
            return SlotsAnswer::Failed { code: error.code() };
        }
        let offer = match &self.app {
            Some(Opened::Confirmed(app)) => app.offer_trust(envelope),
            Some(Opened::Stranded(app)) => app.offer_trust(envelope),
            _ => return misuse(),
        };
        match offer.and_then(|offer| bench.run(self.layout, offer)) {
            Ok(offer) => SlotsAnswer::TrustOffered(offer),
            Err(OfferError::Flash(_)) => SlotsAnswer::Failed { code: code::FLASH },
            Err(_) => misuse(),
        }
    }
}

fn report<S>(app: &App<'_, S>, started: Started, trust: &Trust<'_>) -> BootReport {
    BootReport {
        started,
        event: app.event(),
        opaque: *app.opaque(),
        manifest: app.manifest_id(),
        order: app.order(),
        floor: app.floor(),
        trust: trust.version(),
        asks: trust.has_keys(Role::Freshness),
    }
}

fn begin<'a, S: MayBegin>(
    app: &mut App<'a, S>,
    update: &Applicable<'_>,
    envelope: &[u8],
    context: [u8; OPAQUE],
    layout: &Layout,
    bench: &mut impl Runner,
) -> Result<Staging<'a>, BeginError> {
    app.set_opaque(context);
    let begin = app.begin(update, envelope)?;
    bench.run(layout, begin)
}

fn request_boot<S: MayBegin>(
    app: &mut App<'_, S>,
    staged: &Staged,
    attempts: u8,
    context: [u8; OPAQUE],
    layout: &Layout,
    bench: &mut impl Runner,
) -> SlotsAnswer {
    app.set_opaque(context);
    let attempts = NonZeroU8::new(attempts).unwrap_or(NonZeroU8::MIN);
    match app.request_boot(staged, attempts) {
        Ok(request) => match bench.run(layout, request) {
            Ok(_reboot) => SlotsAnswer::Done,
            Err(_) => SlotsAnswer::Failed { code: code::JOURNAL },
        },
        Err(_) => misuse(),
    }
}

fn save<S>(
    app: &mut App<'_, S>,
    context: [u8; OPAQUE],
    ack_event: bool,
    layout: &Layout,
    bench: &mut impl Runner,
) -> SlotsAnswer {
    app.set_opaque(context);
    let open: Option<Event> = app.event();
    let saved = if ack_event && open.is_some() {
        bench.run(layout, app.ack_event())
    } else {
        bench.run(layout, app.save())
    };
    saved.map_or(SlotsAnswer::Failed { code: code::JOURNAL }, |()| SlotsAnswer::Done)
}

fn begin_failed(error: BeginError) -> SlotsAnswer {
    let refused = |refusal| SlotsAnswer::Refused { refusal, code: code::MISUSE };
    match error {
        BeginError::Journal(_) => SlotsAnswer::Failed { code: code::JOURNAL },
        BeginError::Flash(_) => SlotsAnswer::Failed { code: code::FLASH },
        BeginError::RejectedBefore => refused(Refusal::RejectedBefore),
        BeginError::NotNewer => refused(Refusal::NotNewer),
        BeginError::EventOpen | BeginError::PendingBoot => refused(Refusal::Busy),
        _ => refused(Refusal::Unsupported),
    }
}

/// What the server may know of a refusal. Nothing here is secret: the manifest was authentic.
fn refusal(error: &AdmitError) -> Refusal {
    match error {
        AdmitError::WrongVendor
        | AdmitError::WrongClass
        | AdmitError::WrongHardware
        | AdmitError::WrongDevice => Refusal::NotForThisDevice,
        AdmitError::NotNewer | AdmitError::BelowMinOrder => Refusal::NotNewer,
        AdmitError::BelowFloor => Refusal::BelowFloor,
        AdmitError::RejectedBefore => Refusal::RejectedBefore,
        AdmitError::Expired => Refusal::Expired,
        AdmitError::UnmetDependency | AdmitError::EpochNotOpen | AdmitError::BootloaderTooOld { .. } => {
            Refusal::NotYet
        }
        AdmitError::NoImageForSlot | AdmitError::TooLarge { .. } => Refusal::NoFittingImage,
        _ => Refusal::Unsupported,
    }
}

fn flash_answer<E>(result: Result<(), E>) -> SlotsAnswer {
    result.map_or(SlotsAnswer::Failed { code: code::FLASH }, |()| SlotsAnswer::Done)
}

/// The agent asked for something its slots are not in a state for.
const fn misuse() -> SlotsAnswer {
    SlotsAnswer::Failed { code: code::MISUSE }
}
