//! Where everything lives in flash, checked before anything is written.
//!
//! ```text
//!   a slot an image runs from:   | image ......... |            | envelope |
//!   a slot it is staged in:      | image ......... | leaf list  | envelope |     DirectXip, Overwrite: the same slot or one like it
//!   SwapOffset's staging slot:   | unit | image ... | leaf list | displaced envelope | envelope |
//!                                ^ after a swap the old image begins here
//! ```

mod error;
mod partition;
mod region;
mod site;

pub use error::LayoutError;
pub use partition::Partition;
pub(crate) use region::round_up;
pub use region::{Geometry, Region, SlotRegion};
pub use site::{Site, SlotId, Strategy};

use ota_manifest::{MAX_ENVELOPE, MAX_TRUST_ENVELOPE, MAX_TRUST_ENVELOPE_POST_QUANTUM};
use ota_verify::TargetSlot;

use crate::log::{GUARD_CELL, STEP_CELL};
use crate::op::{Place, WORK_BUFFER};
use crate::snapshot::RECORD;

/// A checked partition of the flash.
///
/// As a constant the check happens at compile time:
///
/// ```
/// use ota_slots::{Geometry, Layout, Partition, Region, SlotId, SlotRegion};
///
/// const FLASH: Geometry = Geometry::NRF52840;
/// const LAYOUT: Layout = Layout::constant(Partition::direct_xip(
///     Region::new(FLASH, 0x8000, 2 * 4096),
///     SlotRegion::new(Region::new(FLASH, 0xA000, 0x7_A000), 0xA000),
///     SlotRegion::new(Region::new(FLASH, 0x8_4000, 0x7_A000), 0x8_4000),
/// ));
/// assert_eq!(LAYOUT.journal().pages(), 2);
/// assert_eq!(LAYOUT.target(SlotId::B).link_address, 0x8_4000);
/// ```
///
/// A broken rule does not compile:
///
/// ```compile_fail
/// # use ota_slots::{Geometry, Layout, Partition, Region, SlotId, SlotRegion};
/// const FLASH: Geometry = Geometry::NRF52840;
/// const LAYOUT: Layout = Layout::constant(Partition::direct_xip(
///     Region::new(FLASH, 0x8000, 4096), // one page of journal is too little
///     SlotRegion::new(Region::new(FLASH, 0xA000, 0x7_A000), 0xA000),
///     SlotRegion::new(Region::new(FLASH, 0x8_4000, 0x7_A000), 0x8_4000),
/// ));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    partition: Partition,
    /// Slot A, slot B, and what is displaced: computed once, for a constant while compiling.
    places: [SitePlaces; 3],
}

/// What follows from the partition for a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SitePlaces {
    target: TargetSlot,
    /// Offset of the image within its slot.
    image: u32,
    /// Offset of the envelope.
    envelope: u32,
}

impl SitePlaces {
    /// Before the partition has been checked.
    const UNKNOWN: Self = Self {
        target: TargetSlot { link_address: 0, usable: 0, largest_image: 0, erase_page: 0 },
        image: 0,
        envelope: 0,
    };
}

impl Layout {
    /// Checks a partition.
    ///
    /// # Errors
    /// [`LayoutError`] names the first rule that is broken.
    pub const fn new(partition: Partition) -> Result<Self, LayoutError> {
        let layout = Self { partition, places: [SitePlaces::UNKNOWN; 3] };
        match layout.broken_rule() {
            Some(error) => Err(error),
            None => Ok(Self { places: layout.find_places(), ..layout }),
        }
    }

    /// [`Layout::new`] for constants.
    ///
    /// # Panics
    /// On a broken rule; in a constant that is a compile error that names it.
    #[must_use]
    #[expect(clippy::panic, reason = "meant for constants, where it stops the build and not the device")]
    pub const fn constant(partition: Partition) -> Self {
        match Self::new(partition) {
            Ok(layout) => layout,
            Err(error) => panic!("{}", error.sentence()),
        }
    }

