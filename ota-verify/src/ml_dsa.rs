//! ML-DSA-44 (FIPS 204), for hosts: servers and gateways that check what a vendor has signed twice.
//!
//! Not for devices: a verification fits into 120 KiB of stack and not into 100 (release build, x86-64), a debug build takes
//! more than twice that, and the signature alone is longer than an envelope for devices. So a key of this algorithm is
//! pinned, and no trust document, which a bootloader has to keep, lists one.

use core::fmt;

use ml_dsa::{EncodedVerifyingKey, MlDsa44, Signature, VerifyingKey};
use ota_manifest::{Alg, KeyId};

use crate::key::key_id;
use crate::{SignatureRefused, Tbs, VerifyKey};

/// FIPS 204 has signer and verifier agree on a context. The 48 bytes begin with a domain of their own, and a signer
/// without a context (a token, OpenSSL's default) can then make our signatures.
const CONTEXT: &[u8] = &[];

/// An ML-DSA-44 public key, 1312 bytes: rho and the packed t1 (FIPS 204, algorithm 22).
///
/// ```
/// use ota_manifest::{Alg, Digest, Kind, Role};
/// use ota_verify::{MlDsa44Key, SignatureRefused, Tbs, VerifyKey};
/// let key = MlDsa44Key::new([7; MlDsa44Key::LEN]);
/// let tbs = Tbs::new(Kind::Manifest, key.alg(), Role::Release, &Digest::new([1; 32]));
/// assert_eq!((key.alg(), MlDsa44Key::SIGNATURE_LEN), (Alg::MlDsa44, 2420));
/// assert_eq!(key.verify(&tbs, &[0; MlDsa44Key::SIGNATURE_LEN]), Err(SignatureRefused));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct MlDsa44Key([u8; Self::LEN]);

impl MlDsa44Key {
    /// Length of a public key, bytes.
    pub const LEN: usize = 1312;
    /// Length of a signature, bytes.
    pub const SIGNATURE_LEN: usize = 2420;

    /// Wraps a key. Every string of this length is one.
    #[must_use]
    pub const fn new(key: [u8; Self::LEN]) -> Self {
        Self(key)
    }

    /// The key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl VerifyKey for MlDsa44Key {
    fn alg(&self) -> Alg {
        Alg::MlDsa44
    }

    fn key_id(&self) -> KeyId {
        key_id(Alg::MlDsa44, &self.0)
    }

    /// Pure ML-DSA, not the variant that signs a digest, with an empty context.
    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(&self.0, CONTEXT, tbs.as_bytes(), signature)
    }
}

impl fmt::Debug for MlDsa44Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MlDsa44Key").field(&self.key_id()).finish()
    }
}

/// The one place where a signature is checked. Of any message in any context, so that foreign vectors test what runs.
pub(crate) fn verify_message(
    key: &[u8],
    context: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureRefused> {
    let key = EncodedVerifyingKey::<MlDsa44>::try_from(key).map_err(|_| SignatureRefused)?;
    let signature = Signature::<MlDsa44>::try_from(signature).map_err(|_| SignatureRefused)?;
    let good = VerifyingKey::decode(&key).verify_with_context(message, context, &signature);
    if good { Ok(()) } else { Err(SignatureRefused) }
}
