//! What the agent wants done.

use ota_manifest::wire::{Refusal, ResetCause, RollbackReason, Stage, Up};
use ota_manifest::{JobId, Nonce, Order};
use ota_slots::{OPAQUE, Staged, TrustOffer};
use ota_verify::TrustedTime;

use crate::Gates;

/// One thing to do. Whatever borrows from the agent must be carried out before its next call.
#[derive(Debug)]
pub enum Output<'o> {
    /// Send this and hand in the answer, or [`Input::LinkLost`](crate::Input::LinkLost).
    Send(Up),
    /// Do this with the slots and hand in the result.
    Slots(SlotWork<'o>),
    /// Run the self-test and hand in the verdict. Feed the watchdog on progress only. Messages may go to and fro meanwhile.
    SelfTest,
    /// Draw 16 bytes from a random source and hand them in as [`Input::Ask`](crate::Input::Ask). Nothing waits for it.
    Draw,
    /// Something worth a line in the log.
    Event(Event),
    /// Reset the device. Nothing else is left to do.
    Reset,
    /// Nothing until [`Agent::poll_timeout`](crate::Agent::poll_timeout) or the next input.
    Wait,
}

/// Work on the slots; [`SlotDriver`](crate::SlotDriver) does it.
#[derive(Debug)]
pub enum SlotWork<'o> {
    /// Authenticate the envelope and decide whether it applies.
    Admit {
        /// The envelope.
        envelope: &'o [u8],
        /// What time it is, if a freshness reply has told.
        now: Option<TrustedTime>,
    },
    /// Begin or resume staging.
    Begin {
        /// The envelope.
        envelope: &'o [u8],
        /// What time it is, if a freshness reply has told.
        now: Option<TrustedTime>,
        /// For the journal.
        context: [u8; OPAQUE],
    },
    /// Erase the leaf list's pages.
    EraseLeaves,
    /// Write leaves.
    StoreLeaves {
        /// Number of the first.
        first: u32,
        /// 32 bytes each.
        leaves: &'o [u8],
    },
    /// Check the leaf list in flash.
    CheckLeaves,
    /// Erase a block.
    EraseBlock {
        /// Its number.
        block: u32,
    },
    /// Read a chunk that the slot holds, and check it against its leaf.
    LoadChunk {
        /// Its number.
        chunk: u32,
        /// Where to put it, of its length.
        into: &'o mut [u8],
    },
    /// Check a chunk against its leaf and write it.
    StoreChunk {
        /// Its number.
        chunk: u32,
        /// Its bytes.
        bytes: &'o [u8],
    },
    /// Prove the whole image from flash.
    Finish,
    /// Ask the bootloader to start it.
    RequestBoot {
        /// What is proven.
        staged: &'o Staged,
        /// Boots it gets to confirm itself.
        attempts: u8,
        /// For the journal.
        context: [u8; OPAQUE],
    },
    /// The running firmware is fit: keep it.
    Confirm {
        /// For the journal.
        context: [u8; OPAQUE],
    },
    /// The running firmware is unfit: go back at the next reset.
    Fail {
        /// Why.
        reason: RollbackReason,
        /// For the journal: what the self-test found.
        context: [u8; OPAQUE],
    },
    /// The server knows of the event.
    AckEvent {
        /// For the journal.
        context: [u8; OPAQUE],
    },
    /// Write the agent's bytes.
    Save {
        /// For the journal.
        context: [u8; OPAQUE],
    },
    /// Check a freshness reply.
    Believe {
        /// The envelope.
        envelope: &'o [u8],
        /// The question's.
        nonce: Nonce,
    },
    /// Check a trust document and put it where the bootloader looks for it.
    OfferTrust {
        /// The envelope.
        envelope: &'o [u8],
    },
}

/// A line for the device's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A job was offered.
    Offered {
        /// Which.
        job: JobId,
        /// Which attempt at it.
        attempt: u8,
    },
    /// The offer was refused, before a single byte of payload was asked for.
    OfferRefused {
        /// What the server is told.
        refusal: Refusal,
        /// What really was the matter.
        code: u16,
    },
    /// An update that had begun goes on where it was cut off.
    Resumed {
        /// Bytes held already; 0 if it was cut off before the first block was complete.
        held: u32,
        /// Bytes in all.
        total: u32,
    },
    /// The leaf list is not the manifest's; it is fetched again.
    LeavesRefused,
    /// A chunk is not the manifest's; it was not written and is fetched again.
    ChunkRefused {
        /// Its number.
        chunk: u32,
    },
    /// The server refused to be asked for work, or to take a report. `Unsupported` in answer to a poll: it does not speak this
    /// firmware's protocol, and has to be brought up to date.
    ServerRefused {
        /// Why.
        refusal: Refusal,
    },
    /// An answer that fits no question was ignored.
    Ignored,
    /// Asking again after a pause.
    BackingOff {
        /// How long, ms.
        pause_ms: u64,
    },
    /// The update waits for these gates.
    Held {
        /// Those that are closed.
        by: Gates,
    },
    /// The gates are open and the update goes on.
    Released,
    /// The job has come this far.
    Reached(Stage),
    /// The old image runs again.
    RolledBack {
        /// Why.
        reason: RollbackReason,
        /// What reset the device last.
        cause: ResetCause,
        /// Boots the image got.
        boots: u8,
    },
    /// The server has the terminal report.
    Settled {
        /// Of this job.
        job: JobId,
    },
    /// A freshness key has told what time it is.
    Fresh {
        /// The time.
        time: TrustedTime,
        /// The highest order released for this device.
        latest: Order,
    },
    /// A freshness reply or a trust document was not believed; the one before stays in force.
    NotBelieved {
        /// What was the matter.
        code: u16,
    },
    /// The bootloader has been given a trust document, which it looks at when the device is reset.
    TrustOffered {
        /// The document's version.
        version: u32,
        /// Whether it was there already; it then has not been adopted at the last reset.
        offer: TrustOffer,
    },
    /// The journal or the flash failed.
    FlashFailed {
        /// What was the matter.
        code: u16,
    },
}
