//! Why a measurement is worth nothing.

use ota_slots::sim::Cut;

use crate::lives::{Life, Running};

/// A measurement that did not measure what it says. Never the peer's fault: what the peer does wrong is counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A planned power cut never happened.
    #[error("{life:?} life: {cut:?} was never reached")]
    CutMissed {
        /// The life.
        life: Life,
        /// The first cut of the plan.
        cut: Cut,
    },
    /// A life ended badly although nobody disturbed it.
    #[error("{0:?} life: an undisturbed one does not end as it should")]
    Disturbed(Life),
    /// After a phase the wrong image runs.
    #[error("after {phase} {found:?} runs instead of {expected:?}")]
    WrongImage {
        /// The phase.
        phase: &'static str,
        /// What should run.
        expected: Running,
        /// What runs.
        found: Running,
    },
    /// The peer refuses a phase with power on.
    #[error("{phase} is refused: {reason}")]
    Refused {
        /// The phase.
        phase: &'static str,
        /// The peer's error, as it prints it.
        reason: String,
    },
}
