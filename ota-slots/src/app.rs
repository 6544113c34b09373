//! The application's side: what firmware may do to slots and journal, by the state it runs in.
//!
//! ```text
//!   App<Confirmed> --begin--> Staging --finish--> Staged --request_boot--> Reboot
//!   App<Stranded>  --begin/confirm-->
//!   App<Trial>     --confirm--> App<Confirmed>
//!   App<Trial>     --fail--> Reboot
//! ```

use core::marker::PhantomData;
use core::num::NonZeroU8;

use embedded_storage::nor_flash::NorFlashErrorKind;
use ota_manifest::{Frame, MAX_ENVELOPE, ManifestId, Order, RollbackReason, SecurityVersion};
use ota_verify::{Applicable, DeviceState, VerifiedImage, manifest_id};
use thiserror::Error;

use crate::journal::{Append, Journal, JournalError, Scan};
use crate::op::{Machine, Outcome, Step, WORK_BUFFER, drive};
use crate::parts::{ErasePages, WriteBytes};
use crate::prove::{Policy, Prove, SlotError};
use crate::snapshot::OPAQUE;
use crate::staging::Staging;
use crate::{Event, Layout, SlotId, SlotState, Snapshot};

/// Runs an image that proved itself.
#[derive(Debug)]
pub struct Confirmed;
/// Runs an image that has yet to prove itself.
#[derive(Debug)]
pub struct Trial;
/// Runs an image that failed, because there was nothing to go back to.
#[derive(Debug)]
pub struct Stranded;

/// States in which an update may begin.
pub trait MayBegin {}
impl MayBegin for Confirmed {}
impl MayBegin for Stranded {}

/// States that end by a confirm.
pub trait MayConfirm {}
impl MayConfirm for Trial {}
impl MayConfirm for Stranded {}

/// Running firmware's access to its slots.
#[derive(Debug)]
pub struct App<'a, S> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    journal: Journal,
    snapshot: Snapshot,
    state: PhantomData<S>,
}

/// What the journal says about the running firmware.
#[derive(Debug)]
pub enum Opened<'a> {
    /// It is confirmed.
    Confirmed(App<'a, Confirmed>),
    /// It is on trial.
    Trial(App<'a, Trial>),
    /// It failed, and there was nothing to go back to.
    Stranded(App<'a, Stranded>),
}

/// Why the slots cannot be used. The firmware may run on; it cannot update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal holds no record: the device was never provisioned.
    #[error("the journal is empty: provision the device")]
    NoJournal,
    /// The journal says that the other slot runs: the bootloader could not write and fell back.
    #[error("the journal says that another slot is running")]
    AnotherSlotRuns,
    /// The running slot is in a state no running firmware can be in, or declared itself unfit: reset.
    #[error("running slot is marked {0:?}; reset")]
    NotRunning(SlotState),
}

/// Why an update cannot begin. Nothing has been written, unless the flash failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BeginError {
    /// An event is still to be reported: acknowledge it first.
    #[error("an event is still to be acknowledged")]
    EventOpen,
    /// An update is already to be booted: reset.
    #[error("an update is already pending: reset")]
    PendingBoot,
    /// This manifest was rolled back here before.
    #[error("this manifest was rolled back here before")]
    RejectedBefore,
    /// Not newer than the running one.
    #[error("not newer than the running firmware")]
    NotNewer,
    /// The envelope is longer than its place in a slot, or not the one the update was admitted from.
    #[error("not the envelope of this update, or longer than devices accept")]
    WrongEnvelope,
    /// The bootloader sees the flash differently: whatever is written would not boot.
    #[error("bootloader and application disagree about the flash layout")]
    BootloaderDisagrees,
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
}

/// Why a filled slot is not staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FinishError {
    /// The slot does not hold the image.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a boot is not requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not newer than what runs, after all.
    #[error("not newer than the running firmware")]
    NotNewer,
    /// Less than two attempts: one cannot tell a bad image from a flat battery.
    #[error("a trial needs at least two attempts")]
    TooFewAttempts,
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

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

/// Nothing is left to do but reset the device.
#[derive(Debug)]
#[must_use]
pub struct Reboot(());

