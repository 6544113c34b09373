//! Why the application's slots do not do as asked.

use embedded_storage::nor_flash::NorFlashErrorKind;
use thiserror::Error;

use crate::prove::SlotError;
use crate::{JournalError, SlotState};

/// Why the slots cannot be used. The firmware may run on; it cannot update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The journal holds no record: the device was never provisioned.
    #[error("the journal is empty: provision the device")]
    NoJournal,
    /// The bootloader sees the flash differently, keeps another journal format or trusts other keys: whatever is written
    /// would not be read as it was meant. Nothing is written.
    #[error("bootloader and application disagree about the flash layout or the keys")]
    BootloaderDisagrees,
    /// The bootloader keeps envelopes or trust documents of another length: it would look for an envelope elsewhere in the
    /// slot, or lend too little memory for a document. Nothing is written. Build both with the same limits.
    #[error(
        "the bootloader keeps envelopes of {envelope} and trust documents of {trust} bytes, the application others"
    )]
    LimitsDiffer {
        /// [`Layout::envelope_limit`](crate::Layout::envelope_limit) of the bootloader, bytes.
        envelope: usize,
        /// [`Layout::trust_limit`](crate::Layout::trust_limit) of the bootloader, bytes.
        trust: usize,
    },
    /// The work buffer is shorter than [`Layout::work_buffer`](crate::Layout::work_buffer): no slot could be proven in it.
    #[error("the work buffer is shorter than the layout's envelopes")]
    ShortBuffer,
    /// The journal says that the other slot runs: the bootloader could not write and fell back.
    #[error("the journal says that another slot is running")]
    AnotherSlotRuns,
    /// The running slot is in a state no running firmware can be in, or declared itself unfit: reset.
    #[error("running slot is marked {0:?}; reset")]
    NotRunning(SlotState),
}

/// Why an update cannot begin. Nothing has been written, unless the flash failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BeginError {
    /// An event is still to be reported: acknowledge it first.
    #[error("an event is still to be acknowledged")]
    EventOpen,
    /// An update is already to be booted: reset.
    #[error("an update is already pending: reset")]
    PendingBoot,
    /// This manifest was rolled back here before.
    #[error("this manifest was rolled back here before")]
    RejectedBefore,
    /// Not newer than the running one.
    #[error("not newer than the running firmware")]
    NotNewer,
    /// The envelope is longer than [`Layout::envelope_limit`](crate::Layout::envelope_limit), or not the one the update was
    /// admitted from.
    #[error("not the envelope of this update, or longer than its place in a slot")]
    WrongEnvelope,
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
}

/// Why a filled slot is not staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FinishError {
    /// The slot does not hold the image.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Why a trust document is not offered to the bootloader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The layout has no inbox.
    #[error("the layout keeps no trust documents")]
    NoPlace,
    /// Not the envelope of a trust document, or longer than [`Layout::trust_limit`](crate::Layout::trust_limit).
    #[error("not the envelope of a trust document, or longer than the layout keeps")]
    WrongEnvelope,
    /// The flash failed.
    #[error("flash failed: {0:?}")]
    Flash(NorFlashErrorKind),
}

/// Why a boot is not requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Not newer than what runs, after all.
    #[error("not newer than the running firmware")]
    NotNewer,
    /// The slot has been put to another use since it was staged.
    #[error("the slot no longer holds what was staged")]
    NotStaged,
    /// Less than two attempts: one cannot tell a bad image from a flat battery.
    #[error("a trial needs at least two attempts")]
    TooFewAttempts,
    /// The journal takes no record.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
