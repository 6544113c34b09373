//! The flash of a device that runs an image from slot A, as a factory leaves it.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow};
use ota_manifest::{ChunkSize, ManifestDraft, Order, Role, SecurityVersion, Version};
use ota_slots::sim::{Flash, LabKey};
use ota_slots::{BootDescriptor, Layout, Policy, Provision, SlotId, run_blocking};
use ota_verify::sign::{
    LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, Signer, SignerError, describe_image,
    seal_manifest,
};
use ota_verify::{AlgSet, Identity, Trust, TrustedKey};

/// Number of the breakpoint that the image begins with.
pub(crate) const RUNS: u8 = 7;
/// Where its code begins, behind the vector table.
const CODE: usize = 0x200;

/// How a device's releases are signed. Everybody knows the private halves.
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    /// Whether its keys can be replaced.
    pub(crate) has_documents: bool,
    algorithms: AlgSet,
    layout: Layout,
    key: Box<dyn Signer>,
}

impl Profile {
    pub(crate) fn ed25519() -> Self {
        let key = Box::new(LabKey::seeded(1));
        let (name, algorithms, layout) = ("ed25519", AlgSet::ED25519, layout::LAYOUT);
        Self { name, has_documents: true, algorithms, layout, key }
    }

    pub(crate) fn lms() -> Self {
        // The width that releases are signed with; a higher tree has a few hashes more.
        let key = LmsSigningKey::generate(LmsHeight::H5, LmsWidth::W4, &[1; 32]);
        let key = Box::new(LmsSigner::new(key, Leaves(AtomicU32::new(0))));
        let (name, algorithms, layout) = ("lms", AlgSet::LMS, layout::LMS_LAYOUT);
        Self { name, has_documents: false, algorithms, layout, key }
    }

    /// The profile of a bootloader, by what it says about itself.
    pub(crate) fn of(bootloader: &BootDescriptor) -> Result<Self> {
        let algorithms = bootloader.bootloader().algorithms;
        let profile = [Self::ed25519(), Self::lms()].into_iter().find(|known| known.algorithms == algorithms);
        profile.context("a bootloader of another profile")
    }

    pub(crate) fn release_key(&self) -> &dyn Signer {
        &*self.key
    }
}

/// Which leaf is next; for keys that protect nothing.
struct Leaves(AtomicU32);

impl LmsState for Leaves {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// The flash of a device of this profile that runs an image of `size` bytes.
pub(crate) fn running(profile: &Profile, size: u32) -> Result<Vec<u8>> {
    let (layout, release) = (profile.layout, profile.key.public_key());
    let keys = [TrustedKey::new(Role::Release, &release)];
    let trust = Trust::pinned(&keys);
    let identity = Identity {
        vendor: layout::VENDOR,
        class: layout::CLASS,
        hardware: layout::HARDWARE,
        device: layout::device_id([0, 0]),
    };
    let descriptor =
        BootDescriptor::new(layout::BOOTLOADER_VERSION, profile.algorithms, &layout, trust.digest());
    let policy = Policy { trust, identity, descriptor: &descriptor };

    let link_address = layout.slot(SlotId::A).link_address;
    let image = image(size, link_address);
    let mut draft = ManifestDraft::new(identity.vendor, identity.class, Version::new(1, 0, 0));
    draft.order = Order { epoch: 0, sequence: 1 };
    draft.security_version = SecurityVersion(1);
    let described = describe_image(&image, link_address, ChunkSize::KIB4)?;
    draft.images.push(described.image).map_err(|_| anyhow!("a manifest takes one image"))?;
    let envelope = seal_manifest(&draft, &[(profile.release_key(), Role::Release)])?;

    let len = usize::try_from(layout::FLASH_BYTES)?;
    let mut flash = Flash::<4, 4096>::new(len, 0xFF, 1);
    let provision = Provision::new(&layout, &policy, SlotId::A, &image, &described.leaves, &envelope);
    let mut buffer = [0; layout::LMS_LAYOUT.work_buffer()];
    let _ = run_blocking(provision, &mut flash, &layout, &mut buffer, || ())?;
    Ok(flash.bytes_in(0..len).to_vec())
}

/// A stack at the end of memory, an entry, and there a breakpoint; the rest is like code in having no pattern.
fn image(size: u32, link_address: u32) -> Vec<u8> {
    let mut image: Vec<u8> = (0..size).map(|i| i.wrapping_mul(0x9E37_79B1).to_be_bytes()[0]).collect();
    let (ram, len) = layout::RAM;
    let entry = link_address + 0x201;
    image[..4].copy_from_slice(&(ram + len).to_le_bytes());
    image[4..8].copy_from_slice(&entry.to_le_bytes());
    image[CODE..CODE + 2].copy_from_slice(&[RUNS, 0xBE]);
    image
}
