//! What a device says about a job. Numbers are frozen by order of declaration.

use serde::{Deserialize, Serialize};

use crate::{JobId, ResetCause, RollbackReason};

/// One fact about one attempt at a job.
///
/// `(job, attempt, seq)` makes repetition harmless: a server stores the first and acknowledges all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which job.
    pub job: JobId,
    /// Which attempt at it, from 1.
    pub attempt: u8,
    /// Rises with every new report of the device, across reboots; of a rejection it is 1, for a device keeps nothing of it.
    pub seq: u32,
    /// The fact.
    pub stage: Stage,
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The manifest is authentic and applies; work begins.
    Accepted,
    /// Chunks are arriving.
    Downloading {
        /// Bytes proven and in flash.
        done: u32,
        /// Bytes in all.
        total: u32,
    },
    /// All chunks are in flash.
    Downloaded,
    /// The whole image in flash is proven.
    Verified,
    /// The device is about to restart into the image.
    PendingBoot,
    /// The image runs and tests itself.
    Testing,
    /// The image has passed its own test. The only success.
    Confirmed,
    /// The old image runs again.
    RolledBack {
        /// Why.
        reason: RollbackReason,
        /// What reset the device last.
        cause: ResetCause,
        /// Boots the image got.
        boots: u8,
        /// What its self-test found.
        failed: FailedProbes,
    },
    /// The device refuses the job; it was never begun.
    Rejected {
        /// Why.
        refusal: Refusal,
    },
    /// The job was begun and cannot be finished.
    Failed {
        /// Where it failed.
        at: FailedStage,
        /// The precise code in the device's log.
        code: u16,
    },
    /// The device gave the job up because the server said so.
    Cancelled,
}

/// What a self-test found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct FailedProbes {
    /// Bit n: probe n of the device's list failed, required or not.
    pub probes: u32,
    /// The code of the first one that decided, as in the device's log.
    pub code: u16,
}

impl FailedProbes {
    /// No probe failed, or none was asked.
    pub const NONE: Self = Self { probes: 0, code: 0 };
}

impl Stage {
    /// Whether nothing comes after it in the same attempt.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Confirmed
                | Self::RolledBack { .. }
                | Self::Rejected { .. }
                | Self::Failed { .. }
                | Self::Cancelled
        )
    }
}

/// Why a request or an offer is refused.
///
/// Everything cryptographic is one number: the wire does not tell a forger which check caught him. The device's log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Refusal {
    /// Not a message or not a request of this protocol.
    Malformed = 0,
    /// Signature, key, digest or encoding: not proven.
    Unauthentic = 1,
    /// For another vendor, class, hardware revision or device.
    NotForThisDevice = 2,
    /// Not newer than what runs.
    NotNewer = 3,
    /// Below the anti-rollback floor.
    BelowFloor = 4,
    /// No image that fits a free slot of the device.
    NoFittingImage = 5,
    /// Uses something this device or its bootloader does not know.
    Unsupported = 6,
    /// Was rolled back here before.
    RejectedBefore = 7,
    /// Another job is under way.
    Busy = 8,
    /// The job or object is not, or no longer, there.
    Gone = 9,
    /// Its end of validity is past.
    Expired = 10,
    /// Something has to come first: a release in between, a trust document that opens its epoch, another bootloader.
    NotYet = 11,
}

/// Where a job failed that had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum FailedStage {
    /// Making room in the staging slot.
    Preparing = 0,
    /// Fetching chunks.
    Downloading = 1,
    /// Proving the whole image from flash.
    Verifying = 2,
    /// Asking the bootloader for it.
    Pending = 3,
}
