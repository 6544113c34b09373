//! Ed25519, strict.
//!
//! Strict means: S below the order of the group, R compared as the bytes it came in, no small-order keys or commitments,
//! no cofactor. The library's own `Verifier` implementation is the lenient equation; it accepts signatures that other
//! verifiers refuse, and a device whose agent and bootloader disagree bricks itself. So the strict function is called by
//! name, here and nowhere else.

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
        verify_message(&self.0, tbs.as_bytes(), signature)
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
        verify_message(key, tbs.as_bytes(), signature)
    }
}

/// The one place where a signature is checked. Of any message, so that foreign vectors test what devices run.
pub(crate) fn verify_message(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
    let key = key.try_into().map_err(|_| SignatureRefused)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| SignatureRefused)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureRefused)?;
    if !is_reduced(signature.s_bytes()) {
        return Err(SignatureRefused);
    }
    key.verify_strict(message, &signature).map_err(|_| SignatureRefused)
}

/// The order L of the group, little endian (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether S is below L (RFC 8032, section 5.1.7).
///
/// The library asks the same, unless any crate of the firmware switches on its feature `legacy_compatibility`: features
/// are shared, so an application could otherwise accept what its bootloader, built apart, refuses.
fn is_reduced(scalar: &[u8; 32]) -> bool {
    scalar.iter().rev().lt(ORDER.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_is_reduced_below_the_order_alone() {
        let mut below = ORDER;
        below[0] -= 1;
        let mut far_below = ORDER;
        (far_below[31], far_below[0]) = (0x0F, 0xFF);
        for good in [[0; 32], below, far_below] {
            assert!(is_reduced(&good));
        }
        let mut above = ORDER;
        above[0] += 1;
        let mut twice = [0; 32];
        twice[31] = 0x20;
        for bad in [ORDER, above, twice, [0xFF; 32]] {
            assert!(!is_reduced(&bad));
        }
    }
}
