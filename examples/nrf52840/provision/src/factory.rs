//! What the factory flashes.

use anyhow::{Context, Result, bail, ensure};
use emulator::{Machine, Program};
use layout::LAYOUT;
use ota_slots::{BootDescriptor, Provision, SlotId, run_blocking};

use crate::flash::Flash;
use crate::{Keys, Packed, hex};

/// The configuration that the chip reads at its reset (product specification, UICR): the reset button on P0.18, and access
/// for a debugger. A product closes the port with 0xFFFF_FF00 in the last word.
///
/// The application's drivers write the same at their first start, and reset the chip; here, it is there already.
pub const UICR_WORDS: [(u32, u32); 3] = [(0x1000_1200, 18), (0x1000_1204, 18), (0x1000_1208, 0x5A)];

/// A device as it leaves the factory: bootloader, the first image in its slot, the first record of the journal.
pub struct Factory {
    flash: Flash,
}

impl Factory {
    /// Writes and proves all of it, with `keys`, which must be the ones that the bootloader pins.
    ///
    /// # Errors
    /// If the bootloader pins other keys, or the image does not prove itself under them.
    pub fn make(bootloader: &Program, keys: &Keys, first: &Packed, envelope: &[u8]) -> Result<Self> {
        let mut flash = Flash::erased();
        for (address, bytes) in bootloader.segments() {
            let end = (*address as usize).saturating_add(bytes.len());
            ensure!(
                end <= layout::BOOTLOADER.len as usize,
                "this is no bootloader: it reaches beyond its {} bytes",
                layout::BOOTLOADER.len
            );
            flash.put(*address, bytes).context("the bootloader does not lie in flash")?;
        }
        let policy = keys.policy();
        match descriptor(&flash) {
            None => bail!("this is no bootloader: it has no descriptor"),
            Some(descriptor) => ensure!(
                descriptor.matches(&LAYOUT, &policy.trust),
                "the bootloader was built for another layout or pins other keys: build it with OTA_KEYS set to this \
                 folder, or name the folder that it was built with"
            ),
        }
        let Packed { image, leaves } = first;
        let provision = Provision::new(&LAYOUT, &policy, image.slot, &image.bytes, leaves, envelope);
        let _proven = run_blocking(provision, &mut flash, &LAYOUT, &mut [0; LAYOUT.work_buffer()], || ())
            .context(
                "the bootloader would not run this image: was it signed with the release key it pins?",
            )?;
        Ok(Self { flash })
    }

    /// The hex file.
    ///
    /// # Errors
    /// Never, as the pieces lie where they do.
    pub fn hex(&self) -> Result<String> {
        let words = UICR_WORDS.map(|(address, word)| (address, word.to_le_bytes()));
        let uicr = words.iter().map(|(address, word)| (*address, &word[..]));
        hex::write([(0, self.flash.bytes())].into_iter().chain(uicr))
    }

    /// Puts it into an emulated chip, UICR included.
    ///
    /// # Errors
    /// Never, as the chip has this flash.
    pub fn load(&self, machine: &mut Machine) -> Result<()> {
        machine.flash().load(0, self.flash.bytes()).ok().context("the chip has other flash")?;
        for (address, word) in UICR_WORDS {
            let loaded = machine.flash().load(address, &word.to_le_bytes());
            loaded.ok().context("the chip has no UICR there")?;
        }
        Ok(())
    }

    /// What lies in a slot.
    #[must_use]
    pub fn slot(&self, slot: SlotId) -> &[u8] {
        let region = LAYOUT.slot(slot).region;
        let from = region.start as usize;
        self.flash.bytes().get(from..from + region.len as usize).unwrap_or_default()
    }
}

fn descriptor(flash: &Flash) -> Option<BootDescriptor> {
    let bytes = flash.bytes().get(layout::DESCRIPTOR as usize..)?.first_chunk()?;
    BootDescriptor::parse(bytes)
}
