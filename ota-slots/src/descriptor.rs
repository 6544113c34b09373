//! What a bootloader says about itself, so that an application never writes what it could not boot.
//!
//! ```text
//! offset size field                         offset size field
//!      0    4 "OTBD"                            12    4 erase page, bytes
//!      4    1 format, 1                         16    8 journal: start, length
//!      5    1 journal format                    24   12 slot A: start, length, link address
//!      6    1 algorithms, bit n for number n    36   12 slot B: start, length, link address
//!      7    1 zero                              48   32 SHA-256 of the pinned trust
//!      8    2 bootloader version                80    4 CRC-32 (ISO-HDLC) over bytes 0 to 79
//!     10    1 write size     11 1 erased byte
//! ```
//! Little endian; the last 84 bytes of a bootloader image.

use ota_manifest::Digest;
use ota_verify::{AlgSet, Bootloader};

use crate::snapshot::JOURNAL_FORMAT;
use crate::{Layout, SlotId};

const MAGIC: [u8; 4] = *b"OTBD";
const FORMAT: u8 = 1;
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// The boot descriptor.
///
/// ```
/// # use ota_slots::{BootDescriptor, Geometry, Layout, Region, SlotRegion};
/// # let slot = |start| SlotRegion { region: Region { start, len: 0x10000 }, link_address: start };
/// # let layout = Layout::new(Geometry::NRF52840, Region { start: 0, len: 8192 }, [slot(0x10000), slot(0x20000)]).unwrap();
/// use ota_manifest::Digest;
/// use ota_verify::AlgSet;
///
/// let descriptor = BootDescriptor::new(3, AlgSet::ED25519, &layout, Digest::new([7; 32]));
/// let read = BootDescriptor::parse(descriptor.as_bytes()).unwrap();
/// assert!(read.matches(&layout));
/// assert_eq!(read.bootloader().version, 3);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootDescriptor {
    bytes: [u8; Self::LEN],
    bootloader: Bootloader,
}

impl BootDescriptor {
    /// Length in bytes.
    pub const LEN: usize = 84;

    /// Describes a bootloader of this crate.
    #[must_use]
    pub fn new(version: u16, algorithms: AlgSet, layout: &Layout, trust: Digest) -> Self {
        let mut bytes = [0; Self::LEN];
        let geometry = layout.geometry();
        let [version_low, version_high] = version.to_le_bytes();
        #[expect(clippy::cast_possible_truncation, reason = "a layout's write size is at most 32")]
        let write_size = geometry.write_size as u8;
        let head = [
            FORMAT,
            JOURNAL_FORMAT,
            algorithms.bits(),
            0,
            version_low,
            version_high,
            write_size,
            geometry.erased,
        ];
        let [a, b] = SlotId::BOTH.map(|slot| layout.slot(slot));
        let journal = layout.journal();
        let words = [
            geometry.erase_page,
            journal.start,
            journal.len,
            a.region.start,
            a.region.len,
            a.link_address,
            b.region.start,
            b.region.len,
            b.link_address,
        ];
        let fields = MAGIC.into_iter().chain(head).chain(words.into_iter().flat_map(u32::to_le_bytes));
        let fields = fields.chain(*trust.as_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        if let Some((content, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = CRC.checksum(content).to_le_bytes();
        }
        Self { bytes, bootloader: Bootloader { version, algorithms } }
    }

    /// Reads a descriptor from flash. `None` if it is not one this crate understands.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if CRC.checksum(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let [m0, m1, m2, m3, format, _, algorithms, _, version_low, version_high, ..] = *bytes;
        if [m0, m1, m2, m3] != MAGIC || format != FORMAT {
            return None;
        }
        let version = u16::from_le_bytes([version_low, version_high]);
        Some(Self {
            bytes: *bytes,
            bootloader: Bootloader { version, algorithms: AlgSet::from_bits(algorithms) },
        })
    }

    /// The bytes as they stand in flash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// What the bootloader can do.
    #[must_use]
    pub const fn bootloader(&self) -> Bootloader {
        self.bootloader
    }

    /// Whether the bootloader sees the flash as `layout` does and keeps the same journal format.
    #[must_use]
    pub fn matches(&self, layout: &Layout) -> bool {
        let mine =
            Self::new(self.bootloader.version, self.bootloader.algorithms, layout, Digest::new([0; 32]));
        // Everything but the hash of the trust and the checksum over it, which an application cannot know.
        self.bytes.get(..48) == mine.bytes.get(..48)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Geometry, Region, SlotRegion};

    const LAYOUT: Layout = Layout::constant(
        Geometry::NRF52840,
        Region { start: 0x8000, len: 0x2000 },
        [
            SlotRegion { region: Region { start: 0xA000, len: 0x7_A000 }, link_address: 0xA001 },
            SlotRegion { region: Region { start: 0x8_4000, len: 0x7_A000 }, link_address: 0x8_4001 },
        ],
    );

    #[test]
    fn descriptor_bytes_are_frozen() {
        let descriptor = BootDescriptor::new(0x0102, AlgSet::ED25519, &LAYOUT, Digest::new([0xDD; 32]));
        let bytes = descriptor.as_bytes();
        assert_eq!(bytes[..16], *b"OTBD\x01\x01\x02\x00\x02\x01\x04\xff\x00\x10\x00\x00");
        assert_eq!(bytes[16..24], [0x00, 0x80, 0, 0, 0x00, 0x20, 0, 0]);
        assert_eq!(bytes[24..36], [0x00, 0xA0, 0, 0, 0x00, 0xA0, 7, 0, 0x01, 0xA0, 0, 0]);
        assert_eq!(bytes[36..48], [0x00, 0x40, 8, 0, 0x00, 0xA0, 7, 0, 0x01, 0x40, 8, 0]);
        assert_eq!(bytes[48..80], [0xDD; 32]);
    }

    #[test]
    fn damaged_descriptor_is_not_read_and_another_layout_does_not_match() {
        let good = *BootDescriptor::new(1, AlgSet::ED25519, &LAYOUT, Digest::new([0xDD; 32])).as_bytes();
        for bit in 0..8 * BootDescriptor::LEN {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BootDescriptor::parse(&bytes), None, "bit {bit}");
        }
        let [a, b] = SlotId::BOTH.map(|slot| LAYOUT.slot(slot));
        let swapped = Layout::constant(LAYOUT.geometry(), LAYOUT.journal(), [b, a]);
        assert!(!BootDescriptor::parse(&good).unwrap().matches(&swapped));
    }
}
