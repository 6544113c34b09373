//! Writing a cell.

use super::{COPY, Cell, JournalError, Log, NO_PAGE, Tail};
use crate::op::{Machine, Op, Outcome, Step};

/// Cells tried before the log is declared unwritable.
const TRIES: u8 = 8;

/// Writes one cell behind the newest; ends in whether a cell took it.
#[derive(Debug)]
pub(crate) struct Append {
    log: Log,
    tail: Tail,
    cell: Cell,
    tries: u8,
    /// Whether the cell is to be written a second time, marked as a copy of the first.
    affirm: bool,
    doing: Doing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Erasing everything but page 0, from this page down: no old cell may come back to life beside a new beginning.
    Wiping(u32),
    Erasing,
    Voiding,
    Writing,
    ReadingBack,
}

type Done = Result<(), JournalError>;

impl Append {
    /// `cell` as [`Kind::cell`](super::Kind::cell) makes it.
    pub(crate) const fn new(log: Log, tail: Tail, cell: &Cell) -> Self {
        Self { log, tail, cell: *cell, tries: 0, affirm: false, doing: Doing::Nothing }
    }

    /// Writes the cell twice, the second one marked as a copy. Whoever reads the mark knows that the first one was written to
    /// its end: of a copy in another power session he would not.
    pub(crate) const fn affirming(self, affirm: bool) -> Self {
        Self { affirm, ..self }
    }

    /// Where the next cell goes.
    pub(crate) const fn tail(&self) -> Tail {
        self.tail
    }

    /// Whatever has to be done before the cell can be written, or writing it.
    fn go_on(&mut self, buffer: &mut [u8]) -> Step<Done> {
        let (log, tail) = (&self.log, &self.tail);
        if self.tries == TRIES || tail.is_stuck() {
            return Step::Done(Err(JournalError));
        }
        let at = log.place(tail.page, tail.cell);
        let void = tail.cell < tail.void_to;
        if tail.erase && !void {
            self.doing = Doing::Erasing;
            return Step::Op(Op::Erase { at });
        }
        let to = log.stride as usize;
        buffer.fill(if void { !log.erased } else { log.erased });
        self.doing = Doing::Voiding;
        if !void {
            self.doing = Doing::Writing;
            self.tries += 1;
            log.kind.seal(&mut self.cell, tail.sequence);
            let cell = self.cell.iter().take(log.kind.len());
            buffer.iter_mut().zip(cell).for_each(|(to, from)| *to = *from);
        }
        Step::Op(Op::Write { at, from: 0, to })
    }

    fn next_cell(&mut self, buffer: &mut [u8]) -> Step<Done> {
        self.tail.advance(&self.log);
        self.go_on(buffer)
    }

    /// A page that does not erase is left for the next one.
    fn next_page(&mut self, buffer: &mut [u8]) -> Step<Done> {
        self.tries += 1;
        self.tail.cell = self.log.cells_per_page();
        self.next_cell(buffer)
    }

    fn wipe(&mut self, page: u32) -> Step<Done> {
        self.doing = Doing::Wiping(page);
        Step::Op(Op::Erase { at: self.log.place(page, 0) })
    }

    fn is_read_back(&self, buffer: &[u8]) -> bool {
        let len = self.log.kind.len();
        buffer.get(..len) == self.cell.get(..len)
    }

    fn succeed(&mut self, buffer: &mut [u8]) -> Step<Done> {
        self.tail.keep = self.tail.page;
        // May leave the tail on a page that has to be erased first; the next append sees to that.
        self.tail.advance(&self.log);
        if !self.affirm {
            return Step::Done(Ok(()));
        }
        self.affirm = false;
        let [_, _, _, flags, ..] = &mut self.cell;
        *flags |= COPY;
        self.go_on(buffer)
    }
}

impl Machine for Append {
    type Output = Done;

    #[inline(never)]
    fn resume(&mut self, buffer: &mut [u8], last: Outcome) -> Step<Done> {
        match (self.doing, last) {
            (Doing::Nothing, _) if self.tail.keep == NO_PAGE => self.wipe(self.log.pages - 1),
            // A page that does not erase holds nothing whole either, or there would be a newest cell.
            (Doing::Wiping(page @ 2..), _) => self.wipe(page - 1),
            (Doing::Nothing | Doing::Wiping(_), _) => self.go_on(buffer),
            (Doing::Erasing, Ok(())) => {
                self.tail.erase = false;
                self.go_on(buffer)
            }
            (Doing::Erasing, Err(_)) => self.next_page(buffer),
            (Doing::Voiding, _) if self.tail.erase => {
                self.tail.void_to = 0;
                self.go_on(buffer)
            }
            // Whether it took or failed, the cell is not used.
            (Doing::Voiding, _) => self.next_cell(buffer),
            (Doing::Writing, Ok(())) => {
                self.doing = Doing::ReadingBack;
                let to = self.log.kind.len();
                buffer.fill(0);
                Step::Op(Op::Read { at: self.log.place(self.tail.page, self.tail.cell), from: 0, to })
            }
            (Doing::ReadingBack, Ok(())) if self.is_read_back(buffer) => self.succeed(buffer),
            (Doing::Writing | Doing::ReadingBack, _) => self.next_cell(buffer),
        }
    }
}
