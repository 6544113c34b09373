//! What can be wrong with a folder of certificates.

use std::path::{Path, PathBuf};

use ota_manifest::DeviceId;
use thiserror::Error;

/// Why certificates could not be made, read or revoked. All but the last are the operator's to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file is missing, damaged, or does not fit the others. Nothing was replaced.
    #[error("{}: {why}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is the matter with it, and what to do.
        why: String,
    },
    /// The device has no certificate here.
    #[error("device {0} has no certificate in this folder; a revocation needs it, for its serial number")]
    Unknown(DeviceId),
    /// Not something a broker can be called.
    #[error("{0} is neither a host name nor an address, so no certificate can be made out to it")]
    Host(String),
    /// Out of range.
    #[error("certificates are good for 1 to 100 years, not for {0}")]
    Years(u16),
    /// The system or the library failed.
    #[error("no certificate could be made: {0}")]
    Making(String),
}

impl PkiError {
    pub(super) fn file(file: &Path, why: impl ToString) -> Self {
        Self::File { file: file.to_owned(), why: why.to_string() }
    }
}

impl From<rcgen::Error> for PkiError {
    fn from(error: rcgen::Error) -> Self {
        Self::Making(error.to_string())
    }
}
