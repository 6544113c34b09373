//! Flash and UICR as cells (product specification, "Memory" and "NVMC"): pages of 4 KiB, words that programming only
//! clears, counters of both, and power cuts in the middle.
//!
//! Pages are shared between snapshots until one of them writes.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::core::{BusError, Decoded};

/// Bytes of an erase page.
pub const PAGE: u32 = 4096;
/// Pages of code flash.
pub const PAGES: u32 = 256;
/// Bytes of code flash.
pub(super) const SIZE: u32 = PAGE * PAGES;
/// Where the user configuration registers begin; they are one page of their own.
pub const UICR: u32 = 0x1000_1000;

/// How often a word may be programmed before its page is erased (nWRITE).
pub const PROGRAMS_PER_ERASE: u8 = 2;

/// What becomes of the flash operation during which power is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing of it happened.
    Before,
    /// Of the bits to change, some did: chosen by this seed.
    Torn(u64),
    /// Of the bits to change, almost all did. One of a word, chosen by this seed, stands in between: until it is erased or
    /// programmed it reads differently from one time to the next.
    Marginal(u64),
    /// As [`Cut::Torn`], but power stays: the watchdog's time was over in the middle.
    Bitten(u64),
    /// All of it happened.
    After,
}

/// A power cut at a flash operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlashFault {
    /// Which operation, counted as [`Flash::operations`] counts: the first after it read n is n + 1.
    pub operation: u64,
    /// What becomes of it.
    pub cut: Cut,
}

/// The last operation on flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A page was erased; its address.
    Erase(u32),
    /// A word was programmed; its address.
    Program(u32),
}

#[derive(Clone)]
struct Page {
    bytes: [u8; PAGE as usize],
    /// Since the last erase, a counter for each word.
    programs: [u8; PAGE as usize / 4],
    erases: u32,
}

impl Page {
    fn erased() -> Self {
        Self { bytes: [0xFF; PAGE as usize], programs: [0; PAGE as usize / 4], erases: 0 }
    }
}

/// The instructions of a page, one for each halfword; the last is missing if the next page holds its other half.
pub(crate) type Code = Arc<[Decoded]>;

/// Code flash and UICR, which keep what they hold without power.
///
/// ```
/// use emulator::{Cut, FlashFault, Machine};
///
/// let mut machine = Machine::new();
/// let flash = machine.flash();
/// flash.load(0x8_0000, &[1, 2, 3])?;
/// assert_eq!(flash.bytes(0x8_0000, 4), Some(vec![1, 2, 3, 0xFF]));
/// // The power goes in the middle of the next operation; seven chooses which bits change.
/// let operation = flash.operations() + 1;
/// flash.set_fault(Some(FlashFault { operation, cut: Cut::Torn(7) }));
/// # Ok::<(), emulator::BusError>(())
/// ```
#[derive(Clone)]
pub struct Flash {
    /// The last one is UICR.
    pages: Vec<Arc<Page>>,
    /// Decoded pages; an instruction across the end of one is decoded anew.
    code: Vec<Option<Code>>,
    operations: u64,
    last: Option<Operation>,
    recorded: Option<Vec<Operation>>,
    fault: Option<FlashFault>,
    bitten: bool,
    marginal: Marginal,
}

impl Default for Flash {
    fn default() -> Self {
        let page = Arc::new(Page::erased());
        let count = PAGES as usize + 1;
        Self {
            pages: vec![page; count],
            code: vec![None; PAGES as usize],
            operations: 0,
            last: None,
            recorded: None,
            fault: None,
            bitten: false,
            marginal: Marginal::default(),
        }
    }
}

impl Flash {
    /// Erases and programs that firmware made, in all lives of this flash.
    #[must_use]
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// The operation counted last.
    #[must_use]
    pub const fn last_operation(&self) -> Option<Operation> {
        self.last
    }

    /// Notes each operation from here on.
    pub fn record(&mut self) {
        self.recorded = Some(Vec::new());
    }

    /// The operations noted since [`Flash::record`], in order; none is noted any more.
    pub fn take_record(&mut self) -> Vec<Operation> {
        self.recorded.take().unwrap_or_default()
    }

