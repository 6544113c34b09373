//! Where everything lives in flash, checked before anything is written.
//!
//! ```text
//!   journal          slot A                                            slot B
//!   | page | page |  | image ......... | leaf list | envelope |        | ... same ... |
//!                    ^ link address    ^ n x 32 B  ^ last pages of the slot
//! ```

use ota_manifest::MAX_ENVELOPE;
use ota_verify::TargetSlot;
use thiserror::Error;

use crate::op::Place;
use crate::snapshot::RECORD;

/// Largest erase page, bytes.
const MAX_PAGE: u32 = 1 << 20;

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotId {
    /// The first.
    A = 0,
    /// The second.
    B = 1,
}

impl SlotId {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A stretch of flash, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u32,
    /// Length.
    pub len: u32,
}

impl Region {
    const fn end(self) -> u64 {
        self.start as u64 + self.len as u64
    }

    const fn overlaps(self, other: Self) -> bool {
        (self.start as u64) < other.end() && (other.start as u64) < self.end()
    }
}

/// A slot: where it lies and where firmware for it is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotRegion {
    /// Its flash.
    pub region: Region,
    /// Address of the image's first byte as the processor sees it.
    pub link_address: u32,
}

/// How the flash behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Erase page, bytes; a power of two.
    pub erase_page: u32,
    /// Smallest program unit, bytes; a power of two, 1 to 32.
    pub write_size: u32,
    /// What an erased byte reads as.
    pub erased: u8,
}

impl Geometry {
    /// nRF52840 and many others: 4 KiB pages, 4-byte words, erased to ones.
    pub const NRF52840: Self = Self { erase_page: 4096, write_size: 4, erased: 0xFF };
}

/// A checked partition of the flash.
///
/// As a constant the check happens at compile time:
///
/// ```
/// use ota_slots::{Geometry, Layout, Region, SlotId, SlotRegion};
///
/// const LAYOUT: Layout = Layout::constant(
///     Geometry::NRF52840,
///     Region { start: 0x8000, len: 2 * 4096 },
///     [
///         SlotRegion { region: Region { start: 0xA000, len: 0x7_A000 }, link_address: 0xA000 },
///         SlotRegion { region: Region { start: 0x8_4000, len: 0x7_A000 }, link_address: 0x8_4000 },
///     ],
/// );
/// assert_eq!(LAYOUT.journal_pages(), 2);
/// assert_eq!(LAYOUT.target(SlotId::B).link_address, 0x8_4000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    geometry: Geometry,
    journal: Region,
    slots: [SlotRegion; 2],
}

/// Why a partition cannot work. The integrator's fault, every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Page or write size is not a power of two, or out of range, or erased flash reads as neither 0x00 nor 0xFF.
    #[error(
        "erase page: 256 B to 1 MiB, write size: 1 to 32 B, both powers of two; erased byte: 0x00 or 0xFF"
    )]
    Geometry,
    /// A region does not consist of whole pages.
    #[error("a region does not start and end at an erase page")]
    Unaligned,
    /// Less than two pages of journal.
    #[error("the journal needs at least two erase pages")]
    JournalTooSmall,
    /// A slot has no room for an image.
    #[error("a slot is too small for an envelope, a leaf list and an image")]
    SlotTooSmall,
    /// Two regions share bytes.
    #[error("two regions overlap")]
    Overlap,
    /// Both slots are linked for the same address.
    #[error("both slots have the same link address")]
    SameLinkAddress,
}

impl Layout {
    /// Checks a partition.
    ///
    /// # Errors
    /// [`LayoutError`] names the first rule that is broken.
    pub const fn new(
        geometry: Geometry,
        journal: Region,
        slots: [SlotRegion; 2],
    ) -> Result<Self, LayoutError> {
        let page = geometry.erase_page;
        let pages_fit = page.is_power_of_two() && page >= 256 && page <= MAX_PAGE;
        let units_fit = geometry.write_size.is_power_of_two() && geometry.write_size <= 32;
        if !pages_fit || !units_fit || (geometry.erased != 0x00 && geometry.erased != 0xFF) {
            return Err(LayoutError::Geometry);
        }
        let [a, b] = slots;
        if !paged(journal, page) || !paged(a.region, page) || !paged(b.region, page) {
            return Err(LayoutError::Unaligned);
        }
        if journal.len / page < 2 {
            return Err(LayoutError::JournalTooSmall);
        }
        let least = envelope_area(page) + 2 * page;
        if a.region.len < least || b.region.len < least {
            return Err(LayoutError::SlotTooSmall);
        }
        if journal.overlaps(a.region) || journal.overlaps(b.region) || a.region.overlaps(b.region) {
            return Err(LayoutError::Overlap);
        }
        if a.link_address == b.link_address {
            return Err(LayoutError::SameLinkAddress);
        }
        Ok(Self { geometry, journal, slots })
    }

