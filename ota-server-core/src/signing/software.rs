//! An Ed25519 key in a file: for development and small fleets. Whoever can read the file can sign.

use alloc::string::{String, ToString};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::private_file::{self, PrivateFileError};

/// Signs with an Ed25519 key that it holds in memory; wiped when dropped.
///
/// ```
/// use ota_server_core::signing::SoftwareSigner;
/// use ota_verify::sign::Signer;
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("release.key");
/// let made = SoftwareSigner::open_or_create(&file).unwrap();
/// let read = SoftwareSigner::open_or_create(&file).unwrap();
/// assert_eq!(made.public_key(), read.public_key());
/// ```
pub struct SoftwareSigner {
    key: SigningKey,
}

impl SoftwareSigner {
    /// Reads the key from `file`; if there is no such file, makes a key and writes it there, readable by its owner only.
    ///
    /// The file holds the 32 bytes of the RFC 8032 secret key in hexadecimal.
    ///
    /// # Errors
    /// [`KeyFileError`] says what to change.
    pub fn open_or_create(file: &Path) -> Result<Self, KeyFileError> {
        match private_file::read(file)? {
            Some(text) => Self::parse(&text),
            None => Self::create(file),
        }
    }

    /// A signer from the 32 bytes of an RFC 8032 secret key.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    fn create(file: &Path) -> Result<Self, KeyFileError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut()).map_err(|error| KeyFileError::Io(error.to_string()))?;
        let text = Zeroizing::new(ota_manifest::Digest::new(*secret).to_string());
        private_file::write(file, &text)?;
        Ok(Self::from_secret(&secret))
    }

    fn parse(text: &str) -> Result<Self, KeyFileError> {
        let digest: ota_manifest::Digest = text.trim().parse().map_err(|_| KeyFileError::NotAKey)?;
        let secret = Zeroizing::new(*digest.as_bytes());
        Ok(Self::from_secret(&secret))
    }
}

impl Signer for SoftwareSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.key.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.key.sign(tbs.as_bytes()).to_bytes())
    }
}

impl core::fmt::Debug for SoftwareSigner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SoftwareSigner").field("key_id", &self.public_key().key_id()).finish_non_exhaustive()
    }
}

/// Why a key file cannot be used. The operator's to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Others than its owner may read it.
    #[error(
        "the key file can be read by others (mode {0:o}); run chmod 600 on it, and think about a new key"
    )]
    Exposed(u32),
    /// Its contents are not a key.
    #[error("the key file does not hold 64 hexadecimal digits")]
    NotAKey,
    /// The file system refused.
    #[error("key file: {0}")]
    Io(String),
}

impl From<PrivateFileError> for KeyFileError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Exposed(mode) => Self::Exposed(mode),
            PrivateFileError::Io(error) => Self::Io(error.to_string()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn key_file_is_made_private_and_refused_once_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("release.key");
        SoftwareSigner::open_or_create(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(SoftwareSigner::open_or_create(&file).unwrap_err(), KeyFileError::Exposed(0o640));
    }

    #[test]
    fn garbage_in_the_key_file_is_not_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("release.key");
        private_file::write(&file, "hello").unwrap();
        assert_eq!(SoftwareSigner::open_or_create(&file).unwrap_err(), KeyFileError::NotAKey);
    }
}
