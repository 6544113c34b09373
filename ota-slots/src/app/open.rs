//! Finding out in which state one runs.

use super::{App, OpenError, Opened, View};
use crate::journal::Journal;
use crate::log::{Log, Scan};
use crate::op::{Machine, Outcome, Step, drive};
use crate::prove::Policy;
use crate::{Layout, SlotId, SlotState};

impl<'a> Opened<'a> {
    /// Reads the journal on behalf of the firmware that runs from `slot`.
    #[must_use]
    pub fn open(layout: &'a Layout, policy: &'a Policy<'a>, slot: SlotId) -> Open<'a> {
        Open { layout, policy, slot, scan: Scan::new(Log::journal(layout)) }
    }
}

/// See [`Opened::open`].
#[derive(Debug)]
pub struct Open<'a> {
    layout: &'a Layout,
    policy: &'a Policy<'a>,
    slot: SlotId,
    scan: Scan,
}

impl Open<'_> {
    /// Whether what is written here will be read as it is meant.
    fn agree(&self) -> Result<(), OpenError> {
        let (descriptor, layout) = (self.policy.descriptor, self.layout);
        let (envelope, trust) = (descriptor.envelope_limit(), descriptor.trust_limit());
        if (envelope, trust) != (layout.envelope_limit(), layout.trust_limit()) {
            return Err(OpenError::LimitsDiffer { envelope, trust });
        }
        if descriptor.matches(layout, &self.policy.trust) {
            Ok(())
        } else {
            Err(OpenError::BootloaderDisagrees)
        }
    }
}

impl<'a> Machine for Open<'a> {
    type Output = Result<Opened<'a>, OpenError>;

    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Self::Output> {
        // Now, and not at the end of a download.
        if buffer.len() < self.layout.work_buffer() {
            return Step::Done(Err(OpenError::ShortBuffer));
        }
        if let Err(error) = self.agree() {
            return Step::Done(Err(error));
        }
        let mut journal = Journal::empty();
        drive!(self.scan, buffer, last);
        journal.found(&self.scan);
        let Some(snapshot) = journal.newest().copied() else { return Step::Done(Err(OpenError::NoJournal)) };
        if snapshot.running() != self.slot {
            return Step::Done(Err(OpenError::AnotherSlotRuns));
        }
        let view = View::new(self.layout, self.policy, self.slot, journal, snapshot);
        Step::Done(match snapshot.state(self.slot) {
            SlotState::Confirmed => Ok(Opened::Confirmed(App::new(view))),
            SlotState::Trial => Ok(Opened::Trial(App::new(view))),
            SlotState::Stranded => Ok(Opened::Stranded(App::new(view))),
            other => Err(OpenError::NotRunning(other)),
        })
    }
}
