//! A firmware image, as it stands in its slot.

use anyhow::{Result, ensure};
use emulator::Program;
use layout::LAYOUT;
use ota_slots::SlotId;

/// The bytes that a slot holds from its first one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The slot that it is linked for.
    pub slot: SlotId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Takes the image out of an application. Gaps are filled as erased flash is.
    ///
    /// # Errors
    /// If it is not linked for one of the two slots, or does not fit.
    pub fn of(program: &Program) -> Result<Self> {
        let segments = program.segments();
        let start = segments.iter().map(|(address, _)| *address).min().unwrap_or(0);
        let at = |slot: &SlotId| LAYOUT.slot(*slot).link_address == start;
        let slot = SlotId::BOTH.into_iter().find(at);
        let [a, b] = SlotId::BOTH.map(|slot| LAYOUT.slot(slot).link_address);
        ensure!(slot.is_some(), "firmware at {start:#x} is for no slot: those begin at {a:#x} and {b:#x}");
        let slot = slot.unwrap_or(SlotId::A);
        let mut bytes = Vec::new();
        for (address, segment) in segments {
            let from = (*address - start) as usize;
            let to = from + segment.len();
            ensure!(
                to <= LAYOUT.target(slot).usable as usize,
                "firmware of {to} bytes does not fit its slot"
            );
            bytes.resize(bytes.len().max(to), 0xFF);
            bytes[from..to].copy_from_slice(segment);
        }
        // The flash is written in words.
        bytes.resize(bytes.len().next_multiple_of(4), 0xFF);
        Ok(Self { slot, bytes })
    }
}

/// The slot that an address lies in, such as the one of the instruction that is executed next; `None` outside both.
#[must_use]
pub fn slot_at(address: u32) -> Option<SlotId> {
    SlotId::BOTH.into_iter().find(|slot| {
        let region = LAYOUT.slot(*slot).region;
        (region.start..region.start + region.len).contains(&address)
    })
}
