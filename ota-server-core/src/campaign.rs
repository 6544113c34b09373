//! A campaign: one release, one plan, and the state between draft and done.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ota_manifest::DeviceId;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMs;
use crate::names::{Named, names};
use crate::plan::Plan;
use crate::release::ReleaseNo;
use crate::rollout::HaltReason;

/// Number of a campaign on this server, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CampaignNo(pub u32);

impl fmt::Display for CampaignNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A campaign without its jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its number.
    pub no: CampaignNo,
    /// A name for people.
    pub name: String,
    /// Who made it; cannot approve it.
    pub author: String,
    /// What it brings.
    pub release: ReleaseNo,
    /// How.
    pub plan: Plan,
    /// To whom.
    pub target: Target,
    /// Random bytes that order its devices.
    pub salt: [u8; 16],
    /// Where it stands.
    pub state: CampaignState,
    /// Who approved, and when.
    pub approvals: Vec<Approval>,
    /// When it was made.
    pub created: UnixMs,
    /// When its state last changed.
    pub changed: UnixMs,
    /// When it halted, if it did.
    pub halted: Option<UnixMs>,
    /// Since when the gate of the running wave is passed.
    pub gate_since: Option<UnixMs>,
}

/// To whom a campaign goes. Resolved once, when it is submitted, so that approvers approve a definite list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Every device enrolled by then.
    All,
    /// These.
    Devices(Vec<DeviceId>),
}

/// One person's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub operator: String,
    /// When.
    pub at: UnixMs,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignState {
    /// Being written; has no jobs.
    Draft,
    /// Its devices are fixed; waits for people.
    AwaitingApproval,
    /// Approved; waits for its time.
    Scheduled,
    /// Offering, up to the reach of this wave (from 0).
    Running {
        /// Which wave.
        wave: u16,
    },
    /// An operator holds it in this wave; nothing is offered.
    Paused {
        /// Which wave.
        wave: u16,
    },
    /// It stopped itself in this wave. Nothing is offered, ever again; it can be aborted, not resumed.
    Halted {
        /// Which wave.
        wave: u16,
        /// Why.
        reason: HaltReason,
    },
    /// Every job is closed.
    Completed,
    /// An operator ended it.
    Aborted,
}

impl CampaignState {
    /// The state's name, as it stands in columns and JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Named::name(self.kind())
    }

    /// The wave it stands in, if it stands in one.
    #[must_use]
    pub const fn wave(&self) -> Option<u16> {
        match self {
            Self::Running { wave } | Self::Paused { wave } | Self::Halted { wave, .. } => Some(*wave),
            _ => None,
        }
    }

    /// Why it halted, if it did.
    #[must_use]
    pub const fn halt_reason(&self) -> Option<HaltReason> {
        if let Self::Halted { reason, .. } = self { Some(*reason) } else { None }
    }

    /// The state that these columns mean; `None` if no writer of this crate wrote them.
    #[must_use]
    pub fn from_columns(state: &str, wave: Option<u16>, reason: Option<HaltReason>) -> Option<Self> {
        Some(match CampaignKind::parse(state)? {
            CampaignKind::Draft => Self::Draft,
            CampaignKind::AwaitingApproval => Self::AwaitingApproval,
            CampaignKind::Scheduled => Self::Scheduled,
            CampaignKind::Running => Self::Running { wave: wave? },
            CampaignKind::Paused => Self::Paused { wave: wave? },
            CampaignKind::Halted => Self::Halted { wave: wave?, reason: reason? },
            CampaignKind::Completed => Self::Completed,
            CampaignKind::Aborted => Self::Aborted,
        })
    }

    const fn kind(&self) -> CampaignKind {
        match self {
            Self::Draft => CampaignKind::Draft,
            Self::AwaitingApproval => CampaignKind::AwaitingApproval,
            Self::Scheduled => CampaignKind::Scheduled,
            Self::Running { .. } => CampaignKind::Running,
            Self::Paused { .. } => CampaignKind::Paused,
            Self::Halted { .. } => CampaignKind::Halted,
            Self::Completed => CampaignKind::Completed,
            Self::Aborted => CampaignKind::Aborted,
        }
    }
}

#[derive(Clone, Copy)]
enum CampaignKind {
    Draft,
    AwaitingApproval,
    Scheduled,
    Running,
    Paused,
    Halted,
    Completed,
    Aborted,
}

names!(CampaignKind {
    Draft => "draft",
    AwaitingApproval => "awaiting_approval",
    Scheduled => "scheduled",
    Running => "running",
    Paused => "paused",
    Halted => "halted",
    Completed => "completed",
    Aborted => "aborted",
});
