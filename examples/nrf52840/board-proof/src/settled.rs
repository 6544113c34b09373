//! What a board has settled on, read from its flash by the bootloader's own code on the host.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use emulator::Machine;
use layout::LAYOUT;
use ota_manifest::ResetCause;
use ota_slots::sim::Keeper;
use ota_slots::{Guard, Policy, SlotId, SlotState, run_blocking};

/// The flash of an emulated chip, marginal bits included.
struct ChipFlash<'m>(&'m mut emulator::Flash);

impl ErrorType for ChipFlash<'_> {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for ChipFlash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let len = u32::try_from(bytes.len()).map_err(|_| NorFlashErrorKind::OutOfBounds)?;
        let read = self.0.bytes(offset, len).ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(&read);
        Ok(())
    }

    fn capacity(&self) -> usize {
        layout::FLASH_BYTES as usize
    }
}

impl NorFlash for ChipFlash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        let pages = (from..to).step_by(Self::ERASE_SIZE);
        let erased = [0xFF; Self::ERASE_SIZE];
        pages.into_iter().try_for_each(|page| self.load(page, &erased))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let mut cells = vec![0; bytes.len()];
        self.read(offset, &mut cells)?;
        cells.iter_mut().zip(bytes).for_each(|(cell, byte)| *cell &= byte);
        self.load(offset, &cells)
    }
}

impl ChipFlash<'_> {
    fn load(&mut self, address: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0.load(address, bytes).map_err(|_| NorFlashErrorKind::OutOfBounds)
    }
}

/// What a watchdog's reset would lead to, and whether that is confirmed. The machine is a copy.
#[must_use]
pub fn boots(mut machine: Machine, policy: &Policy<'_>) -> Option<(SlotId, SlotState)> {
    let keeper = Keeper { layout: &LAYOUT, policy, adopts: true };
    let mut flash = ChipFlash(machine.flash());
    let handover = keeper.boot(&mut flash, ResetCause::Watchdog).ok()?;
    Some((handover.slot(), handover.state()))
}

/// The version of the trust in force.
#[must_use]
pub fn trust_version(machine: &mut Machine) -> u32 {
    let mut flash = ChipFlash(machine.flash());
    let mut buffer = [0; LAYOUT.work_buffer()];
    run_blocking(Guard::peek(&LAYOUT), &mut flash, &LAYOUT, &mut buffer, || ()).trust_version()
}