    const fn broken_rule(&self) -> Option<LayoutError> {
        let Partition { envelope_limit, trust_limit, .. } = self.partition;
        if !is_limit(envelope_limit, ENVELOPE, LONGEST_ENVELOPE) {
            return Some(LayoutError::EnvelopeLimit);
        }
        if !is_limit(trust_limit, TRUST, LONGEST_TRUST) {
            return Some(LayoutError::TrustLimit);
        }
        self.broken_rule_of_regions()
    }

    const fn broken_rule_of_regions(&self) -> Option<LayoutError> {
        let regions = self.regions();
        let mut rest: &[Option<Region>] = &regions;
        while let [first, others @ ..] = rest {
            if let Some(region) = first {
                if !region.geometry.is_possible() {
                    return Some(LayoutError::Geometry);
                }
                if !region.is_paged() {
                    return Some(LayoutError::Unaligned);
                }
                if overlaps_any(region, others) {
                    return Some(LayoutError::Overlap);
                }
            }
            rest = others;
        }
        if self.partition.journal.pages() < 2 {
            return Some(LayoutError::JournalTooSmall);
        }
        if !has_two_pages(&self.partition.progress) {
            return Some(LayoutError::ProgressTooSmall);
        }
        if !has_two_pages(&self.partition.guard) {
            return Some(LayoutError::GuardTooSmall);
        }
        if !self.trust_fits() {
            return Some(LayoutError::TrustTooSmall);
        }
        self.broken_rule_of_slots()
    }

    const fn trust_fits(&self) -> bool {
        let Partition { trust: Some(kept), inbox: Some(inbox), guard, trust_limit, .. } = self.partition
        else {
            return true;
        };
        let copy = kept.len / 2;
        guard.is_some()
            && copy.is_multiple_of(kept.geometry.erase_page)
            && copy >= trust_limit
            && inbox.len >= trust_limit
    }

    const fn broken_rule_of_slots(&self) -> Option<LayoutError> {
        let [a, b] = self.partition.slots;
        let moves = self.partition.strategy.moves();
        if !moves && a.link_address == b.link_address {
            return Some(LayoutError::SameLinkAddress);
        }
        let unit = self.unit();
        if moves && (!a.region.len.is_multiple_of(unit) || !b.region.len.is_multiple_of(unit)) {
            return Some(LayoutError::UnevenUnits);
        }
        if moves && a.region.geometry.erased != b.region.geometry.erased {
            return Some(LayoutError::UnequalErased);
        }
        // Room for a unit of image, and where one is staged for its leaf list.
        let (page_a, page_b) = (a.region.geometry.erase_page, b.region.geometry.erase_page);
        let list_a = if moves { 0 } else { page_a };
        let least_a = self.envelopes(SlotId::A) + unit + list_a;
        let least_b = self.envelopes(SlotId::B) + self.find_image(Site::Slot(SlotId::B)) + unit + page_b;
        if a.region.len < least_a || b.region.len < least_b {
            return Some(LayoutError::SlotTooSmall);
        }
        None
    }

    pub(crate) const fn regions(&self) -> [Option<Region>; 7] {
        let Partition { journal, slots: [a, b], progress, guard, trust, inbox, .. } = self.partition;
        [Some(journal), Some(a.region), Some(b.region), progress, guard, trust, inbox]
    }

