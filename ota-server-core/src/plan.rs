//! The knobs of a campaign: how fast it goes and what stops it.

use alloc::vec;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most waves in a plan.
pub const MAX_WAVES: usize = 32;
/// Most halt rules in a plan.
pub const MAX_HALT_RULES: usize = 16;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How a campaign proceeds and when it stops itself.
///
/// The defaults are careful: 1 %, 10 %, 50 %, 100 %; an hour of soaking; stop when 2 % of the finished devices rolled back.
///
/// ```
/// use ota_server_core::{Plan, Wave};
/// let plan = Plan { waves: vec![Wave::Count(1), Wave::Percent(25), Wave::Percent(100)], ..Plan::default() };
/// assert!(plan.check().is_ok());
/// assert!(Plan { waves: vec![Wave::Percent(25)], ..plan }.check().is_err(), "who gets the rest?");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// How far each wave reaches. Reach is cumulative: wave k is the first so many devices of the cohort order.
    pub waves: Vec<Wave>,
    /// Devices that may be between offered and finished at any moment. What limits damage: a threshold alone does not.
    pub max_in_flight: u32,
    /// What a wave must show before the next one begins.
    pub gate: Gate,
    /// How long a gate must stay passed before the next wave begins, milliseconds.
    pub soak_ms: u64,
    /// What stops the campaign.
    pub halt: Vec<HaltRule>,
    /// How long a device may stay in each stage.
    pub timeouts: Timeouts,
    /// Attempts a device gets when it fails, gets a copy that does not prove, or falls silent. A failed trial or a refusal is
    /// never tried again.
    pub max_attempts: u8,
    /// Pause between two attempts of a device, milliseconds.
    pub retry_after_ms: u64,
    /// People other than the author who must approve.
    pub approvals: u8,
    /// Not before this moment, milliseconds since 1970-01-01 UTC; at once if absent.
    pub start_at_ms: Option<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            waves: vec![Wave::Percent(1), Wave::Percent(10), Wave::Percent(50), Wave::Percent(100)],
            max_in_flight: 100,
            gate: Gate::default(),
            soak_ms: HOUR,
            halt: vec![
                HaltRule { outcome: Outcome::RolledBack, permille: 20, min_sample: 1 },
                HaltRule { outcome: Outcome::Any, permille: 100, min_sample: 10 },
            ],
            timeouts: Timeouts::default(),
            max_attempts: 3,
            retry_after_ms: MINUTE,
            approvals: 1,
            start_at_ms: None,
        }
    }
}

impl Plan {
    /// Whether the plan says what happens to every device.
    ///
    /// # Errors
    /// [`PlanError`]: the author must change the plan.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.waves.len() > MAX_WAVES || self.halt.len() > MAX_HALT_RULES {
            return Err(PlanError::TooLong);
        }
        if self.waves.last() != Some(&Wave::Percent(100)) {
            return Err(PlanError::RestUnplanned);
        }
        if self
            .waves
            .iter()
            .any(|wave| matches!(wave, Wave::Percent(101..) | Wave::Percent(0) | Wave::Count(0)))
        {
            return Err(PlanError::WaveOutOfRange);
        }
        if self.gate.permille > 1000 || self.halt.iter().any(|rule| rule.permille > 1000) {
            return Err(PlanError::FractionOutOfRange);
        }
        if self.max_in_flight == 0 {
            return Err(PlanError::NothingInFlight);
        }
        if self.max_attempts == 0 {
            return Err(PlanError::NoAttempt);
        }
        Ok(())
    }
}

/// How far a wave reaches, counted from the first device of the cohort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wave {
    /// The first so many devices.
    Count(u32),
    /// The first so many percent, rounded up; 1 to 100.
    Percent(u8),
}

/// What a wave must show before the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Least share of the contacted devices of the wave that confirmed, in thousandths.
    pub permille: u16,
    /// Least number of devices of the wave that were contacted; a smaller wave needs all of its own.
    pub min_sample: u32,
}

impl Default for Gate {
    fn default() -> Self {
        Self { permille: 950, min_sample: 1 }
    }
}

/// Stop when this share of the finished devices ended in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltRule {
    /// Which outcome.
    pub outcome: Outcome,
    /// The share that stops, in thousandths; 0 stops at the first.
    pub permille: u16,
    /// Finished devices below which the share means nothing; 1 lets a single canary stop everything.
    pub min_sample: u32,
}

/// An outcome that a halt rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The image failed its trial and the old one runs again.
    RolledBack,
    /// The device could not finish, its copy did not prove, or it lost what it had.
    Failed,
    /// The device refused.
    Rejected,
    /// The device fell silent.
    TimedOut,
    /// Any of these.
    Any,
}

crate::names::names!(Outcome {
    RolledBack => "rolled_back",
    Failed => "failed",
    Rejected => "rejected",
    TimedOut => "timed_out",
    Any => "any",
});

/// How long a device may stay in a stage, milliseconds, counted from the last new report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Offered and not accepted.
    pub offered: u64,
    /// Accepted and not downloading.
    pub accepted: u64,
    /// Downloading and not heard of.
    pub downloading: u64,
    /// Downloaded and not proven.
    pub downloaded: u64,
    /// Proven and not about to restart: a user or a window may hold it back.
    pub verified: u64,
    /// Restarting.
    pub pending_boot: u64,
    /// Testing itself.
    pub testing: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            offered: 10 * MINUTE,
            accepted: 10 * MINUTE,
            downloading: HOUR,
            downloaded: 10 * MINUTE,
            verified: 24 * HOUR,
            pending_boot: 15 * MINUTE,
            testing: HOUR,
        }
    }
}

/// What is wrong with a plan. The author's to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// More waves or rules than [`MAX_WAVES`] or [`MAX_HALT_RULES`].
    #[error("a plan has at most 32 waves and 16 halt rules")]
    TooLong,
    /// The last wave does not reach everybody.
    #[error("the last wave must be 100 percent, or the plan does not say what the other devices get")]
    RestUnplanned,
    /// A wave of nobody or of more than everybody.
    #[error("a wave is at least one device and at most 100 percent")]
    WaveOutOfRange,
    /// A share above the whole.
    #[error("a share is at most 1000 thousandths")]
    FractionOutOfRange,
    /// `max_in_flight` is 0.
    #[error("max_in_flight must be at least 1")]
    NothingInFlight,
    /// `max_attempts` is 0.
    #[error("max_attempts must be at least 1")]
    NoAttempt,
}
