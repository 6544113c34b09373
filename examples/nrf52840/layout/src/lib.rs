//! What bootloader, application and tools agree on: where things lie in flash and memory, the watchdog, the pins, whose
//! firmware runs, and the keys that devices are made with.
//!
//! Another board with a chip of this family needs changes here and nowhere else.
//!
//! ```text
//!   0x00000  bootloader    28 KiB, its descriptor at the end    written by a cable alone
//!   0x07000  guard          8 KiB, floor of security versions   } bootloader writes, application reads
//!   0x09000  kept trust     8 KiB, two copies                   }
//!   0x0B000  inbox          4 KiB, the next trust document        application writes, bootloader reads
//!   0x0C000  journal        8 KiB, who runs and why               both write
//!   0x0E000  slot A       484 KiB
//!   0x87000  slot B       484 KiB
//!  0x100000  end
//! ```
//! With hash-based signatures trust documents have twice the pages, and the slots are smaller.
#![no_std]
#![forbid(unsafe_code)]

mod keys;
mod memory;
mod pins;
mod sensor;

use ota_manifest::{ClassId, DeviceId, VendorId};
use ota_slots::{BootDescriptor, Geometry, Layout, Partition, Region, SlotRegion};
use ota_verify::Identity;

pub use keys::{ALGORITHM_SET, ALGORITHMS, KEYS, KEYS_DIGEST};
pub use memory::{Memory, Program};
pub use sensor::{SENSOR, Sensor};

/// The chip's flash: erase pages of 4 KiB, words of 4 bytes (nRF52840 product specification, NVMC).
const FLASH: Geometry = Geometry::NRF52840;
const PAGE: u32 = FLASH.erase_page;

/// Bytes of flash.
pub const FLASH_BYTES: u32 = 0x10_0000;
/// The bootloader. An application that could write here could undo every promise, so it is locked as the guard region is.
pub const BOOTLOADER: Region = Region::new(FLASH, 0, BOOTLOADER_PAGES * PAGE);
/// One more for a bootloader that checks both families of signatures.
const BOOTLOADER_PAGES: u32 = if cfg!(all(feature = "ed25519", feature = "lms")) { 8 } else { 7 };

/// Where everything lies.
pub const LAYOUT: Layout = flash_map(cfg!(feature = "lms"));
/// Where everything lies for firmware that takes hash-based signatures alone, for tools that know both.
pub const LMS_LAYOUT: Layout = flash_map(true);

const fn flash_map(lms: bool) -> Layout {
    // Pages of a trust document. With hash-based signatures it is longer.
    let document = if lms { 2 } else { 1 };
    let guard = after(BOOTLOADER, 2);
    let kept_trust = after(guard, 2 * document);
    let inbox = after(kept_trust, document);
    let journal = after(inbox, 2);
    // Half of what is left, so that two slots fit whatever comes before them.
    let slot_pages = (FLASH_BYTES - end(journal)) / PAGE / 2;
    let slot_a = after(journal, slot_pages);
    let slot_b = after(slot_a, slot_pages);
    assert!(end(slot_b) <= FLASH_BYTES, "the slots end before the flash does");
    let partition = Partition::direct_xip(
        journal,
        SlotRegion::new(slot_a, slot_a.start),
        SlotRegion::new(slot_b, slot_b.start),
    );
    let partition = partition.with_guard(guard).with_trust(kept_trust, inbox);
    // Signatures of 2.8 KB.
    let limits = if lms { partition.with_envelope_limit(4096).with_trust_limit(8192) } else { partition };
    Layout::constant(limits)
}

/// Where the bootloader says what it is: its last bytes.
pub const DESCRIPTOR: u32 = end(BOOTLOADER) - DESCRIPTOR_LEN;
#[expect(clippy::cast_possible_truncation, reason = "168")]
const DESCRIPTOR_LEN: u32 = BootDescriptor::LEN as u32;

/// Memory: start and length, bytes.
pub const RAM: (u32, u32) = (0x2000_0000, 0x4_0000);

/// The watchdog's time, ms: started by the bootloader at every boot, inherited by the application, the same for both since
/// the chip takes no second setting. Longer than the bootloader's longest silence, an erase of 85 ms, and than a proof
/// of a full slot between two feeds; short enough to wait for.
pub const WATCHDOG_MS: u32 = 8_000;
const _: () = assert!(WATCHDOG_MS >= 4_000);

/// The same in ticks of its clock, 32,768 a second.
pub const WATCHDOG_TICKS: u32 = WATCHDOG_MS / 1000 * 32_768;

/// Speed of the serial line to the gateway, bits per second. The line of the kit's debugger manages up to a million.
pub const BAUD: u32 = 115_200;

/// Who makes this device.
pub const VENDOR: VendorId = VendorId::new(*b"ota-rs example 1");
/// What it is.
pub const CLASS: ClassId = ClassId::new(*b"nRF52840 DK demo");
/// Revision of its hardware.
pub const HARDWARE: u16 = 1;
/// Version of its bootloader.
pub const BOOTLOADER_VERSION: u16 = 1;

/// The device's name: what it is, and the number that the chip was made with.
#[must_use]
pub const fn device_id(serial_number: [u32; 2]) -> DeviceId {
    let [a, b, c, d] = serial_number[0].to_be_bytes();
    let [e, f, g, h] = serial_number[1].to_be_bytes();
    DeviceId::new([b'n', b'R', b'F', b'5', b'2', b'8', b'4', b'0', a, b, c, d, e, f, g, h])
}

/// What a device with this number says it is.
#[must_use]
pub const fn identity(serial_number: [u32; 2]) -> Identity {
    Identity { vendor: VENDOR, class: CLASS, hardware: HARDWARE, device: device_id(serial_number) }
}

const fn after(region: Region, pages: u32) -> Region {
    Region::new(FLASH, end(region), pages * PAGE)
}

const fn end(region: Region) -> u32 {
    region.start + region.len
}
