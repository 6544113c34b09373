//! Flash in memory, as strict as the chip's.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};

/// The chip's flash, erased.
pub(crate) struct Flash(Vec<u8>);

impl Flash {
    pub(crate) fn erased() -> Self {
        Self(vec![0xFF; layout::FLASH_BYTES as usize])
    }

    /// Writes as a programmer does, wherever.
    pub(crate) fn put(&mut self, address: u32, bytes: &[u8]) -> Option<()> {
        self.0.get_mut(address as usize..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn range(&mut self, from: u32, to: u32, unit: usize) -> Result<&mut [u8], NorFlashErrorKind> {
        let (from, to) = (from as usize, to as usize);
        if !from.is_multiple_of(unit) || !to.is_multiple_of(unit) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        self.0.get_mut(from..to).ok_or(NorFlashErrorKind::OutOfBounds)
    }
}

impl ErrorType for Flash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Flash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let from = offset as usize;
        let source = self.0.get(from..from + bytes.len()).ok_or(NorFlashErrorKind::OutOfBounds)?;
        bytes.copy_from_slice(source);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.len()
    }
}

impl NorFlash for Flash {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        self.range(from, to, Self::ERASE_SIZE)?.fill(0xFF);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        let to = u32::try_from(bytes.len()).ok().and_then(|len| offset.checked_add(len));
        let cells = self.range(offset, to.ok_or(NorFlashErrorKind::OutOfBounds)?, Self::WRITE_SIZE)?;
        cells.iter_mut().zip(bytes).for_each(|(cell, byte)| *cell &= byte);
        Ok(())
    }
}
