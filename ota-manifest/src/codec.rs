//! The canonical reader: postcard's encoding, with everything a writer would not have written refused.
//!
//! Why not serde on the device: measured on thumbv7em, decode plus re-encode through serde costs about 6 KB of flash more
//! than walking the bytes; the bootloader walks. Postcard stays the writer and the oracle in the tests.

use crate::{DecodeError, Digest};

/// Largest envelope with classical signatures, in bytes. Devices lend a buffer of this size.
pub const MAX_ENVELOPE: usize = 1536;

/// Largest envelope with a post-quantum signature, in bytes; but of a trust document. Room for the largest manifest that
/// fits [`MAX_ENVELOPE`] with classical signatures, and beside them for one LMS signature of up to 2,512 bytes (H10 W4).
///
/// Firmware that takes such signatures lends this much where it would lend [`MAX_ENVELOPE`].
pub const MAX_ENVELOPE_POST_QUANTUM: usize = 4096;

/// Reads postcard-encoded fields front to back.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, DecodeError> {
        self.array().map(Digest::new)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        u16::try_from(self.varint(3)?).map_err(|_| DecodeError::Overflow)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint(5)?).map_err(|_| DecodeError::Overflow)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.varint(10)
    }

    pub(crate) fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::UnknownTag(tag)),
        }
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// A list length of at most `limit`.
    pub(crate) fn count(&mut self, limit: u8) -> Result<u8, DecodeError> {
        let found = self.u32()?;
        u8::try_from(found).ok().filter(|n| *n <= limit).ok_or(DecodeError::TooMany { found, limit })
    }

    /// An enumeration tag; all of ours are below 128, so anything longer is unknown.
    pub(crate) fn tag(&mut self) -> Result<u8, DecodeError> {
        let tag = self.u32()?;
        Ok(u8::try_from(tag).unwrap_or(u8::MAX))
    }

    /// LEB128, at most `max_bytes` long, refused if a shorter form exists or 64 bits overflow.
    fn varint(&mut self, max_bytes: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for position in 0..max_bytes {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7F);
            if position == 9 && byte > 1 {
                return Err(DecodeError::Overflow);
            }
            value |= bits << (7 * position);
            if byte & 0x80 == 0 {
                let padded = byte == 0 && position > 0;
                return if padded { Err(DecodeError::NonCanonical) } else { Ok(value) };
            }
        }
        Err(DecodeError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_number_is_refused_although_postcard_would_take_it() {
        assert_eq!(Reader::new(&[0x85, 0x00]).u32(), Err(DecodeError::NonCanonical));
        assert_eq!(postcard::from_bytes::<u32>(&[0x85, 0x00]), Ok(5));
    }

    #[test]
    fn largest_numbers_read_and_one_more_bit_overflows() {
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0x03]).u16(), Ok(u16::MAX));
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0x07]).u16(), Err(DecodeError::Overflow));
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F]).u32(), Ok(u32::MAX));
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x1F]).u32(), Err(DecodeError::Overflow));
        let mut longest = [0xFF; 10];
        longest[9] = 1;
        assert_eq!(Reader::new(&longest).u64(), Ok(u64::MAX));
        longest[9] = 2;
        assert_eq!(Reader::new(&longest).u64(), Err(DecodeError::Overflow));
    }

    #[test]
    fn announced_length_is_bounded_before_anything_is_read() {
        let announced = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
        assert_eq!(Reader::new(&announced).count(4), Err(DecodeError::TooMany { found: u32::MAX, limit: 4 }));
    }
}
