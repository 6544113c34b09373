//! What a bootloader says about itself, so that an application never writes what it could not boot.
//!
//! ```text
//! offset size field
//!      0    4 "OTBD"
//!      4    1 format, 1
//!      5    1 journal format
//!      6    1 algorithms, bit n for number n
//!      7    1 strategy
//!      8    2 bootloader version
//!     10    1 longest envelope in 256 bytes; zero for 1,536 bytes
//!     11    1 longest trust document in 256 bytes; zero for 2,048, or if none is kept
//!     12    8 link address of slot A, of slot B
//!     20  112 journal, slot A, slot B, progress, guard, kept trust, inbox, 16 bytes each; zero where there is none:
//!               0 4 start    4 4 length    8 4 erase page    12 1 write size    13 1 erased byte    14 2 zero
//!    132   32 SHA-256 of the pinned trust
//!    164    4 CRC-32 (ISO-HDLC) over bytes 0 to 163
//! ```
//! Little endian; the last 168 bytes of a bootloader image.

use ota_manifest::Digest;
use ota_verify::{AlgSet, Bootloader, Trust};

use crate::layout::{ENVELOPE, LIMIT_UNIT, TRUST as TRUST_LIMIT};
use crate::log::JOURNAL_FORMAT;
use crate::{Layout, Region, SlotId};

const MAGIC: [u8; 4] = *b"OTBD";
const FORMAT: u8 = 1;
const REGIONS: usize = 20;
/// Number of the region for adopted trust.
const KEPT: usize = 5;
const TRUST: usize = 132;
const CRC: crc::Crc<u32, crc::NoTable> = crc::Crc::<u32, crc::NoTable>::new(&crc::CRC_32_ISO_HDLC);

/// The boot descriptor.
///
/// ```
/// # use ota_slots::{BootDescriptor, Geometry, Layout, Partition, Region, SlotRegion};
/// # use ota_verify::{Trust, TrustedKey};
/// # let slot = |start| SlotRegion::new(Region::new(Geometry::NRF52840, start, 0x10000), start);
/// # let journal = Region::new(Geometry::NRF52840, 0, 8192);
/// # let layout = Layout::new(Partition::direct_xip(journal, slot(0x10000), slot(0x20000))).unwrap();
/// # let keys: [TrustedKey<'_>; 0] = [];
/// # let trust = Trust::pinned(&keys);
/// use ota_verify::AlgSet;
///
/// let descriptor = BootDescriptor::new(3, AlgSet::ED25519, &layout, trust.digest());
/// let read = BootDescriptor::parse(descriptor.as_bytes()).unwrap();
/// assert!(read.matches(&layout, &trust));
/// assert_eq!(read.bootloader().version, 3);
/// ```
///
/// In memory as in flash: a bootloader publishes the one that it works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct BootDescriptor {
    bytes: [u8; Self::LEN],
}

impl BootDescriptor {
    /// Length in bytes.
    pub const LEN: usize = 168;

    /// Describes a bootloader of this crate.
    ///
    /// `trust` is [`Trust::digest`]; a build script may have computed it. Nothing here runs at boot if all is constant.
    #[must_use]
    pub const fn new(version: u16, algorithms: AlgSet, layout: &Layout, trust: Digest) -> Self {
        let mut bytes = [0; Self::LEN];
        put(&mut bytes, 0, &MAGIC);
        let head = [FORMAT, JOURNAL_FORMAT, algorithms.bits(), layout.strategy() as u8];
        put(&mut bytes, 4, &head);
        put(&mut bytes, 8, &version.to_le_bytes());
        let (envelope, document) = (layout.envelope_limit(), layout.trust_limit());
        put(&mut bytes, 10, &[limit_byte(envelope, ENVELOPE), limit_byte(document, TRUST_LIMIT)]);
        let (a, b) = (layout.slot(SlotId::A), layout.slot(SlotId::B));
        put(&mut bytes, 12, &a.link_address.to_le_bytes());
        put(&mut bytes, 16, &b.link_address.to_le_bytes());
        let [journal, slot_a, slot_b, progress, guard, kept, inbox] = layout.regions();
        put_region(&mut bytes, 0, journal);
        put_region(&mut bytes, 1, slot_a);
        put_region(&mut bytes, 2, slot_b);
        put_region(&mut bytes, 3, progress);
        put_region(&mut bytes, 4, guard);
        put_region(&mut bytes, 5, kept);
        put_region(&mut bytes, 6, inbox);
        put(&mut bytes, TRUST, trust.as_bytes());
        let (content, _) = bytes.split_at(Self::LEN - 4);
        let sum = CRC.checksum(content).to_le_bytes();
        put(&mut bytes, Self::LEN - 4, &sum);
        Self { bytes }
    }