    /// Cuts the power at an operation; nothing cancels.
    pub const fn set_fault(&mut self, fault: Option<FlashFault>) {
        self.fault = fault;
    }

    /// `len` bytes from `address`, as a debugger would read them. Nothing where there is no flash.
    #[must_use]
    pub fn bytes(&self, address: u32, len: u32) -> Option<Vec<u8>> {
        (address..address.checked_add(len)?)
            .map(|address| self.read(address).ok().map(u8::from_le_bytes))
            .collect()
    }

    /// A fingerprint of all that it holds, UICR included; none while a bit of it reads differently each time.
    #[must_use]
    pub fn fingerprint(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.pages.iter().for_each(|page| hasher.write(&page.bytes));
        self.marginal.is_empty().then(|| hasher.finish())
    }

    /// Writes as a debugger would: erases first where it must, counts nothing.
    ///
    /// # Errors
    ///
    /// [`BusError`] where there is no flash; what lies before that is written.
    pub fn load(&mut self, address: u32, bytes: &[u8]) -> Result<(), BusError> {
        for (address, byte) in (address..).zip(bytes) {
            let (page, at) = place(address).ok_or(BusError)?;
            self.page_mut(page).bytes[at] = *byte;
            self.marginal.settle(address & !3, u32::MAX);
        }
        Ok(())
    }

    /// How often the word at `address` was programmed since its page was erased.
    #[must_use]
    pub fn programs(&self, address: u32) -> Option<u8> {
        place(address).map(|(page, at)| self.pages[page].programs[at / 4])
    }

    /// How often the page around `address` was erased.
    #[must_use]
    pub fn erases(&self, address: u32) -> Option<u32> {
        place(address).map(|(page, _)| self.pages[page].erases)
    }

    /// The addresses of the words programmed more often than they may be, as things stand.
    pub fn overprogrammed(&self) -> impl Iterator<Item = u32> {
        let words = |page: &Arc<Page>| page.programs;
        let pages = (0_u32..).zip(&self.pages).map(move |(index, page)| (base(index), words(page)));
        pages.flat_map(|(base, programs)| {
            let words = (base..).step_by(4).zip(programs);
            words.filter(|(_, count)| *count > PROGRAMS_PER_ERASE).map(|(address, _)| address)
        })
    }

    #[inline]
    pub(super) fn read<const LEN: usize>(&self, address: u32) -> Result<[u8; LEN], BusError> {
        let (page, at) = place(address).ok_or(BusError)?;
        match self.pages[page].bytes.get(at..).and_then(|bytes| bytes.first_chunk()) {
            Some(bytes) if self.marginal.is_empty() => Ok(*bytes),
            Some(bytes) => Ok(self.marginal.disturb(address, *bytes)),
            None => self.read_across(address),
        }
    }

    /// Two pages meet in what is read.
    fn read_across<const LEN: usize>(&self, address: u32) -> Result<[u8; LEN], BusError> {
        let mut bytes = [0; LEN];
        for (address, byte) in (address..).zip(&mut bytes) {
            [*byte] = self.read(address)?;
        }
        Ok(bytes)
    }

    /// The instructions of the page around `address`, if it is one of code.
    pub(super) fn code(&mut self, address: u32) -> Option<Code> {
        let page = (address / PAGE) as usize;
        let code = self.code.get_mut(page)?;
        Some(Arc::clone(code.get_or_insert_with(|| decode(&self.pages[page].bytes))))
    }

    /// One instruction, which may lie across two pages.
    pub(super) fn fetch(&self, address: u32) -> Result<Decoded, BusError> {
        let first = u16::from_le_bytes(self.read(address)?);
        let second = if Decoded::is_wide(first) { u16::from_le_bytes(self.read(address + 2)?) } else { 0 };
        Ok(Decoded::new(first, second))
    }

