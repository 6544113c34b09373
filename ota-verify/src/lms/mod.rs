//! LMS and HSS with SHA-256 and 32-byte hashes (RFC 8554, NIST SP 800-208), the verifying half.
//!
//! Security rests on SHA-256 alone, so a quantum computer does not break it. A public key is 60 bytes and the code is
//! small; signatures are long, and a key signs a number of times that is fixed when it is made.
//!
//! Every set of parameters with these hashes is checked: trees of height 5, 10, 15, 20 and 25, digits of 1, 2, 4 and 8
//! bits, 1 to 8 levels. The key says which; a signature by another set is refused. **Recommended** for firmware: one
//! level, digits of 4 bits (W4), height 10 to 20. Measured with H10 on an emulated Cortex-M4, opt-level z: 2.2 million
//! instructions (3.1 with the compact SHA-256) and 1.3 KB of stack.
//!
//! | one level | signature, bytes | signatures of a key |
//! |---|---|---|
//! | H10 W4 | 2512 | 1,024 |
//! | H15 W4 | 2672 | 32,768 |
//! | H20 W4 | 2832 | 1,048,576 |
//! | H10 W8 | 1456 | 1,024, at 8 to 9 times the time |

pub(crate) mod hashes;
pub(crate) mod parameters;
mod tree;

use ota_manifest::{Alg, KeyId};

use self::tree::Tree;
use crate::key::key_id;
use crate::{KeyAlgorithm, SignatureRefused, Tbs, VerifyKey};

/// Most levels of trees (RFC 8554, section 6).
const MAX_LEVELS: u32 = 8;

/// An LMS public key as it stands in ROM: the HSS public key of RFC 8554, section 6.1, 60 bytes.
///
/// ```text
/// offset  size  field, numbers big endian
///      0     4  levels, 1 to 8
///      4     4  LMS type: 5 to 9 for trees of height 5, 10, 15, 20, 25
///      8     4  LM-OTS type: 1 to 4 for digits of 1, 2, 4, 8 bits
///     12    16  I, the name of the tree
///     28    32  root
/// ```
/// The signature is the HSS signature of section 6.2. The parameters are the key's to say: we recommend one level, W4
/// and H10 to H20 (signatures of 2512 to 2832 bytes).
///
/// ```
/// use ota_manifest::Alg;
/// use ota_verify::{LmsKey, PublicKey, VerifyKey};
/// static RELEASE: LmsKey = LmsKey::new([7; 60]); // in ROM
/// assert_eq!((RELEASE.alg(), RELEASE.key_id()), (Alg::Lms, PublicKey::lms([7; 60]).key_id()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LmsKey([u8; Self::LEN]);

impl LmsKey {
    /// Length in bytes.
    pub const LEN: usize = 4 + Tree::LEN;

    /// Wraps a key. Whether it is one shows at the first verification, which fails if not.
    #[must_use]
    pub const fn new(key: [u8; 60]) -> Self {
        Self(key)
    }
}

impl VerifyKey for LmsKey {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn key_id(&self) -> KeyId {
        key_id(Alg::Lms, &self.0)
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        verify_message(&self.0, tbs.as_bytes(), signature)
    }
}

/// LMS for keys that come from a trust document; see [`KeyAlgorithm`].
///
/// ```
/// use ota_verify::{KeyAlgorithm, Lms};
/// static ALGORITHMS: [&dyn KeyAlgorithm; 1] = [&Lms];
/// assert_eq!(ALGORITHMS[0].alg(), ota_manifest::Alg::Lms);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lms;

impl KeyAlgorithm for Lms {
    fn alg(&self) -> Alg {
        Alg::Lms
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let key = key.try_into().map_err(|_| SignatureRefused)?;
        verify_message(key, tbs.as_bytes(), signature)
    }
}

/// Checks an HSS signature over any message. Not public: what keys of this family sign is a [`Tbs`] and nothing else.
pub(crate) fn verify_message(
    key: &[u8; LmsKey::LEN],
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureRefused> {
    hss(key, message, signature).ok_or(SignatureRefused)
}

/// Section 6.3: down from the key through the trees, each signed by the one above, to the one that signed `message`.
fn hss(key: &[u8; LmsKey::LEN], message: &[u8], signature: &[u8]) -> Option<()> {
    let (levels, mut key) = key.split_first_chunk()?;
    let (below, mut rest) = signature.split_first_chunk()?;
    let mut below = u32::from_be_bytes(*below);
    if below >= MAX_LEVELS || u32::from_be_bytes(*levels) != below + 1 {
        return None;
    }
    loop {
        let tree = Tree::read(key)?;
        let (signature, after) = rest.split_at_checked(tree.signature_len())?;
        let (signed, after) =
            if below == 0 { (message, after) } else { after.split_at_checked(Tree::LEN)? };
        tree.verify(signed, signature)?;
        if below == 0 {
            return after.is_empty().then_some(());
        }
        (key, rest, below) = (signed, after, below - 1);
    }
}

#[cfg(test)]
mod tests;
