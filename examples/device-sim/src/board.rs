//! The board: where everything lives, who made it, and what the factory does.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ota_manifest::{ClassId, MAX_ENVELOPE_POST_QUANTUM, VendorId};
use ota_slots::{Geometry, Layout, Partition, Provision, Region, SlotId, SlotRegion, run_blocking};

use crate::flash_file;
use crate::{Factory, FlashFile, write_whole};

/// Bytes of a slot.
pub const SLOT_BYTES: u32 = 1024 * 1024;
/// Bytes of the download window: four erase pages.
pub const WINDOW_BYTES: usize = 4 * flash_file::PAGE;
/// Version of the simulated bootloader.
pub(crate) const BOOTLOADER: u16 = 1;
/// Hardware revision of the simulated board.
pub(crate) const HARDWARE: u16 = 1;

/// Erase page, bytes: as the flash file has it.
const PAGE: u32 = 4096;
const _: () = assert!(PAGE as usize == flash_file::PAGE && flash_file::WORD == 4);
/// Page 0 stands for the bootloader and holds its descriptor.
const JOURNAL: u32 = PAGE;
const SLOT_A: u32 = JOURNAL + 2 * PAGE;
const SLOT_B: u32 = SLOT_A + SLOT_BYTES;
/// What the bootloader alone writes, two copies of a trust document among it; and where the next document waits.
const GUARD: u32 = SLOT_B + SLOT_BYTES;
const TRUST: u32 = GUARD + 2 * PAGE;
const INBOX: u32 = TRUST + 2 * PAGE;
pub(crate) const FLASH_BYTES: u32 = INBOX + PAGE;

/// The partition of the flash; link addresses are flash offsets, as on a microcontroller that runs from flash.
pub const LAYOUT: Layout = Layout::constant(PARTITION.with_envelope_limit(PAGE).with_trust_limit(PAGE));
const PARTITION: Partition = Partition::direct_xip(
    Region::new(FLASH, JOURNAL, 2 * PAGE),
    SlotRegion::new(Region::new(FLASH, SLOT_A, SLOT_BYTES), SLOT_A),
    SlotRegion::new(Region::new(FLASH, SLOT_B, SLOT_BYTES), SLOT_B),
)
.with_guard(Region::new(FLASH, GUARD, 2 * PAGE))
.with_trust(Region::new(FLASH, TRUST, 2 * PAGE), Region::new(FLASH, INBOX, PAGE));
/// An envelope takes a page in any case, so it may as well be one with LMS signatures.
const _: () = assert!(PAGE as usize == MAX_ENVELOPE_POST_QUANTUM);
const FLASH: Geometry = Geometry { erase_page: PAGE, write_size: 4, erased: 0xFF };

/// Maker of the simulated devices.
#[must_use]
pub fn vendor() -> VendorId {
    VendorId::new(*b"example vendor 1")
}

/// Class of the simulated devices.
#[must_use]
pub fn class() -> ClassId {
    ClassId::new(*b"example sensor 1")
}

/// Whether `dir` holds a device: one whose provisioning came to its end.
#[must_use]
pub fn is_device(dir: &Path) -> bool {
    description(dir).exists()
}

/// Written last, because it is what makes a folder a device.
pub(crate) fn description(dir: &Path) -> PathBuf {
    dir.join("device.json")
}

/// Makes a device in `dir`: flash with the first image in slot A, and what the factory burns in.
///
/// Killed at any moment it leaves a device or none; flash without a description is made anew.
///
/// # Errors
/// If the folder holds a device already, or the image does not prove itself with the factory's key.
pub fn provision(dir: &Path, factory: &Factory, image: &[u8], leaves: &[u8], envelope: &[u8]) -> Result<()> {
    ensure!(envelope.len() <= LAYOUT.envelope_limit(), "the envelope is larger than a device accepts");
    let policy = factory.policy()?;
    fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    ensure!(!is_device(dir), "{} is a device already", dir.display());
    let path = dir.join("flash.bin");
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("{} cannot be made anew", path.display()))?;
    }
    let mut flash = FlashFile::create(&path, FLASH_BYTES as usize)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    let provision = Provision::new(&LAYOUT, policy, SlotId::A, image, leaves, envelope);
    let proven = run_blocking(provision, &mut flash, &LAYOUT, &mut [0; LAYOUT.work_buffer()], || ());
    let _proven = proven.context("the first image does not prove itself")?;
    flash.sync().with_context(|| format!("{} cannot be written", path.display()))?;
    let json = serde_json::to_string_pretty(factory)? + "\n";
    // The commit point: whatever it vouches for is on the disk.
    write_whole(&description(dir), json.as_bytes()).context("device.json cannot be written")
}
