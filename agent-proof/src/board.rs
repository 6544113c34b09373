//! The devices that lives are led on.

use ota_slots::sim::{Bank, Flash, Lab, Release};
use ota_slots::{Geometry, Layout, Partition, Policy, Region, SlotId, SlotRegion};

/// The simulated flash: what it announces is the coarsest of all boards, what it enforces is the geometry of its bank.
pub type SimFlash = Flash<4, 4096>;

/// Bytes of a chunk of the laboratory's releases.
pub const CHUNK: u32 = 1024;
/// Bytes of the window that is lent to the agent.
pub const WINDOW: u32 = 4096;
/// Bytes of each slot.
const SLOT: u32 = 32 * 1024;
/// Bytes of an image, at most; the least is 1.
pub const IMAGE: u64 = 12_600;
/// Erase pages: below a chunk, equal to one, two and four chunks.
pub const PAGES: [u32; 4] = [512, 1024, 2048, 4096];

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
    /// A board whose flash has erase pages of so many bytes.
    #[must_use]
    pub fn new(page: u32) -> Self {
        let geometry = Geometry { erase_page: page, write_size: 4, erased: 0xFF };
        let (journal, slots) = (2 * page, 2 * 4096);
        let slot = |start| SlotRegion::new(Region::new(geometry, start, SLOT), 0x10_0000 + start);
        let journal = Region::new(geometry, 0, journal);
        let layout = Layout::constant(Partition::direct_xip(journal, slot(slots), slot(slots + SLOT)));
        let lab = Lab::with_layout(layout);
        let bank = Bank { len: slots + 2 * SLOT, write_size: 4, erase_page: page, erased: 0xFF };
        let mut flash = SimFlash::with_banks(&[bank], 1);
        let first = lab.release(1, 3000);
        lab.provision(&mut flash, &first);
        flash.keep_log(false);
        let policy = lab.policy();
        Self { page, lab, layout, policy, flash, first }
    }

    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        PAGES.map(Self::new).into()
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

    /// Where the image in a slot begins.
    #[must_use]
    pub fn image_at(&self, slot: SlotId) -> usize {
        self.layout.slot(slot).region.start as usize
    }
}
