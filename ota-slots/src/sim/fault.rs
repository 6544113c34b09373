//! Everything that can be wrong with flash without the power failing.

use super::alloc::sync::Arc;
use super::alloc::vec::Vec;
use core::ops::Range;

use super::Flash;
use super::page::{Health, Page};

impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// Overwrites bytes as no flash operation could: garbage, a hostile programmer. They count as properly programmed.
    ///
    /// # Panics
    /// If they are not within the flash.
    pub fn corrupt(&mut self, at: usize, bytes: &[u8]) {
        let limit = self.rules.programs;
        for piece in self.pieces(at..at + bytes.len()) {
            Arc::make_mut(&mut self.pages[piece.page]).overwrite(piece.at, &bytes[piece.span], limit);
        }
    }

    /// Flips one bit at rest. Bit `n` is bit `n % 8`, counted from the least significant, of byte `n / 8`.
    ///
    /// Nothing else changes: a blank unit with a flipped bit may still be programmed. Error correction, where it is on,
    /// puts a single one in a program unit right.
    ///
    /// # Panics
    /// If the bit is not within the flash.
    pub fn flip(&mut self, bit: usize) {
        let (at, mask) = (bit / 8, 1 << (bit % 8));
        let offset = self.offset_in_page(at);
        self.page_mut(at).flip(offset, mask);
    }

    /// Flips so many different bits at rest, anywhere in a range of bytes. Which ones, in ascending order.
    ///
    /// ```
    /// use ota_slots::sim::Flash;
    ///
    /// let mut flash = Flash::<4, 1024>::new(2048, 0xFF, 1);
    /// let bits = flash.rot(1024..1028, 1);
    /// assert_eq!(flash.bytes()[bits[0] / 8], 0xFF ^ (1 << (bits[0] % 8)));
    /// ```
    ///
    /// # Panics
    /// If the range is not within the flash or has not so many bits.
    pub fn rot(&mut self, range: Range<usize>, count: usize) -> Vec<usize> {
        assert!(range.end <= self.len && count <= 8 * range.len(), "so many bits within the flash");
        let chosen = self.random.sample(8 * range.len(), count);
        let bits: Vec<usize> = chosen.into_iter().map(|bit| 8 * range.start + bit).collect();
        bits.iter().for_each(|bit| self.flip(*bit));
        bits
    }

    /// Lets the program unit that holds byte `at` keep what it holds for good, without a word: a worn cell.
    ///
    /// # Panics
    /// If `at` is not within the flash.
    pub fn stick(&mut self, at: usize) {
        let offset = self.offset_in_page(at);
        self.page_mut(at).stick(offset);
    }

    /// Lets the page that holds byte `at` keep what it holds for good, without a word: a protected page, a worn driver.
    ///
    /// # Panics
    /// If `at` is not within the flash.
    pub fn stick_page(&mut self, at: usize) {
        self.page_mut(at).set_health(Health::Stuck);
    }

    /// Lets erases of and writes to the page that holds byte `at` return [`SimError::Worn`](super::SimError::Worn) from now
    /// on. The page keeps what it holds and can be read.
    ///
    /// They are operations all the same, logged, counted and within reach of a [`Cut`](super::Cut); no violations. A write
    /// that begins in the page before fills that one.
    ///
    /// # Panics
    /// If `at` is not within the flash.
    pub fn fail_page(&mut self, at: usize) {
        self.page_mut(at).set_health(Health::Failed);
    }

    /// Lets every page fail, as by [`fail_page`](Self::fail_page), at the first erase after so many. Those before count
    /// too; what was written after the last good erase is there to stay.
    ///
    /// ```
    /// use embedded_storage::nor_flash::NorFlash;
    /// use ota_slots::sim::{Flash, SimError};
    ///
    /// let mut flash = Flash::<4, 1024>::new(2048, 0xFF, 1);
    /// flash.endurance(1);
    /// flash.erase(0, 1024).unwrap();
    /// flash.write(0, &[0; 4]).unwrap();
    /// assert_eq!(flash.erase(0, 1024), Err(SimError::Worn));
    /// assert_eq!(flash.write(4, &[0; 4]), Err(SimError::Worn));
    /// assert_eq!((flash.wear_of(0), flash.violations()), (1, 0));
    /// ```
    pub fn endurance(&mut self, cycles: u32) {
        self.rules.endurance = cycles;
    }

    /// Lets the next `reads` read calls return [`SimError::ReadFailed`](super::SimError::ReadFailed): a bus that needs a
    /// second try. Replaces what is left of an earlier plan.
    pub fn fail_reads(&mut self, reads: usize) {
        self.failing_reads = reads;
    }

    /// Lets everything that touches these bytes, reads, writes and erases, return
    /// [`SimError::NoAnswer`](super::SimError::NoAnswer): an external chip that has gone silent.
    ///
    /// What is asked of it never arrives, so it is no operation and neither logged nor counted. Another range replaces this
    /// one, an empty one ends it.
    pub fn fail_reads_in(&mut self, range: Range<usize>) {
        self.silent = range;
    }

    fn page_mut(&mut self, at: usize) -> &mut Page {
        let page = self.page_of(at);
        Arc::make_mut(&mut self.pages[page])
    }

    fn offset_in_page(&self, at: usize) -> usize {
        let chip = self.chip_of(at);
        (at - chip.start) % chip.bank.erase_page as usize
    }
}
