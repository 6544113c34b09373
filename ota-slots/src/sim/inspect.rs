//! Looking at the flash from outside, with neither power nor a trace.

use super::alloc::vec::Vec;
use core::ops::{Add, Range};

use super::bank::{Chip, Piece};
use super::{Counts, Cut, Flash, Logged};

impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// A copy of what is really there; undecided bits as they most likely read, or as they were before.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_in(0..self.len)
    }

    /// A copy of what is really there in a part of the flash, in time that depends on the part alone.
    ///
    /// # Panics
    /// If the range is not within the flash.
    #[must_use]
    pub fn bytes_in(&self, range: Range<usize>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(range.len());
        for piece in self.pieces(range) {
            let cells = self.pages[piece.page].cells();
            bytes.extend_from_slice(&cells[piece.at..piece.at + piece.span.len()]);
        }
        bytes
    }

    /// Every write and page erase so far; nothing if the log is [not kept](Self::keep_log).
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.history.log
    }

    /// Whether operations are logged; they are in a new flash. Counted they always are. Not to keep the log forgets it.
    pub fn keep_log(&mut self, keep: bool) {
        self.history.keeps_log = keep;
        if !keep {
            self.history.log = Vec::new();
        }
    }

    /// Writes and page erases so far: the number that the next one will have.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.history.operations
    }

    /// Whether every planned power failure has happened.
    ///
    /// A sweep should assert it: one that silently misses its targets proves nothing.
    #[must_use]
    pub fn cut_fired(&self) -> bool {
        self.history.cuts.is_empty()
    }

    /// The last power failure that happened as planned, and the operation that it hit.
    #[must_use]
    pub fn fired(&self) -> Option<(Cut, Logged)> {
        self.history.fired
    }

    /// Times the code under test broke a rule of the flash while it had power: alignment, bounds, a unit programmed twice.
    /// A port that works around the refusals still has these bugs.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.history.violations
    }

    /// How much was done to all banks together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.chips.iter().map(|chip| chip.counts).fold(Counts::default(), Add::add)
    }

    /// How much was done to one bank; they are numbered from 0 in address order.
    ///
    /// ```
    /// use embedded_storage::nor_flash::NorFlash;
    /// use ota_slots::sim::{Bank, Flash};
    ///
    /// let bank = Bank { len: 4096, write_size: 4, erase_page: 1024, erased: 0xFF };
    /// let mut flash = Flash::<4, 1024>::with_banks(&[bank, bank], 1);
    /// flash.write(4096, &[0; 64]).unwrap();
    /// assert_eq!((flash.counts_of(0).writes, flash.counts_of(1).writes), (0, 1));
    /// assert_eq!(flash.counts().bytes_written, 64);
    /// ```
    ///
    /// # Panics
    /// If there is no such bank.
    #[must_use]
    pub fn counts_of(&self, bank: usize) -> Counts {
        self.chips[bank].counts
    }

    /// Starts all counts over. Operation numbers and wear go on.
    pub fn reset_counts(&mut self) {
        self.chips.iter_mut().for_each(|chip| chip.counts = Counts::default());
    }

    /// Erases of each page, in address order over all banks.
    #[must_use]
    pub fn wear(&self) -> &[u32] {
        &self.wear
    }

    /// Erases of the page that holds byte `at`.
    ///
    /// # Panics
    /// If `at` is not within the flash.
    #[must_use]
    pub fn wear_of(&self, at: usize) -> u32 {
        self.wear[self.page_of(at)]
    }

    /// Number of the page that holds a byte, among those of all banks.
    pub(super) fn page_of(&self, at: usize) -> usize {
        self.chip_of(at).page_of(at)
    }

    pub(super) fn chip_of(&self, at: usize) -> &Chip {
        self.chips.iter().find(|chip| chip.holds(at)).expect("a place within the flash")
    }

    /// A range page by page, across banks.
    pub(super) fn pieces(&self, range: Range<usize>) -> Vec<Piece> {
        assert!(range.start <= range.end && range.end <= self.len, "a range within the flash");
        let mut pieces = Vec::new();
        for chip in self.chips.iter().filter(|chip| chip.start < range.end && range.start < chip.end()) {
            let part = range.start.max(chip.start)..range.end.min(chip.end());
            let done = part.start - range.start;
            pieces.extend(chip.pieces(part).map(|piece| {
                let span = piece.span.start + done..piece.span.end + done;
                Piece { span, ..piece }
            }));
        }
        pieces
    }
}
