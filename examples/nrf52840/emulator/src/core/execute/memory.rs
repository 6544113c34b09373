//! Loads and stores. Words and halfwords may be unaligned, except for those that move several words, the exclusive ones, and
//! where firmware asked for a trap (A3.2.1).

use super::super::op::{Access, Index, Memory, Reg};
use super::super::private_bus::UNALIGN_TRP;
use super::super::{Bus, Core, Fault};

impl Core {
    #[inline]
    pub(super) fn memory(&mut self, bus: &mut impl Bus, memory: &Memory) -> Result<(), Fault> {
        match *memory {
            Memory::Load { access, t, n, index, offset } => {
                let (address, base) = indexed(self.get(n), index, offset);
                let value = self.load(bus, address, access)?;
                if index != Index::Offset {
                    self.put(n, base);
                }
                self.put_loaded(bus, t, value)
            }
            Memory::Store { access, t, n, index, offset } => {
                let (address, base) = indexed(self.get(n), index, offset);
                self.store(bus, address, access, self.get(t))?;
                if index != Index::Offset {
                    self.put(n, base);
                }
                Ok(())
            }
            Memory::LoadIndexed { access, t, n, m, shift } => {
                let address = self.get(n).wrapping_add(self.get(m) << shift);
                let value = self.load(bus, address, access)?;
                self.put_loaded(bus, t, value)
            }
            Memory::StoreIndexed { access, t, n, m, shift } => {
                let address = self.get(n).wrapping_add(self.get(m) << shift);
                self.store(bus, address, access, self.get(t))
            }
            Memory::LoadLiteral { access, t, offset } => {
                let value = self.load(bus, (self.r[15] & !3).wrapping_add(offset), access)?;
                self.put_loaded(bus, t, value)
            }
            Memory::LoadMany { n, list, writeback, descending } => {
                self.load_many(bus, n, list, writeback, descending)
            }
            Memory::StoreMany { n, list, writeback, descending } => {
                self.store_many(bus, n, list, writeback, descending)
            }
            _ => self.memory_rare(bus, memory),
        }
    }

    fn memory_rare(&mut self, bus: &mut impl Bus, memory: &Memory) -> Result<(), Fault> {
        match *memory {
            Memory::LoadDual { t, t2, n, index, offset } => {
                // Only the literal form has PC as its base.
                let base = if n == 15 { self.r[15] & !3 } else { self.get(n) };
                let (address, base) = indexed(base, index, offset);
                aligned(address, 3)?;
                let (first, second) =
                    (self.load_word(bus, address)?, self.load_word(bus, address.wrapping_add(4))?);
                if index != Index::Offset {
                    self.put(n, base);
                }
                self.put(t, first);
                self.put(t2, second);
            }
            Memory::StoreDual { t, t2, n, index, offset } => {
                let (address, base) = indexed(self.get(n), index, offset);
                aligned(address, 3)?;
                self.store_word(bus, address, self.get(t))?;
                self.store_word(bus, address.wrapping_add(4), self.get(t2))?;
                if index != Index::Offset {
                    self.put(n, base);
                }
            }
            Memory::LoadExclusive { access, t, n, offset } => {
                let address = self.get(n).wrapping_add(offset);
                aligned(address, mask(access))?;
                let value = self.load(bus, address, access)?;
                self.exclusive = true;
                self.put(t, value);
            }
            Memory::StoreExclusive { access, d, t, n, offset } => {
                let address = self.get(n).wrapping_add(offset);
                aligned(address, mask(access))?;
                if self.exclusive {
                    self.store(bus, address, access, self.get(t))?;
                }
                self.put(d, u32::from(!self.exclusive));
                self.exclusive = false;
            }
            Memory::ClearExclusive => self.exclusive = false,
            // Preload; the others are done where they are frequent.
            _ => {}
        }
        Ok(())
    }

    /// A loaded program counter is a branch.
    #[inline]
    fn put_loaded(&mut self, bus: &mut impl Bus, t: Reg, value: u32) -> Result<(), Fault> {
        if t == 15 {
            return self.exchange(bus, value);
        }
        self.put(t, value);
        Ok(())
    }

    fn load_many(
        &mut self,
        bus: &mut impl Bus,
        n: Reg,
        list: u16,
        writeback: bool,
        descending: bool,
    ) -> Result<(), Fault> {
        let (mut address, base) = block(self.get(n), list.count_ones(), descending);
        aligned(address, 3)?;
        // Nothing changes until all words are there: an instruction that faults is executed again.
        let mut loaded = [0; 16];
        for (register, word) in loaded.iter_mut().enumerate() {
            if list >> register & 1 != 0 {
                *word = self.load_word(bus, address)?;
                address = address.wrapping_add(4);
            }
        }
        if writeback {
            self.put(n, base);
        }
        for (register, word) in loaded.into_iter().enumerate().take(15) {
            if list >> register & 1 != 0 {
                self.r[register] = word;
            }
        }
        if list >> 15 != 0 {
            return self.exchange(bus, loaded[15]);
        }
        Ok(())
    }

