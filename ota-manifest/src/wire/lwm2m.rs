//! What a [`Stage`] is in the words of LwM2M: resources State and Update Result of the Firmware Update object (OMA, object 5).
//!
//! For gateways and dashboards that speak LwM2M; nothing in the family does. LwM2M says less than a stage: what it has no
//! number for becomes [`UpdateResult::UpdateFailed`].
//!
//! ```
//! use ota_manifest::wire::{FailedProbes, RollbackReason, ResetCause, Stage, lwm2m::{FirmwareUpdate, State, UpdateResult}};
//! let stage = Stage::RolledBack { reason: RollbackReason::SelfTest, cause: ResetCause::Watchdog, boots: 3, failed: FailedProbes::NONE };
//! let told = FirmwareUpdate::of(&stage);
//! assert_eq!(told, FirmwareUpdate { state: State::Idle, result: UpdateResult::UpdateFailed });
//! assert_eq!((told.state as u8, told.result as u8), (0, 8));
//! ```

use super::{Refusal, RollbackReason, Stage};

/// Resource 3, State.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Before a download, and after an update however it ended.
    Idle = 0,
    /// Data is on its way, or not proven yet.
    Downloading = 1,
    /// Everything is there and proven.
    Downloaded = 2,
    /// The image is being started, or tests itself.
    Updating = 3,
}

/// Resource 5, Update Result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum UpdateResult {
    /// No result yet.
    Initial = 0,
    /// The new image runs and is confirmed.
    Success = 1,
    /// No slot takes an image of this size or place.
    NotEnoughFlash = 2,
    /// The memory lent to the agent is too small.
    OutOfRam = 3,
    /// Request after request brought nothing that could be used.
    ConnectionLost = 4,
    /// Signature or digest.
    IntegrityFailed = 5,
    /// Not for this device, or of a kind it does not know.
    UnsupportedPackage = 6,
    /// What was to be fetched is not there.
    InvalidUri = 7,
    /// Everything else, rollbacks among it.
    UpdateFailed = 8,
    /// The protocol of the download is not supported; no stage says so.
    UnsupportedProtocol = 9,
    /// Given up because the server said so. Not in the first version of the object.
    Cancelled = 10,
    /// Not now. Not in the first version of the object.
    Deferred = 11,
}

/// Both resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FirmwareUpdate {
    /// Resource 3.
    pub state: State,
    /// Resource 5.
    pub result: UpdateResult,
}

impl FirmwareUpdate {
    /// What a device that has reported `stage` would say over LwM2M.
    ///
    /// A failed update leaves nothing that could be executed once more, so its state is Idle and never Downloaded.
    #[must_use]
    pub const fn of(stage: &Stage) -> Self {
        let (state, result) = match *stage {
            // LwM2M calls downloaded what has passed its integrity check; here that is a stage later.
            Stage::Accepted | Stage::Downloading { .. } | Stage::Downloaded => {
                (State::Downloading, UpdateResult::Initial)
            }
            Stage::Verified => (State::Downloaded, UpdateResult::Initial),
            Stage::PendingBoot | Stage::Testing => (State::Updating, UpdateResult::Initial),
            Stage::Confirmed => (State::Idle, UpdateResult::Success),
            Stage::RolledBack { reason, .. } => (State::Idle, UpdateResult::of_rollback(reason)),
            Stage::Rejected { refusal } => (State::Idle, UpdateResult::of_refusal(refusal)),
            Stage::Failed { code, .. } => (State::Idle, UpdateResult::of_failure(code)),
            Stage::Cancelled => (State::Idle, UpdateResult::Cancelled),
        };
        Self { state, result }
    }

    /// The same for a server that knows the first version of the object, whose results end at 9.
    ///
    /// There a cancelled update is as if there had been none, and one that is put off has failed.
    #[must_use]
    pub const fn in_first_version(self) -> Self {
        let result = match self.result {
            UpdateResult::Cancelled => UpdateResult::Initial,
            UpdateResult::Deferred => UpdateResult::UpdateFailed,
            known => known,
        };
        Self { result, ..self }
    }
}