    /// Reads a descriptor from flash. `None` if it is not one this crate understands.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if CRC.checksum(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let [m0, m1, m2, m3, format, ..] = *bytes;
        ([m0, m1, m2, m3] == MAGIC && format == FORMAT).then_some(Self { bytes: *bytes })
    }

    /// The bytes as they stand in flash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.bytes
    }

    /// What the bootloader can do.
    #[must_use]
    pub const fn bootloader(&self) -> Bootloader {
        let [_, _, _, _, _, _, algorithms, _, version_low, version_high, ..] = self.bytes;
        Bootloader {
            version: u16::from_le_bytes([version_low, version_high]),
            algorithms: AlgSet::from_bits(algorithms),
        }
    }

    /// Longest envelope the bootloader reads from a slot, bytes: its [`Layout::envelope_limit`].
    #[must_use]
    pub const fn envelope_limit(&self) -> usize {
        let [_, _, _, _, _, _, _, _, _, _, byte, ..] = self.bytes;
        limit_of(byte, ENVELOPE)
    }

    /// Longest trust document the bootloader keeps, bytes: its [`Layout::trust_limit`].
    #[must_use]
    pub const fn trust_limit(&self) -> usize {
        let [_, _, _, _, _, _, _, _, _, _, _, byte, ..] = self.bytes;
        let (_, kept) = self.bytes.split_at(REGIONS + 16 * KEPT + 4);
        match kept {
            [0, 0, 0, 0, ..] => 0,
            _ => limit_of(byte, TRUST_LIMIT),
        }
    }

    /// Whether the bootloader sees the flash as `layout` does, keeps the same journal format, and pins `trust`: its keys on
    /// its terms. Keys that came with a document are not compared: they are younger than the bootloader.
    #[must_use]
    pub fn matches(&self, layout: &Layout, trust: &Trust<'_>) -> bool {
        let Bootloader { version, algorithms } = self.bootloader();
        let mine = Self::new(version, algorithms, layout, trust.digest());
        self.bytes.get(..TRUST) == mine.bytes.get(..TRUST) && (!trust.is_pinned() || self.bytes == mine.bytes)
    }
}

/// A limit in the descriptor. The usual one is zero, as it was before there were others.
#[expect(clippy::cast_possible_truncation, reason = "a layout's limits are at most 32 KiB, 128 units")]
const fn limit_byte(bytes: usize, usual: u32) -> u8 {
    let bytes = bytes as u32;
    if bytes == usual { 0 } else { (bytes / LIMIT_UNIT) as u8 }
}

const fn limit_of(byte: u8, usual: u32) -> usize {
    if byte == 0 { usual as usize } else { byte as usize * LIMIT_UNIT as usize }
}

const fn put_region(bytes: &mut [u8; BootDescriptor::LEN], index: usize, region: Option<Region>) {
    let Some(Region { start, len, geometry }) = region else { return };
    let at = REGIONS + 16 * index;
    put(bytes, at, &start.to_le_bytes());
    put(bytes, at + 4, &len.to_le_bytes());
    put(bytes, at + 8, &geometry.erase_page.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "a layout's write size is at most 32")]
    let unit = [geometry.write_size as u8, geometry.erased];
    put(bytes, at + 12, &unit);
}

