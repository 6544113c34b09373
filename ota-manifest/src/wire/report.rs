//! What a device says about a job. Numbers are frozen by order of declaration.

use super::writer::Writer;
use crate::codec::Reader;
use crate::{DecodeError, JobId, ResetCause, RollbackReason};

/// One fact about one attempt at a job.
///
/// `(job, attempt, seq)` makes repetition harmless: a server stores the first and acknowledges all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl Report {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        Self { job: JobId::new(r.array()), attempt: r.u8(), seq: r.u32(), stage: Stage::read(r) }
    }

    pub(super) fn write(&self, w: &mut impl Writer) {
        w.array(self.job.as_bytes());
        w.u8(self.attempt);
        w.u32(self.seq);
        self.stage.write(w);
    }
}

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

    fn read(r: &mut Reader<'_>) -> Self {
        match r.tag() {
            0 => Self::Accepted,
            1 => Self::Downloading { done: r.u32(), total: r.u32() },
            2 => Self::Downloaded,
            3 => Self::Verified,
            4 => Self::PendingBoot,
            5 => Self::Testing,
            6 => Self::Confirmed,
            7 => Self::RolledBack {
                reason: numbered(r, RollbackReason::from_number, RollbackReason::AttemptsExhausted),
                cause: numbered(r, known_cause, ResetCause::Unknown),
                boots: r.u8(),
                failed: FailedProbes { probes: r.u32(), code: r.u16() },
            },
            8 => Self::Rejected { refusal: Refusal::read(r) },
            9 => Self::Failed {
                at: numbered(r, FailedStage::from_number, FailedStage::Preparing),
                code: r.u16(),
            },
            10 => Self::Cancelled,
            unknown => {
                r.refuse(DecodeError::UnknownTag(unknown));
                Self::Accepted
            }
        }
    }

    fn write(&self, w: &mut impl Writer) {
        w.u8(self.number());
        match self {
            Self::Downloading { done, total } => {
                w.u32(*done);
                w.u32(*total);
            }
            Self::RolledBack { reason, cause, boots, failed } => {
                w.u8(*reason as u8);
                w.u8(*cause as u8);
                w.u8(*boots);
                w.u32(failed.probes);
                w.u16(failed.code);
            }
            Self::Rejected { refusal } => w.u8(*refusal as u8),
            Self::Failed { at, code } => {
                w.u8(*at as u8);
                w.u16(*code);
            }
            Self::Accepted
            | Self::Downloaded
            | Self::Verified
            | Self::PendingBoot
            | Self::Testing
            | Self::Confirmed
            | Self::Cancelled => {}
        }
    }

    const fn number(&self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::Downloading { .. } => 1,
            Self::Downloaded => 2,
            Self::Verified => 3,
            Self::PendingBoot => 4,
            Self::Testing => 5,
            Self::Confirmed => 6,
            Self::RolledBack { .. } => 7,
            Self::Rejected { .. } => 8,
            Self::Failed { .. } => 9,
            Self::Cancelled => 10,
        }
    }
}

/// The one of an enumeration that has the number which stands there.
fn numbered<T>(r: &mut Reader<'_>, of: impl FnOnce(u8) -> Option<T>, instead: T) -> T {
    let number = r.tag();
    r.checked(of(number).ok_or(DecodeError::UnknownTag(number)), instead)
}

/// A journal may know a cause that this version does not; a message may not.
fn known_cause(number: u8) -> Option<ResetCause> {
    Some(ResetCause::from_number(number)).filter(|cause| *cause as u8 == number)
}

/// Why a request or an offer is refused.
///
/// Everything cryptographic is one number: the wire does not tell a forger which check caught him. The device's log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl Refusal {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        numbered(r, Self::from_number, Self::Malformed)
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Malformed,
            1 => Self::Unauthentic,
            2 => Self::NotForThisDevice,
            3 => Self::NotNewer,
            4 => Self::BelowFloor,
            5 => Self::NoFittingImage,
            6 => Self::Unsupported,
            7 => Self::RejectedBefore,
            8 => Self::Busy,
            9 => Self::Gone,
            10 => Self::Expired,
            11 => Self::NotYet,
            _ => return None,
        })
    }
}

/// Where a job failed that had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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

impl FailedStage {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Preparing,
            1 => Self::Downloading,
            2 => Self::Verifying,
            3 => Self::Pending,
            _ => return None,
        })
    }
}
