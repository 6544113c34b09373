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

use crate::codec::Reader;
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

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ed25519),
            2 => Some(Self::P256),
            3 => Some(Self::Lms),
            4 => Some(Self::MlDsa44),
            _ => None,
        }
    }

    /// Whether it withstands a quantum computer. The others are called classical.
    #[must_use]
    pub const fn is_post_quantum(self) -> bool {
        matches!(self, Self::Lms | Self::MlDsa44)
    }
}

impl TryFrom<u8> for Alg {
    type Error = FrameError;

    fn try_from(number: u8) -> Result<Self, FrameError> {
        Self::from_number(number).ok_or(FrameError::UnknownAlgorithm(number))
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

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Root),
            2 => Some(Self::Release),
            3 => Some(Self::Approval),
            4 => Some(Self::Freshness),
            _ => None,
        }
    }
}

impl TryFrom<u8> for Role {
    type Error = DecodeError;

    fn try_from(number: u8) -> Result<Self, DecodeError> {
        Self::from_number(number).ok_or(DecodeError::UnknownTag(number))
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
    signatures: &'a [u8],
    count: u8,
}

impl<'a> Frame<'a> {
    /// Takes apart an envelope that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`FrameError`] names the first thing that no writer would have written. Bytes that end too early are
    /// [`FrameError::Truncated`], whatever is wrong with the signatures before their end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let frame = Self::parse_prefix(bytes)?;
        match bytes.len() - frame.encoded_len() {
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
        let [m0, m1, m2, m3, format, kind, low, high] = *bytes.first_chunk().ok_or(FrameError::Truncated)?;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(FrameError::BadMagic);
        }
        if format != FORMAT {
            return Err(FrameError::UnknownFormat(format));
        }
        let kind = Kind::try_from(kind)?;
        let mut reader = Reader::new(bytes);
        let signed = reader.bytes(FRAME_HEADER + usize::from(u16::from_le_bytes([low, high])));
        let count = reader.u8();
        let signatures = reader.rest();
        let walked = walk_signatures(&mut reader, count);
        if reader.is_refused() {
            return Err(FrameError::Truncated);
        }
        walked?;
        let signatures = signatures.get(..signatures.len() - reader.rest().len()).unwrap_or(signatures);
        Ok(Self { kind, signed, signatures, count })
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
        self.signed.get(FRAME_HEADER..).unwrap_or(&[])
    }

    /// The signatures in the order of their key ids.
    #[must_use]
    pub fn signatures(&self) -> Signatures<'a> {
        Signatures { reader: Reader::new(self.signatures), left: self.count }
    }

    /// Length of the whole envelope in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.signed.len() + 1 + self.signatures.len()
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
    /// Of bytes that end within it, nothing is right.
    fn read(reader: &mut Reader<'a>) -> Result<Self, FrameError> {
        let number = reader.u8();
        let key_id = KeyId::new(reader.array());
        let len = u16::from_le_bytes(reader.array());
        let bytes = reader.bytes(usize::from(len));
        let alg = Alg::from_number(number).ok_or(FrameError::UnknownAlgorithm(number))?;
        if bytes.is_empty() { Err(FrameError::EmptySignature) } else { Ok(Self { alg, key_id, bytes }) }
    }
}

/// Iterates over the signatures of a [`Frame`].
#[derive(Debug, Clone)]
pub struct Signatures<'a> {
    reader: Reader<'a>,
    left: u8,
}

impl<'a> Iterator for Signatures<'a> {
    type Item = SignatureEntry<'a>;

    fn next(&mut self) -> Option<SignatureEntry<'a>> {
        self.left = self.left.checked_sub(1)?;
        // `Frame::parse_prefix` has walked these bytes already, so reading them again cannot fail.
        SignatureEntry::read(&mut self.reader).ok()
    }
}

/// Reads `count` entries.
fn walk_signatures(reader: &mut Reader<'_>, count: u8) -> Result<(), FrameError> {
    match count {
        0 => return Err(FrameError::NoSignature),
        1..=MAX_SIGNATURES => {}
        more => return Err(FrameError::TooManySignatures(more)),
    }
    let mut previous = None;
    for _ in 0..count {
        let entry = SignatureEntry::read(reader)?;
        if previous.is_some_and(|id| id >= entry.key_id) {
            return Err(FrameError::KeyOrder);
        }
        previous = Some(entry.key_id);
    }
    Ok(())
}
