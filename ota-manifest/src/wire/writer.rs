//! How fields are written: the mirror of the crate's reader.

/// Takes the bytes of a message, front to back.
///
/// Nothing fails on the way: what has no room is counted and dropped, and whoever ends the message notices. A `Result` from
/// each field would be more code than the fields.
pub trait Writer {
    /// One byte as it is.
    fn u8(&mut self, byte: u8);

    /// Bytes as they are.
    fn array(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.u8(*byte));
    }

    /// A number of at most 16 bits.
    fn u16(&mut self, value: u16) {
        self.u32(value.into());
    }

    /// LEB128: seven bits a byte, low first, the high bit set on all but the last.
    fn u32(&mut self, mut value: u32) {
        while value > 0x7F {
            let [low, ..] = value.to_le_bytes();
            self.u8(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.u8(low);
    }

    /// A length, then that many bytes.
    fn list(&mut self, bytes: &[u8]) {
        // A list of 4 GiB has no reader, so its length need not be right.
        self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.array(bytes);
    }
}

/// Writes into memory that is lent.
pub(crate) struct Plain<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Plain<'b> {
    pub(crate) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// What was written, if there was room for all of it.
    pub(crate) fn finish(self) -> Option<&'b [u8]> {
        self.buffer.get(..self.len)
    }
}

impl Writer for Plain<'_> {
    // Inlined into every field it takes 80 bytes more of a device.
    #[inline(never)]
    fn u8(&mut self, byte: u8) {
        if let Some(place) = self.buffer.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }
}