    /// Erases the page around `address`. Whether power stays.
    pub(super) fn erase(&mut self, address: u32) -> Result<bool, BusError> {
        let (page, _) = place(address).ok_or(BusError)?;
        let cut = self.count(Operation::Erase(base_of(address)));
        if cut != Some(Cut::Before) {
            self.marginal.settle_page(base_of(address));
            if let Some(Cut::Marginal(seed)) = cut {
                let words =
                    self.pages[page].bytes.as_chunks().0.iter().map(|word| !u32::from_le_bytes(*word));
                for (at, changing) in (base_of(address)..).step_by(4).zip(words) {
                    self.marginal.doubt(at, changing, seed ^ u64::from(at));
                }
            }
            let page = self.page_mut(page);
            match cut {
                Some(Cut::Torn(seed) | Cut::Bitten(seed)) => {
                    tear(&mut page.bytes, &[0xFF; PAGE as usize], seed);
                }
                _ => page.bytes.fill(0xFF),
            }
            page.programs.fill(0);
            page.erases += 1;
        }
        Ok(cut.is_none())
    }

    /// Programs a word: bits of it that are zero become zero. Whether power stays.
    pub(super) fn program(&mut self, address: u32, value: u32) -> Result<bool, BusError> {
        let (page, at) = place(address).ok_or(BusError)?;
        let cut = self.count(Operation::Program(address));
        if cut != Some(Cut::Before) {
            // What is programmed is firm: half a program of it before no longer matters.
            self.marginal.settle(address, !value);
            let page = self.page_mut(page);
            let count = &mut page.programs[at / 4];
            *count = count.saturating_add(1);
            if let Some(word) = page.bytes.get_mut(at..at + 4) {
                let old = [word[0], word[1], word[2], word[3]];
                let new = (u32::from_le_bytes(old) & value).to_le_bytes();
                match cut {
                    Some(Cut::Torn(seed) | Cut::Bitten(seed)) => tear(word, &new, seed),
                    _ => word.copy_from_slice(&new),
                }
                if let Some(Cut::Marginal(seed)) = cut {
                    self.marginal.doubt(address, u32::from_le_bytes(old) & !value, seed);
                }
            }
        }
        Ok(cut.is_none())
    }

    fn count(&mut self, operation: Operation) -> Option<Cut> {
        self.operations += 1;
        self.last = Some(operation);
        if let Some(recorded) = &mut self.recorded {
            recorded.push(operation);
        }
        let fault = self.fault.filter(|fault| fault.operation == self.operations)?;
        self.fault = None;
        self.bitten = matches!(fault.cut, Cut::Bitten(_));
        Some(fault.cut)
    }

    /// Whether it was the watchdog that cut the last operation short, and not a loss of power.
    pub(super) const fn is_bitten(&self) -> bool {
        self.bitten
    }

    fn page_mut(&mut self, page: usize) -> &mut Page {
        if let Some(code) = self.code.get_mut(page) {
            *code = None;
        }
        Arc::make_mut(&mut self.pages[page])
    }
}

/// Bits that read differently from one time to the next, in words by address.
#[derive(Default)]
struct Marginal {
    words: BTreeMap<u32, u32>,
    /// Moves on with every read, which changes nothing else.
    chance: AtomicU64,
}

impl Clone for Marginal {
    fn clone(&self) -> Self {
        let chance = AtomicU64::new(self.chance.load(Ordering::Relaxed));
        Self { words: self.words.clone(), chance }
    }
}

impl Marginal {
    #[inline]
    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// One of these bits of the word stands in between.
    fn doubt(&mut self, address: u32, bits: u32, seed: u64) {
        let count = u64::from(bits.count_ones().max(1));
        let mut ones = (0..32).map(|bit| 1 << bit).filter(|bit| bits & bit != 0);
        let chosen = ones.nth(usize::try_from(scramble(seed) % count).unwrap_or(0)).unwrap_or(0);
        if chosen != 0 {
            self.words.insert(address, chosen);
            self.chance.fetch_xor(seed, Ordering::Relaxed);
        }
    }

    /// These bits of the word are firm.
    fn settle(&mut self, address: u32, bits: u32) {
        if let Some(word) = self.words.get_mut(&address) {
            *word &= !bits;
            if *word == 0 {
                self.words.remove(&address);
            }
        }
    }

    fn settle_page(&mut self, base: u32) {
        self.words.retain(|address, _| base_of(*address) != base);
    }

