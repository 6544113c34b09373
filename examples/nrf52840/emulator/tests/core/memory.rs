//! Memory and nothing else.

use emulator::{Bus, BusError, Decoded, Touch};

/// Where RAM begins.
pub(crate) const RAM: u32 = 0x2000_0000;
const RAM_SIZE: usize = 0x2_0000;

/// A little code memory at address 0, and RAM.
#[derive(Clone)]
pub(crate) struct Memory {
    code: Vec<u8>,
    ram: Vec<u8>,
    pub(crate) now: u64,
    pub(crate) unmodelled: Vec<(u32, Touch)>,
}

impl Memory {
    pub(crate) fn new(code: Vec<u8>) -> Self {
        Self { code, ram: vec![0; RAM_SIZE], now: 0, unmodelled: Vec::new() }
    }

    fn place(&mut self, address: u32, len: usize) -> Result<&mut [u8], BusError> {
        let (memory, at) = if address >= RAM {
            (&mut self.ram, (address - RAM) as usize)
        } else {
            (&mut self.code, address as usize)
        };
        memory.get_mut(at..at + len).ok_or(BusError)
    }

    fn get<const LEN: usize>(&mut self, address: u32) -> Result<[u8; LEN], BusError> {
        let mut bytes = [0; LEN];
        bytes.copy_from_slice(self.place(address, LEN)?);
        Ok(bytes)
    }

    pub(crate) fn put(&mut self, address: u32, bytes: &[u8]) -> Result<(), BusError> {
        if address < RAM {
            return Err(BusError);
        }
        self.place(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn word(&mut self, address: u32) -> u32 {
        self.read32(address).unwrap()
    }
}

impl Bus for Memory {
    fn now(&self) -> u64 {
        self.now
    }
    fn note_unmodelled(&mut self, address: u32, touch: Touch) {
        self.unmodelled.push((address, touch));
    }
    fn fetch(&mut self, address: u32) -> Result<Decoded, BusError> {
        let first = self.read16(address)?;
        let second = if Decoded::is_wide(first) { self.read16(address + 2)? } else { 0 };
        Ok(Decoded::new(first, second))
    }
    fn read8(&mut self, address: u32) -> Result<u8, BusError> {
        self.get(address).map(u8::from_le_bytes)
    }
    fn read16(&mut self, address: u32) -> Result<u16, BusError> {
        self.get(address).map(u16::from_le_bytes)
    }
    fn read32(&mut self, address: u32) -> Result<u32, BusError> {
        self.get(address).map(u32::from_le_bytes)
    }
    fn write8(&mut self, address: u32, value: u8) -> Result<(), BusError> {
        self.put(address, &value.to_le_bytes())
    }
    fn write16(&mut self, address: u32, value: u16) -> Result<(), BusError> {
        self.put(address, &value.to_le_bytes())
    }
    fn write32(&mut self, address: u32, value: u32) -> Result<(), BusError> {
        self.put(address, &value.to_le_bytes())
    }
}
