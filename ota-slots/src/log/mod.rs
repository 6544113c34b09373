//! Append-only logs of small cells over two or more erase pages: the state journal, the progress of a move, the guard.
//!
//! Rules, each paid for by somebody's brick:
//! - The valid cell with the highest sequence counts; all pages are always scanned, bad cells are skipped.
//! - The page with the newest cell is never erased; every cell is programmed once per erase.
//! - A cell that looks blank after a power cut may hold a write that barely began, and one that reads as garbage may read
//!   blank tomorrow. A new power session therefore *voids* (programs every bit, which is legal over anything) every cell
//!   behind the last one that reads as whole, the first blank-looking one included, and writes behind them; a page is entered
//!   only after this session has erased it. Skipping such cells silently is not enough: the session after next would count
//!   to one of them again.
//! - What was written is read back; a cell that does not read back is given up and the next one is taken.
//!
//! The sequence rises with every cell, voided cells included. Two cells therefore never
//! share a sequence, even if a half-written one comes back to life. Where no valid cell is left, every page is erased
//! before counting starts again at 1.
//!
//! ```text
//! offset size field
//!      0    2 magic: "OJ" journal, "OP" progress, "OG" guard
//!      2    1 format, 1
//!      3    1 flags of the kind
//!      4    4 sequence, little endian
//!      8      content of the kind
//!  len-4    4 CRC-32 (ISO-HDLC) over everything before it
//! ```
//! Cells are 128, 16 and 32 bytes long, or one program unit, if that is longer.

mod append;
mod scan;

pub(crate) use append::Append;
pub(crate) use scan::Scan;

use thiserror::Error;

use crate::op::Place;
use crate::snapshot::RECORD;
use crate::{Layout, Region};

/// Length of a cell that says how far a move has come, bytes.
pub(crate) const STEP_CELL: usize = 16;
/// Length of a cell of the guard region, bytes.
pub(crate) const GUARD_CELL: usize = 32;
/// Format of every cell. A shipped bootloader's format never changes.
pub const JOURNAL_FORMAT: u8 = 1;

const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// The journal could not be written: no cell took the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no journal cell would take the record")]
pub struct JournalError;

/// The bytes of a cell; what is behind the kind's length is not used.
pub(crate) type Cell = [u8; RECORD];

/// What a scan finds where there is no whole cell: no sequence is 0.
pub(crate) const NO_CELL: Cell = [0; RECORD];

/// Which of the logs. The number is the logarithm of its cells' length, of which a table for each use would take 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Journal = 7,
    Progress = 4,
    Guard = 5,
}

const _: () = assert!(
    Kind::Journal.len() == RECORD && Kind::Progress.len() == STEP_CELL && Kind::Guard.len() == GUARD_CELL
);

impl Kind {
    pub(crate) const fn len(self) -> usize {
        1 << self as u8
    }

    const fn magic(self) -> [u8; 2] {
        match self {
            Self::Journal => *b"OJ",
            Self::Progress => *b"OP",
            Self::Guard => *b"OG",
        }
    }

    const fn place(self, at: u32) -> Place {
        match self {
            Self::Journal => Place::Journal(at),
            Self::Progress => Place::Progress(at),
            Self::Guard => Place::Guard(at),
        }
    }

    /// A cell with the head of its kind, sequence and checksum still missing.
    #[expect(clippy::indexing_slicing, reason = "below both lengths; constants take no iterators")]
    pub(crate) const fn cell(self, flags: u8, content: &[u8]) -> Cell {
        let mut cell = [0; RECORD];
        let [m0, m1] = self.magic();
        (cell[0], cell[1], cell[2], cell[3]) = (m0, m1, JOURNAL_FORMAT, flags);
        let mut index = 0;
        while index < content.len() && index < RECORD - 8 {
            cell[8 + index] = content[index];
            index += 1;
        }
        cell
    }

    /// Gives a cell its place in the order of writing, and its checksum.
    pub(crate) fn seal(self, cell: &mut Cell, sequence: u32) {
        // Copied byte by byte: a routine for slices would bring its panic for unequal lengths.
        cell.iter_mut().skip(4).zip(sequence.to_le_bytes()).for_each(|(to, from)| *to = from);
        let sum = self.checksum(cell);
        cell.iter_mut().skip(self.len() - 4).zip(sum).for_each(|(to, from)| *to = from);
    }

