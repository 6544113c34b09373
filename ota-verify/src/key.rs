//! Keys and the algorithms behind them.

use core::fmt;
use core::str::FromStr;

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

/// An algorithm that checks signatures by keys it learns at run time, from a trust document.
///
/// A list of these (`&[&Ed25519, &P256]`) is how firmware names the algorithms it can do; the others are not linked.
/// As with [`VerifyKey`], an implementation says whether a signature is good and cannot make any of the proofs.
///
/// ```
/// # #[cfg(feature = "ed25519")] {
/// use ota_verify::{Ed25519, KeyAlgorithm};
/// static ALGORITHMS: [&dyn KeyAlgorithm; 1] = [&Ed25519];
/// assert_eq!(ALGORITHMS[0].alg(), ota_manifest::Alg::Ed25519);
/// # }
/// ```
pub trait KeyAlgorithm: Sync {
    /// The algorithm.
    fn alg(&self) -> Alg;

    /// Checks `signature` over `tbs` by the public key `key`, in the form [`PublicKey`] has it.
    ///
    /// # Errors
    /// [`SignatureRefused`] whatever the reason, a `key` that is none included.
    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused>;
}

/// A set of signature algorithms, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlgSet(u8);

impl AlgSet {
    /// None.
    pub const NONE: Self = Self(0);
    /// Ed25519 alone.
    pub const ED25519: Self = Self::NONE.with(Alg::Ed25519);
    /// P-256 alone.
    pub const P256: Self = Self::NONE.with(Alg::P256);
    /// LMS alone.
    pub const LMS: Self = Self::NONE.with(Alg::Lms);
    /// Those that withstand a quantum computer.
    pub(crate) const POST_QUANTUM: Self = Self::LMS.with(Alg::MlDsa44);
    /// Every one.
    pub(crate) const ALL: Self = Self(u8::MAX);

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

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
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

/// A public key as bytes. In text it is hexadecimal, and its length says which algorithm it is for.
///
/// It checks signatures itself ([`VerifyKey`]), for programs that learn at run time which key they are to trust. Firmware
/// that knows its key names the algorithm's own type instead, so that the other algorithms are not linked.
///
/// ```
/// use ota_manifest::Alg;
/// use ota_verify::PublicKey;
/// let key: PublicKey = "07".repeat(32).parse().unwrap();
/// assert_eq!((key, key.alg()), (PublicKey::ed25519([7; 32]), Alg::Ed25519));
/// assert_eq!(key.to_string(), "07".repeat(32));
/// assert!("07".repeat(33).parse::<PublicKey>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey {
    alg: Alg,
    len: u8,
    bytes: [u8; Self::MAX],
}

impl PublicKey {
    const MAX: usize = 65;

    /// An Ed25519 key, 32 bytes (RFC 8032).
    #[must_use]
    pub fn ed25519(key: [u8; 32]) -> Self {
        Self::of(Alg::Ed25519, &key)
    }

    /// A P-256 key, 65 bytes: 0x04, x and y (SEC 1, uncompressed).
    #[must_use]
    pub fn p256(key: [u8; 65]) -> Self {
        Self::of(Alg::P256, &key)
    }

    /// An LMS key, 60 bytes: the HSS public key with 32-byte hashes (RFC 8554, section 6.1).
    #[must_use]
    pub fn lms(key: [u8; 60]) -> Self {
        Self::of(Alg::Lms, &key)
    }

    fn of(alg: Alg, key: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX];
        bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self { alg, len: u8::try_from(key.len()).unwrap_or(u8::MAX), bytes }
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

    /// The entry of a trust document that lets this key sign in `role`.
    #[cfg(feature = "sign")]
    #[must_use]
    pub fn draft(&self, role: ota_manifest::Role) -> ota_manifest::KeyDraft {
        ota_manifest::KeyDraft::new(role, self.alg, self.as_bytes())
    }
}

impl VerifyKey for PublicKey {
    fn alg(&self) -> Alg {
        self.alg
    }

    fn key_id(&self) -> KeyId {
        self.key_id()
    }

    /// Refuses what this build has no algorithm for.
    #[cfg_attr(
        not(any(feature = "ed25519", feature = "p256", feature = "lms")),
        allow(unused_variables, reason = "a build without algorithms refuses everything")
    )]
    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        match (self.alg, self.as_bytes()) {
            #[cfg(feature = "ed25519")]
            (Alg::Ed25519, key) => crate::Ed25519.verify(key, tbs, signature),
            #[cfg(feature = "p256")]
            (Alg::P256, key) => crate::P256.verify(key, tbs, signature),
            #[cfg(feature = "lms")]
            (Alg::Lms, key) => crate::Lms.verify(key, tbs, signature),
            _ => Err(SignatureRefused),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (alg, point) = match text.len() {
            64 => (Alg::Ed25519, true),
            120 => (Alg::Lms, true),
            130 => (Alg::P256, text.starts_with("04")),
            _ => return Err(NotAKey),
        };
        let mut key = Self::of(alg, &[]);
        key.len = u8::try_from(text.len() / 2).map_err(|_| NotAKey)?;
        for (byte, digits) in key.bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = core::str::from_utf8(digits).map_err(|_| NotAKey)?;
            let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(digits, 16).ok().filter(|_| hexadecimal && point).ok_or(NotAKey)?;
        }
        Ok(key)
    }
}

/// Text that is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a public key has 64 hexadecimal digits (Ed25519), 120 (LMS), or 130 that begin with 04 (P-256)")]
pub struct NotAKey;

pub(crate) fn key_id(alg: Alg, key: &[u8]) -> KeyId {
    let digest = Sha256::of(&[&[alg as u8], key]);
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    KeyId::new([a, b, c, d, e, f, g, h])
}
