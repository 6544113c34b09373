//! An Ed25519 key in a file: for development and small fleets. Whoever can read the file can sign.

use alloc::string::{String, ToString};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};
use thiserror::Error;
use zeroize::Zeroizing;

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
        match File::open(file) {
            Ok(open) => Self::read(&open),
            Err(error) if error.kind() == ErrorKind::NotFound => Self::create(file),
            Err(error) => Err(KeyFileError::Io(error.to_string())),
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
        // Written under another name first: a crash must not leave half a key where a whole one is looked for.
        let draft = file.with_extension("new");
        let _ = std::fs::remove_file(&draft);
        let mut open = private().write(true).create_new(true).open(&draft).map_err(io)?;
        let text = Zeroizing::new(hex(&secret));
        open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(io)?;
        std::fs::rename(&draft, file).map_err(io)?;
        Ok(Self::from_secret(&secret))
    }

    fn read(open: &File) -> Result<Self, KeyFileError> {
        check_private(open)?;
        let mut text = Zeroizing::new(String::new());
        open.take(128).read_to_string(&mut text).map_err(io)?;
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

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
fn io(error: std::io::Error) -> KeyFileError {
    KeyFileError::Io(error.to_string())
}

fn hex(bytes: &[u8; 32]) -> String {
    ota_manifest::Digest::new(*bytes).to_string()
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn check_private(open: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = open.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyFileError::Exposed(mode)) }
}

#[cfg(not(unix))]
fn check_private(_open: &File) -> Result<(), KeyFileError> {
    Ok(())
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
        private().write(true).create_new(true).open(&file).unwrap().write_all(b"hello").unwrap();
        assert_eq!(SoftwareSigner::open_or_create(&file).unwrap_err(), KeyFileError::NotAKey);
    }
}