    fn checksum(self, cell: &Cell) -> [u8; 4] {
        CRC.checksum(cell.get(..self.len() - 4).unwrap_or(cell)).to_le_bytes()
    }

    /// Whether magic, format and checksum are right.
    ///
    /// Numbers that nobody knows yet are no damage: a newer application may have written a reason that this bootloader has
    /// no name for.
    pub(crate) fn is_whole(self, cell: &Cell) -> bool {
        let [m0, m1, format, ..] = *cell;
        [m0, m1] == self.magic()
            && format == JOURNAL_FORMAT
            && cell.get(self.len() - 4..self.len()) == Some(&self.checksum(cell))
    }
}

/// Sequence of a whole cell; 0 if there is none.
pub(crate) const fn sequence_of(cell: &Cell) -> u32 {
    let [_, _, _, _, a, b, c, d, ..] = *cell;
    u32::from_le_bytes([a, b, c, d])
}

/// A log where the layout has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    kind: Kind,
    pages: u32,
    page: u32,
    /// Bytes from cell to cell.
    stride: u32,
    erased: u8,
}

impl Log {
    /// `None` if the layout has no such region.
    pub(crate) fn of(layout: &Layout, kind: Kind) -> Option<Self> {
        layout.region(kind.place(0)).map(|region| Self::over(kind, region))
    }

    pub(crate) fn journal(layout: &Layout) -> Self {
        Self::over(Kind::Journal, &layout.journal())
    }

    fn over(kind: Kind, region: &Region) -> Self {
        let geometry = region.geometry;
        #[expect(clippy::cast_possible_truncation, reason = "at most 128")]
        let stride = (kind.len() as u32).max(geometry.write_size);
        Self { kind, pages: region.pages(), page: geometry.erase_page, stride, erased: geometry.erased }
    }

    const fn cells_per_page(&self) -> u32 {
        // Powers of two both, so nothing is left over; a page holds at least two cells. A shift has no division by zero.
        self.page >> self.stride.trailing_zeros()
    }

    const fn place(&self, page: u32, cell: u32) -> Place {
        self.kind.place(page * self.page + cell * self.stride)
    }
}

/// Flag of a cell that repeats the one before it, written in the same power session.
pub(crate) const COPY: u8 = 1;

/// No page of a log.
const NO_PAGE: u32 = u32::MAX;

/// Where the next cell goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Page of the newest cell: never erased. [`NO_PAGE`] if there is none.
    keep: u32,
    page: u32,
    cell: u32,
    sequence: u32,
    /// Whether this power session has yet to erase the page.
    erase: bool,
    /// Cells before this one may hold a write that barely began: to be voided, not used.
    void_to: u32,
}

impl Tail {
    /// The tail of a log without a whole cell.
    pub(crate) const EMPTY: Self =
        Self { keep: NO_PAGE, page: 0, cell: 0, sequence: 1, erase: true, void_to: 1 };

    /// Moves to the next cell, or to the first cell of the next page.
    fn advance(&mut self, log: &Log) {
        self.cell += 1;
        self.sequence = self.sequence.wrapping_add(1);
        self.wrap(log);
    }

    fn wrap(&mut self, log: &Log) {
        if self.cell < log.cells_per_page() {
            return;
        }
        self.page += 1;
        if self.page == log.pages {
            self.page = 0;
        }
        // The first cell is voided before the erase. It may hold a cell that was cut short, reads as garbage now, and would come
        // back to life in a page whose erase was cut short.
        (self.cell, self.erase, self.void_to) = (0, true, 1);
    }

    /// Leaves the page if less than so many cells of it are left, and a whole page has them.
    pub(crate) fn make_room(&mut self, log: &Log, cells: u32) {
        let per_page = log.cells_per_page();
        if cells <= per_page && self.cell + cells > per_page {
            self.cell = per_page;
            self.wrap(log);
        }
    }

    /// Whether going on would erase the newest cell.
    fn is_stuck(&self) -> bool {
        self.erase && self.keep == self.page
    }
}
