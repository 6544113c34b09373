//! Why a run did not end as it should, and with which exit code.

use thiserror::Error;

/// What stopped the play.
#[derive(Debug, Error)]
pub enum PlayError {
    /// The caller asked for something that cannot be. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// An expectation was not met. Exit code 1.
    #[error("expectation not met: {0}")]
    Unmet(String),
    /// Ctrl-C. Exit code 130, as shells have it.
    #[error("interrupted")]
    Interrupted,
    /// Anything else. Exit code 1.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl PlayError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Interrupted => 130,
            Self::Unmet(_) | Self::Failed(_) => 1,
        }
    }
}
