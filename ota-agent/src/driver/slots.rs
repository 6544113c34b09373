//! What slot work may be done now, and which machine does it.

use core::num::NonZeroU8;

use ota_manifest::wire::RollbackReason;
use ota_manifest::{Frame, Nonce, Role};
use ota_slots::{
    App, Begin, BeginError, Layout, MayBegin, OPAQUE, Opened, Policy, RequestBoot, RequestError, Save,
    SlotId, Staged, Staging, Trial,
};
use ota_verify::{Applicable, DeviceState, TrustedTime};

use super::answer::{begin_failed, failed, misuse, no_frame, not_admitted, offered, unauthentic, unframed};
use super::perform::Doing;
use crate::{Plan, SlotWork, SlotsAnswer};

/// The machine to run, or why none is.
type Start<'d, 'a> = Result<Doing<'d, 'a>, SlotsAnswer>;

/// View of journal and staging area.
#[derive(Debug)]
pub(super) struct Slots<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    /// `None` once the view is lost: work was left undone, or a confirm failed in a way that cost it.
    app: Option<Opened<'a>>,
    staging: Option<Staging<'a>>,
}

impl<'a> Slots<'a> {
    pub(super) const fn new(layout: &'a Layout, policy: &'a Policy<'a>, opened: Opened<'a>) -> Self {
        Self { layout, policy, app: Some(opened), staging: None }
    }

    pub(super) const fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Loses the view: what the flash holds is not known any more, and writing on would program cells twice.
    pub(super) fn forget(&mut self) {
        (self.app, self.staging) = (None, None);
    }