    /// How a staged image becomes the running one.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        self.partition.strategy
    }

    /// Where the journal lies.
    #[must_use]
    pub const fn journal(&self) -> Region {
        self.partition.journal
    }

    /// Where the progress of a move is kept; nothing is moved with [`Strategy::DirectXip`].
    #[must_use]
    pub const fn progress(&self) -> Option<Region> {
        self.partition.progress
    }

    /// The region to be write-protected before the hand-over, if there is one.
    #[must_use]
    pub const fn guard(&self) -> Option<Region> {
        self.partition.guard
    }

    /// Where two copies of the adopted trust document are kept, if the layout has a place for it. To be write-protected with
    /// the guard region.
    #[must_use]
    pub const fn kept_trust(&self) -> Option<Region> {
        self.partition.trust
    }

    /// Longest envelope of a trust document, bytes: so much memory its readers are to be lent. 0 if the layout has no place
    /// for one.
    #[must_use]
    pub const fn trust_limit(&self) -> usize {
        if self.partition.trust.is_some() { self.partition.trust_limit as usize } else { 0 }
    }

    /// Longest envelope of a manifest, bytes: the room that each has in a slot, in whole pages.
    #[must_use]
    pub const fn envelope_limit(&self) -> usize {
        self.envelope_len() as usize
    }

    /// Bytes of work buffer that machines on this layout need: [`WORK_BUFFER`], or the longest envelope if that is more.
    ///
    /// ```
    /// # use ota_slots::{Geometry, Layout, Partition, Region, SlotRegion};
    /// # const FLASH: Geometry = Geometry::NRF52840;
    /// # const fn slot(start: u32) -> SlotRegion { SlotRegion::new(Region::new(FLASH, start, 0x8000), start) }
    /// # const JOURNAL: Region = Region::new(FLASH, 0, 0x2000);
    /// const PARTITION: Partition = Partition::direct_xip(JOURNAL, slot(0x1_0000), slot(0x2_0000));
    /// const LAYOUT: Layout = Layout::constant(PARTITION.with_envelope_limit(4096));
    /// let buffer = [0; LAYOUT.work_buffer()];
    /// assert_eq!((buffer.len(), LAYOUT.envelope_limit()), (4096, 4096));
    /// assert_eq!(Layout::constant(PARTITION).work_buffer(), ota_slots::WORK_BUFFER);
    /// ```
    #[must_use]
    pub const fn work_buffer(&self) -> usize {
        let envelope = self.envelope_limit();
        if envelope > WORK_BUFFER { envelope } else { WORK_BUFFER }
    }

    /// Where a slot lies.
    #[must_use]
    pub const fn slot(&self, slot: SlotId) -> SlotRegion {
        *self.slot_at(slot)
    }

    const fn slot_at(&self, slot: SlotId) -> &SlotRegion {
        let [a, b] = &self.partition.slots;
        match slot {
            SlotId::A => a,
            SlotId::B => b,
        }
    }

    /// How the flash below a slot behaves.
    #[must_use]
    pub const fn geometry(&self, slot: SlotId) -> Geometry {
        self.slot_at(slot).region.geometry
    }

    /// Bytes moved between two records of progress: the larger of both slots' erase pages.
    #[must_use]
    pub const fn unit(&self) -> u32 {
        let (a, b) = (self.geometry(SlotId::A).erase_page, self.geometry(SlotId::B).erase_page);
        if a > b { a } else { b }
    }

    /// Offset of the first byte of an image within its slot.
    #[must_use]
    pub const fn image_offset(&self, site: Site) -> u32 {
        self.places_of(site).image
    }

    const fn places_of(&self, site: Site) -> &SitePlaces {
        let [a, b, displaced] = &self.places;
        match site {
            Site::Slot(SlotId::A) => a,
            Site::Slot(SlotId::B) => b,
            Site::Displaced => displaced,
        }
    }

    const fn find_places(&self) -> [SitePlaces; 3] {
        let [a, b] = SlotId::BOTH;
        [
            self.find_places_of(Site::Slot(a)),
            self.find_places_of(Site::Slot(b)),
            self.find_places_of(Site::Displaced),
        ]
    }

    const fn find_places_of(&self, site: Site) -> SitePlaces {
        let (target, image) = (self.find_target(site), self.find_image(site));
        SitePlaces { target, image, envelope: self.find_envelope(site) }
    }

    const fn find_image(&self, site: Site) -> u32 {
        match (self.partition.strategy, site) {
            (Strategy::SwapOffset, Site::Slot(SlotId::B)) => self.unit(),
            _ => 0,
        }
    }

    /// [`Self::envelope_limit`] as flash counts.
    pub(crate) const fn envelope_len(&self) -> u32 {
        self.partition.envelope_limit
    }

    /// Bytes that one envelope occupies in a slot: whole pages.
    pub(crate) const fn envelope_area(&self, slot: SlotId) -> u32 {
        round_up(self.envelope_len(), self.geometry(slot).erase_page)
    }

    /// Bytes at the end of a slot that envelopes occupy.
    const fn envelopes(&self, slot: SlotId) -> u32 {
        let places = match (self.partition.strategy, slot) {
            (Strategy::SwapOffset, SlotId::B) => 2,
            _ => 1,
        };
        places * self.envelope_area(slot)
    }

    /// What a slot offers to an image that is staged in it.
    #[must_use]
    pub const fn target(&self, slot: SlotId) -> TargetSlot {
        self.target_at(Site::Slot(slot))
    }

    /// What a site offers to an image. A leaf list lies only where images are staged.
    pub(crate) const fn target_at(&self, site: Site) -> TargetSlot {
        self.places_of(site).target
    }

    const fn find_target(&self, site: Site) -> TargetSlot {
        let slot = site.slot();
        let SlotRegion { region, link_address } = self.slot(slot);
        let erase_page = region.geometry.erase_page;
        let usable = region.len - self.envelopes(slot) - self.find_image(site);
        if !self.partition.strategy.moves() {
            return TargetSlot { link_address, usable, largest_image: usable, erase_page };
        }
        let is_staged = matches!(site, Site::Slot(SlotId::B));
        let usable = if is_staged { usable } else { u32::MAX };
        TargetSlot { link_address, usable, largest_image: self.largest_moved_image(), erase_page }
    }

    /// Bytes of image that fit where it runs, where it is staged, and where it is displaced to: whole units.
    pub(crate) const fn largest_moved_image(&self) -> u32 {
        let runs = self.slot(SlotId::A).region.len - self.envelopes(SlotId::A);
        let staged = self.slot(SlotId::B).region.len
            - self.envelopes(SlotId::B)
            - self.find_image(Site::Slot(SlotId::B));
        let both = if runs < staged { runs } else { staged };
        both & !(self.unit() - 1)
    }

    /// Offset of the envelope within a slot.
    #[must_use]
    pub const fn envelope_offset(&self, site: Site) -> u32 {
        self.places_of(site).envelope
    }

    const fn find_envelope(&self, site: Site) -> u32 {
        let slot = site.slot();
        let end = self.slot(slot).region.len;
        match site {
            Site::Slot(_) => end - self.envelope_area(slot),
            Site::Displaced => end - self.envelopes(slot),
        }
    }

    /// Offset of a leaf list of `leaves` entries within a slot: it ends where the envelopes begin, in whole pages.
    #[must_use]
    pub const fn leaves_offset(&self, slot: SlotId, leaves: u32) -> u32 {
        let bytes = round_up(leaves.saturating_mul(32), self.geometry(slot).erase_page);
        self.leaves_end(slot).saturating_sub(bytes)
    }

    /// Offset of the byte behind the leaf list.
    #[must_use]
    pub const fn leaves_end(&self, slot: SlotId) -> u32 {
        self.slot(slot).region.len - self.envelopes(slot)
    }

    /// Whether a driver of these constants can work on every region: its program unit and erase page must divide those of
    /// the layout. For constants:
    ///
    /// ```
    /// # use ota_slots::{Geometry, Layout, Partition, Region, SlotRegion};
    /// # const FLASH: Geometry = Geometry::NRF52840;
    /// # const fn slot(start: u32) -> SlotRegion { SlotRegion::new(Region::new(FLASH, start, 0x8000), start) }
    /// # const JOURNAL: Region = Region::new(FLASH, 0, 0x2000);
    /// # const LAYOUT: Layout = Layout::constant(Partition::direct_xip(JOURNAL, slot(0x1_0000), slot(0x2_0000)));
    /// const _: () = assert!(LAYOUT.suits(4, 4096)); // of your driver: F::WRITE_SIZE, F::ERASE_SIZE
    /// ```
    #[must_use]
    pub const fn suits(&self, write_size: usize, erase_size: usize) -> bool {
        let regions = self.regions();
        let mut rest: &[Option<Region>] = &regions;
        while let [first, others @ ..] = rest {
            if let Some(Region { geometry, .. }) = first
                && (write_size == 0
                    || erase_size == 0
                    || !(geometry.write_size as usize).is_multiple_of(write_size)
                    || !(geometry.erase_page as usize).is_multiple_of(erase_size))
            {
                return false;
            }
            rest = others;
        }
        true
    }

    /// Checks the layout against a driver: program unit, erase page and capacity. Where the layout is not a constant, call
    /// it once at start.
    ///
    /// # Errors
    /// [`LayoutError::Driver`] or [`LayoutError::Capacity`].
    pub fn check_driver<F: embedded_storage::nor_flash::NorFlash>(
        &self,
        flash: &F,
    ) -> Result<(), LayoutError> {
        if !self.suits(F::WRITE_SIZE, F::ERASE_SIZE) {
            return Err(LayoutError::Driver);
        }
        let end = self.regions().iter().flatten().map(Region::end).max().unwrap_or(0);
        if end > flash.capacity() as u64 { Err(LayoutError::Capacity) } else { Ok(()) }
    }

    /// The region a place names.
    pub(crate) const fn region(&self, place: Place) -> Option<&Region> {
        match place {
            Place::Journal(_) => Some(&self.partition.journal),
            Place::Progress(_) => self.partition.progress.as_ref(),
            Place::Guard(_) => self.partition.guard.as_ref(),
            Place::Trust(_) => self.partition.trust.as_ref(),
            Place::Inbox(_) => self.partition.inbox.as_ref(),
            Place::Slot(slot, _) => Some(&self.slot_at(slot).region),
        }
    }

    /// Absolute flash address of `len` bytes, if they lie within their region.
    ///
    /// The last line of defence of the running slot: whatever a machine computes, it cannot leave the region it names.
    #[must_use]
    pub(crate) fn address(&self, place: Place, len: usize) -> Option<u32> {
        let region = self.region(place)?;
        let at = place.offset();
        let end = u32::try_from(len).ok().and_then(|len| at.checked_add(len))?;
        if end > region.len { None } else { region.start.checked_add(at) }
    }
}

