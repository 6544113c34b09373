//! NOR flash in a file: strict about alignment and about programming a word once per erase.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

use crate::Supply;

/// Erase page, bytes.
pub(crate) const PAGE: usize = 4096;
/// Program unit, bytes.
pub(crate) const WORD: usize = 4;

/// Flash in a file. The file holds the complement of the flash, so that erased flash is a hole and takes no room on disk.
#[derive(Debug)]
pub struct FlashFile {
    file: File,
    len: usize,
    supply: Supply,
}

/// Why the flash refuses.
#[derive(Debug)]
pub enum FlashError {
    /// The file cannot be read or written.
    Io(io::Error),
    /// Not a multiple of word or page, or beyond the end: a bug in the caller.
    OutOfRange,
    /// A word was programmed twice without an erase: a bug in the caller.
    NotErased,
    /// The power has failed; a restart is needed.
    PowerLost,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::OutOfRange => NorFlashErrorKind::OutOfBounds,
            Self::Io(_) | Self::NotErased | Self::PowerLost => NorFlashErrorKind::Other,
        }
    }
}

impl FlashFile {
    /// Creates an erased flash of `len` bytes.
    ///
    /// # Errors
    /// If the file cannot be created, or exists.
    pub fn create(path: &Path, len: usize) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        file.set_len(len as u64)?;
        Ok(Self { file, len, supply: Supply::new() })
    }

    /// Opens an existing flash.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Self { file, len, supply: Supply::new() })
    }

    /// Puts what was programmed on the disk of the host.
    ///
    /// # Errors
    /// If the host's file system refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// What it lives on.
    #[must_use]
    pub fn supply(&self) -> Supply {
        self.supply.clone()
    }

    fn check(&self, offset: u32, len: usize, align: usize) -> Result<u64, FlashError> {
        if !self.supply.is_on() {
            return Err(FlashError::PowerLost);
        }
        let start = offset as usize;
        let fits = start.checked_add(len).is_some_and(|end| end <= self.len);
        let aligned = start.is_multiple_of(align) && len.is_multiple_of(align);
        if fits && aligned { Ok(u64::from(offset)) } else { Err(FlashError::OutOfRange) }
    }

    /// Writes all of `bytes`, or their first half if power fails meanwhile.
    fn program(&mut self, at: u64, bytes: &[u8]) -> Result<(), FlashError> {
        let blows = self.supply.fuse_blows();
        let done = if blows { &bytes[..bytes.len() / 2] } else { bytes };
        self.file.write_all_at(done, at).map_err(FlashError::Io)?;
        if blows { Err(FlashError::PowerLost) } else { Ok(()) }
    }
}

impl ErrorType for FlashFile {
    type Error = FlashError;
}

impl ReadNorFlash for FlashFile {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let at = self.check(offset, bytes.len(), 1)?;
        self.file.read_exact_at(bytes, at).map_err(FlashError::Io)?;
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.len
    }
}

impl NorFlash for FlashFile {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let len = to.checked_sub(from).ok_or(FlashError::OutOfRange)? as usize;
        let start = self.check(from, len, PAGE)?;
        for page in 0..len / PAGE {
            self.program(start + (page * PAGE) as u64, &[0; PAGE])?;
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let at = self.check(offset, bytes.len(), WORD)?;
        let mut present = vec![0; bytes.len()];
        self.file.read_exact_at(&mut present, at).map_err(FlashError::Io)?;
        // Programming every bit is legal over anything; anything else needs an erased word.
        let voids = bytes.iter().all(|byte| *byte == 0);
        if !voids && present.iter().any(|byte| *byte != 0) {
            return Err(FlashError::NotErased);
        }
        let complement: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
        self.program(at, &complement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flash() -> (tempfile::TempDir, FlashFile) {
        let dir = tempfile::tempdir().unwrap();
        let flash = FlashFile::create(&dir.path().join("flash.bin"), 4 * PAGE).unwrap();
        (dir, flash)
    }

    #[test]
    fn word_is_programmed_once_per_erase_and_survives_reopening() {
        let (dir, mut flash) = flash();
        flash.write(8, &[1, 2, 3, 4]).unwrap();
        assert!(matches!(flash.write(8, &[1, 2, 3, 4]), Err(FlashError::NotErased)));
        drop(flash);
        let mut flash = FlashFile::open(&dir.path().join("flash.bin")).unwrap();
        let mut bytes = [0; 8];
        flash.read(4, &mut bytes).unwrap();
        assert_eq!(bytes, [0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4]);
        flash.erase(0, 4096).unwrap();
        flash.write(8, &[5; 4]).unwrap();
    }

    #[test]
    fn unaligned_and_out_of_range_are_refused() {
        let (_dir, mut flash) = flash();
        assert!(matches!(flash.write(2, &[0; 4]), Err(FlashError::OutOfRange)));
        assert!(matches!(flash.write(0, &[0; 3]), Err(FlashError::OutOfRange)));
        assert!(matches!(flash.erase(0, 100), Err(FlashError::OutOfRange)));
        assert!(matches!(flash.read(4 * 4096 - 1, &mut [0; 2]), Err(FlashError::OutOfRange)));
    }

    #[test]
    fn blown_fuse_leaves_half_an_operation_and_no_power() {
        let (_dir, mut flash) = flash();
        flash.supply().fail_after(1);
        flash.write(0, &[1; 8]).unwrap();
        assert!(matches!(flash.write(8, &[2; 8]), Err(FlashError::PowerLost)));
        assert!(matches!(flash.read(0, &mut [0; 4]), Err(FlashError::PowerLost)));
        flash.supply().restore();
        let mut bytes = [0; 16];
        flash.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
}
