//! The flash under test, with what a sweep needs around it: cut points, planned cuts, and a fingerprint of its contents.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use ota_slots::Region;
use ota_slots::sim::{Bank, Cut, CutMode, Flash, SimError};

use crate::course::Outcome;
use crate::memory::Memory;
use crate::print::{Prints, mix};
use crate::witness::Witness;

/// The simulated flash. What it announces is the coarsest of all boards; what it enforces is the geometry of its banks.
pub type SimFlash = Flash<32, 4096>;

/// An operation that is to change flash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task<'b> {
    /// A program operation.
    Write {
        /// First byte.
        at: u32,
        /// What is written.
        bytes: &'b [u8],
    },
    /// The erase of one page.
    Erase {
        /// First byte of the page.
        at: u32,
    },
}

impl Task<'_> {
    /// First byte it touches.
    #[must_use]
    pub const fn at(&self) -> u32 {
        match self {
            Self::Write { at, .. } | Self::Erase { at } => *at,
        }
    }
}

/// One operation that changes flash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A program operation.
    Write {
        /// First byte.
        at: u32,
        /// What is written.
        bytes: Vec<u8>,
    },
    /// The erase of one page.
    Erase {
        /// First byte of the page.
        at: u32,
    },
}

impl Operation {
    fn of(task: &Task<'_>) -> Self {
        match *task {
            Task::Write { at, bytes } => Self::Write { at, bytes: bytes.to_vec() },
            Task::Erase { at } => Self::Erase { at },
        }
    }

    const fn task(&self) -> Task<'_> {
        match self {
            Self::Write { at, bytes } => Task::Write { at: *at, bytes: bytes.as_slice() },
            Self::Erase { at } => Task::Erase { at: *at },
        }
    }

    /// First byte it touches.
    #[must_use]
    pub const fn at(&self) -> u32 {
        self.task().at()
    }
}

/// A power failure: which operation it hits, what becomes of that, and where its randomness comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blow {
    /// Number of the operation, from 0, counted from the beginning of the life or from the power failure before.
    pub operation: usize,
    /// What becomes of it.
    pub mode: CutMode,
    /// Seed of everything random from here on.
    pub seed: u64,
}

impl std::fmt::Display for Blow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{:?}:{}", self.operation, self.mode, self.seed)
    }
}

/// The state of the flash right before an operation, and the operation.
pub struct Eve {
    chip: Chip,
    operation: Operation,
}

impl Eve {
    /// The operation that is about to happen.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Its number, counted from the beginning of the life or from the power failure before.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.chip.operations
    }

    /// Lets power fail during the operation, and come back: the flash as the next power session finds it. `None` if the
    /// simulation did not do as told.
    #[must_use]
    pub fn strike(&self, mode: CutMode, seed: u64) -> Option<Chip> {
        let mut chip = self.chip.clone();
        let struck = chip.strike(&self.operation.task(), mode, seed);
        chip.flash.power_on();
        (struck == Err(SimError::PowerLost) && chip.flash.cut_fired()).then_some(chip)
    }
}

/// The flash of a device.
pub struct Chip {
    flash: SimFlash,
    /// Where the second bank begins, and the erase pages before and behind.
    second_bank: u32,
    pages: [u32; 2],
    prints: Prints,
    operations: usize,
    planned: Option<Blow>,
    watched: bool,
    eves: Vec<Eve>,
    earlier_violations: usize,
    /// What the bootloader has had write-protected until the next reset.
    locked: [Option<Region>; 2],
    memory: Option<Box<Memory>>,
}

impl Clone for Chip {
    /// The same contents; nobody watches the copy.
    fn clone(&self) -> Self {
        Self {
            flash: self.flash.clone(),
            prints: self.prints.clone(),
            watched: false,
            eves: Vec::new(),
            memory: None,
            ..*self
        }
    }
}

