//! SHA-256, streaming, and the comparison that gives nothing away.

#[cfg(any(test, sha2_backend_soft = "compact"))]
mod fips;

use ota_manifest::Digest;
#[cfg(not(sha2_backend_soft = "compact"))]
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

/// SHA-256 over a stream of bytes.
///
/// ```
/// use ota_verify::Sha256;
/// let mut hash = Sha256::new();
/// hash.update(b"ab");
/// hash.update(b"c");
/// assert_eq!(hash.finish(), Sha256::of(&[b"abc"]));
/// ```
#[derive(Clone, Debug)]
pub struct Sha256(engine::Sha256);

/// Ours: smaller than the small form of `sha2`, and faster.
#[cfg(sha2_backend_soft = "compact")]
use fips as engine;
/// Unrolled, or with what the processor has for it.
#[cfg(not(sha2_backend_soft = "compact"))]
use sha2 as engine;

/// SHA-512 of `parts`, one after the other.
#[cfg(feature = "ed25519")]
#[cfg_attr(
    sha2_backend_soft = "compact",
    expect(clippy::useless_conversion, reason = "digests of `sha2` are arrays of its own")
)]
pub(crate) fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = engine::Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

impl Sha256 {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self(engine::Sha256::new())
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended.
    #[must_use]
    #[cfg_attr(
        sha2_backend_soft = "compact",
        expect(clippy::useless_conversion, reason = "digests of `sha2` are arrays of its own")
    )]
    pub fn finish(self) -> Digest {
        Digest::new(self.0.finalize().into())
    }

    /// The digest of `parts`, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Digest {
        let mut hash = Self::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finish()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// Compares two digests in a time that does not depend on where they differ.
#[must_use]
pub fn digests_equal(left: &Digest, right: &Digest) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}
