//! The address map as the core sees it (product specification, "Memory", "Memory map"), and writing to flash.

use crate::core::{Bus, BusError, Decoded, Touch};

use super::flash::{Code, PAGE, PAGES, SIZE, UICR};
use super::misuse::Misuse;
use super::nvmc::{ERASE_ALL, ERASE_PAGE, Request, WRITE};
use super::{Chip, PERIPHERALS, PORTS, ResetCause, ficr, ram};

/// Where NVMC's own registers are; ACL's come after them.
const NVMC_REGISTERS: u32 = 0x4001_E000;

/// What answers at an address.
enum Place {
    Flash,
    Ram,
    Ficr,
    Uicr,
    Registers,
}

#[inline]
fn place(address: u32) -> Result<Place, BusError> {
    const RAM_END: u32 = ram::BASE + ram::SIZE;
    match address {
        0..SIZE => Ok(Place::Flash),
        ram::BASE..RAM_END => Ok(Place::Ram),
        PERIPHERALS..0x4008_0000 | PORTS..0x5000_1000 => Ok(Place::Registers),
        ficr::BASE..UICR => Ok(Place::Ficr),
        UICR..0x1000_2000 => Ok(Place::Uicr),
        _ => Err(BusError),
    }
}

impl Chip {
    #[inline]
    fn read<const LEN: usize>(&mut self, address: u32) -> Result<[u8; LEN], BusError> {
        match place(address)? {
            Place::Flash if self.acl.forbids_reading && !self.acl.may_read(address) => Err(BusError),
            Place::Flash | Place::Uicr => self.flash.read(address),
            Place::Ram => self.ram.read(address),
            Place::Ficr => part(ficr::read(address & !3), address),
            // Registers are words; a part of one can be read.
            Place::Registers => part(self.read_register(address & !3), address),
        }
    }

    /// Parts of words are for RAM alone.
    fn write<const LEN: usize>(&mut self, address: u32, value: [u8; LEN]) -> Result<(), BusError> {
        match place(address)? {
            Place::Ram => self.ram.write(address, value),
            Place::Flash | Place::Uicr => {
                self.misuse(Misuse::WriteNotAWord(address));
                Err(BusError)
            }
            _ => Err(BusError),
        }
    }

    /// Ends the run.
    const fn misuse(&mut self, misuse: Misuse) {
        self.ending.misuse = Some(misuse);
        self.wake = 0;
    }

    /// A word to flash: only with CONFIG allowing it, and not where ACL forbids it.
    fn program(&mut self, address: u32, value: u32) -> Result<(), BusError> {
        if !address.is_multiple_of(4) {
            self.misuse(Misuse::WriteNotAWord(address));
            return Err(BusError);
        }
        if !self.acl.may_write(address) {
            return Err(BusError);
        }
        if !self.nvmc.writes() {
            self.misuse(Misuse::WriteNotEnabled(address));
            return Err(BusError);
        }
        let done = self.flash.program(address, value)?;
        self.spend(WRITE, done);
        Ok(())
    }

    /// Time passes while the core waits for flash; power may have gone meanwhile, or the watchdog's patience.
    const fn spend(&mut self, cycles: u64, done: bool) {
        self.now += cycles;
        if !done && self.flash.is_bitten() {
            self.ending.reset = Some(ResetCause::Watchdog);
        } else if !done {
            self.ending.power_lost = true;
        }
        self.wake = 0;
    }

    /// The only registers whose writes may fault: erasing what ACL protects does.
    fn write_nvmc(&mut self, address: u32, value: u32) -> Result<(), BusError> {
        match self.nvmc.write(address & 0xFFF, value) {
            Some(Ok(Some(request))) => return self.erase(request),
            Some(Ok(None)) => {}
            Some(Err(misuse)) => self.misuse(misuse),
            None => self.note_write(address),
        }
        Ok(())
    }

    fn erase(&mut self, request: Request) -> Result<(), BusError> {
        let (pages, cycles) = match request {
            Request::Page(page) => (vec![page], ERASE_PAGE),
            Request::Partial { page, cycles, last: true } => (vec![page], cycles),
            Request::Partial { cycles, .. } => (vec![], cycles),
            Request::Uicr => (vec![UICR], ERASE_PAGE),
            Request::All => ((0..PAGES).map(|page| page * PAGE).chain([UICR]).collect(), ERASE_ALL),
        };
        if pages.iter().any(|page| !self.acl.may_write(*page)) {
            return Err(BusError);
        }
        let mut done = true;
        for page in pages {
            if done {
                done = self.flash.erase(page)?;
            }
        }
        self.spend(cycles, done);
        Ok(())
    }
}

/// The bytes of a word from `address` on, which must lie in it.
fn part<const LEN: usize>(word: u32, address: u32) -> Result<[u8; LEN], BusError> {
    let at = (address & 3) as usize;
    let bytes = word.to_le_bytes();
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).copied().ok_or(BusError)
}

impl Chip {
    /// The instructions of the page of flash around `address`, if all of them may be executed. They are good until something
    /// is looked at anew: see [`Chip::wake`].
    pub(crate) fn code(&mut self, address: u32) -> Option<Code> {
        if self.acl.forbids_reading { None } else { self.flash.code(address) }
    }
}

impl Bus for Chip {
    fn now(&self) -> u64 {
        self.now
    }

    fn note_unmodelled(&mut self, address: u32, touch: Touch) {
        self.unmodelled.note(address, touch);
    }

    fn fetch(&mut self, address: u32) -> Result<Decoded, BusError> {
        if address < SIZE {
            if self.acl.forbids_reading && !self.acl.may_read(address) {
                return Err(BusError);
            }
            return self.flash.fetch(address);
        }
        let first = u16::from_le_bytes(self.ram.read(address)?);
        let second =
            if Decoded::is_wide(first) { u16::from_le_bytes(self.ram.read(address + 2)?) } else { 0 };
        Ok(Decoded::new(first, second))
    }

    #[inline]
    fn read8(&mut self, address: u32) -> Result<u8, BusError> {
        self.read(address).map(u8::from_le_bytes)
    }

    #[inline]
    fn read16(&mut self, address: u32) -> Result<u16, BusError> {
        self.read(address).map(u16::from_le_bytes)
    }

    #[inline]
    fn read32(&mut self, address: u32) -> Result<u32, BusError> {
        self.read(address).map(u32::from_le_bytes)
    }

    #[inline]
    fn write8(&mut self, address: u32, value: u8) -> Result<(), BusError> {
        self.write(address, value.to_le_bytes())
    }

    #[inline]
    fn write16(&mut self, address: u32, value: u16) -> Result<(), BusError> {
        self.write(address, value.to_le_bytes())
    }

    #[inline]
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusError> {
        match place(address)? {
            Place::Ram => self.ram.write(address, value.to_le_bytes()),
            Place::Registers if address & !0x7FF == NVMC_REGISTERS && address.is_multiple_of(4) => {
                self.write_nvmc(address, value)
            }
            Place::Registers if address.is_multiple_of(4) => {
                self.write_register(address, value);
                Ok(())
            }
            Place::Flash | Place::Uicr => self.program(address, value),
            Place::Registers | Place::Ficr => Err(BusError),
        }
    }
}