impl Chip {
    /// Erased chips of flash in one address space, at most two.
    #[must_use]
    pub fn new(banks: &[Bank], corrects_errors: bool) -> Self {
        let mut flash = SimFlash::with_banks(banks, 1);
        flash.keep_log(false);
        flash.set_error_correction(corrects_errors);
        let page =
            |number: usize| banks.get(number).or_else(|| banks.last()).map_or(0, |bank| bank.erase_page);
        let pages = [page(0), page(1)];
        let smallest = pages[0].min(pages[1]);
        let prints = Prints::new(flash.capacity(), smallest, banks.first().map_or(0xFF, |bank| bank.erased));
        Self {
            flash,
            second_bank: banks.first().map_or(0, |bank| bank.len),
            pages,
            prints,
            operations: 0,
            planned: None,
            watched: false,
            eves: Vec::new(),
            earlier_violations: 0,
            locked: [None; 2],
            memory: None,
        }
    }

    /// Keeps, from now on, the eve of every operation.
    pub const fn watch(&mut self) {
        self.watched = true;
    }

    /// The eves kept since the last call.
    pub fn take_eves(&mut self) -> Vec<Eve> {
        std::mem::take(&mut self.eves)
    }

    /// Counts operations from 0 again.
    pub const fn restart_count(&mut self) {
        self.operations = 0;
    }

    /// Operations since the beginning of the life or the last power failure.
    #[must_use]
    pub const fn operations(&self) -> usize {
        self.operations
    }

    /// Plans a power failure.
    pub const fn plan(&mut self, blow: Blow) {
        self.planned = Some(blow);
    }

    /// The power failure that is still to come.
    #[must_use]
    pub const fn planned(&self) -> Option<Blow> {
        self.planned
    }

    /// Whether there is power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.flash.is_powered()
    }

    /// Power is back.
    pub fn power_on(&mut self) {
        self.flash.power_on();
    }

    /// A reset ends every write protection.
    pub const fn reset(&mut self) {
        self.locked = [None; 2];
    }

    /// Write-protects a region until the next reset.
    pub fn lock(&mut self, region: Region) {
        if let Some(place) = self.locked.iter_mut().find(|locked| locked.is_none()) {
            *place = Some(region);
        }
    }

    /// Whether a region is write-protected.
    #[must_use]
    pub fn is_locked(&self, region: &Region) -> bool {
        self.locked.contains(&Some(*region))
    }

    /// Rules of the flash that were broken, writes to protected regions among them.
    #[must_use]
    pub fn violations(&self) -> usize {
        self.earlier_violations + self.flash.violations()
    }

    /// Whether these bytes are what is really there.
    #[must_use]
    pub fn holds(&mut self, at: u32, bytes: &[u8]) -> bool {
        let start = at as usize;
        let end = start + bytes.len();
        let holds = end <= self.flash.capacity() && self.flash.bytes_in(start..end) == bytes;
        if let Some(memory) = &mut self.memory {
            memory.touch(self.prints.span(at, bytes.len()));
            memory.tell(u64::from(holds));
        }
        holds
    }

    /// Overwrites bytes as no flash operation could.
    pub fn corrupt(&mut self, at: u32, bytes: &[u8]) {
        self.prints.write(at, bytes);
        self.flash.corrupt(at as usize, bytes);
    }

    /// Lets the program unit at this byte keep what it holds for good.
    pub fn stick(&mut self, at: u32) {
        self.flash.stick(at as usize);
    }

    /// Lets the page at this byte refuse every change.
    pub fn fail_page(&mut self, at: u32) {
        self.flash.fail_page(at as usize);
    }

    const fn page_at(&self, at: u32) -> u32 {
        self.pages[(at >= self.second_bank) as usize]
    }

    fn operate(&mut self, task: &Task<'_>) -> Result<(), SimError> {
        if !self.is_powered() {
            return Err(SimError::PowerLost);
        }
        let at = task.at();
        let locked = self.locked.iter().flatten();
        self.earlier_violations +=
            locked.filter(|region| at >= region.start && at < region.start + region.len).count();
        if let Some(blow) = self.planned.filter(|blow| blow.operation == self.operations) {
            self.planned = None;
            return self.strike(task, blow.mode, blow.seed);
        }
        if let Some(memory) = &mut self.memory
            && memory.before_change(&self.prints)
        {
            // The rest need not be led.
            self.flash.power_off();
            return Err(SimError::PowerLost);
        }
        if self.watched {
            let chip = self.clone();
            self.eves.push(Eve { chip, operation: Operation::of(task) });
        }
        let done = carry_out(&mut self.flash, task, self.pages[usize::from(at >= self.second_bank)]);
        self.operations += 1;
        self.take_note(task, done.is_ok());
        done
    }

    /// Of an operation that went well, or was refused and changed nothing.
    fn take_note(&mut self, task: &Task<'_>, done: bool) {
        let page = self.page_at(task.at());
        if let Some(memory) = &mut self.memory {
            let span = |len| self.prints.span(task.at(), len);
            match *task {
                Task::Erase { .. } if done => memory.erase(span(page as usize)),
                Task::Erase { .. } => memory.touch(span(page as usize)),
                Task::Write { bytes, .. } => memory.touch(span(bytes.len())),
            }
            memory.tell(mix(u64::from(task.at()), u64::from(done)));
        }
        if done {
            self.prints.carried_out(task, page);
        }
    }

    fn strike(&mut self, task: &Task<'_>, mode: CutMode, seed: u64) -> Result<(), SimError> {
        self.earlier_violations += self.flash.violations();
        self.flash = self.flash.reseeded(seed);
        self.flash.cut(Cut { operation: 0, mode });
        let page = self.page_at(task.at());
        let struck = carry_out(&mut self.flash, task, page);
        self.prints.torn(task, page, mode, seed);
        self.operations = 0;
        struck
    }
}

