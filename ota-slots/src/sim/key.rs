//! Keys of test devices.

extern crate alloc;

use alloc::boxed::Box;

use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use ota_manifest::Role;
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs, TrustedKey};

/// An Ed25519 key made from one byte. For tests: it is public knowledge.
///
/// ```
/// use ota_slots::sim::LabKey;
/// use ota_verify::sign::Signer;
///
/// assert_eq!(LabKey::seeded(1).public_key(), LabKey::seeded(1).public_key());
/// assert_ne!(LabKey::seeded(1).public_key(), LabKey::seeded(2).public_key());
/// ```
#[derive(Debug)]
pub struct LabKey(SigningKey);

impl LabKey {
    /// The key of this number.
    #[must_use]
    pub fn seeded(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    /// As it is built into a device, for a role. Such keys live in ROM, so trust borrows them for good: a test leaks a hundred
    /// bytes.
    #[must_use]
    pub fn pinned(&self, role: Role) -> TrustedKey<'static> {
        TrustedKey::new(role, Box::leak(Box::new(self.public_key())))
    }
}

impl Signer for LabKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}
