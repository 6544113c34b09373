//! The state journal: an append-only log of snapshots over two or more erase pages.
//!
//! Rules, each paid for by somebody's brick:
//! - The valid record with the highest sequence counts; both pages are always scanned, bad cells are skipped.
//! - The page with the newest record is never erased; every cell is programmed once per erase.
//! - A cell that looks blank after a power cut may hold a write that barely began: a new power session first *voids* the
//!   first blank-looking cell (programs every bit, which is legal over anything) and writes behind it; a page is entered
//!   only after this session has erased it. Skipping the cell silently is not enough: the session after next would count
//!   to the same cell again.
//! - What was written is read back; a cell that does not read back is given up and the next one is taken.
//!
//! The sequence is the number of the cell in the order of writing, voided cells included. Two records therefore never
//! share a sequence, even if a half-written one comes back to life. Where no valid record is left, every page is erased
//! before counting starts again at 1.

use thiserror::Error;

use crate::op::{Machine, Op, Outcome, Place, Step, WORK_BUFFER};
use crate::snapshot::RECORD;
use crate::{Layout, Snapshot};

/// Cells tried for one record before the journal is declared unwritable.
const APPEND_TRIES: u8 = 8;

/// The journal could not be written: no cell took the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no journal cell would take the record")]
pub struct JournalError;

/// Where the next record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    page: u32,
    cell: u32,
    sequence: u32,
    /// Whether this session has yet to erase the page.
    erase: bool,
    /// Whether the cell may hold a write that barely began: to be voided, not used.
    void: bool,
}

/// What a scan found: the newest record and where the next one goes.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    newest: Option<Snapshot>,
    /// Page of the newest record: never erased.
    keep: Option<u32>,
    /// Whether the newest record is a bootloader's copy of the one before it.
    affirmed: bool,
    cursor: Cursor,
}

impl Journal {
    pub(crate) fn newest(&self) -> Option<&Snapshot> {
        self.newest.as_ref()
    }

    pub(crate) fn is_affirmed(&self) -> bool {
        self.affirmed
    }

    /// The journal of a device without a valid record.
    pub(crate) const fn empty() -> Self {
        Self {
            newest: None,
            keep: None,
            affirmed: false,
            cursor: Cursor { page: 0, cell: 0, sequence: 1, erase: true, void: false },
        }
    }

    /// Moves on to the next cell, or to the first cell of the next page that may be erased.
    fn advance(&mut self, layout: &Layout) -> Result<(), JournalError> {
        self.cursor.cell += 1;
        self.cursor.sequence = self.cursor.sequence.saturating_add(1);
        self.cursor.void = false;
        self.cursor = self.cursor.wrapped(layout);
        if self.cursor.erase && self.keep == Some(self.cursor.page) { Err(JournalError) } else { Ok(()) }
    }
}

impl Cursor {
    fn wrapped(self, layout: &Layout) -> Self {
        if self.cell < layout.records_per_page() {
            return self;
        }
        Self { page: (self.page + 1) % layout.journal_pages(), cell: 0, erase: true, void: false, ..self }
    }

    fn place(self, layout: &Layout) -> Place {
        Place::Journal(cell_offset(layout, self.page, self.cell))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "RECORD is 128")]
fn cell_offset(layout: &Layout, page: u32, cell: u32) -> u32 {
    page * layout.geometry().erase_page + cell * RECORD as u32
}

/// Reads every cell of every page.
#[derive(Debug)]
pub(crate) struct Scan<'l> {
    layout: &'l Layout,
    page: u32,
    cell: u32,
    started: bool,
    /// Newest valid record so far: sequence, copy flag, page, cell.
    best: Option<(u32, bool, u32, u32)>,
    newest: Option<Snapshot>,
    /// Last cell of the page being read that is not blank.
    last_used: Option<u32>,
    /// The same for the page of the newest record.
    last_used_with_best: u32,
}

