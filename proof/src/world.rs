//! A board, what its devices believe, and the releases signed for it.

use anyhow::{Context, Result, anyhow};
use ota_manifest::{
    ChunkSize, ClassId, DeviceId, ManifestDraft, Order, Role, SecurityVersion, VendorId, Version,
};
use ota_slots::{
    BootDescriptor, Layout, Policy, Provision, Region, Site, SlotId, Strategy, WORK_BUFFER, run_blocking,
};
use ota_verify::sign::{describe_image, seal_manifest};
use ota_verify::{AlgSet, Identity};

use crate::board::Board;
use crate::chip::Chip;
use crate::key::{LabKey, next_trust, trust};
use crate::witness::Witness;

const IDENTITY: Identity = Identity {
    vendor: VendorId::new(*b"laboratory vendo"),
    class: ClassId::new(*b"laboratory class"),
    hardware: 1,
    device: DeviceId::new(*b"laboratory devic"),
};

/// One image of a release.
#[derive(Debug, Clone)]
pub struct Built {
    /// The bytes.
    pub image: Vec<u8>,
    /// Its leaf list.
    pub leaves: Vec<u8>,
}

/// A release: an envelope, and one image for each slot firmware can run from.
#[derive(Debug, Clone)]
pub struct Release {
    /// The signed manifest.
    pub envelope: Vec<u8>,
    built: Vec<Built>,
}

/// Everything that does not change in the course of a life.
pub struct World {
    /// The board.
    pub board: Board,
    /// Where everything lives.
    pub layout: Layout,
    /// What everything is held against.
    pub policy: Policy<'static>,
    /// With one security version for all, and with rising ones.
    level: Vec<Release>,
    rising: Vec<Release>,
    /// The envelope of the second trust document.
    pub(crate) next_trust: Vec<u8>,
}

impl World {
    /// Signs releases 1 to 3 for a board.
    ///
    /// # Errors
    /// When the board cannot be.
    pub fn new(board: Board) -> Result<Self> {
        let layout = board.layout().with_context(|| format!("board {}", board.name))?;
        let trust = trust();
        let descriptor = BootDescriptor::new(1, AlgSet::ED25519, &layout, trust.digest());
        let policy = Policy { trust, identity: IDENTITY, descriptor: Box::leak(Box::new(descriptor)) };
        let releases = |rises: bool| {
            let sizes = (1..).zip(board.images);
            let built = sizes.map(|(number, size)| {
                let security = SecurityVersion(if rises { u32::from(number) } else { 1 });
                build(&board, &layout, number, size, security)
            });
            built.collect::<Result<Vec<_>>>()
        };
        let (level, rising) = (releases(false)?, releases(true)?);
        Ok(Self { board, layout, policy, level, rising, next_trust: next_trust()? })
    }

    /// Release 1, 2 or 3; with a security version as high as its number, or with that of release 1.
    #[must_use]
    pub fn release(&self, number: u16, rises: bool) -> Option<&Release> {
        let releases = if rises { &self.rising } else { &self.level };
        releases.get(usize::from(number).checked_sub(1)?)
    }