fn carry_out(flash: &mut SimFlash, task: &Task<'_>, page: u32) -> Result<(), SimError> {
    match *task {
        Task::Write { at, bytes } => flash.write(at, bytes),
        Task::Erase { at } => flash.erase(at, at.saturating_add(page)),
    }
}

/// What other lives know about this one.
impl Chip {
    /// Uses and extends what is remembered of other lives, from the next reset on.
    pub fn remember(&mut self, memory: Memory) {
        self.memory = Some(Box::new(memory));
    }

    /// A power session begins with the world as it is. Whether it is known how it goes on.
    pub(crate) fn is_known(&mut self, world: &impl std::hash::Hash) -> bool {
        self.memory.as_mut().is_some_and(|memory| memory.reset(world, &self.prints))
    }

    /// How the life goes on, if that turned out to be known.
    pub(crate) fn known(&self) -> Option<(Outcome, Witness)> {
        self.memory.as_ref().and_then(|memory| memory.known())
    }

    /// The life is over.
    pub fn close(&mut self, outcome: Outcome, witness: &Witness) -> Memory {
        let mut memory = self.memory.take().map(|memory| *memory).unwrap_or_default();
        memory.close(outcome, witness);
        memory
    }
}

impl ErrorType for Chip {
    type Error = SimError;
}

impl ReadNorFlash for Chip {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        let read = self.flash.read(offset, bytes);
        if let Some(memory) = &mut self.memory
            && !memory.is_known()
        {
            memory.read(&self.prints, offset, bytes, read.is_ok());
        }
        read
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

/// Sizes of 1: the real ones are the simulation's, which checks them.
impl NorFlash for Chip {
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = 1;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let mut at = from;
        while at < to {
            self.operate(&Task::Erase { at })?;
            at = at.saturating_add(self.page_at(at));
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        self.operate(&Task::Write { at: offset, bytes })
    }
}
