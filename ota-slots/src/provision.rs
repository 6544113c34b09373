//! The factory's step: the first image, and the first record.

use embedded_storage::nor_flash::NorFlashErrorKind;
use ota_manifest::SecurityVersion;
use ota_verify::VerifiedImage;
use thiserror::Error;

use crate::journal::Journal;
use crate::log::Append;
use crate::op::{Machine, Outcome, Place, Step, drive};
use crate::parts::{ErasePages, WriteBytes};
use crate::prove::{Policy, ProveSlot, SlotError};
use crate::{JournalError, Layout, Site, SlotId, SlotState, Snapshot};

/// Why a device could not be provisioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// What was written does not prove itself: wrong key, wrong identity, wrong slot, or a flash fault.
    #[error("the first image does not prove itself: {0}")]
    Slot(#[from] SlotError),
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Writes image, leaf list and envelope into a slot, proves them with the device's own eyes, and starts the journal.
///
/// Erases the whole slot, the whole journal, and the progress of moves. For the factory and for tests: nothing of it survives a power cut half-way,
/// and nothing needs to; run it again.
#[derive(Debug)]
pub struct Provision<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    image: &'a [u8],
    leaves: &'a [u8],
    envelope: &'a [u8],
    doing: Doing<'a>,
}

#[derive(Debug)]
enum Doing<'a> {
    ErasingProgress(ErasePages),
    ErasingSlot(ErasePages),
    WritingImage(WriteBytes<'a>),
    WritingLeaves(WriteBytes<'a>),
    WritingEnvelope(WriteBytes<'a>),
    Proving(ProveSlot<'a>),
    Recording(Append, Option<VerifiedImage>),
}

impl<'a> Provision<'a> {
    /// Prepares to write `image`, its `leaves` and its `envelope` into `slot`.
    #[must_use]
    pub fn new(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        image: &'a [u8],
        leaves: &'a [u8],
        envelope: &'a [u8],
    ) -> Self {
        let moves = layout.strategy().moves();
        // Where images move, the first slot is the one that runs; and no leaf list belongs to it.
        let (slot, leaves) = if moves { (SlotId::A, &[][..]) } else { (slot, leaves) };
        let progress = layout.progress().map_or(0, |region| region.len);
        let erase = ErasePages::new(layout, Place::Progress(0), progress);
        Self { layout, policy, slot, image, leaves, envelope, doing: Doing::ErasingProgress(erase) }
    }

    fn write(&self, at: u32, bytes: &'a [u8]) -> WriteBytes<'a> {
        WriteBytes::new(self.layout, Place::Slot(self.slot, at), bytes)
    }

    fn leaves_offset(&self) -> u32 {
        self.layout.leaves_offset(self.slot, u32::try_from(self.leaves.len() / 32).unwrap_or(u32::MAX))
    }

    fn first_record(&self, image: &VerifiedImage) -> Append {
        let mut snapshot = Snapshot::blank();
        snapshot.set_strategy(self.layout.strategy());
        snapshot.set_running(self.slot);
        snapshot.set_state(self.slot, SlotState::Confirmed);
        snapshot.set_manifest(self.slot, image.manifest_id(), image.order());
        snapshot.set_floor(image.security_version());
        Journal::empty().append(self.layout, &snapshot)
    }

    /// What comes after a step that went well.
    fn after(&self, flash: Result<(), NorFlashErrorKind>) -> Result<Doing<'a>, ProvisionError> {
        flash.map_err(ProvisionError::Flash)?;
        Ok(match &self.doing {
            Doing::ErasingProgress(_) => {
                let len = self.layout.slot(self.slot).region.len;
                Doing::ErasingSlot(ErasePages::new(self.layout, Place::Slot(self.slot, 0), len))
            }
            Doing::ErasingSlot(_) => Doing::WritingImage(self.write(0, self.image)),
            Doing::WritingImage(_) => Doing::WritingLeaves(self.write(self.leaves_offset(), self.leaves)),
            Doing::WritingLeaves(_) => Doing::WritingEnvelope(
                self.write(self.layout.envelope_offset(Site::Slot(self.slot)), self.envelope),
            ),
            _ => {
                let floor = SecurityVersion(0);
                Doing::Proving(ProveSlot::new(self.layout, self.policy, Site::Slot(self.slot), floor))
            }
        })
    }
}

impl Machine for Provision<'_> {
    type Output = Result<VerifiedImage, ProvisionError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        loop {
            let next = match &mut self.doing {
                Doing::ErasingProgress(erase) | Doing::ErasingSlot(erase) => {
                    let done = drive!(erase, buffer, last);
                    self.after(done)
                }
                Doing::WritingImage(write) | Doing::WritingLeaves(write) | Doing::WritingEnvelope(write) => {
                    let done = drive!(write, buffer, last);
                    self.after(done)
                }
                Doing::Proving(prove) => match drive!(prove, buffer, last) {
                    Ok(image) => Ok(Doing::Recording(self.first_record(&image), Some(image))),
                    Err(error) => Err(ProvisionError::Slot(error)),
                },
                Doing::Recording(append, image) => {
                    let written = drive!(append, buffer, last);
                    let image = image.take().ok_or(ProvisionError::Journal(JournalError));
                    return Step::Done(written.map_err(ProvisionError::Journal).and(image));
                }
            };
            match next {
                Ok(doing) => self.doing = doing,
                Err(error) => return Step::Done(Err(error)),
            }
            last = Ok(());
        }
    }
}
