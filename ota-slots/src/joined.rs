//! Two chips in one address space.

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};

/// A processor's own flash and an external chip, as one flash: addresses from `boundary` on are the external chip's, counted
/// from its beginning.
///
/// The layout says which region lies where, and each region has the geometry of its chip. Announced are the finer of both
/// program units and erase pages; a chip that needs coarser ones refuses what does not suit it.
///
/// A silent external chip fails the operations on it and no others: an image in internal flash boots on.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};
/// use ota_slots::{Joined, sim::Flash};
///
/// const EXTERNAL: u32 = 0x100_0000; // anywhere behind the internal flash
/// let internal = Flash::<4, 4096>::new(0x10_0000, 0xFF, 1);
/// let serial_nor = Flash::<1, 65_536>::new(0x20_0000, 0xFF, 2);
/// let mut flash = Joined::new(internal, serial_nor, EXTERNAL);
///
/// flash.erase(EXTERNAL + 65_536, EXTERNAL + 2 * 65_536).unwrap();
/// flash.write(EXTERNAL + 65_536, b"there").unwrap();
/// let mut bytes = [0; 5];
/// flash.read(EXTERNAL + 65_536, &mut bytes).unwrap();
/// assert_eq!(&bytes, b"there");
/// let (_, external) = flash.into_parts();
/// assert_eq!(external.bytes_in(65_536..65_541), b"there");
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Joined<I, E> {
    internal: I,
    external: E,
    boundary: u32,
}

impl<I, E> Joined<I, E> {
    /// Joins two chips at `boundary`, which is not below the internal chip's capacity.
    pub const fn new(internal: I, external: E, boundary: u32) -> Self {
        Self { internal, external, boundary }
    }

    /// The two chips.
    pub fn into_parts(self) -> (I, E) {
        (self.internal, self.external)
    }
}

/// What went wrong, and on which chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinedError<I, E> {
    /// The processor's own flash.
    Internal(I),
    /// The external chip.
    External(E),
}

impl<I: NorFlashError, E: NorFlashError> NorFlashError for JoinedError<I, E> {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Internal(error) => error.kind(),
            Self::External(error) => error.kind(),
        }
    }
}

impl<I: ErrorType, E: ErrorType> ErrorType for Joined<I, E> {
    type Error = JoinedError<I::Error, E::Error>;
}

const fn finer(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

impl<I: ReadNorFlash, E: ReadNorFlash> ReadNorFlash for Joined<I, E> {
    const READ_SIZE: usize = finer(I::READ_SIZE, E::READ_SIZE);

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        match offset.checked_sub(self.boundary) {
            None => self.internal.read(offset, bytes).map_err(JoinedError::Internal),
            Some(offset) => self.external.read(offset, bytes).map_err(JoinedError::External),
        }
    }

    fn capacity(&self) -> usize {
        (self.boundary as usize).saturating_add(self.external.capacity())
    }
}

impl<I: NorFlash, E: NorFlash> NorFlash for Joined<I, E> {
    const WRITE_SIZE: usize = finer(I::WRITE_SIZE, E::WRITE_SIZE);
    const ERASE_SIZE: usize = finer(I::ERASE_SIZE, E::ERASE_SIZE);

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
        match from.checked_sub(self.boundary) {
            None => self.internal.erase(from, to).map_err(JoinedError::Internal),
            Some(from) => {
                self.external.erase(from, to.saturating_sub(self.boundary)).map_err(JoinedError::External)
            }
        }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        match offset.checked_sub(self.boundary) {
            None => self.internal.write(offset, bytes).map_err(JoinedError::Internal),
            Some(offset) => self.external.write(offset, bytes).map_err(JoinedError::External),
        }
    }
}

#[cfg(feature = "async")]
mod asynchronous {
    use embedded_storage_async::nor_flash::{NorFlash, ReadNorFlash};

    use super::{Joined, JoinedError, finer};

    impl<I: ReadNorFlash, E: ReadNorFlash> ReadNorFlash for Joined<I, E> {
        const READ_SIZE: usize = finer(I::READ_SIZE, E::READ_SIZE);

        async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
            match offset.checked_sub(self.boundary) {
                None => self.internal.read(offset, bytes).await.map_err(JoinedError::Internal),
                Some(offset) => self.external.read(offset, bytes).await.map_err(JoinedError::External),
            }
        }

        fn capacity(&self) -> usize {
            (self.boundary as usize).saturating_add(self.external.capacity())
        }
    }

    impl<I: NorFlash, E: NorFlash> NorFlash for Joined<I, E> {
        const WRITE_SIZE: usize = finer(I::WRITE_SIZE, E::WRITE_SIZE);
        const ERASE_SIZE: usize = finer(I::ERASE_SIZE, E::ERASE_SIZE);

        async fn erase(&mut self, from: u32, to: u32) -> Result<(), Self::Error> {
            match from.checked_sub(self.boundary) {
                None => self.internal.erase(from, to).await.map_err(JoinedError::Internal),
                Some(from) => {
                    let to = to.saturating_sub(self.boundary);
                    self.external.erase(from, to).await.map_err(JoinedError::External)
                }
            }
        }

        async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Self::Error> {
            match offset.checked_sub(self.boundary) {
                None => self.internal.write(offset, bytes).await.map_err(JoinedError::Internal),
                Some(offset) => self.external.write(offset, bytes).await.map_err(JoinedError::External),
            }
        }
    }
}
