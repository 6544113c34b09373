//! The simulated flash.

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// Flash with `WRITE`-byte program units and `PAGE`-byte erase pages.
#[derive(Debug, Clone)]
pub struct Flash<const WRITE: usize, const PAGE: usize> {
    bytes: Vec<u8>,
    /// Bits whose cell is neither erased nor programmed: they read at random.
    marginal: Vec<u8>,
    /// Program units written since their page was erased.
    programmed: Vec<bool>,
    /// Program units that neither programming nor erasing changes any more.
    stuck: Vec<bool>,
    wear: Vec<u32>,
    erased: u8,
    random: Random,
    log: Vec<Logged>,
    cut: Option<Cut>,
    powered: bool,
    violations: usize,
}

/// One operation that changed the flash, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    /// A program operation.
    Write {
        /// First byte.
        at: u32,
        /// Bytes.
        len: u32,
    },
    /// A page erase.
    Erase {
        /// First byte.
        at: u32,
    },
}

/// When and how power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Number of the write or page erase that is hit, from 0, counted over the life of the flash.
    pub operation: usize,
    /// What becomes of it.
    pub mode: CutMode,
}

/// What becomes of the operation during which power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutMode {
    /// Nothing of it happened.
    Before,
    /// All of it happened, but nobody was told.
    After,
    /// The first half happened.
    FirstHalf,
    /// The second half happened.
    LastHalf,
    /// Each bit happened with this probability, in percent.
    RandomBits(u8),
    /// Each program unit happened or not.
    RandomWords,
    /// Each bit that was to change reads at random from now on, anew at every read, until the page is erased.
    Marginal,
    /// All of it happened but for so many bits, which read at random from now on. The hardest to notice: most reads are
    /// right.
    AlmostDone(u8),
    /// Nothing of it happened but for so many bits, which read at random from now on. A cell that looks blank and is not.
    BarelyBegun(u8),
}

impl CutMode {
    /// One of every kind.
    pub const ALL: [Self; 11] = [
        Self::Before,
        Self::After,
        Self::FirstHalf,
        Self::LastHalf,
        Self::RandomBits(10),
        Self::RandomBits(90),
        Self::RandomWords,
        Self::Marginal,
        Self::AlmostDone(1),
        Self::AlmostDone(3),
        Self::BarelyBegun(1),
    ];
}

/// Why the simulated flash refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimError {
    /// Power is off; nothing works until [`Flash::power_on`].
    PowerLost,
    /// Not a multiple of the write size or the erase page. A bug in the code under test.
    Unaligned,
    /// Beyond the end. A bug in the code under test.
    OutOfBounds,
    /// A cell was programmed a second time without an erase. A bug in the code under test.
    ProgrammedTwice,
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Unaligned => NorFlashErrorKind::NotAligned,
            Self::OutOfBounds => NorFlashErrorKind::OutOfBounds,
            Self::PowerLost | Self::ProgrammedTwice => NorFlashErrorKind::Other,
        }
    }
}

impl<const WRITE: usize, const PAGE: usize> Flash<WRITE, PAGE> {
    /// An erased flash of `len` bytes whose erased bytes read as `erased`. Everything random comes from `seed`.
    ///
    /// # Panics
    /// If `len` is not a whole number of pages, or a page not a whole number of program units.
    #[must_use]
    pub fn new(len: usize, erased: u8, seed: u64) -> Self {
        assert!(len.is_multiple_of(PAGE) && PAGE.is_multiple_of(WRITE), "whole pages of whole units");
        Self {
            bytes: vec![erased; len],
            marginal: vec![0; len],
            programmed: vec![false; len / WRITE],
            stuck: vec![false; len / WRITE],
            wear: vec![0; len / PAGE],
            erased,
            random: Random(seed ^ 0x9E37_79B9_7F4A_7C15),
            log: Vec::new(),
            cut: None,
            powered: true,
            violations: 0,
        }
    }

    /// The same flash, as if nothing had been logged yet, with another source of randomness.
    #[must_use]
    pub fn reseeded(&self, seed: u64) -> Self {
        let random = Random(seed ^ 0x9E37_79B9_7F4A_7C15);
        Self { random, log: Vec::new(), cut: None, violations: 0, ..self.clone() }
    }

    /// Plans a power failure.
    pub fn cut(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// Whether the planned power failure has happened.
    #[must_use]
    pub fn cut_fired(&self) -> bool {
        self.cut.is_none()
    }

    /// Power is back.
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

    /// Times the code under test broke a rule of the flash while it had power: alignment, bounds, a cell programmed twice.
    /// A port that works around the refusals still has these bugs.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.violations
    }

