//! Signing keys that everybody knows.

use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};

/// An Ed25519 key made from one byte.
pub(crate) struct Key(SigningKey);

impl Key {
    pub(crate) fn seeded(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    }
}
