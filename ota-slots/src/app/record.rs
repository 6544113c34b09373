//! Writing a record on behalf of an application that goes on.

use crate::Snapshot;
use crate::journal::{Append, Journal, JournalError};
use crate::op::{Machine, Outcome, Step, WORK_BUFFER, drive};

/// What a machine changes in the application's view when its record is written.
#[derive(Debug)]
pub(super) struct Parts<'m> {
    pub(super) journal: &'m mut Journal,
    pub(super) snapshot: &'m mut Snapshot,
}

impl Parts<'_> {
    pub(super) fn take(
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

/// Writes one record. See [`App::save`](crate::App::save) and [`App::ack_event`](crate::App::ack_event).
#[derive(Debug)]
pub struct Save<'m, 'a> {
    pub(super) journal: &'m mut Journal,
    pub(super) snapshot: &'m mut Snapshot,
    pub(super) append: Append<'a>,
}

impl Machine for Save<'_, '_> {
    type Output = Result<(), JournalError>;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        let done = drive!(self.append, buffer, last);
        let mut app = Parts { journal: self.journal, snapshot: self.snapshot };
        Step::Done(app.take(done, *self.append.snapshot()))
    }
}