    /// Every write and page erase so far.
    #[must_use]
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// Erases of each page.
    #[must_use]
    pub fn wear(&self) -> &[u32] {
        &self.wear
    }

    /// What is really there; marginal bits as they were before they were disturbed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Overwrites bytes as no flash operation could: bit rot, garbage, a hostile programmer.
    pub fn corrupt(&mut self, at: usize, bytes: &[u8]) {
        for (index, byte) in (at..).zip(bytes) {
            self.bytes[index] = *byte;
            self.marginal[index] = 0;
            self.programmed[index / WRITE] = true;
        }
    }

    /// Lets the program unit that holds byte `at` keep what it holds for good, without a word: a worn cell.
    pub fn stick(&mut self, at: usize) {
        self.stuck[at / WRITE] = true;
    }

    /// Takes note of an operation; the mode if power fails during it.
    fn begin(&mut self, operation: Logged) -> Option<CutMode> {
        let number = self.log.len();
        self.log.push(operation);
        let hit = self.cut.filter(|cut| cut.operation == number)?;
        self.cut = None;
        self.powered = false;
        Some(hit.mode)
    }

    fn write_unit(&mut self, unit: usize, data: &[u8]) {
        self.programmed[unit] = true;
        if self.stuck[unit] {
            return;
        }
        for (index, byte) in (unit * WRITE..).zip(data) {
            let keeps = if self.erased == 0 { self.bytes[index] | byte } else { self.bytes[index] & byte };
            self.bytes[index] = keeps;
            // A full program settles bits that were undecided.
            self.marginal[index] &= byte ^ !self.erased;
        }
    }

    fn tear_write(&mut self, at: usize, data: &[u8], mode: CutMode) {
        let units = data.len() / WRITE;
        for (number, chunk) in data.chunks(WRITE).enumerate() {
            let unit = at / WRITE + number;
            let happens = match mode {
                CutMode::After | CutMode::AlmostDone(_) => true,
                CutMode::FirstHalf => number < units.div_ceil(2),
                CutMode::LastHalf => number >= units / 2,
                CutMode::RandomWords => self.random.percent(50),
                _ => false,
            };
            let before: Vec<u8> = self.bytes[unit * WRITE..(unit + 1) * WRITE].to_vec();
            if happens {
                self.write_unit(unit, chunk);
            } else if mode != CutMode::Before {
                self.programmed[unit] = true;
            }
            self.disturb(unit, &before, chunk, mode);
        }
        self.weaken(at, data, mode);
    }

    /// The modes that leave something between "done" and "not done" all over.
    fn disturb(&mut self, unit: usize, before: &[u8], after: &[u8], mode: CutMode) {
        for (index, (before, after)) in (unit * WRITE..).zip(before.iter().zip(after)) {
            match mode {
                CutMode::RandomBits(percent) => {
                    self.bytes[index] ^= (before ^ after) & self.random.mask(percent);
                }
                CutMode::Marginal => self.marginal[index] |= before ^ after,
                _ => {}
            }
        }
    }

    /// The modes that leave a few bits undecided: picks them among those that `target` clears, or sets.
    fn weaken(&mut self, at: usize, target: &[u8], mode: CutMode) {
        let (CutMode::AlmostDone(bits) | CutMode::BarelyBegun(bits)) = mode else { return };
        let candidates: Vec<usize> = (0..8 * target.len())
            .filter(|bit| (target[bit / 8] ^ self.erased) >> (bit % 8) & 1 == 1)
            .collect();
        for _ in 0..bits.min(u8::try_from(candidates.len()).unwrap_or(u8::MAX)) {
            let bit = candidates[self.random.below(candidates.len())];
            self.marginal[at + bit / 8] |= 1 << (bit % 8);
        }
    }

    fn erase_unit(&mut self, unit: usize) {
        self.programmed[unit] = false;
        if self.stuck[unit] {
            return;
        }
        for index in unit * WRITE..(unit + 1) * WRITE {
            self.bytes[index] = self.erased;
            self.marginal[index] = 0;
        }
    }