/// Copies `field` to offset `at`; what does not fit is left out.
const fn put(bytes: &mut [u8; BootDescriptor::LEN], at: usize, field: &[u8]) {
    let Some((_, rest)) = bytes.split_at_mut_checked(at) else { return };
    if let Some((place, _)) = rest.split_at_mut_checked(field.len()) {
        place.copy_from_slice(field);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use ota_manifest::{Order, Role, Roles, Thresholds};
    use ota_verify::TrustTerms;

    use super::*;
    use crate::{Geometry, Partition, SlotRegion};

    const FLASH: Geometry = Geometry::NRF52840;
    const JOURNAL: Region = Region::new(FLASH, 0x8000, 0x2000);
    const A: SlotRegion = SlotRegion::new(Region::new(FLASH, 0xA000, 0x7_A000), 0xA001);
    const B: SlotRegion = SlotRegion::new(Region::new(FLASH, 0x8_4000, 0x7_A000), 0x8_4001);
    const LAYOUT: Layout =
        Layout::constant(Partition::direct_xip(JOURNAL, A, B).with_guard(Region::new(FLASH, 0x4000, 0x2000)));
    const TRUST: Trust<'static> = Trust::pinned(&[]);

    #[test]
    fn descriptor_bytes_are_frozen() {
        let descriptor = BootDescriptor::new(0x0102, AlgSet::ED25519, &LAYOUT, Digest::new([0xDD; 32]));
        let bytes = descriptor.as_bytes();
        assert_eq!(bytes[..12], *b"OTBD\x01\x01\x02\x00\x02\x01\x00\x00");
        assert_eq!(bytes[12..20], [0x01, 0xA0, 0, 0, 0x01, 0x40, 8, 0]);
        assert_eq!(bytes[20..36], [0, 0x80, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0, 4, 0xFF, 0, 0]);
        assert_eq!(bytes[36..52], [0, 0xA0, 0, 0, 0, 0xA0, 7, 0, 0, 0x10, 0, 0, 4, 0xFF, 0, 0]);
        assert_eq!(bytes[52..68], [0, 0x40, 8, 0, 0, 0xA0, 7, 0, 0, 0x10, 0, 0, 4, 0xFF, 0, 0]);
        assert_eq!(bytes[68..84], [0; 16], "nothing moves, so there is no progress");
        assert_eq!(bytes[84..100], [0, 0x40, 0, 0, 0, 0x20, 0, 0, 0, 0x10, 0, 0, 4, 0xFF, 0, 0]);
        assert_eq!(bytes[100..132], [0; 32], "no chain of trust documents");
        assert_eq!(bytes[132..164], [0xDD; 32]);
    }

    #[test]
    fn limits_are_part_of_what_is_compared_and_the_usual_ones_are_zero() {
        let guarded = Partition::direct_xip(JOURNAL, A, B).with_guard(Region::new(FLASH, 0x4000, 0x2000));
        let kept =
            guarded.with_trust(Region::new(FLASH, 0x10_0000, 0x4000), Region::new(FLASH, 0x10_4000, 0x2000));
        let described = |partition: Partition| {
            let layout = Layout::new(partition).unwrap();
            (layout, BootDescriptor::new(1, AlgSet::ED25519, &layout, TRUST.digest()))
        };
        let cases = [
            (kept, [0, 0]),
            (kept.with_envelope_limit(4096), [16, 0]),
            (kept.with_trust_limit(8192), [0, 32]),
            (kept.with_envelope_limit(32_768).with_trust_limit(2304), [128, 9]),
            (guarded.with_trust_limit(8192), [0, 0]),
        ];
        for (number, (partition, limits)) in cases.into_iter().enumerate() {
            let (layout, descriptor) = described(partition);
            let read = BootDescriptor::parse(descriptor.as_bytes()).unwrap();
            assert_eq!(read.as_bytes()[10..12], limits);
            assert_eq!(
                (read.envelope_limit(), read.trust_limit()),
                (layout.envelope_limit(), layout.trust_limit())
            );
            for (other, (partition, _)) in cases.into_iter().enumerate() {
                assert_eq!(
                    read.matches(&described(partition).0, &TRUST),
                    number == other,
                    "{number} {other}"
                );
            }
        }
    }

    #[test]
    fn damaged_descriptor_is_not_read_and_another_layout_or_trust_does_not_match() {
        let good = *BootDescriptor::new(1, AlgSet::ED25519, &LAYOUT, TRUST.digest()).as_bytes();
        for bit in 0..8 * BootDescriptor::LEN {
            let mut bytes = good;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BootDescriptor::parse(&bytes), None, "bit {bit}");
        }
        let read = BootDescriptor::parse(&good).unwrap();
        assert!(read.matches(&LAYOUT, &TRUST));
        let swapped = Layout::constant(Partition::direct_xip(JOURNAL, B, A));
        assert!(!read.matches(&swapped, &TRUST));
        let other_trust = BootDescriptor::new(1, AlgSet::ED25519, &LAYOUT, Digest::new([1; 32]));
        assert!(!other_trust.matches(&LAYOUT, &TRUST));
    }

    #[test]
    fn application_that_pins_the_same_keys_on_other_terms_does_not_match() {
        let read = BootDescriptor::new(1, AlgSet::ED25519, &LAYOUT, TRUST.digest());
        let first = TrustTerms::FIRST;
        let two = |role| {
            let of = |each| if each == role { 2 } else { 1 };
            let [root, release, approval, freshness] = Role::ALL.map(of);
            TrustTerms { thresholds: Thresholds { root, release, approval, freshness }, ..first }
        };
        let mut others: Vec<_> = Role::ALL.map(two).into();
        others.extend(Role::ALL.map(|role| TrustTerms { hybrid: Roles::NONE.with(role), ..first }));
        others.extend([
            TrustTerms { version: 2, ..first },
            TrustTerms { epoch: 1, ..first },
            TrustTerms { min_order: Order { epoch: 1, sequence: 0 }, ..first },
            TrustTerms { min_order: Order { epoch: 0, sequence: 1 }, ..first },
        ]);
        assert!(read.matches(&LAYOUT, &Trust::pinned_on(&first, &[])));
        for other in others {
            assert!(!read.matches(&LAYOUT, &Trust::pinned_on(&other, &[])), "{other:?}");
        }
    }
}
