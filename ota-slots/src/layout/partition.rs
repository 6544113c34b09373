//! What an integrator writes down; [`Layout`](super::Layout) checks it.

use super::{Region, SlotRegion, Strategy};

/// A partition of the flash, not yet checked.
///
/// ```text
///   DirectXip     | journal |            | slot A (runs) | slot B (runs) |
///   SwapOffset    | journal | progress   | slot A (runs) | slot B (staging, one unit longer) |
///   Overwrite     | journal | progress   | slot A (runs) | slot B (staging) |
///   any of them   | guard | kept trust, twice | inbox |
/// ```
///
/// Regions may lie on different chips; see [`Joined`](crate::Joined).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    pub(super) strategy: Strategy,
    pub(super) journal: Region,
    pub(super) slots: [SlotRegion; 2],
    pub(super) progress: Option<Region>,
    pub(super) guard: Option<Region>,
    pub(super) trust: Option<Region>,
    pub(super) inbox: Option<Region>,
    pub(super) envelope_limit: u32,
    pub(super) trust_limit: u32,
}

impl Partition {
    /// One image per slot address; nothing is ever copied, and going back takes one record. Firmware is linked twice.
    #[must_use]
    pub const fn direct_xip(journal: Region, slot_a: SlotRegion, slot_b: SlotRegion) -> Self {
        Self { slots: [slot_a, slot_b], ..Self::over(journal) }
    }

    /// Firmware always runs from `primary`; a new image is swapped in from `staging`, and the old one out to it.
    ///
    /// `staging` may lie on another chip. Both slots are moved in units of the larger erase page; `staging` gives one
    /// unit and one place for an envelope to the swap. `progress` holds one cell of 16 bytes (or one program unit, if that
    /// is larger) per half-moved unit: two pages are enough for any length, they are used in turns.
    #[must_use]
    pub const fn swap_offset(
        journal: Region,
        primary: SlotRegion,
        staging: Region,
        progress: Region,
    ) -> Self {
        Self::moving(Strategy::SwapOffset, journal, primary, staging, progress)
    }

    /// Firmware always runs from `primary`; a new image is copied over it from `staging`.
    ///
    /// **There is no way back.** An image that fails its trial stays, stranded, until another one is staged.
    #[must_use]
    pub const fn overwrite_without_way_back(
        journal: Region,
        primary: SlotRegion,
        staging: Region,
        progress: Region,
    ) -> Self {
        Self::moving(Strategy::Overwrite, journal, primary, staging, progress)
    }

    const fn moving(
        strategy: Strategy,
        journal: Region,
        primary: SlotRegion,
        staging: Region,
        progress: Region,
    ) -> Self {
        let staging = SlotRegion::new(staging, primary.link_address);
        Self { strategy, slots: [primary, staging], progress: Some(progress), ..Self::over(journal) }
    }

    const fn over(journal: Region) -> Self {
        let nowhere = SlotRegion::new(Region { len: 0, ..journal }, 0);
        Self {
            strategy: Strategy::DirectXip,
            journal,
            slots: [nowhere, nowhere],
            progress: None,
            guard: None,
            trust: None,
            inbox: None,
            envelope_limit: super::ENVELOPE,
            trust_limit: super::TRUST,
        }
    }

    /// Adds a region that the bootloader alone writes: what must not be lost with the journal. The board write-protects
    /// it before the hand-over; see [`Handover::lock`](crate::Handover::lock).
    #[must_use]
    pub const fn with_guard(self, guard: Region) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// Adds what a chain of trust documents needs, beside a guard region: `kept` for two copies of the adopted one, each as
    /// long as a document may be (2,048 bytes, or [`Self::with_trust_limit`]) in whole pages, write-protected like the guard
    /// region; and `inbox`, as long as one copy, where the application puts the next one. See [`Adopt`](crate::Adopt).
    #[must_use]
    pub const fn with_trust(self, kept: Region, inbox: Region) -> Self {
        Self { trust: Some(kept), inbox: Some(inbox), ..self }
    }

    /// Gives every envelope of a slot so many bytes, for signatures longer than the classical ones: a multiple of 256, 1,536
    /// (if this is not called) to 32,768. The work buffer grows with it; see [`Layout::work_buffer`](super::Layout::work_buffer).
    ///
    /// It says where the envelope lies in its slot, so it stays for a device's life: bootloader and application are built with
    /// the same one, and the boot descriptor holds it.
    ///
    /// Another length does not compile:
    ///
    /// ```compile_fail
    /// # use ota_slots::{Geometry, Layout, Partition, Region, SlotRegion};
    /// # const FLASH: Geometry = Geometry::NRF52840;
    /// # const fn slot(start: u32) -> SlotRegion { SlotRegion::new(Region::new(FLASH, start, 0x8000), start) }
    /// # const JOURNAL: Region = Region::new(FLASH, 0, 0x2000);
    /// const PARTITION: Partition = Partition::direct_xip(JOURNAL, slot(0x1_0000), slot(0x2_0000));
    /// const LAYOUT: Layout = Layout::constant(PARTITION.with_envelope_limit(4000));
    /// ```
    #[must_use]
    pub const fn with_envelope_limit(self, bytes: u32) -> Self {
        Self { envelope_limit: bytes, ..self }
    }

    /// Lets a trust document have so many bytes: a multiple of 256, 2,048 (if this is not called) to 8,192. The regions of
    /// [`Self::with_trust`] and the memory lent for documents grow with it; see
    /// [`Layout::trust_limit`](super::Layout::trust_limit).
    #[must_use]
    pub const fn with_trust_limit(self, bytes: u32) -> Self {
        Self { trust_limit: bytes, ..self }
    }
}
