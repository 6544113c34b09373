//! `memory.x`, the linker's view.

use core::fmt;

use ota_slots::SlotId;

use crate::{BOOTLOADER, DESCRIPTOR, DESCRIPTOR_LEN, LAYOUT, RAM};

/// What is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The bootloader, with its descriptor at the end.
    Bootloader,
    /// An application that runs from this slot.
    Application(SlotId),
}

/// Displays as the `memory.x` that `cortex-m-rt` wants.
///
/// ```
/// use layout::{Memory, Program};
/// use ota_slots::SlotId;
/// let text = Memory(Program::Application(SlotId::A)).to_string();
/// let start = layout::LAYOUT.slot(SlotId::A).link_address;
/// assert!(text.contains(&format!("FLASH : ORIGIN = {start:#x}, LENGTH =")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory(pub Program);

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, len) = match self.0 {
            Program::Bootloader => (BOOTLOADER.start, BOOTLOADER.len - DESCRIPTOR_LEN),
            // The slot's end belongs to the envelope and the leaf list.
            Program::Application(slot) => {
                let region = LAYOUT.slot(slot);
                (region.link_address, LAYOUT.target(slot).usable)
            }
        };
        let (ram, bytes) = RAM;
        writeln!(f, "MEMORY")?;
        writeln!(f, "{{")?;
        writeln!(f, "  FLASH : ORIGIN = {start:#x}, LENGTH = {len:#x}")?;
        if self.0 == Program::Bootloader {
            writeln!(f, "  DESCRIPTOR : ORIGIN = {DESCRIPTOR:#x}, LENGTH = {DESCRIPTOR_LEN}")?;
        }
        writeln!(f, "  RAM : ORIGIN = {ram:#x}, LENGTH = {bytes:#x}")?;
        writeln!(f, "}}")?;
        if self.0 == Program::Bootloader {
            writeln!(f, "SECTIONS")?;
            writeln!(f, "{{")?;
            writeln!(f, "  .boot_descriptor : {{ KEEP(*(.boot_descriptor)) }} > DESCRIPTOR")?;
            writeln!(f, "}} INSERT AFTER .rodata;")?;
        }
        Ok(())
    }
}
