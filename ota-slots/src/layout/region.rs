//! Stretches of flash and how the flash below them behaves.

/// How a chip's flash behaves.
///
/// ```
/// use ota_slots::Geometry;
/// let spi_nor = Geometry { erase_page: 65_536, write_size: 1, erased: 0xFF };
/// assert!(spi_nor.is_possible());
/// assert!(!Geometry { write_size: 64, ..spi_nor }.is_possible());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Erase page, bytes; a power of two, 256 B to 1 MiB.
    pub erase_page: u32,
    /// Smallest program unit, bytes; a power of two, 1 to 32.
    pub write_size: u32,
    /// What an erased byte reads as: 0xFF or 0x00.
    pub erased: u8,
}

impl Geometry {
    /// nRF52840 and many others: 4 KiB pages, 4-byte words, erased to ones.
    pub const NRF52840: Self = Self { erase_page: 4096, write_size: 4, erased: 0xFF };

    /// Whether this crate can work with such flash.
    #[must_use]
    pub const fn is_possible(&self) -> bool {
        let page = self.erase_page;
        let page_fits = page.is_power_of_two() && page >= 256 && page <= MAX_PAGE;
        let unit_fits = self.write_size.is_power_of_two() && self.write_size <= 32;
        page_fits && unit_fits && (self.erased == 0x00 || self.erased == 0xFF)
    }
}

/// Largest erase page, bytes.
const MAX_PAGE: u32 = 1 << 20;

/// A stretch of flash: whole erase pages of one chip.
///
/// ```
/// use ota_slots::{Geometry, Region};
/// const JOURNAL: Region = Region::new(Geometry::NRF52840, 0x8000, 2 * 4096);
/// assert_eq!(JOURNAL.pages(), 2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u32,
    /// Length, bytes.
    pub len: u32,
    /// How the flash there behaves. Regions on different chips differ in it.
    pub geometry: Geometry,
}

impl Region {
    /// `len` bytes from `start` on.
    #[must_use]
    pub const fn new(geometry: Geometry, start: u32, len: u32) -> Self {
        Self { start, len, geometry }
    }

    /// Erase pages of the region.
    #[must_use]
    pub const fn pages(&self) -> u32 {
        // A power of two; a shift has no division by zero.
        self.len >> self.geometry.erase_page.trailing_zeros()
    }

    pub(super) const fn end(&self) -> u64 {
        self.start as u64 + self.len as u64
    }

    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        (self.start as u64) < other.end() && (other.start as u64) < self.end()
    }

    /// Whether it starts and ends at an erase page, below 4 GiB.
    pub(super) const fn is_paged(&self) -> bool {
        let page = self.geometry.erase_page;
        self.start.is_multiple_of(page) && self.len.is_multiple_of(page) && self.end() <= u32::MAX as u64 + 1
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

impl SlotRegion {
    /// A slot whose firmware is linked for `link_address`.
    #[must_use]
    pub const fn new(region: Region, link_address: u32) -> Self {
        Self { region, link_address }
    }
}

/// `bytes` in whole pages of a power of two; saturates.
pub(crate) const fn round_up(bytes: u32, page: u32) -> u32 {
    bytes.saturating_add(page - 1) & !(page - 1)
}
