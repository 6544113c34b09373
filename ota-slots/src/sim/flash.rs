//! The simulated flash: construction, rules, power.

use super::alloc::sync::Arc;
use super::alloc::vec;
use super::alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::bank::Chip;
use super::log::History;
use super::page::Page;
use super::random::Random;
use super::{Bank, Counts, Cut};

/// A NOR flash in memory that keeps the rules of NOR flash, and breaks in the ways NOR flash breaks.
///
/// It announces program units of `WRITE` bytes and erase pages of `PAGE` bytes; what it enforces is the geometry of its
/// banks, of which [`Flash::new`] makes one with just these numbers. The [module](super) has the model.
///
/// Addresses of operations are `u32`, as in `embedded-storage`; places to look at or to damage are `usize`, an index into
/// [`Flash::bytes`].
///
/// A clone is cheap whatever the size: pages are shared until one side changes them. So a sweep makes one flash, and
/// clones it for every cut.
///
/// ```
/// use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
/// use ota_slots::sim::Flash;
///
/// let mut flash = Flash::<4, 4096>::new(1024 * 1024, 0xFF, 1);
/// flash.write(4096, b"data").unwrap();
/// let other = flash.clone();
/// flash.erase(4096, 8192).unwrap();
///
/// let mut found = [0; 4];
/// flash.read(4096, &mut found).unwrap();
/// assert_eq!(found, [0xFF; 4]);
/// assert_eq!(other.bytes_in(4096..4100), b"data", "a clone has a life of its own");
/// ```
#[derive(Clone)]
pub struct Flash<const WRITE: usize, const PAGE: usize> {
    pub(super) chips: Vec<Chip>,
    /// The pages of all banks, in address order.
    pub(super) pages: Vec<Arc<Page>>,
    pub(super) wear: Vec<u32>,
    pub(super) len: usize,
    pub(super) random: Random,
    pub(super) history: History,
    pub(super) powered: bool,
    pub(super) rules: Rules,
    /// Reads that fail from now on.
    pub(super) failing_reads: usize,
    /// Bytes whose chip does not answer.
    pub(super) silent: Range<usize>,
}

/// What kind of flash it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) error_correction: bool,
    /// Programs of a unit per erase.
    pub(super) programs: usize,
    /// Erases of a page before it fails.
    pub(super) endurance: u32,
}

impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// An erased flash of `len` bytes whose erased bytes read as `erased`. Everything random comes from `seed`.
    ///
    /// # Panics
    /// If `len` is not a whole number of pages or 4 GiB and more, a page not a whole number of program units, or `erased`
    /// neither `0xFF` nor `0x00`.
    #[must_use]
    pub fn new(len: usize, erased: u8, seed: u64) -> Self {
        let bank = Bank { len: address(len), write_size: address(WRITE), erase_page: address(PAGE), erased };
        Self::with_banks(&[bank], seed)
    }

    /// Several erased chips, one behind the other in one address space: one power supply, one operation log.
    ///
    /// `WRITE` and `PAGE` are what generic code is told, so they are multiples of what every bank has. Within a bank
    /// operations may be as fine as the bank allows. No read and no write reaches across two banks; an erase does, and
    /// becomes one operation for each page of each bank.
    ///
    /// ```
    /// use embedded_storage::nor_flash::NorFlash;
    /// use ota_slots::sim::{Bank, Flash, Logged};
    ///
    /// let internal = Bank { len: 8192, write_size: 8, erase_page: 2048, erased: 0xFF };
    /// let external = Bank { len: 65536, write_size: 1, erase_page: 4096, erased: 0xFF };
    /// let mut flash = Flash::<8, 4096>::with_banks(&[internal, external], 1);
    ///
    /// flash.write(8192 + 3, b"odd").unwrap(); // the external chip takes single bytes
    /// flash.erase(6144, 8192 + 4096).unwrap(); // a page of each
    /// assert_eq!(flash.log()[1..], [Logged::Erase { at: 6144 }, Logged::Erase { at: 8192 }]);
    /// ```
    ///
    /// # Panics
    /// If there is no bank, a bank is not whole pages of whole program units, does not divide `WRITE` and `PAGE`, reads
    /// neither `0xFF` nor `0x00` when erased, or all of them together have 4 GiB and more.
    #[must_use]
    pub fn with_banks(banks: &[Bank], seed: u64) -> Self {
        assert!(!banks.is_empty(), "a flash has a bank");
        let (mut chips, mut pages, mut start): (Vec<Chip>, Vec<_>, usize) = (Vec::new(), Vec::new(), 0);
        for bank in banks {
            bank.check(WRITE, PAGE);
            let blank = Arc::new(Page::blank(bank));
            let chip = Chip { bank: *bank, start, first_page: pages.len(), counts: Counts::default(), blank };
            pages.resize(pages.len() + chip.pages(), Arc::clone(&chip.blank));
            start = chip.end();
            chips.push(chip);
        }
        let _all_addresses_fit = address(start);
        Self {
            chips,
            wear: vec![0; pages.len()],
            pages,
            len: start,
            random: Random::new(seed),
            history: History::new(true),
            powered: true,
            rules: Rules { error_correction: false, programs: 1, endurance: u32::MAX },
            failing_reads: 0,
            silent: 0..0,
        }
    }

    /// The same flash, as if nothing had been done yet, with another source of randomness.
    ///
    /// Log, operation count, [`counts`](Self::counts), violations and planned cuts start over. Contents, damage, wear,
    /// settings and power stay.
    #[must_use]
    pub fn reseeded(&self, seed: u64) -> Self {
        let mut chips = self.chips.clone();
        chips.iter_mut().for_each(|chip| chip.counts = Counts::default());
        Self {
            chips,
            pages: self.pages.clone(),
            wear: self.wear.clone(),
            len: self.len,
            random: Random::new(seed),
            history: History::new(self.history.keeps_log),
            powered: self.powered,
            rules: self.rules,
            failing_reads: self.failing_reads,
            silent: self.silent.clone(),
        }
    }

    /// Whether reads go through error correction, one code word for each program unit. Off in a new flash.
    ///
    /// - A unit whose program or erase was torn reads as [`SimError::Uncorrectable`](super::SimError::Uncorrectable),
    ///   whichever of its bytes are read, until its page is erased or all its bits are programmed.
    /// - In a unit with a few undecided bits ([`AlmostDone`](super::CutMode::AlmostDone) and its kin) or with bits
    ///   [flipped](Self::flip) at rest, every read counts the wrong ones anew: one is put right, two are the same error.
    ///   So the same unit can be readable now and not the next time.
    ///
    /// ```
    /// use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
    /// use ota_slots::sim::{Cut, CutMode, Flash, SimError};
    ///
    /// let mut flash = Flash::<8, 1024>::new(2048, 0xFF, 1);
    /// flash.set_error_correction(true);
    /// flash.cut(Cut { operation: 0, mode: CutMode::RandomBits(50) });
    /// assert_eq!(flash.write(0, &[0x12; 8]), Err(SimError::PowerLost));
    /// flash.power_on();
    ///
    /// assert_eq!(flash.read(0, &mut [0; 1]), Err(SimError::Uncorrectable));
    /// flash.write(0, &[0; 8]).unwrap(); // all bits programmed: void, but readable
    /// flash.read(0, &mut [0; 1]).unwrap();
    /// ```
    pub fn set_error_correction(&mut self, on: bool) {
        self.rules.error_correction = on;
    }

    /// How often a program unit may be programmed between two erases. Once in a new flash; an nRF52840 allows 2.
    ///
    /// # Panics
    /// If that is never.
    pub fn set_multiwrite(&mut self, programs: u8) {
        assert!(programs > 0, "a unit can be programmed");
        self.rules.programs = usize::from(programs);
    }

    /// Plans a power failure. Several may be outstanding, each hits its own operation; one whose operation is past stays
    /// outstanding for good, and [`cut_fired`](Self::cut_fired) tells.
    ///
    /// ```
    /// use embedded_storage::nor_flash::NorFlash;
    /// use ota_slots::sim::{Cut, CutMode, Flash, Logged, SimError};
    ///
    /// let mut flash = Flash::<4, 1024>::new(2048, 0xFF, 1);
    /// let cut = Cut { operation: 1, mode: CutMode::FirstHalf };
    /// flash.cut(cut);
    /// flash.write(0, &[1; 4]).unwrap(); // operation 0
    /// assert_eq!(flash.write(4, &[2; 8]), Err(SimError::PowerLost));
    /// assert_eq!(flash.fired(), Some((cut, Logged::Write { at: 4, len: 8 })));
    /// assert_eq!(flash.bytes_in(4..12), [2, 2, 2, 2, 0xFF, 0xFF, 0xFF, 0xFF]);
    /// ```
    pub fn cut(&mut self, cut: Cut) {
        self.history.cuts.push(cut);
    }

    /// Power is back. Everything else is as it was when it went.
    pub fn power_on(&mut self) {
        self.powered = true;
    }

    /// Power is gone, between two operations.
    pub fn power_off(&mut self) {
        self.powered = false;
    }

    /// Whether there is power. Without it, whatever the code under test returns was never computed by a real processor.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.powered
    }
}

/// A megabyte of cells would bury whatever else a failed assertion has to say.
impl<const WRITE: usize, const PAGE: usize> fmt::Debug for Flash<WRITE, PAGE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flash")
            .field("len", &self.len)
            .field("rules", &self.rules)
            .field("powered", &self.powered)
            .field("operations", &self.history.operations)
            .field("cuts", &self.history.cuts)
            .field("fired", &self.history.fired)
            .field("violations", &self.history.violations)
            .finish_non_exhaustive()
    }
}

/// An index as an address: a flash is smaller than 4 GiB.
pub(super) fn address(index: usize) -> u32 {
    u32::try_from(index).expect("a flash is smaller than 4 GiB")
}
