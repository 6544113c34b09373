//! What can be wrong with bytes from outside.

use core::fmt;

use thiserror::Error;

/// Why a byte string is not a canonical encoding.
///
/// The sender is at fault in every case: a writer of this family produces none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside a field.
    #[error("input ends inside a field")]
    Truncated,
    /// A number is written longer than it needs to be.
    #[error("number not in its shortest form")]
    NonCanonical,
    /// A number does not fit its field.
    #[error("number does not fit its field")]
    Overflow,
    /// A tag (option, boolean, enumeration) has no meaning.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// A list is longer than the format allows.
    #[error("list of {found} entries where at most {limit} are allowed")]
    TooMany {
        /// Entries announced.
        found: u32,
        /// Entries allowed.
        limit: u8,
    },
    /// A list that needs an entry has none.
    #[error("empty list of {0}")]
    Empty(Field),
    /// A field's value contradicts its meaning.
    #[error("field {0} has a value outside its range")]
    OutOfRange(Field),
    /// A role of a trust document needs more signatures than it has keys, or none where it has keys or cannot do without.
    #[error("threshold that nobody could meet, or anybody")]
    Threshold,
    /// A trust document lists a key of an algorithm (its number) whose keys are pinned alone.
    #[error("algorithm {0} has keys that are pinned, not listed in a trust document")]
    PinnedOnly(u8),
    /// Keys of a trust document are not strictly ascending: unsorted, or one is listed twice.
    #[error("keys not strictly ascending")]
    KeyOrder,
    /// Extensions are not strictly ascending by their number: unsorted, or one is given twice.
    #[error("extensions not strictly ascending")]
    ExtensionOrder,
    /// Two images for one place in flash are not the same bytes; only how they travel may differ.
    #[error("two different images for one place in flash")]
    ConflictingImages,
    /// Bytes are left over after the last field.
    #[error("{0} bytes left over")]
    Trailing(usize),
}

impl DecodeError {
    /// The number in the device's log. Frozen.
    ///
    /// ```
    /// assert_eq!(ota_manifest::DecodeError::NonCanonical.code(), 0x0A02);
    /// ```
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Truncated => 0x0A01,
            Self::NonCanonical => 0x0A02,
            Self::Overflow => 0x0A03,
            Self::UnknownTag(_) => 0x0A04,
            Self::TooMany { .. } => 0x0A05,
            Self::Empty(_) => 0x0A06,
            Self::OutOfRange(_) => 0x0A07,
            Self::Threshold => 0x0A08,
            Self::KeyOrder => 0x0A09,
            Self::ExtensionOrder => 0x0A0A,
            Self::ConflictingImages => 0x0A0B,
            Self::Trailing(_) => 0x0A0C,
            Self::PinnedOnly(_) => 0x0A0D,
        }
    }
}

/// A field of which [`DecodeError`] speaks. A number, not a text: a bootloader that does not show errors keeps no words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Kinds of device.
    Classes,
    /// Hardware revisions.
    HardwareRange,
    /// Hand-overs before an image on trial is given up.
    TrialAttempts,
    /// Time that an image on trial has to confirm.
    ConfirmWindow,
    /// Images of a manifest.
    Images,
    /// Length of an image in flash.
    ImageSize,
    /// Length of a chunk.
    ChunkSize,
    /// Version of a trust document.
    Version,
    /// Last open epoch of a trust document.
    Epoch,
    /// A set of roles.
    Roles,
    /// Hybrid roles of a trust document.
    Hybrid,
    /// A key of a trust document.
    PublicKey,
    /// Trust version in a freshness reply.
    TrustVersion,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Classes => "classes",
            Self::HardwareRange => "hardware range",
            Self::TrialAttempts => "trial attempts",
            Self::ConfirmWindow => "confirm window",
            Self::Images => "images",
            Self::ImageSize => "image size",
            Self::ChunkSize => "chunk size",
            Self::Version => "version",
            Self::Epoch => "epoch",
            Self::Roles => "roles",
            Self::Hybrid => "hybrid",
            Self::PublicKey => "public key",
            Self::TrustVersion => "trust version",
        })
    }
}

/// Why a byte string is not an envelope frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The input ends inside the frame.
    #[error("frame is cut short")]
    Truncated,
    /// The first four bytes are not `OTAM`.
    #[error("not an update envelope")]
    BadMagic,
    /// The format number is not one this crate reads.
    #[error("envelope format {0} is not supported")]
    UnknownFormat(u8),
    /// The kind number is unknown.
    #[error("envelope kind {0} is not known")]
    UnknownKind(u8),
    /// No signature at all.
    #[error("envelope carries no signature")]
    NoSignature,
    /// More signatures than [`MAX_SIGNATURES`](crate::MAX_SIGNATURES).
    #[error("{0} signatures, more than allowed")]
    TooManySignatures(u8),
    /// A signature of no bytes.
    #[error("empty signature")]
    EmptySignature,
    /// A signature algorithm number that is unknown.
    #[error("signature algorithm {0} is not known")]
    UnknownAlgorithm(u8),
    /// Key ids are not strictly ascending: unsorted, or one is named twice.
    #[error("key ids not strictly ascending")]
    KeyOrder,
    /// Bytes follow the last signature.
    #[error("{0} bytes follow the envelope")]
    Trailing(usize),
}

impl FrameError {
    /// The number in the device's log. Frozen.
    ///
    /// ```
    /// assert_eq!(ota_manifest::FrameError::NoSignature.code(), 0x0905);
    /// ```
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Truncated => 0x0901,
            Self::BadMagic => 0x0902,
            Self::UnknownFormat(_) => 0x0903,
            Self::UnknownKind(_) => 0x0904,
            Self::NoSignature => 0x0905,
            Self::TooManySignatures(_) => 0x0906,
            Self::EmptySignature => 0x0907,
            Self::UnknownAlgorithm(_) => 0x0908,
            Self::KeyOrder => 0x0909,
            Self::Trailing(_) => 0x090A,
        }
    }
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct ParseIdError {
    /// Digits an identifier of this kind has.
    pub expected: usize,
}

/// Why a manifest, a trust document or a freshness reply cannot be written.
#[cfg(feature = "encode")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The output buffer is too small.
    #[error("output buffer too small")]
    BufferFull,
    /// The values would not be accepted by a device; the reader's own verdict.
    #[error("a device would refuse it: {0}")]
    Refused(DecodeError),
}
