//! A life without faults, and where it can be cut.

use anyhow::{Result, bail};
use emulator::Operation;
use layout::LAYOUT;
use ota_manifest::RollbackReason;
use ota_manifest::wire::Stage;
use ota_slots::{Site, SlotId};

use crate::bench::{Bench, End};
use crate::settled::trust_version;

/// Longest life, seconds of the board's time: a silent application takes two windows of a minute.
pub const LONGEST: u64 = 600;
/// Flash operations between two snapshots, at least.
const APART: u64 = 64;

/// What has to become of a life, whatever happens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The release runs and is confirmed.
    Confirmed,
    /// The old image runs again, for this reason.
    RolledBack(RollbackReason),
    /// The device never begins.
    Rejected,
    /// The trust document with this version is in force, and the image runs on.
    Trusts(u32),
}

impl Outcome {
    /// Whether the server was told so.
    #[must_use]
    pub fn is_told(self, end: Option<Stage>) -> bool {
        match self {
            Self::Confirmed => end == Some(Stage::Confirmed),
            Self::RolledBack(expected) => {
                matches!(end, Some(Stage::RolledBack { reason, .. }) if reason == expected)
            }
            Self::Rejected => matches!(end, Some(Stage::Rejected { .. })),
            Self::Trusts(_) => end.is_none(),
        }
    }

    /// The slot that runs afterwards: the first image is in A, the release in B.
    #[must_use]
    pub const fn slot(self) -> SlotId {
        match self {
            Self::Confirmed => SlotId::B,
            _ => SlotId::A,
        }
    }
}

/// What a flash operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A record of the journal, or what makes room for it.
    Journal,
    /// The guard region, kept trust, and the inbox.
    Guard,
    /// The chip's configuration.
    Uicr,
    /// A page of a slot is erased.
    Erase,
    /// A word of an envelope or a leaf list.
    Papers,
    /// A word of an image.
    Image,
}

/// Bytes of a record of the journal.
const RECORD: u32 = 128;

/// Whether this word makes a record of the journal whole.
#[must_use]
pub(crate) fn ends_record(operation: Operation) -> bool {
    matches!(operation, Operation::Program(address)
        if Kind::of(operation) == Kind::Journal && address % RECORD == RECORD - 4)
}

impl Kind {
    /// What an operation is for, by where it is.
    #[must_use]
    pub fn of(operation: Operation) -> Self {
        let (address, is_erase) = match operation {
            Operation::Erase(address) => (address, true),
            Operation::Program(address) => (address, false),
        };
        let journal = LAYOUT.journal();
        if address >= emulator::UICR {
            Self::Uicr
        } else if (journal.start..journal.start + journal.len).contains(&address) {
            Self::Journal
        } else if address < journal.start {
            Self::Guard
        } else if is_erase {
            Self::Erase
        } else {
            let is_paper = |slot: SlotId| {
                let region = LAYOUT.slot(slot).region;
                // The longest leaf list takes a page, and lies before the envelope.
                let papers = LAYOUT.envelope_offset(Site::Slot(slot)).saturating_sub(4096);
                (region.start + papers..region.start + region.len).contains(&address)
            };
            if SlotId::BOTH.into_iter().any(is_paper) { Self::Papers } else { Self::Image }
        }
    }
}

/// A life that went well: its flash operations, and snapshots to begin from.
pub struct Story {
    /// What it is called.
    pub name: &'static str,
    /// How it has to end.
    pub outcome: Outcome,
    /// The number of the first operation, less one.
    before: u64,
    /// What each operation was for.
    pub operations: Vec<Operation>,
    /// In order of time.
    snapshots: Vec<(u64, Bench)>,
    /// As it ended.
    pub end: Bench,
    /// Instructions that it took.
    pub instructions: u64,
}

impl Story {
    /// Leads a life from `start`, which has power, to its end.
    ///
    /// # Errors
    /// If it does not end as it should even so.
    pub fn tell(name: &'static str, outcome: Outcome, start: Bench) -> Result<Self> {
        let mut bench = start;
        let before = bench.machine.flash().operations();
        let instructions = bench.machine.core().instructions();
        bench.machine.flash().record();
        let mut snapshots = vec![(before, bench.clone())];
        let mut settled = Settled::new(outcome);
        let end = bench.run_until(LONGEST, |bench| {
            let operations = bench.machine.flash().operations();
            if snapshots.last().is_none_or(|(last, _)| operations >= last + APART) {
                let mut snapshot = bench.clone();
                snapshot.machine.flash().take_record();
                snapshots.push((operations, snapshot));
            }
            settled.is_so(bench)
        });
        let operations = bench.machine.flash().take_record();
        if let Some((_, first)) = snapshots.first_mut() {
            first.machine.flash().take_record();
        }
        if end != End::Done || !outcome.is_told(bench.desk.end()) || bench.unverified > 0 {
            let (reports, resets) = (&bench.desk.reports, &bench.resets);
            let fault = bench.machine.last_fault();
            bail!("{name} ends with {end:?}: {reports:?}, resets {resets:?}, fault {fault:?}");
        }
        let instructions = bench.machine.core().instructions().saturating_sub(instructions);
        Ok(Self { name, outcome, before, operations, snapshots, end: bench, instructions })
    }

    /// The operations by their numbers, as a fault names them.
    pub fn numbered(&self) -> impl Iterator<Item = (u64, Operation)> + '_ {
        (self.before + 1..).zip(self.operations.iter().copied())
    }

    /// The last operation on an image's words: from there on it is whole. `None` if none was staged.
    #[must_use]
    pub fn staged(&self) -> Option<u64> {
        let words = self.numbered().filter(|(_, operation)| Kind::of(*operation) == Kind::Image);
        words.map(|(number, _)| number).last()
    }

    /// The board shortly before an operation.
    #[must_use]
    pub fn before(&self, operation: u64) -> &Bench {
        let after = self.snapshots.partition_point(|(operations, _)| *operations < operation);
        &self.snapshots[after.saturating_sub(1)].1
    }
}

/// Whether a life has come to its end: the server was told, and has been asked for work since.
pub struct Settled {
    outcome: Outcome,
    /// Polls that were looked at.
    polls: u32,
}

impl Settled {
    /// A life that has to end so.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, polls: 0 }
    }

    /// Asked after each slice of time.
    pub fn is_so(&mut self, bench: &mut Bench) -> bool {
        if self.polls == bench.desk.polls {
            return false;
        }
        self.polls = bench.desk.polls;
        match self.outcome {
            Outcome::Trusts(version) => trust_version(&mut bench.machine) >= version,
            _ => bench.desk.end().is_some(),
        }
    }
}
