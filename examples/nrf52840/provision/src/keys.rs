//! The keys that a bootloader pins, and those that sign for development.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ed25519_dalek::{Signer as _, SigningKey};
use ota_manifest::{DeviceId, Role};
use ota_slots::{BootDescriptor, Policy};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{AlgSet, Identity, PublicKey, Tbs, Trust, TrustedKey};

/// The files that a folder of keys has, as `layout` reads them: a key in each line.
const FILES: [(&str, Role); 3] =
    [("root.pub", Role::Root), ("release.pub", Role::Release), ("freshness.pub", Role::Freshness)];

/// The folder of development keys: the private halves are there as well.
#[must_use]
pub fn development() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../layout/keys/development")
}

/// Public keys in their roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Vec<(Role, PublicKey)>);

impl Keys {
    /// Reads `root.pub`, `release.pub` and `freshness.pub` of a folder; all but the second may be missing.
    ///
    /// # Errors
    /// If there is no release key, or a line is not a key.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut keys = Vec::new();
        for (name, role) in FILES {
            let file = folder.join(name);
            if role != Role::Release && !file.exists() {
                continue;
            }
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            for line in text.lines() {
                let key = line.trim().parse().with_context(|| format!("in {}", file.display()))?;
                keys.push((role, key));
            }
        }
        Ok(Self(keys))
    }

    /// What a device with these keys holds everything against. Lives as long as the process.
    #[must_use]
    pub fn policy(&self) -> Policy<'static> {
        let trusted = |(role, key): &(Role, PublicKey)| TrustedKey::new(*role, Box::leak(Box::new(*key)));
        let trust = Trust::pinned(self.0.iter().map(trusted).collect::<Vec<_>>().leak());
        let algorithms = self.0.iter().fold(AlgSet::from_bits(0), |set, (_, key)| set.with(key.alg()));
        let device = DeviceId::new([0; 16]);
        let identity =
            Identity { vendor: layout::VENDOR, class: layout::CLASS, hardware: layout::HARDWARE, device };
        let descriptor =
            BootDescriptor::new(layout::BOOTLOADER_VERSION, algorithms, &layout::LAYOUT, trust.digest());
        Policy { trust, identity, descriptor: Box::leak(Box::new(descriptor)) }
    }
}

/// Writes a public key to `file`, as [`Keys::read`] reads it; only when it changes, as cargo builds anew whatever is younger.
///
/// # Errors
/// If it cannot be written.
pub fn keep_public(file: &Path, key: &PublicKey) -> Result<()> {
    let text = format!("{key}\n");
    if fs::read_to_string(file).ok().as_ref() == Some(&text) {
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// An Ed25519 key in memory: for development and for tests.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A key from the 32 bytes of an RFC 8032 secret key.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// Reads a file with the secret key in hexadecimal.
    ///
    /// # Errors
    /// If it does not hold 64 hexadecimal digits.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let secret: ota_manifest::Digest = text
            .trim()
            .parse()
            .with_context(|| format!("{} does not hold 64 hexadecimal digits", file.display()))?;
        Ok(Self::new(*secret.as_bytes()))
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}
