//! The end of a trial.

use ota_manifest::RollbackReason;

use super::{App, Confirmed, MayConfirm, Reboot, Trial, View};
use crate::log::Append;
use crate::op::{Machine, Outcome, Step, drive};
use crate::{SlotState, Snapshot};

impl<'a, S: MayConfirm> App<'a, S> {
    /// The firmware has tested itself and stays. Raises the anti-rollback floor to the image's security version: from
    /// then on an older slot below the floor is no fallback.
    #[must_use]
    pub fn confirm(self) -> Confirm<'a, S> {
        let mut snapshot = self.view.snapshot;
        snapshot.set_state(self.view.slot, SlotState::Confirmed);
        snapshot.set_floor(snapshot.floor().max(snapshot.trial_security()));
        let append = self.view.append(&snapshot);
        Confirm { app: Some(self), next: snapshot, append }
    }
}

impl<'a> App<'a, Trial> {
    /// The firmware has tested itself and is unfit; the bootloader goes back at the next reset.
    #[must_use]
    pub fn fail(self, reason: RollbackReason) -> Fail<'a> {
        let mut snapshot = self.view.snapshot;
        snapshot.set_state(self.view.slot, SlotState::Failed);
        snapshot.set_reason(reason);
        let append = self.view.append(&snapshot);
        Fail { app: Some(self), append }
    }
}

/// See [`App::confirm`]. On failure the application is handed back, still unconfirmed.
#[derive(Debug)]
pub struct Confirm<'a, S> {
    app: Option<App<'a, S>>,
    next: Snapshot,
    append: Append,
}

impl<'a, S> Machine for Confirm<'a, S> {
    type Output = Result<App<'a, Confirmed>, Option<App<'a, S>>>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let written = drive!(self.append, buffer, last);
        let Some(mut app) = self.app.take() else { return Step::Done(Err(None)) };
        Step::Done(match app.view.journal.take(&self.append, written) {
            Ok(()) => Ok(App::new(View { snapshot: self.next, ..app.view })),
            // With the journal as it is now: the cells that were tried must not be tried again.
            Err(_) => Err(Some(app)),
        })
    }
}

/// See [`App::fail`]. On failure the application is handed back; a reset will count as an attempt.
#[derive(Debug)]
pub struct Fail<'a> {
    app: Option<App<'a, Trial>>,
    append: Append,
}

impl<'a> Machine for Fail<'a> {
    type Output = Result<Reboot, Option<App<'a, Trial>>>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let written = drive!(self.append, buffer, last);
        let Some(mut app) = self.app.take() else { return Step::Done(Err(None)) };
        let written = app.view.journal.take(&self.append, written);
        Step::Done(if written.is_ok() { Ok(Reboot(())) } else { Err(Some(app)) })
    }
}