impl<'a> Opened<'a> {
    /// Reads the journal on behalf of the firmware that runs from `slot`.
    #[must_use]
    pub fn open(layout: &'a Layout, policy: &'a Policy<'a>, slot: SlotId) -> Open<'a> {
        Open { layout, policy, slot, scan: Scan::new(layout) }
    }
}

/// See [`Opened::open`].
#[derive(Debug)]
pub struct Open<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    scan: Scan<'a>,
}

impl<'a> Machine for Open<'a> {
    type Output = Result<Opened<'a>, OpenError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let journal = drive!(self.scan, buffer, last);
        let Some(snapshot) = journal.newest().copied() else { return Step::Done(Err(OpenError::NoJournal)) };
        if snapshot.running != self.slot {
            return Step::Done(Err(OpenError::AnotherSlotRuns));
        }
        let (layout, policy, slot) = (self.layout, self.policy, self.slot);
        Step::Done(match snapshot.state(slot) {
            SlotState::Confirmed => Ok(Opened::Confirmed(App::new(layout, policy, slot, journal, snapshot))),
            SlotState::Trial => Ok(Opened::Trial(App::new(layout, policy, slot, journal, snapshot))),
            SlotState::Stranded => Ok(Opened::Stranded(App::new(layout, policy, slot, journal, snapshot))),
            other => Err(OpenError::NotRunning(other)),
        })
    }
}

impl<'a, S> App<'a, S> {
    fn new(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        journal: Journal,
        snapshot: Snapshot,
    ) -> Self {
        Self { layout, policy, slot, journal, snapshot, state: PhantomData }
    }

    /// The slot this firmware runs from.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.slot
    }

    /// Order of the running manifest.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.snapshot.order(self.slot)
    }

    /// Name of the running manifest.
    #[must_use]
    pub const fn manifest_id(&self) -> ManifestId {
        self.snapshot.manifest(self.slot)
    }

    /// The anti-rollback floor.
    #[must_use]
    pub const fn floor(&self) -> SecurityVersion {
        self.snapshot.floor
    }

    /// What has to be reported and acknowledged before the next update.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        self.snapshot.event()
    }

    /// What a candidate is held against: authenticate with the policy's trust, then admit with this.
    #[must_use]
    pub fn device_state(&self) -> DeviceState<'_> {
        DeviceState {
            identity: self.policy.identity,
            running: Some(self.order()),
            floor: self.snapshot.floor,
            rejected: &self.snapshot.rejected,
            target: self.layout.target(self.slot.other()),
            bootloader: self.policy.descriptor.bootloader(),
        }
    }

    /// The bytes the application keeps in the journal.
    #[must_use]
    pub const fn opaque(&self) -> &[u8; OPAQUE] {
        &self.snapshot.opaque
    }

    /// Changes those bytes in RAM; they reach flash with the next record.
    pub const fn set_opaque(&mut self, bytes: [u8; OPAQUE]) {
        self.snapshot.opaque = bytes;
    }

    /// Writes a record now, with the bytes of [`Self::set_opaque`].
    #[must_use]
    pub fn save(&mut self) -> Save<'_, 'a> {
        let append = self.append(self.snapshot);
        Save { journal: &mut self.journal, snapshot: &mut self.snapshot, append }
    }

    /// Marks the open event as reported.
    #[must_use]
    pub fn ack_event(&mut self) -> Save<'_, 'a> {
        let append = self.append(Snapshot { event_open: false, ..self.snapshot });
        Save { journal: &mut self.journal, snapshot: &mut self.snapshot, append }
    }

    fn append(&self, snapshot: Snapshot) -> Append<'a> {
        Append::new(self.layout, self.journal.clone(), snapshot, false)
    }

    fn into_state<T>(self, journal: Journal, snapshot: Snapshot) -> App<'a, T> {
        App::new(self.layout, self.policy, self.slot, journal, snapshot)
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
        let target = self.slot.other();
        if self.snapshot.event_open {
            return Err(BeginError::EventOpen);
        }
        if self.snapshot.state(target) == SlotState::Pending {
            return Err(BeginError::PendingBoot);
        }
        if self.snapshot.rejected.contains(&update.id()) {
            return Err(BeginError::RejectedBefore);
        }
        if update.manifest().order <= self.order() {
            return Err(BeginError::NotNewer);
        }
        // Signatures are not part of what is signed: an authentic envelope can have been made longer on its way.
        let of_this_update = Frame::parse(envelope).is_ok_and(|frame| manifest_id(&frame) == update.id());
        if envelope.len() > MAX_ENVELOPE || !of_this_update {
            return Err(BeginError::WrongEnvelope);
        }
        if !self.policy.descriptor.matches(self.layout) {
            return Err(BeginError::BootloaderDisagrees);
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
        };
        let doing = Beginning::Recording(self.append(snapshot));
        Ok(Begin {
            app: Parts { journal: &mut self.journal, snapshot: &mut self.snapshot },
            staging: Some(staging),
            envelope,
            doing,
        })
    }

    /// Proves the filled slot from flash and records it as staged.
    #[must_use]
    pub fn finish<'m>(&'m mut self, staging: &Staging<'_>) -> Finish<'m, 'a> {
        let prove =
            Prove::new(self.layout, self.policy, staging.slot, Some(self.order()), self.snapshot.floor);
        Finish {
            layout: self.layout,
            app: Parts { journal: &mut self.journal, snapshot: &mut self.snapshot },
            slot: staging.slot,
            doing: Finishing::Proving(prove),
        }
    }

    /// Asks the bootloader to start what is staged, with so many attempts to confirm itself.
    ///
    /// # Errors
    /// [`RequestError`] without a write, unless the journal itself failed.
    pub fn request_boot<'m>(
        &'m mut self,
        staged: &Staged,
        attempts: NonZeroU8,
    ) -> Result<RequestBoot<'m, 'a>, RequestError> {
        if attempts.get() < 2 {
            return Err(RequestError::TooFewAttempts);
        }
        if staged.image.order() <= self.order() {
            return Err(RequestError::NotNewer);
        }
        let mut snapshot = self.snapshot;
        snapshot.set_state(staged.slot, SlotState::Pending);
        snapshot.attempts = attempts.get();
        let append = self.append(snapshot);
        Ok(RequestBoot(Save { journal: &mut self.journal, snapshot: &mut self.snapshot, append }))
    }
}

