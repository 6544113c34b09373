//! The states of a job, as values and as the columns that people count.

use ota_manifest::wire::{FailedProbes, FailedStage, Refusal, ResetCause, RollbackReason, Stage};

use crate::names::{Named, names};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its wave, for room in flight, or for its device to ask.
    Queued,
    /// The device was told and has not answered.
    Offered,
    /// The device found the manifest authentic and applicable.
    Accepted,
    /// Chunks are arriving.
    Downloading,
    /// All chunks are in flash.
    Downloaded,
    /// The image in flash is proven.
    Verified,
    /// The device is about to restart into the image.
    PendingBoot,
    /// The image runs and tests itself.
    Testing,
    /// The image passed its own test, or ran confirmed before the campaign came. The only success.
    Confirmed,
    /// The old image runs again because the new one failed its trial: a verdict on the release.
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
    /// Another image runs again, and that says nothing about the release: a copy did not prove, or the device lost what it
    /// had. Counts as failed. The device does not reject the release and would take it again.
    Lost {
        /// Why: [`RollbackReason::Unproven`], [`RollbackReason::ConfirmedLost`] or [`RollbackReason::JournalLost`].
        reason: RollbackReason,
        /// What reset the device last.
        cause: ResetCause,
        /// Boots the image got.
        boots: u8,
        /// What its self-test found.
        failed: FailedProbes,
    },
    /// Begun and not finished.
    Failed {
        /// Where.
        at: FailedStage,
        /// The precise code in the device's log.
        code: u16,
    },
    /// Refused by the device, or by the server on what the device says of itself; never begun.
    Rejected {
        /// Why.
        refusal: Refusal,
    },
    /// The device stayed too long in a stage.
    TimedOut {
        /// In which stage.
        stage: JobKind,
    },
    /// Closed by an operator, or given up by the device on the server's word.
    Cancelled,
    /// The device runs something newer.
    Superseded,
    /// The device is no longer enrolled.
    Removed,
}

impl JobState {
    /// The state without its details.
    #[must_use]
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Queued => JobKind::Queued,
            Self::Offered => JobKind::Offered,
            Self::Accepted => JobKind::Accepted,
            Self::Downloading => JobKind::Downloading,
            Self::Downloaded => JobKind::Downloaded,
            Self::Verified => JobKind::Verified,
            Self::PendingBoot => JobKind::PendingBoot,
            Self::Testing => JobKind::Testing,
            Self::Confirmed => JobKind::Confirmed,
            Self::RolledBack { .. } => JobKind::RolledBack,
            Self::Lost { .. } | Self::Failed { .. } => JobKind::Failed,
            Self::Rejected { .. } => JobKind::Rejected,
            Self::TimedOut { .. } => JobKind::TimedOut,
            Self::Cancelled => JobKind::Cancelled,
            Self::Superseded => JobKind::Superseded,
            Self::Removed => JobKind::Removed,
        }
    }

    /// The state as columns.
    #[must_use]
    pub fn columns(&self) -> StateColumns {
        let bare = StateColumns { state: self.kind().name(), ..StateColumns::default() };
        match *self {
            Self::RolledBack { reason, cause, boots, failed }
            | Self::Lost { reason, cause, boots, failed } => {
                let found = (failed != FailedProbes::NONE).then_some(failed);
                StateColumns {
                    reason: Some(reason.name()),
                    cause: Some(cause.name()),
                    boots: Some(boots),
                    code: found.map(|found| found.code),
                    probes: found.map(|found| found.probes),
                    ..bare
                }
            }
            Self::Failed { at, code } => StateColumns { reason: Some(at.name()), code: Some(code), ..bare },
            Self::Rejected { refusal } => StateColumns { reason: Some(refusal.name()), ..bare },
            Self::TimedOut { stage } => StateColumns { reason: Some(stage.name()), ..bare },
            _ => bare,
        }
    }

    /// The state that these columns mean; `None` if no writer of this crate wrote them.
    #[must_use]
    pub fn from_columns(
        state: &str,
        reason: Option<&str>,
        cause: Option<&str>,
        boots: u8,
        failed: FailedProbes,
    ) -> Option<Self> {
        let kind = JobKind::parse(state)?;
        let went_back =
            || Some(Self::went_back(Named::parse(reason?)?, Named::parse(cause?)?, boots, failed));
        let state = match kind {
            JobKind::Queued => Self::Queued,
            JobKind::Offered => Self::Offered,
            JobKind::Accepted => Self::Accepted,
            JobKind::Downloading => Self::Downloading,
            JobKind::Downloaded => Self::Downloaded,
            JobKind::Verified => Self::Verified,
            JobKind::PendingBoot => Self::PendingBoot,
            JobKind::Testing => Self::Testing,
            JobKind::Confirmed => Self::Confirmed,
            JobKind::RolledBack => went_back()?,
            JobKind::Failed => match Named::parse(reason?) {
                Some(at) => Self::Failed { at, code: failed.code },
                None => went_back()?,
            },
            JobKind::Rejected => Self::Rejected { refusal: Named::parse(reason?)? },
            JobKind::TimedOut => Self::TimedOut { stage: Named::parse(reason?)? },
            JobKind::Cancelled => Self::Cancelled,
            JobKind::Superseded => Self::Superseded,
            JobKind::Removed => Self::Removed,
        };
        (state.kind() == kind).then_some(state)
    }

    /// A device went back. Only a trial that the image failed is a verdict on the release.
    const fn went_back(reason: RollbackReason, cause: ResetCause, boots: u8, failed: FailedProbes) -> Self {
        match reason {
            RollbackReason::AttemptsExhausted | RollbackReason::SelfTest | RollbackReason::WindowExpired => {
                Self::RolledBack { reason, cause, boots, failed }
            }
            RollbackReason::Unproven | RollbackReason::ConfirmedLost | RollbackReason::JournalLost => {
                Self::Lost { reason, cause, boots, failed }
            }
        }
    }
}

