//! What the host has put into RAM: fields, each with its length before it.

use core::mem;
use core::ptr::with_exposed_provenance_mut;
use core::slice;

use crate::start::fail;

/// Where the emulator loads the inputs; `xtask` names the same address.
const ADDRESS: usize = 0x2020_0000;
/// Memory there, bytes. What the host did not write is zero.
const LEN: usize = 0x10_0000;

/// The inputs of a program, taken field by field.
///
/// ```text
/// (length u32, little endian | bytes) ...
/// ```
pub struct Inputs(&'static mut [u8]);

impl Inputs {
    /// All of them.
    ///
    /// # Safety
    /// May be called once.
    pub(crate) unsafe fn take() -> Self {
        // SAFETY: the board has RAM there, which is initialised by the emulator and which neither stack nor variables of
        // this program touch; the caller promises that nobody else has this reference.
        Self(unsafe { slice::from_raw_parts_mut(with_exposed_provenance_mut(ADDRESS), LEN) })
    }

    /// The next field.
    pub fn field(&mut self) -> &'static mut [u8] {
        let len = self.cut(4).try_into().map_or(0, u32::from_le_bytes);
        self.cut(len as usize)
    }

    /// The next field, which has `N` bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        match (&*self.field()).try_into() {
            Ok(bytes) => bytes,
            Err(_) => fail("a field of the inputs has another length"),
        }
    }

    fn cut(&mut self, len: usize) -> &'static mut [u8] {
        match mem::take(&mut self.0).split_at_mut_checked(len) {
            Some((field, rest)) => {
                self.0 = rest;
                field
            }
            None => fail("the inputs end early"),
        }
    }
}
