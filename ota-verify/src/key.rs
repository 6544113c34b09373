//! Keys and the algorithms behind them.

use ota_manifest::{Alg, KeyId};
use thiserror::Error;

use crate::{Sha256, Tbs};

/// A signature does not verify. Deliberately says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("signature refused")]
pub struct SignatureRefused;

/// A key that can check signatures: one implementation per algorithm, so that unused ones are not linked.
///
/// Hardware (a secure element, a crypto accelerator) joins by implementing this. An implementation says whether a
/// signature is good; it cannot make any of the proofs of this crate.
pub trait VerifyKey: Sync {
    /// The algorithm.
    fn alg(&self) -> Alg;

    /// The id by which envelopes refer to the key: see [`PublicKey::key_id`].
    fn key_id(&self) -> KeyId;

    /// Checks `signature` over `tbs`.
    ///
    /// # Errors
    /// [`SignatureRefused`] whatever the reason.
    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused>;
}

/// A set of signature algorithms, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgSet(u8);

impl AlgSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// Ed25519 alone.
    pub const ED25519: Self = Self::NONE.with(Alg::Ed25519);

    /// The set and `alg`.
    #[must_use]
    pub const fn with(self, alg: Alg) -> Self {
        Self(self.0 | 1 << (alg as u8))
    }

    /// Whether `alg` is in the set.
    #[must_use]
    pub const fn contains(self, alg: Alg) -> bool {
        self.0 & 1 << (alg as u8) != 0
    }

    /// The bits, as they stand in a boot descriptor: bit n for algorithm number n.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits; unknown ones are kept and match nothing.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

/// A public key as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    alg: Alg,
    len: u8,
    bytes: [u8; 65],
}

impl PublicKey {
    /// An Ed25519 key, 32 bytes (RFC 8032).
    #[must_use]
    pub fn ed25519(key: [u8; 32]) -> Self {
        let mut bytes = [0; 65];
        bytes.iter_mut().zip(key).for_each(|(to, from)| *to = from);
        Self { alg: Alg::Ed25519, len: 32, bytes }
    }

    /// The algorithm.
    #[must_use]
    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// The key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// First 8 bytes of SHA-256(algorithm number, key).
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        key_id(self.alg, self.as_bytes())
    }
}

pub(crate) fn key_id(alg: Alg, key: &[u8]) -> KeyId {
    let digest = Sha256::of(&[&[alg as u8], key]);
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    KeyId::new([a, b, c, d, e, f, g, h])
}