    /// What is read this time.
    fn disturb<const LEN: usize>(&self, address: u32, mut bytes: [u8; LEN]) -> [u8; LEN] {
        for (at, byte) in (address..).zip(&mut bytes) {
            if let Some(word) = self.words.get(&(at & !3)) {
                let turn = self.chance.fetch_add(1, Ordering::Relaxed);
                let mask = word.to_le_bytes()[(at & 3) as usize];
                *byte ^= mask & (scramble(turn) >> 24 & 0xFF) as u8;
            }
        }
        bytes
    }
}

/// A number without pattern from one with (the finish of SplitMix64).
const fn scramble(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let seed = (seed ^ seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let seed = (seed ^ seed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    seed ^ seed >> 31
}

/// The page and the offset in it.
#[inline]
fn place(address: u32) -> Option<(usize, usize)> {
    let at = (address % PAGE) as usize;
    if address < SIZE {
        return Some(((address / PAGE) as usize, at));
    }
    (address / PAGE == UICR / PAGE).then_some((PAGES as usize, at))
}

fn base(page: u32) -> u32 {
    if page == PAGES { UICR } else { page * PAGE }
}

const fn base_of(address: u32) -> u32 {
    address / PAGE * PAGE
}

/// All instructions that could start in a page and end in it.
fn decode(bytes: &[u8; PAGE as usize]) -> Code {
    let halves: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let pairs = halves.windows(2).map(|pair| Decoded::new(pair[0], pair[1]));
    let last = halves.last().filter(|half| !Decoded::is_wide(**half)).map(|half| Decoded::new(*half, 0));
    pairs.chain(last).collect()
}

/// Changes about half of the bits that differ.
fn tear(cells: &mut [u8], target: &[u8], seed: u64) {
    // Neighbouring seeds must not tear alike.
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for (cell, target) in cells.iter_mut().zip(target) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let chosen = (state >> 32 & 0xFF) as u8;
        *cell = *cell & !chosen | target & chosen;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn word(flash: &Flash, address: u32) -> u32 {
        u32::from_le_bytes(flash.read(address).unwrap())
    }

    #[test]
    fn marginal_bits_read_differently_until_they_are_programmed_or_erased() {
        let mut flash = Flash::default();
        let values = |flash: &Flash| (0..64).map(|_| word(flash, 0x3000)).collect::<BTreeSet<_>>();
        flash.set_fault(Some(FlashFault { operation: 1, cut: Cut::Marginal(3) }));
        assert_eq!(flash.program(0x3000, 0x00FF_FFFF), Ok(false));
        let seen = values(&flash);
        assert!(seen.len() > 1 && seen.iter().all(|word| *word & 0xFF_FFFF == 0xFF_FFFF), "{seen:x?}");
        assert_eq!(word(&flash, 0x3004), u32::MAX);
        assert_eq!(flash.program(0x3000, 0x00FF_FFFF), Ok(true));
        assert_eq!(values(&flash), BTreeSet::from([0x00FF_FFFF]));
        flash.set_fault(Some(FlashFault { operation: 3, cut: Cut::Marginal(5) }));
        assert_eq!(flash.erase(0x3000), Ok(false));
        assert!(values(&flash).len() > 1);
        assert_eq!(flash.erase(0x3000), Ok(true));
        assert_eq!(values(&flash), BTreeSet::from([u32::MAX]));
    }

    #[test]
    fn operations_are_recorded_in_their_order() {
        let mut flash = Flash::default();
        flash.program(0x1000, 0).unwrap();
        flash.record();
        flash.program(0x1004, 0).unwrap();
        flash.erase(0x1004).unwrap();
        assert_eq!(flash.take_record(), [Operation::Program(0x1004), Operation::Erase(0x1000)]);
        assert_eq!(flash.take_record(), []);
    }

    #[test]
    fn programming_only_clears_bits_and_each_program_is_counted() {
        let mut flash = Flash::default();
        assert_eq!(flash.program(0x1008, 0xAAAA_5555), Ok(true));
        assert_eq!(flash.program(0x1008, 0x0000_FFFF), Ok(true));
        assert_eq!((word(&flash, 0x1008), flash.programs(0x1008)), (0x5555, Some(2)));
        assert_eq!(flash.overprogrammed().count(), 0);
        assert_eq!(flash.program(0x1008, 0xFFFF_FFFF), Ok(true));
        assert_eq!(flash.overprogrammed().collect::<Vec<_>>(), [0x1008]);
        assert_eq!(flash.erase(0x1FFC), Ok(true));
        assert_eq!((word(&flash, 0x1008), flash.programs(0x1008)), (u32::MAX, Some(0)));
        assert_eq!((flash.erases(0x1000), flash.erases(0x2000), flash.operations()), (Some(1), Some(0), 4));
        assert_eq!(flash.last_operation(), Some(Operation::Erase(0x1000)));
    }

    #[test]
    fn a_cut_leaves_nothing_all_or_some_of_the_bits_and_happens_once() {
        for address in [0x2000, UICR + 0x200] {
            for (cut, expected) in [(Cut::Before, u32::MAX), (Cut::After, 0x1234_5678)] {
                let mut flash = Flash::default();
                flash.set_fault(Some(FlashFault { operation: 1, cut }));
                assert_eq!(flash.program(address, 0x1234_5678), Ok(false));
                assert_eq!(word(&flash, address), expected);
                assert_eq!(flash.program(address, 0), Ok(true));
            }
            let torn: BTreeSet<u32> = (0..20)
                .map(|seed| {
                    let mut flash = Flash::default();
                    flash.set_fault(Some(FlashFault { operation: 1, cut: Cut::Torn(seed) }));
                    assert_eq!(flash.program(address, 0x1234_5678), Ok(false));
                    let value = word(&flash, address);
                    assert_eq!(value & 0x1234_5678, 0x1234_5678, "only bits that were to change do");
                    value
                })
                .collect();
            assert!(torn.len() > 10, "torn in {} ways", torn.len());
        }
    }

    #[test]
    fn a_torn_erase_leaves_a_page_that_is_neither_old_nor_blank() {
        let mut flash = Flash::default();
        flash.load(0x3000, &[0; 4096]).unwrap();
        flash.set_fault(Some(FlashFault { operation: 1, cut: Cut::Torn(7) }));
        assert_eq!(flash.erase(0x3000), Ok(false));
        let ones: u32 = flash.bytes(0x3000, 4096).unwrap().iter().map(|byte| byte.count_ones()).sum();
        assert!((12_000..21_000).contains(&ones), "{ones}");
    }

    #[test]
    fn snapshots_share_pages_until_one_writes() {
        let mut flash = Flash::default();
        flash.load(0, &[1, 2, 3, 4]).unwrap();
        let snapshot = flash.clone();
        flash.program(0, 0).unwrap();
        assert_eq!((word(&flash, 0), word(&snapshot, 0)), (0, 0x0403_0201));
        assert!(Arc::ptr_eq(&flash.pages[1], &snapshot.pages[1]));
    }

    #[test]
    fn code_is_decoded_anew_after_it_changed_and_across_pages() {
        let mut flash = Flash::default();
        flash.load(0xFFE, &[0x00, 0xF0, 0x01, 0xF8]).unwrap();
        assert_eq!(flash.fetch(0xFFE).unwrap(), Decoded::new(0xF000, 0xF801));
        assert_eq!(flash.code(0xFFE).unwrap().get(0x7FF), None, "half of an instruction");
        flash.load(0, &[0x00, 0xBF]).unwrap();
        assert_eq!(flash.code(0).unwrap().first(), Some(&Decoded::new(0xBF00, 0)));
        flash.program(0, 0xFFFF_BE00).unwrap();
        assert_eq!(flash.code(2).unwrap().first(), Some(&Decoded::new(0xBE00, 0)));
        assert_eq!(flash.fetch(SIZE), Err(BusError));
        assert!(flash.code(SIZE).is_none() && flash.code(UICR).is_none());
    }

    #[test]
    fn nothing_lies_between_flash_and_uicr() {
        let mut flash = Flash::default();
        assert_eq!(flash.erase(SIZE), Err(BusError));
        assert_eq!(flash.program(UICR + PAGE, 0), Err(BusError));
        assert_eq!(flash.operations(), 0);
        assert_eq!(flash.bytes(SIZE - 2, 4), None);
    }
}