/// Limits that a partition has if it names none, and the highest it may name.
#[expect(clippy::cast_possible_truncation, reason = "1536")]
pub(crate) const ENVELOPE: u32 = MAX_ENVELOPE as u32;
#[expect(clippy::cast_possible_truncation, reason = "2048")]
pub(crate) const TRUST: u32 = MAX_TRUST_ENVELOPE as u32;
#[expect(clippy::cast_possible_truncation, reason = "8192")]
const LONGEST_TRUST: u32 = MAX_TRUST_ENVELOPE_POST_QUANTUM as u32;
/// Of this length, each proof reads 32 KiB into a work buffer of as many: nobody's signatures need more.
const LONGEST_ENVELOPE: u32 = 32 * 1024;

/// The descriptor keeps limits in units of this many bytes; a multiple of every read size.
pub(crate) const LIMIT_UNIT: u32 = 256;

const fn is_limit(bytes: u32, least: u32, most: u32) -> bool {
    least <= bytes && bytes <= most && bytes.is_multiple_of(LIMIT_UNIT)
}

const fn overlaps_any(region: &Region, others: &[Option<Region>]) -> bool {
    let mut rest = others;
    while let [first, others @ ..] = rest {
        if let Some(other) = first
            && region.overlaps(other)
        {
            return true;
        }
        rest = others;
    }
    false
}