impl<'l> Scan<'l> {
    pub(crate) fn new(layout: &'l Layout) -> Self {
        Self {
            layout,
            page: 0,
            cell: 0,
            started: false,
            best: None,
            newest: None,
            last_used: None,
            last_used_with_best: 0,
        }
    }

    fn read_cell(&self) -> Step<Journal> {
        let at = Place::Journal(cell_offset(self.layout, self.page, self.cell));
        Step::Op(Op::Read { at, from: 0, to: RECORD })
    }

    fn look_at(&mut self, bytes: &[u8; RECORD], last: Outcome) {
        let erased = self.layout.geometry().erased;
        if last.is_ok() && bytes.iter().all(|byte| *byte == erased) {
            return;
        }
        // Unreadable counts as used: on flash with error correction a torn cell reads as an error.
        self.last_used = Some(self.cell);
        let record = if last.is_ok() { Snapshot::decode(bytes) } else { None };
        if let Some((sequence, copy, snapshot)) = record
            && self.best.is_none_or(|(newest, ..)| sequence > newest)
        {
            self.best = Some((sequence, copy, self.page, self.cell));
            self.newest = Some(snapshot);
        }
    }

    fn end_page(&mut self) {
        if self.best.is_some_and(|(_, _, page, _)| page == self.page) {
            self.last_used_with_best = self.last_used.unwrap_or(0);
        }
        self.last_used = None;
    }

    fn finish(&self) -> Journal {
        let (Some((sequence, copy, page, cell)), Some(newest)) = (self.best, self.newest) else {
            return Journal::empty();
        };
        let next = self.last_used_with_best + 1;
        let cursor = Cursor {
            page,
            cell: next,
            sequence: sequence.saturating_add(next - cell),
            erase: false,
            void: true,
        };
        Journal {
            newest: Some(newest),
            keep: Some(page),
            affirmed: copy,
            cursor: cursor.wrapped(self.layout),
        }
    }
}

impl Machine for Scan<'_> {
    type Output = Journal;

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Journal> {
        if !self.started {
            self.started = true;
            return self.read_cell();
        }
        if let Some(bytes) = buffer.first_chunk::<RECORD>() {
            self.look_at(bytes, last);
        }
        self.cell += 1;
        if self.cell == self.layout.records_per_page() {
            self.end_page();
            self.cell = 0;
            self.page += 1;
        }
        if self.page == self.layout.journal_pages() { Step::Done(self.finish()) } else { self.read_cell() }
    }
}

/// Writes one snapshot behind the newest.
#[derive(Debug)]
pub(crate) struct Append<'l> {
    layout: &'l Layout,
    journal: Journal,
    snapshot: Snapshot,
    copy: bool,
    tries: u8,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Erasing everything but page 0, from this page down: no old record may come back to life beside a new beginning.
    Wiping(u32),
    Erasing,
    Voiding,
    Writing,
    ReadingBack,
}

impl<'l> Append<'l> {
    /// `copy` marks a record by which the bootloader repeats the newest one.
    pub(crate) fn new(layout: &'l Layout, journal: Journal, snapshot: Snapshot, copy: bool) -> Self {
        Self { layout, journal, snapshot, copy, tries: 0, doing: Doing::Nothing }
    }

    pub(crate) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn place_record(&mut self, buffer: &mut [u8; WORK_BUFFER]) -> Step<(Journal, Result<(), JournalError>)> {
        if self.tries == APPEND_TRIES {
            return self.give_up();
        }
        if self.journal.keep.is_none() && self.doing == Doing::Nothing {
            return self.wipe(self.layout.journal_pages() - 1);
        }
        let at = self.journal.cursor.place(self.layout);
        if self.journal.cursor.erase {
            self.doing = Doing::Erasing;
            return Step::Op(Op::Erase { at });
        }
        if self.journal.cursor.void {
            let programmed = !self.layout.geometry().erased;
            buffer.iter_mut().take(RECORD).for_each(|byte| *byte = programmed);
            self.doing = Doing::Voiding;
            return Step::Op(Op::Write { at, from: 0, to: RECORD });
        }
        self.tries += 1;
        let record = self.snapshot.encode(self.journal.cursor.sequence, self.copy);
        buffer.iter_mut().zip(record).for_each(|(to, from)| *to = from);
        self.doing = Doing::Writing;
        Step::Op(Op::Write { at, from: 0, to: RECORD })
    }