    fn tear_erase(&mut self, page: usize, mode: CutMode) {
        let units = PAGE / WRITE;
        let before = self.bytes[page * PAGE..(page + 1) * PAGE].to_vec();
        let blank = vec![self.erased; WRITE];
        for number in 0..units {
            let unit = page * units + number;
            let happens = match mode {
                CutMode::After | CutMode::AlmostDone(_) => true,
                CutMode::FirstHalf => number < units / 2,
                CutMode::LastHalf => number >= units / 2,
                CutMode::RandomWords => self.random.percent(50),
                _ => false,
            };
            if happens {
                self.erase_unit(unit);
            }
            // A unit may read blank now; whether it would hold a program is another matter, so it counts as used.
            self.programmed[unit] = !matches!(mode, CutMode::After) && (happens || self.programmed[unit]);
            self.disturb(unit, &before[number * WRITE..(number + 1) * WRITE], &blank, mode);
        }
        self.weaken(page * PAGE, &before, mode);
    }

    fn checked<T>(&mut self, result: Result<T, SimError>) -> Result<T, SimError> {
        self.violations += usize::from(matches!(result, Err(error) if error != SimError::PowerLost));
        result
    }

    fn range(&mut self, at: u32, len: usize, align: usize) -> Result<core::ops::Range<usize>, SimError> {
        let range = self.locate(at, len, align);
        self.checked(range)
    }

    fn locate(&self, at: u32, len: usize, align: usize) -> Result<core::ops::Range<usize>, SimError> {
        if !self.powered {
            return Err(SimError::PowerLost);
        }
        let start = at as usize;
        let end =
            start.checked_add(len).filter(|end| *end <= self.bytes.len()).ok_or(SimError::OutOfBounds)?;
        let aligned = start.is_multiple_of(align) && len.is_multiple_of(align);
        if aligned { Ok(start..end) } else { Err(SimError::Unaligned) }
    }
}

impl<const WRITE: usize, const PAGE: usize> ErrorType for Flash<WRITE, PAGE> {
    type Error = SimError;
}

impl<const WRITE: usize, const PAGE: usize> ReadNorFlash for Flash<WRITE, PAGE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        let range = self.range(offset, bytes.len(), 1)?;
        for (index, byte) in range.zip(bytes) {
            let noise =
                if self.marginal[index] == 0 { 0 } else { self.random.mask(50) & self.marginal[index] };
            *byte = self.bytes[index] ^ noise;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const PAGE: usize> NorFlash for Flash<WRITE, PAGE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let len = to.checked_sub(from).ok_or(SimError::OutOfBounds)? as usize;
        for start in self.range(from, len, PAGE)?.step_by(PAGE) {
            let page = start / PAGE;
            self.wear[page] += 1;
            #[expect(clippy::cast_possible_truncation, reason = "within a range that came as u32")]
            match self.begin(Logged::Erase { at: start as u32 }) {
                Some(mode) => {
                    self.tear_erase(page, mode);
                    return Err(SimError::PowerLost);
                }
                None => {
                    (page * PAGE / WRITE..(page + 1) * PAGE / WRITE).for_each(|unit| self.erase_unit(unit));
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        let range = self.range(offset, bytes.len(), WRITE)?;
        let units = range.start / WRITE..range.end / WRITE;
        // Programming every bit of a cell is legal over anything, on flash with error correction too (ST RM0351, 3.3.7).
        let void = bytes.iter().all(|byte| *byte == !self.erased);
        if !void && units.clone().any(|unit| self.programmed[unit]) {
            return self.checked(Err(SimError::ProgrammedTwice));
        }
        #[expect(clippy::cast_possible_truncation, reason = "within a range that came as u32")]
        let operation = Logged::Write { at: offset, len: bytes.len() as u32 };
        if let Some(mode) = self.begin(operation) {
            self.tear_write(range.start, bytes, mode);
            return Err(SimError::PowerLost);
        }
        units.zip(bytes.chunks(WRITE)).for_each(|(unit, chunk)| self.write_unit(unit, chunk));
        Ok(())
    }
}

#[cfg(feature = "async")]
impl<const WRITE: usize, const PAGE: usize> embedded_storage_async::nor_flash::ReadNorFlash
    for Flash<WRITE, PAGE>
{
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        ReadNorFlash::read(self, offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(feature = "async")]
impl<const WRITE: usize, const PAGE: usize> embedded_storage_async::nor_flash::NorFlash
    for Flash<WRITE, PAGE>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        NorFlash::erase(self, from, to)
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        NorFlash::write(self, offset, bytes)
    }
}

/// xorshift64*: small, seeded, and good enough to tear flash with (Vigna 2016).
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn percent(&mut self, percent: u8) -> bool {
        (self.next() >> 33) % 100 < u64::from(percent)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 11) % end as u64) as usize
    }

    /// Each bit set with this probability.
    fn mask(&mut self, percent: u8) -> u8 {
        (0..8).fold(0, |mask, bit| mask | u8::from(self.percent(percent)) << bit)
    }
}