const fn has_two_pages(region: &Option<Region>) -> bool {
    match region {
        Some(region) => region.pages() >= 2,
        None => true,
    }
}

// The smallest page holds cells of every kind, whatever the program unit.
const _: () = assert!(256 >= 2 * RECORD && STEP_CELL <= 32 && GUARD_CELL <= 32);

#[cfg(test)]
mod tests {
    use super::*;

    const FLASH: Geometry = Geometry::NRF52840;
    const SERIAL: Geometry = Geometry { erase_page: 65_536, write_size: 1, erased: 0xFF };

    const fn pages(start: u32, len: u32) -> Region {
        Region::new(FLASH, start * 4096, len * 4096)
    }

    fn slot(start: u32, len: u32) -> SlotRegion {
        SlotRegion::new(pages(start, len), start * 4096)
    }

    fn direct(journal: Region, a: SlotRegion, b: SlotRegion) -> Option<LayoutError> {
        Layout::new(Partition::direct_xip(journal, a, b)).err()
    }

    #[test]
    fn each_broken_rule_of_places_that_run_has_its_own_error() {
        assert_eq!(direct(pages(0, 2), slot(2, 8), slot(10, 8)), None);
        assert_eq!(direct(pages(0, 1), slot(2, 8), slot(10, 8)), Some(LayoutError::JournalTooSmall));
        assert_eq!(direct(pages(0, 3), slot(2, 8), slot(10, 8)), Some(LayoutError::Overlap));
        assert_eq!(direct(pages(0, 2), slot(2, 2), slot(10, 8)), Some(LayoutError::SlotTooSmall));
        assert_eq!(direct(pages(0, 2), slot(2, 9), slot(10, 8)), Some(LayoutError::Overlap));
        let twin = SlotRegion { link_address: slot(2, 8).link_address, ..slot(10, 8) };
        assert_eq!(direct(pages(0, 2), slot(2, 8), twin), Some(LayoutError::SameLinkAddress));
        for geometry in [
            Geometry { erase_page: 5000, ..FLASH },
            Geometry { erased: 0x55, ..FLASH },
            Geometry { write_size: 64, ..FLASH },
        ] {
            let journal = Region { geometry, ..pages(0, 2) };
            assert_eq!(direct(journal, slot(2, 8), slot(10, 8)), Some(LayoutError::Geometry));
        }
        let crooked = Region { start: 100, ..pages(0, 2) };
        assert_eq!(direct(crooked, slot(2, 8), slot(10, 8)), Some(LayoutError::Unaligned));
        let guarded = Partition::direct_xip(pages(0, 2), slot(2, 8), slot(10, 8)).with_guard(pages(20, 1));
        assert_eq!(Layout::new(guarded), Err(LayoutError::GuardTooSmall));
    }

