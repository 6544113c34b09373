//! The envelope: a fixed frame around a payload and its signatures, taken apart before anything is believed.
//!
//! ```text
//! offset  size  field
//!      0     4  "OTAM"
//!      4     1  format, 1
//!      5     1  kind: 1 manifest, 2 trust document, 3 freshness
//!      6     2  payload length p, little endian
//!      8     p  payload
//!    8+p     1  number of signatures, 1 to 8
//!           then for each, key ids strictly ascending:
//!            1  algorithm: 1 Ed25519, 2 ECDSA P-256, 3 LMS, 4 ML-DSA-44
//!            8  key id
//!            2  signature length, little endian, at least 1
//!            n  signature
//! ```
//! The frame is fixed rather than postcard so that not one length byte has to be interpreted by a general decoder before
//! the signature is known to be good.

use crate::{DecodeError, Field, FrameError, KeyId};

/// The format number this crate reads and writes.
pub const FORMAT: u8 = 1;
/// Bytes before the payload.
pub const FRAME_HEADER: usize = 8;
/// Most signatures in one envelope.
pub const MAX_SIGNATURES: u8 = 8;

const MAGIC: [u8; 4] = *b"OTAM";

/// What an envelope's payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A firmware manifest.
    Manifest = 1,
    /// A trust document.
    Trust = 2,
    /// A freshness reply.
    Freshness = 3,
}

impl TryFrom<u8> for Kind {
    type Error = FrameError;

    fn try_from(number: u8) -> Result<Self, FrameError> {
        match number {
            1 => Ok(Self::Manifest),
            2 => Ok(Self::Trust),
            3 => Ok(Self::Freshness),
            other => Err(FrameError::UnknownKind(other)),
        }
    }
}

/// A signature algorithm. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "u8", try_from = "u8")
)]
#[repr(u8)]
pub enum Alg {
    /// Ed25519 (RFC 8032), verified strictly.
    Ed25519 = 1,
    /// ECDSA over P-256 with SHA-256.
    P256 = 2,
    /// LMS/HSS with SHA-256 (RFC 8554).
    Lms = 3,
    /// ML-DSA-44 (FIPS 204), with an empty context. For hosts: its keys are pinned, never listed in a trust document.
    MlDsa44 = 4,
}

impl Alg {
    /// Every algorithm, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::P256, Self::Lms, Self::MlDsa44];

    /// Whether it withstands a quantum computer. The others are called classical.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::Lms | Self::MlDsa44)
    }
}

impl TryFrom<u8> for Alg {
    type Error = FrameError;

    fn try_from(number: u8) -> Result<Self, FrameError> {
        match number {
            1 => Ok(Self::Ed25519),
            2 => Ok(Self::P256),
            3 => Ok(Self::Lms),
            4 => Ok(Self::MlDsa44),
            other => Err(FrameError::UnknownAlgorithm(other)),
        }
    }
}

impl From<Alg> for u8 {
    fn from(alg: Alg) -> Self {
        alg as Self
    }
}

/// What a key may sign. A key serves exactly one role. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "u8", try_from = "u8")
)]
#[repr(u8)]
pub enum Role {
    /// Trust documents.
    Root = 1,
    /// Firmware manifests.
    Release = 2,
    /// The operator's consent to a manifest.
    Approval = 3,
    /// Freshness replies.
    Freshness = 4,
}

impl Role {
    /// Every role, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Root, Self::Release, Self::Approval, Self::Freshness];
}

impl TryFrom<u8> for Role {
    type Error = DecodeError;

    fn try_from(number: u8) -> Result<Self, DecodeError> {
        match number {
            1 => Ok(Self::Root),
            2 => Ok(Self::Release),
            3 => Ok(Self::Approval),
            4 => Ok(Self::Freshness),
            other => Err(DecodeError::UnknownTag(other)),
        }
    }
}

impl From<Role> for u8 {
    fn from(role: Role) -> Self {
        role as Self
    }
}

/// A set of roles, one bit each: bit n for role number n.
///
/// ```
/// use ota_manifest::{Role, Roles};
/// let roles = Roles::NONE.with(Role::Release);
/// assert!(roles.contains(Role::Release) && !roles.contains(Role::Root));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Roles(u8);

impl Roles {
    /// None.
    pub const NONE: Self = Self(0);
    const KNOWN: u8 = 0b1_1110;

    /// The set and `role`.
    #[must_use]
    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << (role as u8))
    }

    /// Whether `role` is in the set.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & 1 << (role as u8) != 0
    }

    pub(crate) const fn from_bits(bits: u8) -> Result<Self, DecodeError> {
        if bits & !Self::KNOWN == 0 { Ok(Self(bits)) } else { Err(DecodeError::OutOfRange(Field::Roles)) }
    }
}

/// The first [`FRAME_HEADER`] bytes of an envelope.
#[must_use]
pub const fn frame_header(kind: Kind, payload_len: u16) -> [u8; FRAME_HEADER] {
    let [m0, m1, m2, m3] = MAGIC;
    let [low, high] = payload_len.to_le_bytes();
    [m0, m1, m2, m3, FORMAT, kind as u8, low, high]
}