impl From<Stage> for JobState {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Accepted => Self::Accepted,
            Stage::Downloading { .. } => Self::Downloading,
            Stage::Downloaded => Self::Downloaded,
            Stage::Verified => Self::Verified,
            Stage::PendingBoot => Self::PendingBoot,
            Stage::Testing => Self::Testing,
            Stage::Confirmed => Self::Confirmed,
            Stage::RolledBack { reason, cause, boots, failed } => {
                Self::went_back(reason, cause, boots, failed)
            }
            Stage::Rejected { refusal } => Self::Rejected { refusal },
            Stage::Failed { at, code } => Self::Failed { at, code },
            Stage::Cancelled => Self::Cancelled,
        }
    }
}

/// A state in the form in which a store keeps it and a person counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateColumns {
    /// [`JobKind`] by name.
    pub state: &'static str,
    /// Rollback reason, refusal, failed stage or silent stage, by name.
    pub reason: Option<&'static str>,
    /// Reset cause by name.
    pub cause: Option<&'static str>,
    /// Boots the image got.
    pub boots: Option<u8>,
    /// The device's code, of a failure or of the probe that decided.
    pub code: Option<u16>,
    /// Bit n: probe n of the self-test failed. Absent if none did.
    pub probes: Option<u32>,
}

/// A [`JobState`] without its details. In the order in which a job passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum JobKind {
    /// [`JobState::Queued`].
    Queued = 0,
    /// [`JobState::Offered`].
    Offered = 1,
    /// [`JobState::Accepted`].
    Accepted = 2,
    /// [`JobState::Downloading`].
    Downloading = 3,
    /// [`JobState::Downloaded`].
    Downloaded = 4,
    /// [`JobState::Verified`].
    Verified = 5,
    /// [`JobState::PendingBoot`].
    PendingBoot = 6,
    /// [`JobState::Testing`].
    Testing = 7,
    /// [`JobState::Confirmed`].
    Confirmed = 8,
    /// [`JobState::RolledBack`].
    RolledBack = 9,
    /// [`JobState::Failed`] or [`JobState::Lost`].
    Failed = 10,
    /// [`JobState::Rejected`].
    Rejected = 11,
    /// [`JobState::TimedOut`].
    TimedOut = 12,
    /// [`JobState::Cancelled`].
    Cancelled = 13,
    /// [`JobState::Superseded`].
    Superseded = 14,
    /// [`JobState::Removed`].
    Removed = 15,
}

