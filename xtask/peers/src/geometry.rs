//! Where the partitions are.

/// Bytes per program unit.
pub const WORD: usize = 4;
/// Bytes per erase page.
pub const PAGE: usize = 4096;

const PAGE_BYTES: u32 = 4096;
const WORD_BYTES: u32 = 4;

/// ACTIVE, DFU and STATE, one after the other on one flash: DFU one page bigger than ACTIVE, STATE as many pages as the
/// bootloader's own check asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    slot: u32,
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// What runs.
    Active,
    /// What was downloaded, or displaced.
    Dfu,
    /// The bootloader's magic and progress words.
    State,
}

/// A range of the flash, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u32,
}

impl Geometry {
    /// Partitions around an ACTIVE of so many bytes.
    ///
    /// # Panics
    /// If it is not a whole number of pages.
    #[must_use]
    pub fn new(slot: u32) -> Self {
        assert!(slot > 0 && slot.is_multiple_of(PAGE_BYTES), "whole pages");
        Self { slot }
    }

    /// Bytes of ACTIVE.
    #[must_use]
    pub fn slot(self) -> u32 {
        self.slot
    }

    /// Bytes of all partitions.
    #[must_use]
    pub fn total(self) -> u32 {
        let state = self.part(Name::State);
        state.start + state.len
    }

    /// Where a partition is.
    #[must_use]
    pub fn part(self, name: Name) -> Part {
        let dfu = self.slot + PAGE_BYTES;
        match name {
            Name::Active => Part { start: 0, len: self.slot },
            Name::Dfu => Part { start: self.slot, len: dfu },
            Name::State => Part { start: self.slot + dfu, len: self.state() },
        }
    }

    /// The partition that holds a byte.
    #[must_use]
    pub fn holder(self, at: u32) -> Name {
        if at < self.part(Name::Dfu).start {
            Name::Active
        } else if at < self.part(Name::State).start {
            Name::Dfu
        } else {
            Name::State
        }
    }

    /// Magic, validity, and four progress words per page of ACTIVE.
    fn state(self) -> u32 {
        let words = 2 + 4 * (self.slot / PAGE_BYTES);
        (words * WORD_BYTES).next_multiple_of(PAGE_BYTES)
    }
}
