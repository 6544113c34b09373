//! The canonical reader of manifests and messages: postcard's encoding, with everything a writer would not have written refused.
//!
//! Why not serde on the device: measured on thumbv7em, decode plus re-encode through serde costs a manifest about 6 KB of flash
//! more than walking the bytes, and messages 2 KB. Postcard stays the writer of manifests, and the oracle in the tests.

use crate::{DecodeError, Digest};

/// Largest envelope with classical signatures, in bytes. Devices lend a buffer of this size.
pub const MAX_ENVELOPE: usize = 1536;

/// Largest envelope with a post-quantum signature, in bytes; but of a trust document. Room for the largest manifest that
/// fits [`MAX_ENVELOPE`] with classical signatures, and beside them for one LMS signature of up to 2,512 bytes (H10 W4).
///
/// Firmware that takes such signatures lends this much where it would lend [`MAX_ENVELOPE`].
pub const MAX_ENVELOPE_POST_QUANTUM: usize = 4096;

/// Reads postcard-encoded fields front to back.
///
/// The first thing that is wrong is kept and [`Reader::finish`] tells it; from there on there is nothing left to read and
/// every field is zero. Handing a `Result` up from each of some forty fields instead took 1.5 KB more of a bootloader.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    failure: Option<DecodeError>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, failure: None }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether something was wrong so far.
    pub(crate) const fn is_refused(&self) -> bool {
        self.failure.is_some()
    }

    /// What has been read counts only if this is `Ok`.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match (self.failure, self.rest) {
            (Some(error), _) => Err(error),
            (None, []) => Ok(()),
            (None, rest) => Err(DecodeError::Trailing(rest.len())),
        }
    }

    #[inline(never)]
    pub(crate) fn refuse(&mut self, error: DecodeError) {
        self.failure.get_or_insert(error);
        self.rest = &[];
    }

    /// Refuses what does not meet a condition.
    #[inline(always)]
    pub(crate) fn require(&mut self, met: bool, else_refused: DecodeError) {
        if !met {
            self.refuse(else_refused);
        }
    }

    /// The value that was read, or `instead` of one that is refused.
    pub(crate) fn checked<T>(&mut self, read: Result<T, DecodeError>, instead: T) -> T {
        read.unwrap_or_else(|error| {
            self.refuse(error);
            instead
        })
    }

    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            self.refuse(DecodeError::Truncated);
            return &[];
        };
        self.rest = rest;
        taken
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        self.fill(&mut array);
        array
    }

    /// One function for arrays of every length.
    #[inline(never)]
    fn fill(&mut self, array: &mut [u8]) {
        let bytes = self.bytes(array.len());
        array.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    pub(crate) fn digest(&mut self) -> Digest {
        Digest::new(self.array())
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        let [low, high, ..] = self.at_most(3, u16::MAX.into()).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.at_most(5, u32::MAX)
    }

    fn at_most(&mut self, max_bytes: u32, max: u32) -> u32 {
        let value = u32::try_from(self.varint(max_bytes)).ok().filter(|value| *value <= max);
        self.checked(value.ok_or(DecodeError::Overflow), 0)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.varint(10)
    }

    pub(crate) fn bool(&mut self) -> bool {
        let tag = self.u8();
        if tag > 1 {
            self.refuse(DecodeError::UnknownTag(tag));
        }
        tag == 1
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| read(self))
    }

    /// A list length of at most `limit`.
    pub(crate) fn count(&mut self, limit: u8) -> u8 {
        let found = self.u32();
        let count = u8::try_from(found).ok().filter(|count| *count <= limit);
        self.checked(count.ok_or(DecodeError::TooMany { found, limit }), 0)
    }

    /// A list of at most `limit` entries: how many there are, and their bytes. By a function pointer, so that all lists
    /// share one loop.
    pub(crate) fn list(&mut self, limit: u8, entry: fn(&mut Self)) -> (u8, &'a [u8]) {
        let count = self.count(limit);
        let before = self.rest;
        (0..count).for_each(|_| entry(self));
        (count, before.get(..before.len() - self.rest.len()).unwrap_or(before))
    }

    /// A length, then that many bytes.
    #[cfg(feature = "wire")]
    pub(crate) fn list_of_bytes(&mut self) -> &'a [u8] {
        let len = self.u32();
        // Where a length does not fit, neither do the bytes.
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// An enumeration tag; all of ours are below 128, so a byte that begins a longer one is unknown by itself.
    pub(crate) fn tag(&mut self) -> u8 {
        self.u8()
    }

    /// LEB128, at most `max_bytes` long, refused if a shorter form exists or 64 bits overflow.
    fn varint(&mut self, max_bytes: u32) -> u64 {
        // Multiplied, not shifted: a shift of 64 bits by a variable is a routine of its own on a 32-bit processor.
        let (mut value, mut unit) = (0u64, 1u64);
        for position in 0..max_bytes {
            let byte = self.u8();
            if position == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) * unit;
            unit <<= 7;
            if byte & 0x80 == 0 {
                if byte == 0 && position > 0 {
                    self.refuse(DecodeError::NonCanonical);
                }
                return value;
            }
        }
        self.refuse(DecodeError::Overflow);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> T) -> Result<T, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader);
        reader.finish().map(|()| value)
    }

    #[test]
    fn padded_number_is_refused_although_postcard_would_take_it() {
        assert_eq!(read(&[0x85, 0x00], Reader::u32), Err(DecodeError::NonCanonical));
        assert_eq!(postcard::from_bytes::<u32>(&[0x85, 0x00]), Ok(5));
    }

    #[test]
    fn largest_numbers_read_and_one_more_bit_overflows() {
        assert_eq!(read(&[0xFF, 0xFF, 0x03], Reader::u16), Ok(u16::MAX));
        assert_eq!(read(&[0xFF, 0xFF, 0x07], Reader::u16), Err(DecodeError::Overflow));
        assert_eq!(read(&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], Reader::u32), Ok(u32::MAX));
        assert_eq!(read(&[0xFF, 0xFF, 0xFF, 0xFF, 0x1F], Reader::u32), Err(DecodeError::Overflow));
        let mut longest = [0xFF; 10];
        longest[9] = 1;
        assert_eq!(read(&longest, Reader::u64), Ok(u64::MAX));
        longest[9] = 2;
        assert_eq!(read(&longest, Reader::u64), Err(DecodeError::Overflow));
    }

    #[test]
    fn announced_length_is_bounded_before_anything_is_read() {
        let announced = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F];
        let bounded = read(&announced, |reader| reader.count(4));
        assert_eq!(bounded, Err(DecodeError::TooMany { found: u32::MAX, limit: 4 }));
    }

    #[test]
    fn first_failure_is_told_and_nothing_behind_it_is_read() {
        let behind = read(&[2, 7, 7], |reader| (reader.bool(), reader.u8(), reader.digest()));
        assert_eq!(behind, Err(DecodeError::UnknownTag(2)));
        let mut reader = Reader::new(&[2, 7]);
        assert_eq!((reader.bool(), reader.u8()), (false, 0));
    }
}