impl<'a, S: MayConfirm> App<'a, S> {
    /// The firmware has tested itself and stays. Raises the anti-rollback floor to the image's security version: from
    /// then on an older slot below the floor is no fallback.
    #[must_use]
    pub fn confirm(self) -> Confirm<'a, S> {
        let mut snapshot = self.snapshot;
        snapshot.set_state(self.slot, SlotState::Confirmed);
        snapshot.floor = snapshot.floor.max(snapshot.trial_security);
        let append = self.append(snapshot);
        Confirm { app: Some(self), append }
    }
}

impl<'a> App<'a, Trial> {
    /// The firmware has tested itself and is unfit; the bootloader goes back at the next reset.
    #[must_use]
    pub fn fail(self, reason: RollbackReason) -> Fail<'a> {
        let mut snapshot = self.snapshot;
        snapshot.set_state(self.slot, SlotState::Failed);
        snapshot.reason = reason;
        let append = self.append(snapshot);
        Fail { app: Some(self), append }
    }
}

/// What a machine changes in the application's view when its record is written.
#[derive(Debug)]
struct Parts<'m> {
    journal: &'m mut Journal,
    snapshot: &'m mut Snapshot,
}

impl Parts<'_> {
    fn take(
        &mut self,
        (journal, written): (Journal, Result<(), JournalError>),
        snapshot: Snapshot,
    ) -> Result<(), JournalError> {
        *self.journal = journal;
        if written.is_ok() {
            *self.snapshot = snapshot;
        }
        written
    }
}

/// Writes one record. See [`App::save`] and [`App::ack_event`].
#[derive(Debug)]
pub struct Save<'m, 'a> {
    journal: &'m mut Journal,
    snapshot: &'m mut Snapshot,
    append: Append<'a>,
}

impl Machine for Save<'_, '_> {
    type Output = Result<(), JournalError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let done = drive!(self.append, buffer, last);
        let mut app = Parts { journal: self.journal, snapshot: self.snapshot };
        Step::Done(app.take(done, *self.append.snapshot()))
    }
}

/// See [`App::begin`].
#[derive(Debug)]
pub struct Begin<'m, 'a> {
    app: Parts<'m>,
    staging: Option<Staging<'a>>,
    envelope: &'m [u8],
    doing: Beginning<'m, 'a>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "short-lived, on the stack; boxes need an allocator")]
