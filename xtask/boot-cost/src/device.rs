//! The flash of a device that runs an image from slot A, as a factory leaves it.

use anyhow::{Result, anyhow};
use ota_manifest::{ChunkSize, ManifestDraft, Order, Role, SecurityVersion, Version};
use ota_slots::sim::{Flash, LabKey};
use ota_slots::{BootDescriptor, Policy, Provision, SlotId, run_blocking};
use ota_verify::sign::{describe_image, seal_manifest};
use ota_verify::{Identity, Trust};

/// Number of the breakpoint that the image begins with.
pub(crate) const RUNS: u8 = 7;
/// Where its code begins, behind the vector table.
const CODE: usize = 0x200;

pub(crate) fn running(size: u32) -> Result<Vec<u8>> {
    let (layout, key) = (layout::LAYOUT, LabKey::seeded(1));
    let keys = [key.pinned(Role::Release)];
    let trust = Trust::pinned(&keys);
    let identity = Identity {
        vendor: layout::VENDOR,
        class: layout::CLASS,
        hardware: layout::HARDWARE,
        device: layout::device_id([0, 0]),
    };
    let descriptor =
        BootDescriptor::new(layout::BOOTLOADER_VERSION, layout::ALGORITHM_SET, &layout, trust.digest());
    let policy = Policy { trust, identity, descriptor };

    let link_address = layout.slot(SlotId::A).link_address;
    let image = image(size, link_address);
    let mut draft = ManifestDraft::new(identity.vendor, identity.class, Version::new(1, 0, 0));
    draft.order = Order { epoch: 0, sequence: 1 };
    draft.security_version = SecurityVersion(1);
    let described = describe_image(&image, link_address, ChunkSize::KIB4)?;
    draft.images.push(described.image).map_err(|_| anyhow!("a manifest takes one image"))?;
    let envelope = seal_manifest(&draft, &[(&key, Role::Release)])?;

    let len = usize::try_from(layout::FLASH_BYTES)?;
    let mut flash = Flash::<4, 4096>::new(len, 0xFF, 1);
    let provision = Provision::new(&layout, &policy, SlotId::A, &image, &described.leaves, &envelope);
    let _ = run_blocking(provision, &mut flash, &layout, &mut [0; layout::LAYOUT.work_buffer()], || ())?;
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
