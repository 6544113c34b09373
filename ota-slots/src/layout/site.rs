//! The two slots, and where in them an image may lie.

/// One of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotId {
    /// The first. With a strategy that moves images, the one that runs.
    A = 0,
    /// The second. With a strategy that moves images, the one that is filled.
    B = 1,
}

impl SlotId {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// How a staged image becomes the running one. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Strategy {
    /// One image per slot address; nothing is ever copied.
    DirectXip = 0,
    /// The staged image is swapped with the running one.
    SwapOffset = 1,
    /// The staged image is copied over the running one; no way back.
    Overwrite = 2,
}

impl Strategy {
    /// Whether firmware always runs from slot A, and images are moved there.
    #[must_use]
    pub const fn moves(self) -> bool {
        !matches!(self, Self::DirectXip)
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::DirectXip),
            1 => Some(Self::SwapOffset),
            2 => Some(Self::Overwrite),
            _ => None,
        }
    }
}

/// Where an image may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// In this slot, where it runs (slot A; both with `DirectXip`) or where it was staged.
    Slot(SlotId),
    /// In slot B, where a swap has put the image that ran before.
    Displaced,
}

impl Site {
    /// The slot it is a part of.
    #[must_use]
    pub const fn slot(self) -> SlotId {
        match self {
            Self::Slot(slot) => slot,
            Self::Displaced => SlotId::B,
        }
    }
}