    #[test]
    fn each_broken_rule_of_moving_has_its_own_error() {
        let staging = Region::new(SERIAL, 0x100_0000, 8 * 65_536);
        let swap = |primary, progress, staging| {
            Layout::new(Partition::swap_offset(pages(0, 2), primary, staging, progress)).err()
        };
        assert_eq!(swap(slot(16, 32), pages(2, 2), staging), None);
        assert_eq!(swap(slot(16, 32), pages(2, 1), staging), Some(LayoutError::ProgressTooSmall));
        assert_eq!(swap(slot(16, 31), pages(2, 2), staging), Some(LayoutError::UnevenUnits));
        let tiny = Region { len: 3 * 65_536, ..staging };
        assert_eq!(swap(slot(16, 32), pages(2, 2), tiny), Some(LayoutError::SlotTooSmall));
        let zeros = Region { geometry: Geometry { erased: 0, ..SERIAL }, ..staging };
        assert_eq!(swap(slot(16, 32), pages(2, 2), zeros), Some(LayoutError::UnequalErased));
    }

    #[test]
    fn swapping_costs_the_staging_slot_one_unit_and_one_envelope_and_overwriting_nothing() {
        let (journal, progress, a) = (pages(0, 2), pages(2, 2), slot(4, 100));
        let staging = pages(104, 102);
        let swap = Layout::new(Partition::swap_offset(journal, a, staging, progress)).unwrap();
        assert_eq!(swap.target(SlotId::B).largest_image, 99 * 4096);
        assert_eq!(swap.image_offset(Site::Slot(SlotId::B)), 4096);
        assert_eq!(swap.image_offset(Site::Displaced), 0);
        assert_eq!(swap.envelope_offset(Site::Slot(SlotId::B)), 101 * 4096);
        assert_eq!(swap.envelope_offset(Site::Displaced), 100 * 4096);
        assert_eq!(swap.leaves_offset(SlotId::B, 99), 99 * 4096);
        let over = Layout::new(Partition::overwrite_without_way_back(journal, a, staging, progress)).unwrap();
        assert_eq!(over.target(SlotId::B).largest_image, 99 * 4096);
        assert_eq!(over.image_offset(Site::Slot(SlotId::B)), 0);
        assert_eq!(over.leaves_offset(SlotId::B, 99), 100 * 4096);
    }

