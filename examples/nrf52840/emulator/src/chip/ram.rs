//! Data RAM (product specification, "Memory"): 256 KiB, kept by every reset but one that takes the power away.

use crate::core::BusError;

/// Where it begins.
pub(super) const BASE: u32 = 0x2000_0000;
/// Bytes.
pub(super) const SIZE: u32 = 256 << 10;

#[derive(Clone)]
pub(super) struct Ram(Vec<u8>);

impl Default for Ram {
    fn default() -> Self {
        Self(vec![0; SIZE as usize])
    }
}

impl Ram {
    #[inline]
    pub(super) fn read<const LEN: usize>(&self, address: u32) -> Result<[u8; LEN], BusError> {
        let at = address.wrapping_sub(BASE) as usize;
        let bytes = self.0.get(at..at.wrapping_add(LEN)).and_then(|bytes| bytes.first_chunk());
        bytes.copied().ok_or(BusError)
    }

    #[inline]
    pub(super) fn write<const LEN: usize>(&mut self, address: u32, value: [u8; LEN]) -> Result<(), BusError> {
        let at = address.wrapping_sub(BASE) as usize;
        let bytes = self.0.get_mut(at..at.wrapping_add(LEN)).and_then(|bytes| bytes.first_chunk_mut());
        *bytes.ok_or(BusError)? = value;
        Ok(())
    }

    /// The bytes of a buffer, if all of it lies here.
    pub(super) fn slice(&mut self, address: u32, len: u32) -> Option<&mut [u8]> {
        let at = address.checked_sub(BASE)? as usize;
        self.0.get_mut(at..at.checked_add(len as usize)?)
    }

    /// What power-on leaves: a pattern, so that nobody takes it for zeros.
    pub(super) fn scramble(&mut self) {
        self.0.fill(0xA5);
    }
}
