//! What is wrong with the files of an LMS key, and what to do about it.

use alloc::string::{String, ToString};
use std::io;
use std::path::PathBuf;

use ota_manifest::KeyId;
use ota_verify::sign::SignerError;
use thiserror::Error;

use crate::private_file::PrivateFileError;

/// Why an LMS key and its counter cannot be used. The operator's to change; when in doubt, a new key is the safe way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LmsFileError {
    /// Another process, or another signer of this one, holds the key.
    #[error("{} is held by another signer; stop that one first", .0.display())]
    InUse(PathBuf),
    /// The key was opened before this process was forked off the one that opened it, which may sign.
    #[error("{} was opened by the process that forked this one; open the key after the fork", .0.display())]
    Forked(PathBuf),
    /// The lock file was removed or replaced while this signer held it, so that another one may have begun.
    #[error("{} was removed or replaced; stop all signers of this key, then open it again", .0.display())]
    Unlocked(PathBuf),
    /// There is something already.
    #[error("{} exists; open it, or choose another name for the new key", .0.display())]
    Exists(PathBuf),
    /// There is no key.
    #[error("there is no key in {}; create one, or correct the path", .0.display())]
    NoKey(PathBuf),
    /// What is there is not a key.
    #[error("{} does not hold an LMS key; restore it", .0.display())]
    NotAKey(PathBuf),
    /// The key is there and its counter is not.
    #[error(
        "the counter {} is missing, so nobody knows which leaves are used; skip to a leaf beyond all that ever signed, or make a new key",
        .0.display()
    )]
    NoCounter(PathBuf),
    /// What is there is not a counter.
    #[error(
        "{} does not hold a counter; remove it, then skip to a leaf beyond all that ever signed", .0.display()
    )]
    NotACounter(PathBuf),
    /// The counter is that of another key.
    #[error("{} counts for key {counts_for}, not for {key}; put the files of one key together", .file.display())]
    OtherKey {
        /// The counter.
        file: PathBuf,
        /// Whose it is.
        counts_for: KeyId,
        /// Whose it should be.
        key: KeyId,
    },
    /// The counter came without the file that goes with it: out of a backup, or from another machine.
    #[error(
        "the counter was restored or copied: {} is missing; skip to a leaf beyond all that ever signed, or make a new key",
        .0.display()
    )]
    Moved(PathBuf),
    /// An older counter is back.
    #[error(
        "leaf {next} comes next, but those below {least} are used: an old counter was restored, or the number is too low; skip to {least} or beyond, past all that ever signed"
    )]
    Backwards {
        /// The number in question.
        next: u32,
        /// The least that would do, as far as these files know.
        least: u32,
    },
    /// The key has no such leaf.
    #[error("leaf {next} is beyond the {signatures} of this key")]
    OutOfRange {
        /// The leaf asked for.
        next: u32,
        /// How many there are.
        signatures: u32,
    },
    /// All leaves are used.
    #[error("all {0} signatures of this LMS key are used; put another key into force")]
    Spent(u32),
    /// Others than its owner may read it.
    #[error(
        "a file of the LMS key can be read by others (mode {0:o}); run chmod 600 on it, and think about a new key"
    )]
    Exposed(u32),
    /// The file system refused.
    #[error("LMS key: {0}")]
    Io(String),
}

impl From<PrivateFileError> for LmsFileError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Exposed(mode) => Self::Exposed(mode),
            PrivateFileError::Io(error) => error.into(),
        }
    }
}

impl From<io::Error> for LmsFileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<LmsFileError> for SignerError {
    fn from(error: LmsFileError) -> Self {
        match error {
            LmsFileError::Io(_) => Self::Unavailable(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}