    #[test]
    fn limits_that_no_device_keeps_are_refused_and_the_usual_ones_are_what_they_were() {
        let partition = Partition::direct_xip(pages(0, 2), slot(2, 8), slot(10, 8));
        let with = |envelope, trust| {
            Layout::new(partition.with_envelope_limit(envelope).with_trust_limit(trust)).err()
        };
        for envelope in [0, 1280, 1537, 4000, 32_769, 33_024, u32::MAX] {
            assert_eq!(with(envelope, 2048), Some(LayoutError::EnvelopeLimit), "{envelope}");
        }
        for trust in [0, 1792, 2049, 8000, 8193, 8448, u32::MAX] {
            assert_eq!(with(1536, trust), Some(LayoutError::TrustLimit), "{trust}");
        }
        assert_eq!(
            Layout::new(partition),
            Layout::new(partition.with_envelope_limit(1536).with_trust_limit(2048))
        );
        assert_eq!([with(1536, 8192), with(4096, 2048)], [None, None]);
        assert_eq!(with(32_768, 2048), Some(LayoutError::SlotTooSmall), "no room for an image beside it");
    }

    #[test]
    fn kept_trust_and_its_inbox_are_as_long_as_the_longest_document() {
        let guarded = Partition::direct_xip(pages(0, 2), slot(2, 8), slot(10, 8)).with_guard(pages(18, 2));
        let with = |kept, inbox, limit| {
            let partition = guarded.with_trust(pages(20, kept), pages(30, inbox)).with_trust_limit(limit);
            Layout::new(partition).map(|layout| layout.trust_limit())
        };
        assert_eq!(with(2, 1, 2048), Ok(2048));
        assert_eq!(with(4, 2, 8192), Ok(8192));
        for (kept, inbox) in [(2, 2), (3, 2), (4, 1)] {
            assert_eq!(with(kept, inbox, 8192), Err(LayoutError::TrustTooSmall), "{kept} {inbox}");
        }
        assert_eq!(
            Layout::new(guarded.with_trust_limit(8192)).unwrap().trust_limit(),
            0,
            "there is no place"
        );
    }

    #[test]
    fn longer_envelopes_take_whole_pages_from_the_end_of_each_slot() {
        let (journal, progress, a) = (pages(0, 2), pages(2, 2), slot(4, 100));
        let offsets = |partition: Partition, limit| {
            let layout = Layout::new(partition.with_envelope_limit(limit)).unwrap();
            let sites = [Site::Slot(SlotId::A), Site::Slot(SlotId::B), Site::Displaced];
            (sites.map(|site| layout.envelope_offset(site)), layout.leaves_end(SlotId::B))
        };
        let swap = Partition::swap_offset(journal, a, pages(104, 106), progress);
        assert_eq!(offsets(swap, 4096), offsets(swap, 1536), "a page either way");
        assert_eq!(offsets(swap, 4352), ([98 * 4096, 104 * 4096, 102 * 4096], 102 * 4096));
        let fine = Geometry { erase_page: 256, ..FLASH };
        let small = |start| SlotRegion::new(Region::new(fine, start, 0x8000), start);
        let direct = Partition::direct_xip(journal, small(0x1_0000), small(0x2_0000));
        let end = 0x8000 - 4096;
        assert_eq!(offsets(direct, 4096), ([end; 3], end));
    }

    #[test]
    fn driver_must_be_at_least_as_fine_as_the_layout() {
        let layout = Layout::new(Partition::direct_xip(pages(0, 2), slot(2, 8), slot(10, 8))).unwrap();
        assert!(layout.suits(4, 4096) && layout.suits(1, 256));
        assert!(!layout.suits(8, 4096) && !layout.suits(4, 8192) && !layout.suits(0, 0));
    }
}
