//! From an admitted manifest to a requested boot.

use core::num::NonZeroU8;

use embedded_storage::nor_flash::NorFlashErrorKind;
use ota_manifest::{Frame, ManifestId};
use ota_verify::{Applicable, VerifiedImage, manifest_id};

use super::record::{Parts, Save};
use super::{App, BeginError, FinishError, MayBegin, Reboot, RequestError, View};
use crate::log::Append;
use crate::op::{Machine, Outcome, Place, Step, drive};
use crate::parts::{ErasePages, WriteBytes};
use crate::prove::ProveSlot;
use crate::staging::Staging;
use crate::{JournalError, Layout, Site, SlotError, SlotId, SlotState, Snapshot};

/// The slot holds a proven image that the journal knows about: the only thing a boot can be requested for.
///
/// ```compile_fail
/// let forged = ota_slots::Staged { slot: ota_slots::SlotId::B };
/// ```
#[derive(Debug)]
#[must_use]
pub struct Staged {
    slot: SlotId,
    image: VerifiedImage,
}

impl Staged {
    /// The slot.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// What it holds.
    pub const fn image(&self) -> &VerifiedImage {
        &self.image
    }
}

impl<'a, S: MayBegin> App<'a, S> {
    /// Begins, or resumes, staging an update whose envelope is `envelope`.
    ///
    /// The record is written before the first erase: from then on nobody takes the slot for anything but unfinished. The
    /// running slot is never the target. The envelope is written anew at every resume: if its writing was what power cut
    /// short, it may read right today and wrong tomorrow.
    ///
    /// # Errors
    /// [`BeginError`] without a write for anything but the flash itself.
    pub fn begin<'m>(
        &'m mut self,
        update: &Applicable<'_>,
        envelope: &'m [u8],
    ) -> Result<Begin<'m, 'a>, BeginError> {
        self.view.begin(update, envelope)
    }

    /// Proves the filled slot from flash and records it as staged.
    #[must_use]
    pub fn finish<'m>(&'m mut self, staging: &Staging<'_>) -> Finish<'m, 'a> {
        self.view.finish(staging)
    }

    /// Asks the bootloader to start what is staged, with so many attempts to confirm itself.
    ///
    /// # Errors
    /// [`RequestError`] without a write, unless the journal itself failed.
    pub fn request_boot<'m>(
        &'m mut self,
        staged: &Staged,
        attempts: NonZeroU8,
    ) -> Result<RequestBoot<'m>, RequestError> {
        self.view.request_boot(staged, attempts)
    }
}

impl<'a> View<'a> {
    fn begin<'m>(
        &'m mut self,
        update: &Applicable<'_>,
        envelope: &'m [u8],
    ) -> Result<Begin<'m, 'a>, BeginError> {
        let target = self.slot.other();
        if self.snapshot.is_event_open() {
            return Err(BeginError::EventOpen);
        }
        if self.snapshot.state(target) == SlotState::Pending {
            return Err(BeginError::PendingBoot);
        }
        if self.rejected.contains(&update.id()) {
            return Err(BeginError::RejectedBefore);
        }
        if update.manifest().order <= self.order() {
            return Err(BeginError::NotNewer);
        }
        // Signatures are not part of what is signed: an authentic envelope can have been made longer on its way.
        let of_this_update = Frame::parse(envelope).is_ok_and(|frame| manifest_id(&frame) == update.id());
        if envelope.len() > self.layout.envelope_limit() || !of_this_update {
            return Err(BeginError::WrongEnvelope);
        }
        let same = self.snapshot.manifest(target) == update.id();
        let resumes = same && matches!(self.snapshot.state(target), SlotState::Staging | SlotState::Staged);
        let mut snapshot = self.snapshot;
        snapshot.set_state(target, SlotState::Staging);
        snapshot.set_manifest(target, update.id(), update.manifest().order);
        let staging = Staging {
            layout: self.layout,
            slot: target,
            id: update.id(),
            image: *update.image(),
            fresh: !resumes,
            blank: (0, 0),
        };
        let doing = Beginning::Recording(self.append(&snapshot));
        Ok(Begin { app: self.parts(), next: snapshot, staging: Some(staging), envelope, doing })
    }

    fn finish<'m>(&'m mut self, staging: &Staging<'_>) -> Finish<'m, 'a> {
        let (layout, site) = (self.layout, Site::Slot(staging.slot));
        let prove = ProveSlot::new(layout, self.policy, site, self.snapshot.floor());
        let (slot, id) = (staging.slot, staging.id);
        Finish { layout, app: self.parts(), slot, id, doing: Finishing::Proving(prove) }
    }

    fn request_boot<'m>(
        &'m mut self,
        staged: &Staged,
        attempts: NonZeroU8,
    ) -> Result<RequestBoot<'m>, RequestError> {
        if attempts.get() < 2 {
            return Err(RequestError::TooFewAttempts);
        }
        let still_staged = self.snapshot.state(staged.slot) == SlotState::Staged
            && self.snapshot.manifest(staged.slot) == staged.image.manifest_id();
        if !still_staged {
            return Err(RequestError::NotStaged);
        }
        if staged.image.order() <= self.order() {
            return Err(RequestError::NotNewer);
        }
        let mut snapshot = self.snapshot;
        snapshot.set_state(staged.slot, SlotState::Pending);
        snapshot.set_attempts(attempts.get());
        Ok(RequestBoot(self.save(snapshot)))
    }
}

