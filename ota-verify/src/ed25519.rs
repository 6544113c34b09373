//! Ed25519, strict.
//!
//! Strict means: canonical points and scalars, no small-order keys or commitments. The library's own `Verifier`
//! implementation is the lenient equation; it accepts signatures that other verifiers refuse, and a device whose agent and
//! bootloader disagree bricks itself. So the strict function is called by name, here and nowhere else.

use ed25519_dalek::{Signature, VerifyingKey};
use ota_manifest::{Alg, KeyId};

use crate::key::key_id;
use crate::{KeyAlgorithm, SignatureRefused, Tbs, VerifyKey};

/// An Ed25519 public key, 32 bytes, as it stands in ROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519Key([u8; 32]);

impl Ed25519Key {
    /// Wraps a key. Whether it is a point of the curve shows at the first verification, which fails if not.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl VerifyKey for Ed25519Key {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn key_id(&self) -> KeyId {
        key_id(Alg::Ed25519, &self.0)
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureRefused)?;
        let signature = Signature::from_slice(signature).map_err(|_| SignatureRefused)?;
        key.verify_strict(tbs.as_bytes(), &signature).map_err(|_| SignatureRefused)
    }
}

/// Ed25519 for keys that come from a trust document; see [`KeyAlgorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ed25519;

impl KeyAlgorithm for Ed25519 {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let key = key.try_into().map_err(|_| SignatureRefused)?;
        Ed25519Key::new(key).verify(tbs, signature)
    }
}
