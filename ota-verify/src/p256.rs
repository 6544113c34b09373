//! ECDSA over NIST P-256 with SHA-256 (FIPS 186-5, SEC 1).
//!
//! For hardware security modules and secure elements that know no Ed25519. Of the two values of `s` that make a signature
//! good, tokens emit either, so both are accepted here; our signers emit the low one. A signature is not a name: manifests
//! go by the digest of what is signed, so the other `s` makes no second manifest.

use ota_manifest::{Alg, KeyId};
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::key::key_id;
use crate::{KeyAlgorithm, Sha256, SignatureRefused, Tbs, VerifyKey};

/// A P-256 public key, uncompressed SEC 1 form: 0x04, x and y of 32 bytes each, as it stands in ROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P256Key([u8; 65]);

impl P256Key {
    /// Wraps a key. Whether it is a point of the curve shows at the first verification, which fails if not.
    #[must_use]
    pub const fn new(key: [u8; 65]) -> Self {
        Self(key)
    }
}

impl VerifyKey for P256Key {
    fn alg(&self) -> Alg {
        Alg::P256
    }

    fn key_id(&self) -> KeyId {
        key_id(Alg::P256, &self.0)
    }

    /// The signature is r and s, 32 bytes each, big endian.
    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(&self.0, tbs.as_bytes(), signature)
    }
}

/// P-256 for keys that come from a trust document; see [`KeyAlgorithm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct P256;

impl KeyAlgorithm for P256 {
    fn alg(&self) -> Alg {
        Alg::P256
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(key, tbs.as_bytes(), signature)
    }
}

/// The one place where a signature is checked. Of any message, so that foreign vectors test what devices run.
pub(crate) fn verify_message(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
    // Other forms of the same point would be the same key under another id. The first byte decides the length.
    if key.first() != Some(&0x04) {
        return Err(SignatureRefused);
    }
    let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| SignatureRefused)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureRefused)?;
    let digest = Sha256::of(&[message]);
    key.verify_prehash(digest.as_bytes(), &signature).map_err(|_| SignatureRefused)
}
