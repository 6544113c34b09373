//! Whether flash still holds what it should.

use core::ops::Range;

use embedded_storage::nor_flash::ReadNorFlash;
use ota_manifest::Digest;
use ota_verify::{Sha256, digests_equal};
use thiserror::Error;

use super::{Fault, Outcome, Probe, Step};

/// Compares the SHA-256 of a range of flash with what it should be, one slice a poll.
///
/// For what the proof of the image does not cover: calibration, certificates, a radio's firmware, a staging chip. The
/// slice is as long as the lent buffer: 4 KiB are 160,000 instructions of a Cortex-M4 beside the read itself (38 a
/// byte). Within 60 s.
///
/// ```
/// use ota_agent::self_test::{FlashDigest, Outcome, Probe, Step};
/// use ota_verify::Sha256;
/// # use embedded_storage::nor_flash::{ErrorType, ReadNorFlash};
/// # struct Flash([u8; 64]);
/// # impl ErrorType for Flash { type Error = core::convert::Infallible; }
/// # impl ReadNorFlash for Flash {
/// #     const READ_SIZE: usize = 4;
/// #     fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
/// #         bytes.copy_from_slice(&self.0[at as usize..][..bytes.len()]);
/// #         Ok(())
/// #     }
/// #     fn capacity(&self) -> usize { 64 }
/// # }
/// # let flash = Flash([7; 64]);
/// // A flash of 64 bytes that are all 7:
/// let (expected, mut slice) = (Sha256::of(&[&[7; 21]]), [0; 16]);
/// let mut digest = FlashDigest::new(flash, 8..29, expected, &mut slice).unwrap();
/// assert_eq!(digest.poll(0), Step::Progress);
/// assert_eq!(digest.poll(0), Step::Done(Outcome::Passed));
/// ```
#[derive(Debug)]
pub struct FlashDigest<'b, F> {
    flash: F,
    /// Hashed up to here.
    next: u32,
    end: u32,
    expected: Digest,
    slice: &'b mut [u8],
    hash: Sha256,
    timeout_ms: u32,
}

/// Why a range of flash is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RangeRefused {
    /// There is nothing in it: its digest would say nothing.
    #[error("the range is empty")]
    Empty,
    /// It ends beyond the flash.
    #[error("the range ends beyond the flash")]
    BeyondFlash,
    /// Its start is no multiple of what the flash reads at once.
    #[error("the range starts within a unit of reading")]
    Unaligned,
    /// The buffer is empty, or its length is no multiple of what the flash reads at once.
    #[error("the buffer does not hold whole units of reading")]
    BufferLength,
}

impl<'b, F: ReadNorFlash> FlashDigest<'b, F> {
    /// The bytes of `range`, which starts at a multiple of the flash's read size, must have the digest `expected`.
    /// They are read as many at a time as `slice` holds, a multiple of that size; the range may end anywhere.
    ///
    /// # Errors
    /// [`RangeRefused`].
    pub fn new(
        flash: F,
        range: Range<u32>,
        expected: Digest,
        slice: &'b mut [u8],
    ) -> Result<Self, RangeRefused> {
        let unit = F::READ_SIZE.max(1);
        if range.is_empty() {
            return Err(RangeRefused::Empty);
        }
        if slice.is_empty() || !slice.len().is_multiple_of(unit) {
            return Err(RangeRefused::BufferLength);
        }
        let (Ok(start), Ok(end)) = (usize::try_from(range.start), usize::try_from(range.end)) else {
            return Err(RangeRefused::BeyondFlash);
        };
        if !start.is_multiple_of(unit) {
            return Err(RangeRefused::Unaligned);
        }
        // The last unit is read as a whole.
        if end.checked_next_multiple_of(unit).is_none_or(|end| end > flash.capacity()) {
            return Err(RangeRefused::BeyondFlash);
        }
        let hash = Sha256::new();
        Ok(Self { flash, next: range.start, end: range.end, expected, slice, hash, timeout_ms: 60_000 })
    }

    /// Takes `timeout_ms` at most.
    #[must_use]
    pub fn within_ms(mut self, timeout_ms: u32) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    /// Hashes the next slice; `None` when flash does not read.
    fn hash_slice(&mut self) -> Option<()> {
        let left = usize::try_from(self.end.checked_sub(self.next)?).ok()?;
        let wanted = left.min(self.slice.len());
        let whole = wanted.checked_next_multiple_of(F::READ_SIZE.max(1))?;
        let read = self.slice.get_mut(..whole)?;
        self.flash.read(self.next, read).ok()?;
        self.hash.update(read.get(..wanted)?);
        self.next = self.next.checked_add(u32::try_from(wanted).ok()?)?;
        Some(())
    }
}

impl<F: ReadNorFlash> Probe for FlashDigest<'_, F> {
    fn name(&self) -> &'static str {
        "flash"
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, _: u64) -> Step {
        if self.hash_slice().is_none() {
            return Step::Done(Outcome::Failed(Fault::FlashUnreadable));
        }
        if self.next < self.end {
            return Step::Progress;
        }
        let found = core::mem::take(&mut self.hash).finish();
        Step::Done(if digests_equal(&found, &self.expected) {
            Outcome::Passed
        } else {
            Outcome::Failed(Fault::WrongDigest)
        })
    }
}
