//! The devices that lives are led on.

use ota_slots::sim::{Bank, Flash, Lab, Release};
use ota_slots::{
    BootDescriptor, Geometry, Layout, Partition, Policy, Region, Site, SlotId, SlotRegion, Strategy,
};
use ota_verify::AlgSet;

use crate::chain;

/// The simulated flash: what it announces is the coarsest of all boards, what it enforces is the geometry of its bank.
pub type SimFlash = Flash<4, 4096>;

/// Bytes of a chunk of the laboratory's releases.
pub const CHUNK: u32 = 1024;
/// Bytes of the window that is lent to the agent.
pub const WINDOW: u32 = 4096;
/// Bytes in front of the slots, for journal and progress: two of the largest pages each.
const REGIONS: u32 = 4 * 4096;
/// The same with guard, two copies of a trust document, and inbox.
const REGIONS_WITH_TRUST: u32 = 9 * 4096;
/// Bytes of a copy of a trust document, at least.
const TRUST: u32 = 2048;
/// Bytes of each slot.
const SLOT: u32 = 32 * 1024;
/// Bytes of an image, at most; the least is 1.
pub const IMAGE: u64 = 12_600;
/// Erase pages: below a chunk, equal to one, two and four chunks.
pub const PAGES: [u32; 4] = [512, 1024, 2048, 4096];
/// What becomes of a new image: it runs where it was staged, is swapped in, or copied over the old one.
pub const STRATEGIES: [Strategy; 3] = [Strategy::DirectXip, Strategy::SwapOffset, Strategy::Overwrite];

/// Fills a region with a byte.
pub(crate) fn ruin(flash: &mut SimFlash, region: Region, byte: u8) {
    flash.corrupt(region.start as usize, &vec![byte; region.len as usize]);
}

/// A kind of device, and one of them that runs release 1 from slot A.
#[derive(Debug)]
pub struct Board {
    /// Bytes of an erase page.
    pub page: u32,
    /// Signs its releases.
    pub lab: Lab,
    /// Where everything lives.
    pub layout: Layout,
    /// What everything is held against.
    pub policy: Policy<'static>,
    /// The flash of a new device.
    pub flash: SimFlash,
    /// What it runs.
    pub first: Release,
}

impl Board {
    /// A board of this strategy whose flash has erase pages of so many bytes; whether it keeps trust documents, and has keys
    /// to ask what time it is.
    #[must_use]
    pub fn new(strategy: Strategy, page: u32, keeps_trust: bool) -> Self {
        let geometry = Geometry { erase_page: page, write_size: 4, erased: 0xFF };
        let region = |start, len| Region::new(geometry, start, len);
        let (journal, progress) = (region(0, 2 * page), region(2 * page, 2 * page));
        let regions = if keeps_trust { REGIONS_WITH_TRUST } else { REGIONS };
        let (a, b) = (region(regions, SLOT), region(regions + SLOT, SLOT));
        let slot = |region: Region| SlotRegion::new(region, 0x10_0000 + region.start);
        let partition = match strategy {
            Strategy::DirectXip => Partition::direct_xip(journal, slot(a), slot(b)),
            Strategy::SwapOffset => Partition::swap_offset(journal, slot(a), b, progress),
            Strategy::Overwrite => Partition::overwrite_without_way_back(journal, slot(a), b, progress),
        };
        let copy = page.max(TRUST);
        let (guard, kept) = (region(4 * page, 2 * page), region(6 * page, 2 * copy));
        let inbox = region(6 * page + 2 * copy, copy);
        let layout = Layout::constant(match keeps_trust {
            true => partition.with_guard(guard).with_trust(kept, inbox),
            false => partition,
        });
        let lab = Lab::with_layout(layout);
        let bank = Bank { len: regions + 2 * SLOT, write_size: 4, erase_page: page, erased: 0xFF };
        let mut flash = SimFlash::with_banks(&[bank], 1);
        let first = lab.release(1, 3000);
        lab.provision(&mut flash, &first);
        flash.keep_log(false);
        let mut policy = lab.policy();
        if keeps_trust {
            policy.trust = chain::pinned();
            let descriptor = BootDescriptor::new(1, AlgSet::ED25519, &layout, policy.trust.digest());
            policy.descriptor = Box::leak(Box::new(descriptor));
        }
        Self { page, lab, layout, policy, flash, first }
    }

    /// All of them: first those that keep no trust documents, then, in the same order, those that do.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let with = |keeps_trust| {
            let of =
                move |strategy| PAGES.into_iter().map(move |page| Self::new(strategy, page, keeps_trust));
            STRATEGIES.into_iter().flat_map(of)
        };
        with(false).chain(with(true)).collect()
    }

    /// Whether a failed image stays where it is, since the old one is gone.
    #[must_use]
    pub fn has_no_way_back(&self) -> bool {
        self.layout.strategy() == Strategy::Overwrite
    }

    /// Bytes of a block.
    #[must_use]
    pub fn block(&self) -> u32 {
        self.page.max(CHUNK)
    }

    /// Bytes of the erase pages that one window fills.
    #[must_use]
    pub fn window_pages(&self) -> u32 {
        WINDOW / self.block() * self.block()
    }

    /// Where the image begins that runs from a slot, or was staged in it.
    #[must_use]
    pub fn image_at(&self, slot: SlotId) -> usize {
        (self.layout.slot(slot).region.start + self.layout.image_offset(Site::Slot(slot))) as usize
    }
}
