//! What code under test sees: the traits of `embedded-storage`.

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};

use super::flash::address;
use super::{Bank, CutMode, Flash, Logged, SimError};

impl<const WRITE: usize, const PAGE: usize> ErrorType for Flash<WRITE, PAGE> {
    type Error = SimError;
}

impl<const WRITE: usize, const PAGE: usize> ReadNorFlash for Flash<WRITE, PAGE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        let Some(span) = self.admit(offset, bytes.len(), |_| 1)? else { return Ok(()) };
        self.answers(&span.bytes)?;
        let counts = &mut self.chips[span.chip].counts;
        counts.reads += 1;
        counts.bytes_read += bytes.len() as u64;
        if self.failing_reads > 0 {
            self.failing_reads -= 1;
            return Err(SimError::ReadFailed);
        }
        for piece in self.chips[span.chip].pieces(span.bytes) {
            let (page, part) = (&self.pages[piece.page], &mut bytes[piece.span]);
            page.read(piece.at, part, self.rules.error_correction, &mut self.random)?;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl<const WRITE: usize, const PAGE: usize> NorFlash for Flash<WRITE, PAGE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        let mut at = from as usize;
        self.admit_erase(at, to as usize)?;
        while at < to as usize {
            let chip = self.chip_of(at);
            let (page, len) = (chip.page_of(at), chip.bank.erase_page as usize);
            self.erase_page(at, page)?;
            at += len;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        let write_size = |bank: &Bank| bank.write_size as usize;
        let Some(span) = self.admit(offset, bytes.len(), write_size)? else { return Ok(()) };
        self.answers(&span.bytes)?;
        self.refuse_second_program(&span, bytes)?;
        let cut = self.begin(span.chip, Logged::Write { at: offset, len: address(bytes.len()) });
        match cut {
            None => self.program(&span, bytes),
            Some(mode) => {
                match mode {
                    CutMode::Before => {}
                    // A page that refuses is as it was, with power and without.
                    CutMode::After => self.program(&span, bytes).unwrap_or_default(),
                    mode => self.tear_write(&span, bytes, mode),
                }
                Err(SimError::PowerLost)
            }
        }
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
        self.len
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
