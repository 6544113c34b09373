//! An LMS key in a file, and beside it the count of the leaves it has used.
//!
//! ```text
//!   release.lms              the seed: whoever reads it can sign
//!   release.lms.next         the next unused leaf: durable before a signature leaves
//!   release.lms.next.seen    the same number once more: betrays a counter that was restored alone
//!   release.lms.next.lock    held while a process signs; never a second one
//! ```
//! **Hazard.** A leaf that signs twice gives the key away, so an old counter is worse than none. Leave all but the first
//! file out of backups and snapshots; after a restore, [`LmsFileSigner::skip_to`] moves past everything ever signed.

mod counter;
mod error;

pub use counter::LmsFileState;
pub use error::LmsFileError;

use alloc::format;
use alloc::string::ToString;
use std::path::{Path, PathBuf};

use ota_manifest::Digest;
use ota_verify::sign::{LmsHeight, LmsSigner, LmsSigningKey, LmsWidth, Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};
use zeroize::Zeroizing;

use crate::private_file;
use counter::Lock;

/// Signs with an LMS key from a file, each leaf once.
///
/// Opening grows the tree again, 1.1 million hashes for H10 and W4, 32 times as many for each 5 of height more: a fraction of
/// a second, and some seconds, on a processor with instructions for SHA-256. A signature waits for the disk four times.
///
/// ```
/// use ota_server_core::signing::{LmsFileError, LmsFileSigner};
/// use ota_verify::sign::{LmsHeight, LmsWidth, Signer};
/// let folder = tempfile::tempdir().unwrap();
/// let file = folder.path().join("release.lms");
/// let made = LmsFileSigner::create(&file, LmsHeight::H5, LmsWidth::W4)?;
/// let public = made.public_key();
/// assert!(matches!(LmsFileSigner::open(&file), Err(LmsFileError::InUse(_)))); // one process at a time
/// drop(made);
/// let read = LmsFileSigner::open(&file)?;
/// assert_eq!((read.public_key(), read.remaining()?), (public, 32));
/// # Ok::<(), LmsFileError>(())
/// ```
#[derive(Debug)]
pub struct LmsFileSigner {
    signer: LmsSigner<LmsFileState>,
}

impl LmsFileSigner {
    /// Makes a key and writes it to `file`, readable by its owner only.
    ///
    /// The file holds what the key is grown from: its shape, and 32 bytes from the system's random generator.
    ///
    /// # Errors
    /// [`LmsFileError::Exists`] if there is a key, or a counter that has counted; otherwise it says what to change.
    pub fn create(file: &Path, height: LmsHeight, width: LmsWidth) -> Result<Self, LmsFileError> {
        let lock = Lock::take(&beside(file))?;
        if private_file::read(file)?.is_some() {
            return Err(LmsFileError::Exists(file.into()));
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| LmsFileError::Io(error.to_string()))?;
        let key = LmsSigningKey::generate(height, width, &seed);
        // The key last: a crash before leaves a counter at 0 that nobody misses, never a key that nobody counts for.
        let state = LmsFileState::begin(lock, &key)?;
        let seed = Zeroizing::new(Digest::new(*seed).to_string());
        private_file::write(file, &Zeroizing::new(format!("{HEADER}\n{height} {width}\n{}\n", *seed)))?;
        Ok(Self { signer: LmsSigner::new(key, state) })
    }

    /// Reads the key from `file` and goes on where its counter stands.
    ///
    /// # Errors
    /// [`LmsFileError`] says what to change. A counter that is missing, restored or another key's is refused, not replaced.
    pub fn open(file: &Path) -> Result<Self, LmsFileError> {
        let lock = Lock::take(&beside(file))?;
        let key = read(file)?;
        let state = LmsFileState::resume(lock, &key)?;
        Ok(Self { signer: LmsSigner::new(key, state) })
    }

    /// Reads the key from `file` and goes on at leaf `next`: for a key whose counter is lost or came out of a backup.
    ///
    /// `next` must lie beyond every leaf that has ever signed, signatures that nobody kept included. The newest signature
    /// names its leaf in bytes 4 to 7, big endian. Leave a margin: leaves that are skipped cost nothing else.
    ///
    /// # Errors
    /// [`LmsFileError::Backwards`] if even the files know of a later leaf, [`LmsFileError::OutOfRange`] beyond the end of
    /// the key; otherwise as [`Self::open`].
    pub fn skip_to(file: &Path, next: u32) -> Result<Self, LmsFileError> {
        let lock = Lock::take(&beside(file))?;
        let key = read(file)?;
        let state = LmsFileState::skip(lock, &key, next)?;
        Ok(Self { signer: LmsSigner::new(key, state) })
    }

    /// How many signatures are left. Put another key into force long before it is 0.
    ///
    /// # Errors
    /// [`LmsFileError`] if the counter cannot be read.
    pub fn remaining(&self) -> Result<u32, LmsFileError> {
        self.signer.state().remaining()
    }
}

impl Signer for LmsFileSigner {
    fn public_key(&self) -> PublicKey {
        self.signer.public_key()
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        self.signer.sign(tbs)
    }
}

/// First line of a key file.
const HEADER: &str = "ota-lms-key 1";

/// The counter of the key in `file`.
fn beside(file: &Path) -> PathBuf {
    private_file::append(file, ".next")
}

fn read(file: &Path) -> Result<LmsSigningKey, LmsFileError> {
    let text = private_file::read(file)?.ok_or_else(|| LmsFileError::NoKey(file.into()))?;
    parse(&text).ok_or_else(|| LmsFileError::NotAKey(file.into()))
}

fn parse(text: &str) -> Option<LmsSigningKey> {
    let mut lines = text.lines();
    let (HEADER, shape, seed, None) = (lines.next()?, lines.next()?, lines.next()?, lines.next()) else {
        return None;
    };
    let (height, width) = shape.split_once(' ')?;
    let digest: Digest = seed.parse().ok()?;
    let seed = Zeroizing::new(*digest.as_bytes());
    Some(LmsSigningKey::generate(height.parse().ok()?, width.parse().ok()?, &seed))
}