/// See [`App::begin`].
#[derive(Debug)]
pub struct Begin<'m, 'a> {
    app: Parts<'m>,
    next: Snapshot,
    staging: Option<Staging<'a>>,
    envelope: &'m [u8],
    doing: Beginning<'m>,
}

#[derive(Debug)]
enum Beginning<'m> {
    Recording(Append),
    Erasing(ErasePages),
    Writing(WriteBytes<'m>),
}

impl<'m, 'a> Begin<'m, 'a> {
    fn target(&self) -> Option<(&'a Layout, SlotId)> {
        self.staging.as_ref().map(|staging| (staging.layout, staging.slot))
    }

    /// The envelope's pages; a stale envelope must not outlive the image it was for.
    fn erase_envelope(&self) -> Option<Beginning<'m>> {
        let (layout, slot) = self.target()?;
        let at = Place::Slot(slot, layout.envelope_offset(Site::Slot(slot)));
        Some(Beginning::Erasing(ErasePages::new(layout, at, layout.envelope_area(slot))))
    }

    fn write_envelope(&self) -> Option<Beginning<'m>> {
        let (layout, slot) = self.target()?;
        let at = Place::Slot(slot, layout.envelope_offset(Site::Slot(slot)));
        Some(Beginning::Writing(WriteBytes::new(layout, at, self.envelope)))
    }

    fn finish(&mut self) -> Step<Result<Staging<'a>, BeginError>> {
        Step::Done(self.staging.take().ok_or(BeginError::Flash(NorFlashErrorKind::Other)))
    }
}

impl<'a> Machine for Begin<'_, 'a> {
    type Output = Result<Staging<'a>, BeginError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        loop {
            let next = match &mut self.doing {
                Beginning::Recording(append) => {
                    let written = drive!(append, buffer, last);
                    if let Err(error) = self.app.take(append, written, &self.next) {
                        return Step::Done(Err(error.into()));
                    }
                    self.erase_envelope()
                }
                Beginning::Erasing(erase) => match drive!(erase, buffer, last) {
                    Ok(()) => self.write_envelope(),
                    Err(error) => return Step::Done(Err(BeginError::Flash(error))),
                },
                Beginning::Writing(write) => match drive!(write, buffer, last) {
                    Ok(()) => return self.finish(),
                    Err(error) => return Step::Done(Err(BeginError::Flash(error))),
                },
            };
            match next {
                Some(doing) => self.doing = doing,
                None => return self.finish(),
            }
            last = Ok(());
        }
    }
}

/// See [`App::finish`].
#[derive(Debug)]
pub struct Finish<'m, 'a> {
    layout: &'a Layout,
    app: Parts<'m>,
    slot: SlotId,
    /// What was admitted. Whoever can write the slot must not slip in another signed image, whose order and dependencies
    /// nobody has looked at.
    id: ManifestId,
    doing: Finishing<'a>,
}

#[derive(Debug)]
enum Finishing<'a> {
    Proving(ProveSlot<'a>),
    Recording { append: Append, next: Snapshot, image: Option<VerifiedImage> },
}

impl Finish<'_, '_> {
    fn record(&mut self, image: VerifiedImage) {
        let mut next = *self.app.snapshot;
        next.set_state(self.slot, SlotState::Staged);
        next.set_manifest(self.slot, image.manifest_id(), image.order());
        let append = self.app.journal.append(self.layout, &next);
        self.doing = Finishing::Recording { append, next, image: Some(image) };
    }
}

impl Machine for Finish<'_, '_> {
    type Output = Result<Staged, FinishError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        if let Finishing::Proving(prove) = &mut self.doing {
            match drive!(prove, buffer, last) {
                Ok(image) if image.manifest_id() == self.id => self.record(image),
                Ok(_) => return Step::Done(Err(SlotError::AnotherImage.into())),
                Err(error) => return Step::Done(Err(error.into())),
            }
            last = Ok(());
        }
        let Finishing::Recording { append, next, image } = &mut self.doing else {
            return Step::Done(Err(FinishError::Journal(JournalError)));
        };
        let written = drive!(append, buffer, last);
        let recorded = self.app.take(append, written, next);
        Step::Done(match (recorded, image.take()) {
            (Ok(()), Some(image)) => Ok(Staged { slot: self.slot, image }),
            _ => Err(FinishError::Journal(JournalError)),
        })
    }
}

/// See [`App::request_boot`].
#[derive(Debug)]
pub struct RequestBoot<'m>(Save<'m>);

impl Machine for RequestBoot<'_> {
    type Output = Result<Reboot, RequestError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        Step::Done(drive!(self.0, buffer, last).map(|()| Reboot(())).map_err(RequestError::Journal))
    }
}