    /// The image of a release that an application running from `slot` is to fetch.
    #[must_use]
    pub fn image_for_update<'r>(&self, release: &'r Release, slot: SlotId) -> &'r Built {
        match self.board.strategy {
            Strategy::DirectXip => &release.built[slot.other() as usize],
            Strategy::SwapOffset | Strategy::Overwrite => &release.built[0],
        }
    }

    /// Whether the flash, where an image was handed over, holds that release and nothing else.
    #[must_use]
    pub fn is_handed_over(&self, chip: &mut Chip, slot: SlotId, release: u16) -> bool {
        let built = self.release(release, false).and_then(|release| release.built.get(slot as usize));
        built.is_some_and(|built| chip.holds(self.layout.slot(slot).region.start, &built.image))
    }

    /// What the bootloader remembers: journal, progress, guard and kept trust, where the board has them.
    pub fn memories(&self) -> impl Iterator<Item = (&'static str, Region)> {
        let Self { layout, .. } = self;
        let others =
            [("progress", layout.progress()), ("guard", layout.guard()), ("trust", layout.kept_trust())];
        let others = others.into_iter().filter_map(|(name, region)| Some((name, region?)));
        std::iter::once(("journal", layout.journal())).chain(others)
    }

    /// A byte of flash in words.
    pub(crate) fn place(&self, at: u32) -> String {
        let slots = [("slot A", SlotId::A), ("slot B", SlotId::B)];
        let slots = slots.into_iter().map(|(name, slot)| (name, self.layout.slot(slot).region));
        let mut inside = self.memories().chain(slots).filter(|(_, region)| is_in(region, at));
        let found = inside.next().map(|(name, region)| format!("{name} + {}", at - region.start));
        found.unwrap_or_else(|| format!("{at}"))
    }

    /// First byte and image of the release that was handed over last; release 1 if none was.
    pub(crate) fn ran_last(&self, witness: &Witness) -> (u32, &[u8]) {
        let release = witness.last.map_or(1, |(release, _)| release);
        // Nobody has updated more than once before something befalls the device.
        let slot = match self.board.strategy {
            Strategy::DirectXip if release == 2 => SlotId::B,
            _ => SlotId::A,
        };
        let built = self.release(release, false).and_then(|release| release.built.get(slot as usize));
        (self.layout.slot(slot).region.start, built.map_or(&[], |built| &built.image))
    }

    /// The bytes behind release 2 where it is staged, to the end of its last page.
    pub(crate) fn behind_staged(&self) -> Region {
        let region = self.layout.slot(SlotId::B).region;
        let len = u32::try_from(self.board.images[1]).unwrap_or(0);
        let start = region.start + self.layout.image_offset(Site::Slot(SlotId::B)) + len;
        Region { start, len: start.next_multiple_of(region.geometry.erase_page) - start, ..region }
    }

    /// A device that runs release 1 from slot A.
    ///
    /// # Errors
    /// When the release does not prove itself on it.
    pub fn provisioned(&self) -> Result<Chip> {
        let mut chip = self.board.chip(&self.layout);
        let release = self.release(1, false).context("there is a release 1")?;
        let Built { image, leaves } = &release.built[0];
        let provision =
            Provision::new(&self.layout, &self.policy, SlotId::A, image, leaves, &release.envelope);
        let _first = run_blocking(provision, &mut chip, &self.layout, &mut [0; WORK_BUFFER], || ())
            .map_err(|error| anyhow!("{}: {error}", self.board.name))?;
        self.board.wear_out(&mut chip, &self.layout);
        chip.restart_count();
        Ok(chip)
    }
}

/// Whether a byte of flash belongs to a region.
pub(crate) const fn is_in(region: &Region, at: u32) -> bool {
    at >= region.start && at - region.start < region.len
}

fn build(
    board: &Board,
    layout: &Layout,
    number: u16,
    size: usize,
    security: SecurityVersion,
) -> Result<Release> {
    let mut draft = ManifestDraft::new(IDENTITY.vendor, IDENTITY.class, Version::new(number, 0, 0));
    draft.order = Order { epoch: 0, sequence: u32::from(number) };
    draft.security_version = security;
    let chunk = ChunkSize::from_log2(board.chunk_log2).context("a chunk size devices accept")?;
    let slots: &[SlotId] = match board.strategy {
        Strategy::DirectXip => &SlotId::BOTH,
        Strategy::SwapOffset | Strategy::Overwrite => &[SlotId::A],
    };
    let mut built = Vec::new();
    for slot in slots {
        let image = code_like(u64::from(number) << 8 | *slot as u64, size);
        let described = describe_image(&image, layout.slot(*slot).link_address, chunk)?;
        draft.images.push(described.image).map_err(|_| anyhow!("too many images"))?;
        built.push(Built { image, leaves: described.leaves });
    }
    let key = if board.chains_trust && number > 1 { LabKey::Next } else { LabKey::Release };
    let envelope = seal_manifest(&draft, &[(&key, Role::Release)])?;
    Ok(Release { envelope, built })
}

/// Bytes without a pattern: no page of an image is like another, nor like the same page of another image.
fn code_like(seed: u64, size: usize) -> Vec<u8> {
    let words = (0u64..).map(|index| crate::print::mix(seed, index).to_le_bytes());
    words.flatten().take(size).collect()
}
