//! Why a partition cannot work.

use thiserror::Error;

/// Why a partition cannot work. The integrator's fault, every one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
#[error("{}", self.sentence())]
pub enum LayoutError {
    /// Page or write size is not a power of two, or out of range, or erased flash reads as neither 0x00 nor 0xFF.
    Geometry,
    /// A region does not consist of whole pages.
    Unaligned,
    /// Less than two pages of journal.
    JournalTooSmall,
    /// Less than two pages for the progress of a move.
    ProgressTooSmall,
    /// Less than two pages of guard region.
    GuardTooSmall,
    /// Less than two copies of the longest document for adopted trust, or one for the inbox, or no guard region.
    TrustTooSmall,
    /// Envelopes are not 1,536 to 32,768 bytes, a multiple of 256.
    EnvelopeLimit,
    /// Trust documents are not 2,048 to 8,192 bytes, a multiple of 256.
    TrustLimit,
    /// A slot has no room for an image.
    SlotTooSmall,
    /// The slots are not whole multiples of the larger erase page, in which images are moved.
    UnevenUnits,
    /// The slots between which images move read differently when erased.
    UnequalErased,
    /// Two regions share bytes.
    Overlap,
    /// Both slots have the same link address.
    SameLinkAddress,
    /// The flash driver writes or erases in larger steps than the layout says.
    Driver,
    /// The flash is smaller than the layout.
    Capacity,
}

impl LayoutError {
    /// What is wrong, in one sentence; in a constant it is what the compiler says.
    #[must_use]
    pub const fn sentence(&self) -> &'static str {
        match self {
            Self::Geometry => {
                "erase page: 256 B to 1 MiB, write size: 1 to 32 B, both powers of two; erased byte: 0x00 or 0xFF"
            }
            Self::Unaligned => "a region does not start and end at an erase page",
            Self::JournalTooSmall => "the journal needs at least two erase pages",
            Self::ProgressTooSmall => "the progress region needs at least two erase pages",
            Self::GuardTooSmall => "the guard region needs at least two erase pages",
            Self::TrustTooSmall => {
                "kept trust needs two copies of the longest document in whole pages, its inbox one, and both a guard region"
            }
            Self::EnvelopeLimit => "envelopes have 1,536 to 32,768 bytes, a multiple of 256",
            Self::TrustLimit => "trust documents have 2,048 to 8,192 bytes, a multiple of 256",
            Self::SlotTooSmall => "a slot is too small for an envelope, a leaf list and an image",
            Self::UnevenUnits => {
                "slots between which images move must be whole multiples of the larger erase page"
            }
            Self::UnequalErased => "slots between which images move must read alike when erased",
            Self::Overlap => "two regions overlap",
            Self::SameLinkAddress => "both slots have the same link address",
            Self::Driver => "the flash driver writes or erases in larger steps than the layout says",
            Self::Capacity => "the flash is smaller than the layout",
        }
    }
}
