//! One chip of the flash, and where its pages lie.

use super::alloc::sync::Arc;
use core::ops::Range;

use super::Counts;
use super::page::Page;

/// Geometry of one chip; several may share an address space, see [`Flash::with_banks`](super::Flash::with_banks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bank {
    /// Bytes, a whole number of erase pages.
    pub len: u32,
    /// Bytes of a program unit: the least that can be written, and the span of error correction.
    pub write_size: u32,
    /// Bytes of an erase page, a whole number of program units.
    pub erase_page: u32,
    /// What an erased byte reads as: `0xFF` or `0x00`.
    pub erased: u8,
}

impl Bank {
    pub(super) fn check(&self, announced_write: usize, announced_page: usize) {
        let (write, page) = (self.write_size as usize, self.erase_page as usize);
        assert!(write > 0 && page > 0 && self.len > 0, "nothing of a bank is empty");
        assert!(
            self.len.is_multiple_of(self.erase_page) && page.is_multiple_of(write),
            "whole pages of whole units"
        );
        assert!(
            announced_write.is_multiple_of(write) && announced_page.is_multiple_of(page),
            "WRITE and PAGE are multiples of what every bank has"
        );
        assert!(self.erased == 0xFF || self.erased == 0, "erased cells read as 0xFF or as 0x00");
    }
}

/// A bank in its place.
#[derive(Debug, Clone)]
pub(super) struct Chip {
    pub(super) bank: Bank,
    /// First byte.
    pub(super) start: usize,
    /// Number of its first page among those of all banks.
    pub(super) first_page: usize,
    pub(super) counts: Counts,
    /// What all its blank pages share until they are written.
    pub(super) blank: Arc<Page>,
}

/// The part of an operation that lies in one page.
#[derive(Debug)]
pub(super) struct Piece {
    /// Number of the page among those of all banks.
    pub(super) page: usize,
    /// First byte within the page.
    pub(super) at: usize,
    /// Bytes of the operation.
    pub(super) span: Range<usize>,
}

impl Chip {
    pub(super) fn end(&self) -> usize {
        self.start + self.bank.len as usize
    }

    pub(super) fn pages(&self) -> usize {
        (self.bank.len / self.bank.erase_page) as usize
    }

    pub(super) fn holds(&self, at: usize) -> bool {
        (self.start..self.end()).contains(&at)
    }

    /// Number among those of all banks of the page that holds byte `at` of the flash.
    pub(super) fn page_of(&self, at: usize) -> usize {
        self.first_page + (at - self.start) / self.bank.erase_page as usize
    }

    pub(super) fn is_page_start(&self, at: usize) -> bool {
        (at - self.start).is_multiple_of(self.bank.erase_page as usize)
    }

    /// A range of this chip, page by page.
    pub(super) fn pieces(&self, range: Range<usize>) -> impl Iterator<Item = Piece> + use<> {
        let (page_len, first_page) = (self.bank.erase_page as usize, self.first_page);
        let (start, end) = (range.start - self.start, range.end - self.start);
        (start / page_len..end.div_ceil(page_len)).map(move |page| {
            let from = start.max(page * page_len);
            let to = end.min((page + 1) * page_len);
            Piece { page: first_page + page, at: from - page * page_len, span: from - start..to - start }
        })
    }
}
