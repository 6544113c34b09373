//! CRC-32/ISO-HDLC, the checksum of Ethernet and zip, half a byte at a time: a table of 64 bytes instead of a kilobyte.

/// The polynomial of IEEE 802.3, 3.2.9, bits reversed.
const POLYNOMIAL: u32 = 0xEDB8_8320;
/// The register after any bytes with their own checksum behind them.
const RESIDUE: u32 = 0xDEBB_20E3;

const TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut rest: &mut [u32] = &mut table;
    let mut nibble = 0;
    while let Some((entry, behind)) = rest.split_first_mut() {
        *entry = shifted(nibble);
        nibble += 1;
        rest = behind;
    }
    table
}

/// Four bits later.
const fn shifted(mut register: u32) -> u32 {
    let mut bit = 0;
    while bit < 4 {
        register = if register & 1 == 1 { register >> 1 ^ POLYNOMIAL } else { register >> 1 };
        bit += 1;
    }
    register
}

/// A checksum under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crc32(u32);

impl Crc32 {
    pub(super) const fn new() -> Self {
        Self(u32::MAX)
    }

    pub(super) fn push(&mut self, byte: u8) {
        let register = self.0 ^ u32::from(byte);
        let register = register >> 4 ^ entry(register);
        self.0 = register >> 4 ^ entry(register);
    }

    pub(super) const fn bytes(self) -> [u8; 4] {
        (!self.0).to_le_bytes()
    }

    /// Whether the last four bytes were the checksum of those before them.
    pub(super) const fn holds(self) -> bool {
        self.0 == RESIDUE
    }
}

fn entry(register: u32) -> u32 {
    let [low, ..] = register.to_le_bytes();
    TABLE.get(usize::from(low & 0xF)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn of(bytes: &[u8]) -> Crc32 {
        let mut crc = Crc32::new();
        bytes.iter().for_each(|byte| crc.push(*byte));
        crc
    }

    #[test]
    fn checksum_is_that_of_the_crc_crate_and_of_the_catalogue() {
        assert_eq!(of(b"123456789").bytes(), 0xCBF4_3926_u32.to_le_bytes(), "the catalogue's check value");
        let oracle = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let bytes: Vec<u8> = (0..=255).rev().chain(0..=255).collect();
        for end in 0..bytes.len() {
            assert_eq!(of(&bytes[..end]).bytes(), oracle.checksum(&bytes[..end]).to_le_bytes());
        }
    }

    #[test]
    fn checksum_holds_behind_its_own_bytes_and_nothing_else() {
        for message in [&b""[..], b"\0", b"message"] {
            let mut crc = of(message);
            let sum = crc.bytes();
            assert!(!crc.holds());
            sum.iter().for_each(|byte| crc.push(*byte));
            assert!(crc.holds());
            crc.push(0);
            assert!(!crc.holds());
        }
    }
}
