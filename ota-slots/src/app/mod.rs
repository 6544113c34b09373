//! The application's side: what firmware may do to slots and journal, by the state it runs in.
//!
//! ```text
//!   App<Confirmed> --begin--> Staging --finish--> Staged --request_boot--> Reboot
//!   App<Stranded>  --begin/confirm-->
//!   App<Trial>     --confirm--> App<Confirmed>
//!   App<Trial>     --fail--> Reboot
//! ```

mod error;
mod offer;
mod open;
mod record;
mod update;
mod verdict;

pub use error::{BeginError, FinishError, OfferError, OpenError, RequestError};
pub use offer::{OfferTrust, TrustOffer};
pub use open::Open;
pub use record::Save;
pub use update::{Begin, Finish, RequestBoot, Staged};
pub use verdict::{Confirm, Fail};

use core::marker::PhantomData;

use ota_manifest::{ManifestId, Order, SecurityVersion};
use ota_verify::DeviceState;

use crate::journal::Journal;
use crate::log::Append;
use crate::prove::Policy;
use crate::snapshot::{OPAQUE, REJECTED};
use crate::{Event, Layout, SlotId, Snapshot};
use record::Parts;

/// Runs an image that proved itself.
#[derive(Debug)]
pub struct Confirmed;
/// Runs an image that has yet to prove itself. It may confirm or fail, and begins no update:
///
/// ```compile_fail
/// fn begin_on_trial(app: &mut ota_slots::App<'_, ota_slots::Trial>, update: &ota_verify::Applicable<'_>) {
///     let _ = app.begin(update, &[]);
/// }
/// ```
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
    view: View<'a>,
    state: PhantomData<S>,
}

/// All that does not depend on the state: what is common to two states is in the firmware once.
#[derive(Debug)]
struct View<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    journal: Journal,
    snapshot: Snapshot,
    /// Of the snapshot, for whoever admits a candidate; only the bootloader adds to them.
    rejected: [ManifestId; REJECTED],
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

/// Nothing is left to do but reset the device.
#[derive(Debug)]
#[must_use]
pub struct Reboot(());

impl<'a, S> App<'a, S> {
    const fn new(view: View<'a>) -> Self {
        Self { view, state: PhantomData }
    }

    /// The slot this firmware runs from.
    #[must_use]
    pub const fn slot(&self) -> SlotId {
        self.view.slot
    }

    /// Order of the running manifest.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.view.order()
    }

    /// Name of the running manifest.
    #[must_use]
    pub const fn manifest_id(&self) -> ManifestId {
        self.view.snapshot.manifest(self.view.slot)
    }

    /// The anti-rollback floor.
    #[must_use]
    pub const fn floor(&self) -> SecurityVersion {
        self.view.snapshot.floor()
    }

    /// What has to be reported and acknowledged before the next update.
    #[must_use]
    pub const fn event(&self) -> Option<Event> {
        self.view.snapshot.event()
    }

    /// What a candidate is held against: authenticate with the policy's trust, then admit with this.
    #[must_use]
    pub fn device_state(&self) -> DeviceState<'_> {
        self.view.device_state()
    }

    /// The bytes the application keeps in the journal.
    #[must_use]
    pub fn opaque(&self) -> &[u8; OPAQUE] {
        self.view.snapshot.opaque()
    }

    /// Changes those bytes in RAM; they reach flash with the next record.
    pub fn set_opaque(&mut self, bytes: [u8; OPAQUE]) {
        self.view.snapshot.set_opaque(&bytes);
    }

    /// Writes a record now, with the bytes of [`Self::set_opaque`].
    #[must_use]
    pub fn save(&mut self) -> Save<'_> {
        let next = self.view.snapshot;
        self.view.save(next)
    }

    /// Marks the open event as reported.
    #[must_use]
    pub fn ack_event(&mut self) -> Save<'_> {
        let mut next = self.view.snapshot;
        next.close_event();
        self.view.save(next)
    }
}

impl<'a> View<'a> {
    fn new(
        layout: &'a Layout,
        policy: &'a Policy<'a>,
        slot: SlotId,
        journal: Journal,
        snapshot: Snapshot,
    ) -> Self {
        Self { layout, policy, slot, journal, snapshot, rejected: snapshot.rejected() }
    }

    const fn order(&self) -> Order {
        self.snapshot.order(self.slot)
    }

    fn device_state(&self) -> DeviceState<'_> {
        DeviceState {
            identity: self.policy.identity,
            running: Some(self.order()),
            now: None,
            floor: self.snapshot.floor(),
            rejected: &self.rejected,
            target: self.layout.target(self.slot.other()),
            bootloader: self.policy.descriptor.bootloader(),
        }
    }

    fn save(&mut self, next: Snapshot) -> Save<'_> {
        Save::new(self.layout, self.parts(), next)
    }

    const fn parts(&mut self) -> Parts<'_> {
        Parts { journal: &mut self.journal, snapshot: &mut self.snapshot }
    }

    fn append(&self, next: &Snapshot) -> Append {
        self.journal.append(self.layout, next)
    }
}