impl JobKind {
    /// Every kind, in order.
    pub const ALL: [Self; 16] = [
        Self::Queued,
        Self::Offered,
        Self::Accepted,
        Self::Downloading,
        Self::Downloaded,
        Self::Verified,
        Self::PendingBoot,
        Self::Testing,
        Self::Confirmed,
        Self::RolledBack,
        Self::Failed,
        Self::Rejected,
        Self::TimedOut,
        Self::Cancelled,
        Self::Superseded,
        Self::Removed,
    ];

    /// The kind's name, as it stands in columns and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        Named::name(self)
    }

    /// Between offered and finished.
    #[must_use]
    pub fn is_in_flight(self) -> bool {
        Self::Offered <= self && self <= Self::Testing
    }

    /// Between offered and the point from which the device boots the image without asking anybody.
    #[must_use]
    pub fn is_reversible(self) -> bool {
        Self::Offered <= self && self < Self::PendingBoot
    }

    /// Closed.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self >= Self::Confirmed
    }

    /// Closed in a way that says something about the release.
    #[must_use]
    pub fn is_verdict(self) -> bool {
        Self::Confirmed <= self && self <= Self::TimedOut
    }
}

names!(JobKind {
    Queued => "queued",
    Offered => "offered",
    Accepted => "accepted",
    Downloading => "downloading",
    Downloaded => "downloaded",
    Verified => "verified",
    PendingBoot => "pending_boot",
    Testing => "testing",
    Confirmed => "confirmed",
    RolledBack => "rolled_back",
    Failed => "failed",
    Rejected => "rejected",
    TimedOut => "timed_out",
    Cancelled => "cancelled",
    Superseded => "superseded",
    Removed => "removed",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_survives_its_columns() {
        let states = [
            JobState::Queued,
            JobState::Testing,
            JobState::RolledBack {
                reason: RollbackReason::SelfTest,
                cause: ResetCause::Watchdog,
                boots: 3,
                failed: FailedProbes { probes: 1 << 31 | 2, code: 0x0B02 },
            },
            JobState::RolledBack {
                reason: RollbackReason::WindowExpired,
                cause: ResetCause::Software,
                boots: 1,
                failed: FailedProbes::NONE,
            },
            JobState::Lost {
                reason: RollbackReason::Unproven,
                cause: ResetCause::PowerOn,
                boots: 0,
                failed: FailedProbes { probes: 1, code: 0 },
            },
            JobState::Failed { at: FailedStage::Verifying, code: 513 },
            JobState::Rejected { refusal: Refusal::Unauthentic },
            JobState::TimedOut { stage: JobKind::PendingBoot },
            JobState::Removed,
        ];
        for state in states {
            let c = state.columns();
            let failed =
                FailedProbes { probes: c.probes.unwrap_or_default(), code: c.code.unwrap_or_default() };
            let boots = c.boots.unwrap_or_default();
            assert_eq!(JobState::from_columns(c.state, c.reason, c.cause, boots, failed), Some(state));
        }
        for (number, kind) in JobKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(Named::parse(kind.name()), Some(kind));
        }
    }

    #[test]
    fn columns_that_contradict_each_other_are_no_state() {
        let failed_trial =
            JobState::from_columns("failed", Some("self_test"), Some("software"), 1, FailedProbes::NONE);
        let lost_copy =
            JobState::from_columns("rolled_back", Some("unproven"), Some("software"), 1, FailedProbes::NONE);
        assert_eq!((failed_trial, lost_copy), (None, None));
    }
}
