//! Reading a log.

use super::{Cell, Log, NO_CELL, Tail, sequence_of};
use crate::op::{Machine, Op, Outcome, Step};
use crate::snapshot::RECORD;

/// Reads every cell of every page; then knows the newest whole cell and where the next one goes.
#[derive(Debug)]
pub(crate) struct Scan {
    log: Log,
    page: u32,
    cell: u32,
    started: bool,
    /// Sequence 0 if there is none.
    newest: Cell,
    newest_page: u32,
    newest_cell: u32,
    /// Cells of that page up to the last that is not blank, and up to the last that reads as whole or void.
    used: u32,
    firm: u32,
}

impl Scan {
    pub(crate) const fn new(log: Log) -> Self {
        Self {
            log,
            page: 0,
            cell: 0,
            started: false,
            newest: NO_CELL,
            newest_page: 0,
            newest_cell: 0,
            used: 0,
            firm: 0,
        }
    }

    fn look_at(&mut self, bytes: &[u8; RECORD], last: Outcome) {
        let (kind, erased) = (self.log.kind, self.log.erased);
        let content = bytes.get(..kind.len()).unwrap_or(bytes);
        let is_all = |byte| last.is_ok() && content.iter().all(|found| *found == byte);
        if is_all(erased) {
            return;
        }
        let next = self.cell + 1;
        if last.is_ok() && kind.is_whole(bytes) {
            if sequence_of(bytes) > sequence_of(&self.newest) {
                self.newest = *bytes;
                (self.newest_page, self.newest_cell) = (self.page, self.cell);
            }
            self.mark_firm(next);
        } else if is_all(!erased) {
            self.mark_firm(next);
        } else if self.page == self.newest_page {
            // Unreadable counts as used: on flash with error correction a torn cell reads as an error.
            self.used = next;
        }
    }

    fn mark_firm(&mut self, next: u32) {
        if self.page == self.newest_page {
            (self.used, self.firm) = (next, next);
        }
    }

    pub(crate) const fn log(&self) -> Log {
        self.log
    }

    /// The newest whole cell; [`NO_CELL`] if there is none.
    pub(crate) const fn newest(&self) -> &Cell {
        &self.newest
    }

    /// Whether nothing behind the newest whole cell reads as garbage: what does may read as a newer cell tomorrow. Behind
    /// the last cell of a page may stand the first of another one; nobody looks.
    pub(crate) const fn is_settled(&self) -> bool {
        self.used == self.firm && self.firm < self.log.cells_per_page()
    }

    /// Where the next cell goes.
    pub(crate) fn tail(&self) -> Tail {
        if sequence_of(&self.newest) == 0 {
            return Tail::EMPTY;
        }
        let mut tail = Tail {
            keep: self.newest_page,
            page: self.newest_page,
            cell: self.firm,
            sequence: sequence_of(&self.newest).wrapping_add(self.firm - self.newest_cell),
            erase: false,
            // The first blank-looking cell as well.
            void_to: self.used + 1,
        };
        tail.wrap(&self.log);
        tail
    }
}

impl Machine for Scan {
    type Output = ();

    #[inline(never)]
    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<()> {
        if self.started {
            if let Some(bytes) = buffer.first_chunk::<RECORD>() {
                self.look_at(bytes, last);
            }
            self.cell += 1;
            if self.cell == self.log.cells_per_page() {
                (self.cell, self.page) = (0, self.page + 1);
            }
            if self.page == self.log.pages {
                return Step::Done(());
            }
        }
        self.started = true;
        Step::Op(Op::Read { at: self.log.place(self.page, self.cell), from: 0, to: self.log.kind.len() })
    }
}