    /// [`Layout::new`] for constants.
    ///
    /// # Panics
    /// On a broken rule; in a constant that is a compile error.
    #[must_use]
    #[expect(clippy::panic, reason = "meant for constants, where it stops the build and not the device")]
    pub const fn constant(geometry: Geometry, journal: Region, slots: [SlotRegion; 2]) -> Self {
        match Self::new(geometry, journal, slots) {
            Ok(layout) => layout,
            Err(_) => panic!("flash layout breaks a rule of ota_slots::LayoutError"),
        }
    }

    /// How the flash behaves.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Where the journal lies.
    #[must_use]
    pub const fn journal(&self) -> Region {
        self.journal
    }

    /// Pages of journal, at least 2.
    #[must_use]
    pub const fn journal_pages(&self) -> u32 {
        self.journal.len / self.geometry.erase_page
    }

    /// Records in one page of journal.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "RECORD is 128")]
    pub const fn records_per_page(&self) -> u32 {
        self.geometry.erase_page / RECORD as u32
    }

    /// Where a slot lies.
    #[must_use]
    pub const fn slot(&self, slot: SlotId) -> SlotRegion {
        let [a, b] = self.slots;
        match slot {
            SlotId::A => a,
            SlotId::B => b,
        }
    }

    /// What a slot offers to an image.
    #[must_use]
    pub const fn target(&self, slot: SlotId) -> TargetSlot {
        let SlotRegion { region, link_address } = self.slot(slot);
        let page = self.geometry.erase_page;
        TargetSlot { link_address, usable: region.len - envelope_area(page), erase_page: page }
    }

    /// Offset of the envelope within a slot.
    #[must_use]
    pub const fn envelope_offset(&self, slot: SlotId) -> u32 {
        self.target(slot).usable
    }

    /// Offset of a leaf list of `leaves` entries within a slot: it ends where the envelope begins, in whole pages.
    #[must_use]
    pub const fn leaves_offset(&self, slot: SlotId, leaves: u32) -> u32 {
        let bytes = leaves
            .saturating_mul(32)
            .div_ceil(self.geometry.erase_page)
            .saturating_mul(self.geometry.erase_page);
        self.envelope_offset(slot).saturating_sub(bytes)
    }

    /// Absolute flash address of `len` bytes, if they lie within their region.
    ///
    /// The last line of defence of the running slot: whatever a machine computes, it cannot leave the region it names.
    #[must_use]
    pub(crate) fn address(&self, place: Place, len: usize) -> Option<u32> {
        let (region, at) = match place {
            Place::Journal(at) => (self.journal, at),
            Place::Slot(slot, at) => (self.slot(slot).region, at),
        };
        let end = u32::try_from(len).ok().and_then(|len| at.checked_add(len))?;
        if end > region.len { None } else { region.start.checked_add(at) }
    }
}

const fn paged(region: Region, page: u32) -> bool {
    region.start.is_multiple_of(page)
        && region.len.is_multiple_of(page)
        && region.end() <= u32::MAX as u64 + 1
}

/// Bytes the envelope occupies at the end of a slot: whole pages.
#[expect(clippy::cast_possible_truncation, reason = "MAX_ENVELOPE is 1536")]
const fn envelope_area(page: u32) -> u32 {
    (MAX_ENVELOPE as u32).div_ceil(page) * page
}

#[cfg(test)]
mod tests {
    use super::*;

    const GEOMETRY: Geometry = Geometry::NRF52840;

    fn verdict(geometry: Geometry, journal: (u32, u32), a: (u32, u32), b: (u32, u32)) -> Option<LayoutError> {
        let region = |(start, len): (u32, u32)| Region { start: start * 4096, len: len * 4096 };
        let slot = |at| SlotRegion { region: region(at), link_address: region(at).start };
        Layout::new(geometry, region(journal), [slot(a), slot(b)]).err()
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        assert_eq!(verdict(GEOMETRY, (0, 2), (2, 8), (10, 8)), None);
        assert_eq!(verdict(GEOMETRY, (0, 1), (2, 8), (10, 8)), Some(LayoutError::JournalTooSmall));
        assert_eq!(verdict(GEOMETRY, (0, 3), (2, 8), (10, 8)), Some(LayoutError::Overlap));
        assert_eq!(verdict(GEOMETRY, (0, 2), (2, 2), (10, 8)), Some(LayoutError::SlotTooSmall));
        assert_eq!(verdict(GEOMETRY, (0, 2), (2, 9), (10, 8)), Some(LayoutError::Overlap));
        let odd = Geometry { erase_page: 5000, ..GEOMETRY };
        assert_eq!(verdict(odd, (0, 2), (2, 8), (10, 8)), Some(LayoutError::Geometry));
        let grey = Geometry { erased: 0x55, ..GEOMETRY };
        assert_eq!(verdict(grey, (0, 2), (2, 8), (10, 8)), Some(LayoutError::Geometry));
        let wide = Geometry { write_size: 64, ..GEOMETRY };
        assert_eq!(verdict(wide, (0, 2), (2, 8), (10, 8)), Some(LayoutError::Geometry));
        let larger_page = Geometry { erase_page: 8192, ..GEOMETRY };
        assert_eq!(verdict(larger_page, (1, 2), (4, 8), (12, 8)), Some(LayoutError::Unaligned));
    }
}