enum Beginning<'m, 'a> {
    Recording(Append<'a>),
    Erasing(ErasePages),
    Writing(WriteBytes<'m>),
}

impl<'m, 'a> Begin<'m, 'a> {
    fn target(&self) -> Option<(&'a Layout, SlotId)> {
        self.staging.as_ref().map(|staging| (staging.layout, staging.slot))
    }

    /// The envelope's pages; a stale envelope must not outlive the image it was for.
    fn erase_envelope(&self) -> Option<Beginning<'m, 'a>> {
        let (layout, slot) = self.target()?;
        let (from, to) = (layout.envelope_offset(slot), layout.slot(slot).region.len);
        Some(Beginning::Erasing(ErasePages::slot(layout, slot, from, to)))
    }

    fn write_envelope(&self) -> Option<Beginning<'m, 'a>> {
        let (layout, slot) = self.target()?;
        Some(Beginning::Writing(WriteBytes::new(layout, slot, layout.envelope_offset(slot), self.envelope)))
    }

    fn finish(&mut self) -> Step<Result<Staging<'a>, BeginError>> {
        Step::Done(self.staging.take().ok_or(BeginError::Flash(NorFlashErrorKind::Other)))
    }
}

impl<'a> Machine for Begin<'_, 'a> {
    type Output = Result<Staging<'a>, BeginError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        loop {
            let next = match &mut self.doing {
                Beginning::Recording(append) => {
                    let done = drive!(append, buffer, last);
                    let snapshot = *append.snapshot();
                    if let Err(error) = self.app.take(done, snapshot) {
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
    doing: Finishing<'a>,
}

#[derive(Debug)]
enum Finishing<'a> {
    Proving(Prove<'a>),
    Recording { append: Append<'a>, image: Option<VerifiedImage> },
}

impl Machine for Finish<'_, '_> {
    type Output = Result<Staged, FinishError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let mut last = last;
        if let Finishing::Proving(prove) = &mut self.doing {
            let image = match drive!(prove, buffer, last) {
                Ok(image) => image,
                Err(error) => return Step::Done(Err(error.into())),
            };
            let mut snapshot = *self.app.snapshot;
            snapshot.set_state(self.slot, SlotState::Staged);
            snapshot.set_manifest(self.slot, image.manifest_id(), image.order());
            let append = Append::new(self.layout, self.app.journal.clone(), snapshot, false);
            self.doing = Finishing::Recording { append, image: Some(image) };
            last = Ok(());
        }
        let Finishing::Recording { append, image } = &mut self.doing else {
            return Step::Done(Err(FinishError::Journal(JournalError)));
        };
        let done = drive!(append, buffer, last);
        let snapshot = *append.snapshot();
        let image = image.take();
        let recorded = self.app.take(done, snapshot);
        Step::Done(match (recorded, image) {
            (Ok(()), Some(image)) => Ok(Staged { slot: self.slot, image }),
            _ => Err(FinishError::Journal(JournalError)),
        })
    }
}

/// See [`App::request_boot`].
#[derive(Debug)]
pub struct RequestBoot<'m, 'a>(Save<'m, 'a>);

impl Machine for RequestBoot<'_, '_> {
    type Output = Result<Reboot, RequestError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        Step::Done(drive!(self.0, buffer, last).map(|()| Reboot(())).map_err(RequestError::Journal))
    }
}

/// See [`App::confirm`]. On failure the application is handed back, still unconfirmed.
#[derive(Debug)]
pub struct Confirm<'a, S> {
    app: Option<App<'a, S>>,
    append: Append<'a>,
}

impl<'a, S> Machine for Confirm<'a, S> {
    type Output = Result<App<'a, Confirmed>, Option<App<'a, S>>>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let (journal, written) = drive!(self.append, buffer, last);
        Step::Done(match (self.app.take(), written) {
            (Some(app), Ok(())) => Ok(app.into_state(journal, *self.append.snapshot())),
            (app, _) => Err(app),
        })
    }
}

/// See [`App::fail`]. On failure the application is handed back; a reset will count as an attempt.
#[derive(Debug)]
pub struct Fail<'a> {
    app: Option<App<'a, Trial>>,
    append: Append<'a>,
}

impl<'a> Machine for Fail<'a> {
    type Output = Result<Reboot, Option<App<'a, Trial>>>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let (_, written) = drive!(self.append, buffer, last);
        Step::Done(match written {
            Ok(()) => Ok(Reboot(())),
            Err(JournalError) => Err(self.app.take()),
        })
    }
}