impl UpdateResult {
    /// Of an offer that was refused.
    #[must_use]
    pub const fn of_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthentic => Self::IntegrityFailed,
            Refusal::Malformed | Refusal::NotForThisDevice | Refusal::Unsupported => Self::UnsupportedPackage,
            Refusal::NoFittingImage => Self::NotEnoughFlash,
            Refusal::Gone => Self::InvalidUri,
            Refusal::Busy | Refusal::NotYet => Self::Deferred,
            Refusal::NotNewer | Refusal::BelowFloor | Refusal::RejectedBefore | Refusal::Expired => {
                Self::UpdateFailed
            }
        }
    }

    /// Of an image that was taken back.
    #[must_use]
    pub const fn of_rollback(reason: RollbackReason) -> Self {
        match reason {
            RollbackReason::Unproven => Self::IntegrityFailed,
            RollbackReason::AttemptsExhausted
            | RollbackReason::SelfTest
            | RollbackReason::WindowExpired
            | RollbackReason::ConfirmedLost
            | RollbackReason::JournalLost => Self::UpdateFailed,
        }
    }

    /// Of a job that failed with this code of [`Stage::Failed`], wherever it was.
    #[must_use]
    pub const fn of_failure(code: u16) -> Self {
        match code {
            // No proof, no leaf list, no chunk that matched.
            0x0200..=0x04FF | 0x0501 | 0x0502 => Self::IntegrityFailed,
            // Window and envelope did not fit what is lent.
            0x0504 | 0x0505 => Self::OutOfRam,
            0x0506 => Self::ConnectionLost,
            _ => Self::UpdateFailed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FailedStage, ResetCause};

    fn numbers(stage: Stage) -> (u8, u8) {
        let told = FirmwareUpdate::of(&stage);
        (told.state as u8, told.result as u8)
    }

    #[test]
    fn stages_have_the_numbers_of_the_table() {
        let table = [
            (Stage::Accepted, (1, 0)),
            (Stage::Downloading { done: 1, total: 2 }, (1, 0)),
            (Stage::Downloaded, (1, 0)),
            (Stage::Verified, (2, 0)),
            (Stage::PendingBoot, (3, 0)),
            (Stage::Testing, (3, 0)),
            (Stage::Confirmed, (0, 1)),
            (Stage::Cancelled, (0, 10)),
        ];
        for (stage, expected) in table {
            assert_eq!(numbers(stage), expected, "{stage:?}");
        }
    }

    #[test]
    fn refusals_have_the_numbers_of_the_table() {
        let table = [
            (Refusal::Malformed, 6),
            (Refusal::Unauthentic, 5),
            (Refusal::NotForThisDevice, 6),
            (Refusal::NotNewer, 8),
            (Refusal::BelowFloor, 8),
            (Refusal::NoFittingImage, 2),
            (Refusal::Unsupported, 6),
            (Refusal::RejectedBefore, 8),
            (Refusal::Busy, 11),
            (Refusal::Gone, 7),
            (Refusal::Expired, 8),
            (Refusal::NotYet, 11),
        ];
        for (refusal, expected) in table {
            assert_eq!(numbers(Stage::Rejected { refusal }), (0, expected), "{refusal:?}");
        }
    }

    #[test]
    fn rollbacks_have_the_numbers_of_the_table() {
        for number in 0..=5 {
            let reason = RollbackReason::from_number(number).unwrap();
            let expected = if reason == RollbackReason::Unproven { 5 } else { 8 };
            let stage = Stage::RolledBack {
                reason,
                cause: ResetCause::Unknown,
                boots: 1,
                failed: crate::wire::FailedProbes::NONE,
            };
            assert_eq!(numbers(stage), (0, expected), "{reason:?}");
        }
    }

    #[test]
    fn failures_have_the_numbers_of_the_table() {
        let table = [
            (0x0101, 8),
            (0x0200, 5),
            (0x04FF, 5),
            (0x0500, 8),
            (0x0501, 5),
            (0x0502, 5),
            (0x0503, 8),
            (0x0504, 3),
            (0x0505, 3),
            (0x0506, 4),
            (0x0601, 8),
            (0x0602, 8),
            (0xFFFF, 8),
        ];
        for (code, expected) in table {
            let stage = Stage::Failed { at: FailedStage::Downloading, code };
            assert_eq!(numbers(stage), (0, expected), "{code:#06x}");
        }
    }

    #[test]
    fn first_version_of_the_object_ends_at_nine() {
        let old = |stage| FirmwareUpdate::of(&stage).in_first_version().result as u8;
        assert_eq!(old(Stage::Cancelled), 0);
        assert_eq!(old(Stage::Rejected { refusal: Refusal::Busy }), 8);
        assert_eq!(old(Stage::Confirmed), 1);
    }
}