    /// Not inlined into the loop that runs what it gives: together they take more than a kilobyte of flash more.
    #[inline(never)]
    pub(super) fn start<'d>(&'d mut self, work: SlotWork<'d>) -> Doing<'d, 'a> {
        let start = match work {
            SlotWork::Admit { envelope, now } => self.admit(envelope, now).map(Doing::at_once),
            SlotWork::Begin { envelope, now, context } => self.begin(envelope, now, context),
            SlotWork::Finish => self.finish(),
            SlotWork::RequestBoot { staged, attempts, context } => {
                self.request_boot(staged, attempts, context)
            }
            SlotWork::Confirm { context } => self.confirm(context),
            SlotWork::Fail { reason, context } => self.fail(reason, context),
            SlotWork::AckEvent { context } => self.save(context, true),
            SlotWork::Save { context } => self.save(context, false),
            SlotWork::Believe { envelope, nonce } => self.believe(envelope, nonce).map(Doing::at_once),
            SlotWork::OfferTrust { envelope } => self.offer_trust(envelope),
            filling => self.fill(filling),
        };
        start.unwrap_or_else(Doing::at_once)
    }

    fn admit(&self, envelope: &[u8], now: Option<TrustedTime>) -> Result<SlotsAnswer, SlotsAnswer> {
        let update = self.applicable(envelope, now)?;
        let page = self.layout.geometry(self.target()).erase_page;
        Ok(SlotsAnswer::Admitted(Plan {
            manifest: update.id(),
            image: update.image_index(),
            size: update.image().size,
            chunk_bytes: update.image().chunk_size.bytes(),
            block_bytes: update.image().chunk_size.bytes().max(page),
            trial_attempts: update.manifest().trial_attempts,
            confirm_window_s: update.manifest().confirm_window_s,
        }))
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
        let frame = Frame::parse(envelope).map_err(|_| unframed())?;
        let trust = &self.policy.trust;
        let authentic =
            trust.authenticate(frame, Role::Release).map_err(|error| unauthentic(error.code()))?;
        let state = match &self.app {
            Some(Opened::Confirmed(app)) => app.device_state(),
            Some(Opened::Stranded(app)) => app.device_state(),
            Some(Opened::Trial(app)) => app.device_state(),
            None => return Err(misuse()),
        };
        authentic.admit(&DeviceState { now, ..state }).map_err(not_admitted)
    }

    fn begin<'d>(
        &'d mut self,
        envelope: &'d [u8],
        now: Option<TrustedTime>,
        context: [u8; OPAQUE],
    ) -> Start<'d, 'a> {
        let update = self.applicable(envelope, now)?;
        let begin = match &mut self.app {
            Some(Opened::Confirmed(app)) => begin(app, &update, envelope, context),
            Some(Opened::Stranded(app)) => begin(app, &update, envelope, context),
            _ => return Err(misuse()),
        };
        let begin = begin.map_err(begin_failed)?;
        Ok(Doing::Beginning { begin, into: Some(&mut self.staging) })
    }

    fn fill<'d>(&'d mut self, work: SlotWork<'d>) -> Start<'d, 'a> {
        let staging = self.staging.as_mut().ok_or(misuse())?;
        Ok(match work {
            SlotWork::EraseLeaves => Doing::Erasing(staging.erase_leaves()),
            SlotWork::CheckLeaves => Doing::CheckingLeaves(staging.check_leaves()),
            SlotWork::EraseBlock { block } => Doing::Erasing(staging.erase_block(block)),
            SlotWork::StoreLeaves { first, leaves } => {
                Doing::StoringLeaves(staging.store_leaves(first, leaves).map_err(|_| misuse())?)
            }
            SlotWork::LoadChunk { chunk, into } => Doing::Loading(staging.load_chunk(chunk, into)),
            SlotWork::StoreChunk { chunk, bytes } => Doing::Storing(staging.store_chunk(chunk, bytes)),
            _ => return Err(misuse()),
        })
    }

    fn finish(&mut self) -> Start<'_, 'a> {
        let staging = self.staging.take().ok_or(misuse())?;
        Ok(Doing::Finishing(match &mut self.app {
            Some(Opened::Confirmed(app)) => app.finish(&staging),
            Some(Opened::Stranded(app)) => app.finish(&staging),
            _ => return Err(misuse()),
        }))
    }

    fn request_boot(&mut self, staged: &Staged, attempts: u8, context: [u8; OPAQUE]) -> Start<'_, 'a> {
        let request = match &mut self.app {
            Some(Opened::Confirmed(app)) => request_boot(app, staged, attempts, context),
            Some(Opened::Stranded(app)) => request_boot(app, staged, attempts, context),
            _ => return Err(misuse()),
        };
        request.map(Doing::Requesting).map_err(|_| misuse())
    }

    fn confirm(&mut self, context: [u8; OPAQUE]) -> Start<'_, 'a> {
        let trial = self.take_trial(context)?;
        Ok(Doing::Confirming { confirm: trial.confirm(), app: &mut self.app })
    }

    fn fail(&mut self, reason: RollbackReason, context: [u8; OPAQUE]) -> Start<'_, 'a> {
        let trial = self.take_trial(context)?;
        Ok(Doing::Failing { fail: trial.fail(reason), app: &mut self.app })
    }

    fn take_trial(&mut self, context: [u8; OPAQUE]) -> Result<App<'a, Trial>, SlotsAnswer> {
        match self.app.take() {
            Some(Opened::Trial(mut app)) => {
                app.set_opaque(context);
                Ok(app)
            }
            other => {
                self.app = other;
                Err(misuse())
            }
        }
    }

    fn save(&mut self, context: [u8; OPAQUE], ack_event: bool) -> Start<'_, 'a> {
        Ok(Doing::Saving(match &mut self.app {
            Some(Opened::Confirmed(app)) => save(app, context, ack_event),
            Some(Opened::Stranded(app)) => save(app, context, ack_event),
            Some(Opened::Trial(app)) => save(app, context, ack_event),
            None => return Err(misuse()),
        }))
    }

    fn believe(&self, envelope: &[u8], nonce: Nonce) -> Result<SlotsAnswer, SlotsAnswer> {
        let frame = Frame::parse(envelope).map_err(|_| no_frame())?;
        let fresh = self.policy.trust.freshness(frame, nonce);
        fresh.map(SlotsAnswer::Fresh).map_err(|error| failed(error.code()))
    }

    /// Only what the roots in force have signed is worth an erase and a reset.
    fn offer_trust<'d>(&self, envelope: &'d [u8]) -> Start<'d, 'a> {
        let frame = Frame::parse(envelope).map_err(|_| no_frame())?;
        self.policy.trust.names_successor(&frame).map_err(|error| failed(error.code()))?;
        let offer = match &self.app {
            Some(Opened::Confirmed(app)) => app.offer_trust(envelope),
            Some(Opened::Stranded(app)) => app.offer_trust(envelope),
            _ => return Err(misuse()),
        };
        offer.map(Doing::OfferingTrust).map_err(|error| offered(Err(error)))
    }
}

fn begin<'d, 'a, S: MayBegin>(
    app: &'d mut App<'a, S>,
    update: &Applicable<'_>,
    envelope: &'d [u8],
    context: [u8; OPAQUE],
) -> Result<Begin<'d, 'a>, BeginError> {
    app.set_opaque(context);
    app.begin(update, envelope)
}

fn request_boot<'d, S: MayBegin>(
    app: &'d mut App<'_, S>,
    staged: &Staged,
    attempts: u8,
    context: [u8; OPAQUE],
) -> Result<RequestBoot<'d>, RequestError> {
    app.set_opaque(context);
    app.request_boot(staged, NonZeroU8::new(attempts).unwrap_or(NonZeroU8::MIN))
}

fn save<'d, S>(app: &'d mut App<'_, S>, context: [u8; OPAQUE], ack_event: bool) -> Save<'d> {
    app.set_opaque(context);
    if ack_event && app.event().is_some() { app.ack_event() } else { app.save() }
}
