//! The state journal: a log of snapshots.

use crate::log::{Append, Log, Scan, Tail, sequence_of};
use crate::{JournalError, Layout, Snapshot};

/// What a scan found: the newest record and where the next one goes.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    tail: Tail,
    newest: Snapshot,
    /// Whether it repeats the one before it, and nothing doubtful stands behind it.
    affirmed: bool,
    /// Whether there is none.
    is_lost: bool,
}

impl Journal {
    /// The journal of a device without a valid record.
    pub(crate) const fn empty() -> Self {
        Self { tail: Tail::EMPTY, newest: Snapshot::blank(), affirmed: false, is_lost: true }
    }

    pub(crate) fn found(&mut self, scan: &Scan) {
        let newest = scan.newest();
        self.tail = scan.tail();
        self.affirmed = Snapshot::is_copy(newest) && scan.is_settled();
        self.newest.take(newest);
        self.is_lost = sequence_of(newest) == 0;
    }

    /// The newest record.
    pub(crate) const fn newest(&self) -> Option<&Snapshot> {
        if self.is_lost { None } else { Some(&self.newest) }
    }

    /// Whether a record that says the same is already there twice, so that one power cut cannot have spoilt both.
    pub(crate) fn affirms(&self, snapshot: &Snapshot) -> bool {
        self.affirmed && self.repeats(snapshot)
    }

    /// Whether the newest record says the same.
    pub(crate) fn repeats(&self, snapshot: &Snapshot) -> bool {
        self.newest == *snapshot
    }

    /// Writes a record behind the newest.
    pub(crate) fn append(&self, layout: &Layout, snapshot: &Snapshot) -> Append {
        Append::new(Log::journal(layout), self.tail, &snapshot.cell(false))
    }

    /// The same; one that says what the newest says is written twice, so that the next boot need not.
    pub(crate) fn affirm(&self, layout: &Layout, snapshot: &Snapshot) -> Append {
        self.append(layout, snapshot).affirming(self.repeats(snapshot))
    }

    /// Takes note of how an append ended.
    pub(crate) fn take(
        &mut self,
        append: &Append,
        written: Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        self.tail = append.tail();
        written
    }
}
