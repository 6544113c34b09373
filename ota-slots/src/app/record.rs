//! Writing a record on behalf of an application that goes on.

use crate::journal::Journal;
use crate::log::Append;
use crate::op::{Machine, Outcome, Step, drive};
use crate::{JournalError, Layout, Snapshot};

/// What a machine changes in the application's view when its record is written.
#[derive(Debug)]
pub(super) struct Parts<'m> {
    pub(super) journal: &'m mut Journal,
    pub(super) snapshot: &'m mut Snapshot,
}

impl Parts<'_> {
    pub(super) fn take(
        &mut self,
        append: &Append,
        written: Result<(), JournalError>,
        next: &Snapshot,
    ) -> Result<(), JournalError> {
        self.journal.take(append, written)?;
        *self.snapshot = *next;
        Ok(())
    }
}

/// Writes one record. See [`App::save`](crate::App::save) and [`App::ack_event`](crate::App::ack_event).
#[derive(Debug)]
pub struct Save<'m> {
    app: Parts<'m>,
    next: Snapshot,
    append: Append,
}

impl<'m> Save<'m> {
    pub(super) fn new(layout: &Layout, app: Parts<'m>, next: Snapshot) -> Self {
        let append = app.journal.append(layout, &next);
        Self { app, next, append }
    }
}

impl Machine for Save<'_> {
    type Output = Result<(), JournalError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        let written = drive!(self.append, buffer, last);
        Step::Done(self.app.take(&self.append, written, &self.next))
    }
}