/// An envelope taken apart and not yet believed.
///
/// Not `Clone` or `Copy`: authentication consumes it, so nobody keeps an unauthenticated twin at hand.
#[derive(Debug)]
pub struct Frame<'a> {
    kind: Kind,
    signed: &'a [u8],
    payload: &'a [u8],
    signatures: &'a [u8],
    count: u8,
    len: usize,
}

impl<'a> Frame<'a> {
    /// Takes apart an envelope that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`FrameError`] names the first thing that no writer would have written.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let frame = Self::parse_prefix(bytes)?;
        match bytes.len() - frame.len {
            0 => Ok(frame),
            left => Err(FrameError::Trailing(left)),
        }
    }

    /// Takes apart an envelope at the start of `bytes`; [`Frame::encoded_len`] says where it ends.
    ///
    /// For flash, where the rest of the page is erased. Over a transport use [`Frame::parse`].
    ///
    /// # Errors
    /// As [`Frame::parse`], but bytes that follow are not looked at.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (header, rest) = bytes.split_first_chunk::<FRAME_HEADER>().ok_or(FrameError::Truncated)?;
        let [m0, m1, m2, m3, format, kind, low, high] = *header;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(FrameError::BadMagic);
        }
        if format != FORMAT {
            return Err(FrameError::UnknownFormat(format));
        }
        let kind = Kind::try_from(kind)?;
        let payload_len = usize::from(u16::from_le_bytes([low, high]));
        let (payload, rest) = rest.split_at_checked(payload_len).ok_or(FrameError::Truncated)?;
        let signed = bytes.get(..FRAME_HEADER + payload_len).ok_or(FrameError::Truncated)?;
        let (&count, signatures) = rest.split_first().ok_or(FrameError::Truncated)?;
        let used = walk_signatures(signatures, count)?;
        let signatures = signatures.get(..used).ok_or(FrameError::Truncated)?;
        Ok(Self { kind, signed, payload, signatures, count, len: signed.len() + 1 + used })
    }

    /// What the payload is said to be.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Header and payload: the bytes whose SHA-256 is signed.
    #[must_use]
    pub fn signed_bytes(&self) -> &'a [u8] {
        self.signed
    }

    /// The payload as received. Nobody has vouched for it: show it, do not act on it.
    #[must_use]
    pub fn payload_unauthenticated(&self) -> &'a [u8] {
        self.payload
    }

    /// The signatures in the order of their key ids.
    #[must_use]
    pub fn signatures(&self) -> Signatures<'a> {
        Signatures { rest: self.signatures, left: self.count }
    }

    /// Length of the whole envelope in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.len
    }
}

/// One signature of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureEntry<'a> {
    /// Its algorithm.
    pub alg: Alg,
    /// A hint which key made it.
    pub key_id: KeyId,
    /// The signature itself.
    pub bytes: &'a [u8],
}

impl<'a> SignatureEntry<'a> {
    fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        let (&alg, rest) = bytes.split_first().ok_or(FrameError::Truncated)?;
        let alg = Alg::try_from(alg)?;
        let (key_id, rest) = rest.split_first_chunk::<{ KeyId::LEN }>().ok_or(FrameError::Truncated)?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Truncated)?;
        let len = usize::from(u16::from_le_bytes(*len));
        if len == 0 {
            return Err(FrameError::EmptySignature);
        }
        let (signature, rest) = rest.split_at_checked(len).ok_or(FrameError::Truncated)?;
        Ok((Self { alg, key_id: KeyId::new(*key_id), bytes: signature }, rest))
    }
}

/// Iterates over the signatures of a [`Frame`].
#[derive(Debug, Clone)]
pub struct Signatures<'a> {
    rest: &'a [u8],
    left: u8,
}

impl<'a> Iterator for Signatures<'a> {
    type Item = SignatureEntry<'a>;

    fn next(&mut self) -> Option<SignatureEntry<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `Frame::parse_prefix` has walked these bytes already, so reading them again cannot fail.
        let (entry, rest) = SignatureEntry::read(self.rest).ok()?;
        self.rest = rest;
        Some(entry)
    }
}

/// Checks `count` entries and returns how many bytes they take.
fn walk_signatures(bytes: &[u8], count: u8) -> Result<usize, FrameError> {
    match count {
        0 => return Err(FrameError::NoSignature),
        1..=MAX_SIGNATURES => {}
        more => return Err(FrameError::TooManySignatures(more)),
    }
    let mut rest = bytes;
    let mut previous = None;
    for _ in 0..count {
        let (entry, after) = SignatureEntry::read(rest)?;
        if previous.is_some_and(|id| id >= entry.key_id) {
            return Err(FrameError::KeyOrder);
        }
        previous = Some(entry.key_id);
        rest = after;
    }
    Ok(bytes.len() - rest.len())
}