    fn wipe(&mut self, page: u32) -> Step<(Journal, Result<(), JournalError>)> {
        self.doing = Doing::Wiping(page);
        Step::Op(Op::Erase { at: Place::Journal(cell_offset(self.layout, page, 0)) })
    }

    fn next_cell(&mut self, buffer: &mut [u8; WORK_BUFFER]) -> Step<(Journal, Result<(), JournalError>)> {
        match self.journal.advance(self.layout) {
            Ok(()) => self.place_record(buffer),
            Err(JournalError) => self.give_up(),
        }
    }

    fn next_page(&mut self, buffer: &mut [u8; WORK_BUFFER]) -> Step<(Journal, Result<(), JournalError>)> {
        self.tries += 1;
        let cells = self.layout.records_per_page();
        self.journal.cursor.sequence = self.journal.cursor.sequence.saturating_add(cells - 1);
        self.journal.cursor.cell = cells - 1;
        self.next_cell(buffer)
    }

    fn give_up(&mut self) -> Step<(Journal, Result<(), JournalError>)> {
        Step::Done((self.journal.clone(), Err(JournalError)))
    }

    fn read_back_is_what_was_written(&self, buffer: &[u8; WORK_BUFFER]) -> bool {
        let record = self.snapshot.encode(self.journal.cursor.sequence, self.copy);
        buffer.first_chunk::<RECORD>() == Some(&record)
    }

    fn succeed(&mut self) -> Step<(Journal, Result<(), JournalError>)> {
        self.journal.newest = Some(self.snapshot);
        self.journal.keep = Some(self.journal.cursor.page);
        self.journal.affirmed = self.copy;
        // May leave the cursor on a page that has to be erased first; the next append sees to that.
        let mut after = self.journal.cursor;
        after.cell += 1;
        after.sequence = after.sequence.saturating_add(1);
        self.journal.cursor = after.wrapped(self.layout);
        Step::Done((self.journal.clone(), Ok(())))
    }
}

impl Machine for Append<'_> {
    type Output = (Journal, Result<(), JournalError>);

    fn resume(&mut self, buffer: &mut [u8; WORK_BUFFER], last: Outcome) -> Step<Self::Output> {
        match (self.doing, last) {
            (Doing::Nothing, _) => self.place_record(buffer),
            // A page that does not erase holds nothing valid either, or there would be a journal.
            (Doing::Wiping(2..), _) => {
                let Doing::Wiping(page) = self.doing else { return self.give_up() };
                self.wipe(page - 1)
            }
            (Doing::Wiping(_), _) => self.place_record(buffer),
            (Doing::Erasing, Ok(())) => {
                self.journal.cursor.erase = false;
                self.place_record(buffer)
            }
            (Doing::Erasing, Err(_)) => self.next_page(buffer),
            // Whether it took or failed, the cell is not used.
            (Doing::Voiding, _) => self.next_cell(buffer),
            (Doing::Writing, Ok(())) => {
                self.doing = Doing::ReadingBack;
                buffer.iter_mut().take(RECORD).for_each(|byte| *byte = 0);
                Step::Op(Op::Read { at: self.journal.cursor.place(self.layout), from: 0, to: RECORD })
            }
            (Doing::ReadingBack, Ok(())) if self.read_back_is_what_was_written(buffer) => self.succeed(),
            (Doing::Writing | Doing::ReadingBack, _) => self.next_cell(buffer),
        }
    }
}