    fn store_many(
        &mut self,
        bus: &mut impl Bus,
        n: Reg,
        list: u16,
        writeback: bool,
        descending: bool,
    ) -> Result<(), Fault> {
        let (mut address, base) = block(self.get(n), list.count_ones(), descending);
        aligned(address, 3)?;
        for register in 0..15 {
            if list >> register & 1 != 0 {
                self.store_word(bus, address, self.get(register))?;
                address = address.wrapping_add(4);
            }
        }
        if writeback {
            self.put(n, base);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn load(&mut self, bus: &mut impl Bus, address: u32, access: Access) -> Result<u32, Fault> {
        let fault = |_| Fault::Data(address);
        match access {
            Access::Word => self.load_word(bus, address),
            Access::Byte | Access::Half if address >> 28 == 0xE => {
                let mask = if access == Access::Byte { 0xFF } else { 0xFFFF };
                self.read_private_part(bus, address, mask)
            }
            Access::Byte => bus.read8(address).map(u32::from).map_err(fault),
            Access::SignedByte => {
                let byte = bus.read8(address).map_err(fault)?;
                Ok(i32::from(byte.cast_signed()).cast_unsigned())
            }
            Access::Half => self.load_half(bus, address).map(u32::from),
            Access::SignedHalf => {
                let half = self.load_half(bus, address)?;
                Ok(i32::from(half.cast_signed()).cast_unsigned())
            }
        }
    }

    fn load_half(&mut self, bus: &mut impl Bus, address: u32) -> Result<u16, Fault> {
        self.trap_unaligned(address, 1)?;
        bus.read16(address).map_err(|_| Fault::Data(address))
    }

    #[inline]
    pub(in super::super) fn load_word(&mut self, bus: &mut impl Bus, address: u32) -> Result<u32, Fault> {
        if address >> 28 == 0xE {
            return self.read_private(bus, address);
        }
        self.trap_unaligned(address, 3)?;
        bus.read32(address).map_err(|_| Fault::Data(address))
    }

    #[inline]
    pub(super) fn store(
        &mut self,
        bus: &mut impl Bus,
        address: u32,
        access: Access,
        value: u32,
    ) -> Result<(), Fault> {
        let [low, high, ..] = value.to_le_bytes();
        let fault = |_| Fault::Data(address);
        match access {
            Access::Word => self.store_word(bus, address, value),
            Access::Byte | Access::SignedByte if address >> 28 == 0xE => {
                self.write_private_byte(bus, address, low)
            }
            Access::Byte | Access::SignedByte => bus.write8(address, low).map_err(fault),
            Access::Half | Access::SignedHalf => {
                self.trap_unaligned(address, 1)?;
                bus.write16(address, u16::from_le_bytes([low, high])).map_err(fault)
            }
        }
    }

    #[inline]
    pub(in super::super) fn store_word(
        &mut self,
        bus: &mut impl Bus,
        address: u32,
        value: u32,
    ) -> Result<(), Fault> {
        if address >> 28 == 0xE {
            return self.write_private(bus, address, value);
        }
        self.trap_unaligned(address, 3)?;
        bus.write32(address, value).map_err(|_| Fault::Data(address))
    }

    #[inline]
    fn trap_unaligned(&self, address: u32, mask: u32) -> Result<(), Fault> {
        if address & mask != 0 && self.scb.ccr & UNALIGN_TRP != 0 { Err(Fault::Unaligned) } else { Ok(()) }
    }
}

/// The address of the access, and the base after it.
#[inline]
fn indexed(base: u32, index: Index, offset: u32) -> (u32, u32) {
    let moved = base.wrapping_add(offset);
    if index == Index::After { (base, moved) } else { (moved, moved) }
}

/// The lowest address of a block, and the base after it.
fn block(base: u32, count: u32, descending: bool) -> (u32, u32) {
    let size = count * 4;
    if descending {
        let start = base.wrapping_sub(size);
        (start, start)
    } else {
        (base, base.wrapping_add(size))
    }
}

pub(super) fn aligned(address: u32, mask: u32) -> Result<(), Fault> {
    if address & mask == 0 { Ok(()) } else { Err(Fault::Unaligned) }
}

fn mask(access: Access) -> u32 {
    match access {
        Access::Byte | Access::SignedByte => 0,
        Access::Half | Access::SignedHalf => 1,
        Access::Word => 3,
    }
}
