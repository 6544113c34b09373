//! What the agent is told.

use crate::Gates;
use ota_manifest::wire::{Down, FailedProbes, Refusal};
use ota_manifest::{ManifestId, Nonce, Order, SecurityVersion};
use ota_slots::{Event as SlotEvent, OPAQUE, ResumePoint, Staged, TrustOffer};
use ota_verify::AuthenticFreshness;

/// Something that happened outside.
#[derive(Debug)]
pub enum Input<'i> {
    /// The server's answer to the last [`Output::Send`](crate::Output::Send).
    Message(Down<'i>),
    /// The last request got no answer: connection refused, reset, HTTP error.
    LinkLost,
    /// The result of the last [`Output::Slots`](crate::Output::Slots).
    Slots(SlotsAnswer),
    /// The verdict of the last [`Output::SelfTest`](crate::Output::SelfTest).
    SelfTest(Fitness),
    /// Ask the server for freshness with this nonce, from a random source: the answer to [`Output::Draw`](crate::Output::Draw),
    /// or a question of the self-test's. Asked once the device is idle or on trial, and passed over while another one is under way, so
    /// ask again until it is answered; what comes back is
    /// [`SlotsAnswer::Fresh`].
    Ask(Nonce),
    /// Somebody rang: ask for work now.
    Doorbell,
    /// Which gates are open from now on. All are closed until this says otherwise; it matters to what
    /// [`Config`](crate::Config) makes wait for them. Closing one in the middle of a download pauses it.
    Gates(Gates),
}

/// Whether firmware on trial is fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    Fit,
    /// It is not; the old firmware reports what was found.
    Unfit(FailedProbes),
}

impl From<bool> for Fitness {
    /// For a self-test without a record.
    fn from(fit: bool) -> Self {
        if fit { Self::Fit } else { Self::Unfit(FailedProbes::NONE) }
    }
}

/// How slot work went.
#[derive(Debug)]
pub enum SlotsAnswer {
    /// The manifest is proven and for this device, now.
    Admitted(Plan),
    /// It is not, or staging it cannot begin: what to tell the server, and the precise code for the log.
    Refused {
        /// For the server.
        refusal: Refusal,
        /// For the log.
        code: u16,
    },
    /// Staging has begun; this is there already.
    Begun(ResumePoint),
    /// Done.
    Done,
    /// Whether the leaf list is the manifest's.
    LeavesHeld(bool),
    /// The chunk is not the manifest's: damaged or forged, and not written.
    ChunkRefused,
    /// The whole image is proven from flash.
    Finished(Staged),
    /// The freshness keys have answered this device's question. A self-test that asked it wants to see this too
    /// (`SelfTest::answer`).
    Fresh(AuthenticFreshness),
    /// The trust document is where the bootloader looks for it.
    TrustOffered(TrustOffer),
    /// The flash, the journal or the proof failed, with the code for log and report.
    Failed {
        /// The precise code.
        code: u16,
    },
}

/// What is to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Name of the manifest.
    pub manifest: ManifestId,
    /// Which image of it.
    pub image: u8,
    /// Its length, bytes.
    pub size: u32,
    /// Length of a chunk, bytes.
    pub chunk_bytes: u32,
    /// Length of a block, bytes: a chunk or an erase page, whichever is larger.
    pub block_bytes: u32,
    /// Boots the image gets to confirm itself.
    pub trial_attempts: u8,
    /// Seconds it has from boot to confirm.
    pub confirm_window_s: u16,
}

impl Plan {
    /// Chunks of the image.
    #[must_use]
    #[inline(never)]
    pub const fn chunks(&self) -> u32 {
        self.chunks_in(self.size)
    }

    /// Chunks of a block, at least 1.
    #[must_use]
    #[inline(never)]
    pub const fn chunks_per_block(&self) -> u32 {
        match self.chunks_in(self.block_bytes) {
            0 => 1,
            chunks => chunks,
        }
    }

    /// Of chunks without a length, which no proven manifest has, more than any block may have: such a plan is refused.
    const fn chunks_in(&self, bytes: u32) -> u32 {
        match self.chunk_bytes {
            0 => u32::MAX,
            chunk => bytes.div_ceil(chunk),
        }
    }
}

/// In which state the firmware was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// Confirmed, or stranded: it may update.
    Settled,
    /// On trial: it has to test itself.
    Trial,
}

/// What the device knows about itself right after a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootReport {
    /// In which state the firmware was started.
    pub started: Started,
    /// What happened that the server does not know yet.
    pub event: Option<SlotEvent>,
    /// The agent's bytes from the journal.
    pub opaque: [u8; OPAQUE],
    /// The running manifest.
    pub manifest: ManifestId,
    /// Its order.
    pub order: Order,
    /// The anti-rollback floor.
    pub floor: SecurityVersion,
    /// Version of the trust in force.
    pub trust: u32,
    /// Whether it has freshness keys: without them no reply would be believed.
    pub asks: bool,
}

impl BootReport {
    /// A device straight from the factory.
    #[must_use]
    pub const fn confirmed() -> Self {
        Self {
            started: Started::Settled,
            event: None,
            opaque: [0; OPAQUE],
            manifest: ManifestId::NONE,
            order: Order { epoch: 0, sequence: 0 },
            floor: SecurityVersion(0),
            trust: 1,
            asks: false,
        }
    }
}
