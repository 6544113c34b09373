//! Why a step of the proof fails. Precise, for the device's own log; the wire gets one opaque number for all of
//! [`AuthError`] and [`ProofError`].

use ota_manifest::{DecodeError, Kind, Role};
use thiserror::Error;

/// Why an envelope is not authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The envelope is of another kind than the role signs.
    #[error("an envelope of kind {0:?} is not what this role signs")]
    WrongKind(Kind),
    /// Signatures of this role do not make a manifest authentic; only a release key's do.
    #[error("role {0:?} does not release firmware")]
    WrongRole(Role),
    /// Not one signature is by a key this device trusts in this role.
    #[error("signed by no key this device trusts")]
    UnknownKey,
    /// A trusted key is named, and its signature does not verify.
    #[error("signature does not verify")]
    BadSignature,
    /// Good signatures, but too few.
    #[error("{found} of {needed} signatures")]
    BelowThreshold {
        /// Distinct trusted keys whose signature verified.
        found: u8,
        /// Signatures the role needs.
        needed: u8,
    },
    /// Released, and too few of the operators' keys have signed as well.
    #[error("{found} of {needed} approvals")]
    NotApproved {
        /// Distinct approval keys whose signature verified.
        found: u8,
        /// Approvals needed.
        needed: u8,
    },
    /// Enough good signatures, and the role asks for a classical and a post-quantum one.
    #[error("signatures in role {0:?} are all of one family of algorithms")]
    NotHybrid(Role),
    /// The signed payload is not a manifest this device can read.
    #[error("signed manifest cannot be read: {0}")]
    Manifest(DecodeError),
}

impl AuthError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::WrongKind(_) => 0x0201,
            Self::UnknownKey => 0x0202,
            Self::BadSignature => 0x0203,
            Self::BelowThreshold { .. } => 0x0204,
            Self::Manifest(_) => 0x0205,
            Self::WrongRole(_) => 0x0206,
            Self::NotApproved { .. } => 0x0207,
            Self::NotHybrid(_) => 0x0208,
        }
    }
}

/// Why an authentic manifest is not for this device, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdmitError {
    /// Another maker's.
    #[error("made for another vendor")]
    WrongVendor,
    /// Another product's.
    #[error("made for another class of device")]
    WrongClass,
    /// Another hardware revision's.
    #[error("not for this hardware revision")]
    WrongHardware,
    /// Made for one other device.
    #[error("made for another device")]
    WrongDevice,
    /// Not newer than what runs.
    #[error("not newer than the running firmware")]
    NotNewer,
    /// Below the anti-rollback floor.
    #[error("security version below this device's floor")]
    BelowFloor,
    /// Rolled back on this device before.
    #[error("was rolled back on this device before")]
    RejectedBefore,
    /// The bootloader is too old.
    #[error("needs bootloader {needed}, this one is {found}")]
    BootloaderTooOld {
        /// Version needed.
        needed: u16,
        /// Version found.
        found: u16,
    },
    /// The bootloader cannot check the signature.
    #[error("the bootloader cannot check this signature algorithm")]
    BootloaderAlgorithm,
    /// Names a component that format-1 devices do not have.
    #[error("component {0} is not known here")]
    UnknownComponent(u8),
    /// No image is linked for the target slot.
    #[error("no image for the free slot")]
    NoImageForSlot,
    /// Image and leaf list do not fit the target slot.
    #[error("image of {size} bytes does not fit the slot")]
    TooLarge {
        /// Image size, bytes.
        size: u32,
    },
    /// The payload must be decoded and this device cannot.
    #[error("payload encoding not supported")]
    UnsupportedPayload,
    /// Depends on another component, which format-1 devices do not have, or on firmware that is not running.
    #[error("depends on firmware that is not running here")]
    UnmetDependency,
    /// A critical extension is unknown.
    #[error("critical extension {0} is not known here")]
    UnknownExtension(u16),
    /// Its order is below [`Trust::min_order`](crate::Trust::min_order): the trust in force has withdrawn it.
    // Carries no order: it would make this error, and every result around it, half as large again.
    #[error("order withdrawn by the trust document in force")]
    BelowMinOrder,
    /// Its end of validity is past, by the time a freshness reply has told.
    #[error("must not be installed any more: its end of validity is past")]
    Expired,
    /// Its epoch is above [`Trust::epoch`](crate::Trust::epoch): no trust document has opened it yet.
    #[error("of an epoch that the trust in force has not opened")]
    EpochNotOpen,
}

impl AdmitError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::WrongVendor => 0x0301,
            Self::WrongClass => 0x0302,
            Self::WrongHardware => 0x0303,
            Self::WrongDevice => 0x0304,
            Self::NotNewer => 0x0305,
            Self::BelowFloor => 0x0306,
            Self::RejectedBefore => 0x0307,
            Self::BootloaderTooOld { .. } => 0x0308,
            Self::BootloaderAlgorithm => 0x0309,
            Self::UnknownComponent(_) => 0x030A,
            Self::NoImageForSlot => 0x030B,
            Self::TooLarge { .. } => 0x030C,
            Self::UnsupportedPayload => 0x030D,
            Self::UnmetDependency => 0x030E,
            Self::UnknownExtension(_) => 0x030F,
            Self::BelowMinOrder => 0x0310,
            Self::Expired => 0x0311,
            Self::EpochNotOpen => 0x0312,
        }
    }
}

/// Why a byte stream is not the image of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProofError {
    /// More or fewer bytes than the manifest says.
    #[error("not {expected} bytes long")]
    WrongLength {
        /// Bytes the manifest says.
        expected: u32,
    },
    /// The digest differs.
    #[error("image digest differs")]
    WrongDigest,
}

impl ProofError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::WrongLength { .. } => 0x0401,
            Self::WrongDigest => 0x0402,
        }
    }
}

/// Why a trust document does not take the place of the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The envelope is of another kind.
    #[error("an envelope of kind {0:?} is no trust document")]
    WrongKind(Kind),
    /// The envelope is longer than any device keeps with signatures like its own.
    #[error("{len} bytes, more than a trust document may have")]
    TooLarge {
        /// Length of the envelope, bytes.
        len: usize,
    },
    /// The payload is not a trust document this device can read.
    #[error("trust document cannot be read: {0}")]
    Malformed(DecodeError),
    /// The trust in force has no root keys, so nothing can ever follow it.
    #[error("the trust in force has no root keys")]
    NoRootKeys,
    /// Not newer than the trust in force: an old document again, or the same.
    #[error("version {found}, and {current} is in force")]
    Replay {
        /// Version in force.
        current: u32,
        /// Version of the document.
        found: u32,
    },
    /// Documents in between are missing; each must be adopted in turn.
    #[error("version {found}, and {current} is in force: those in between come first")]
    Gap {
        /// Version in force.
        current: u32,
        /// Version of the document.
        found: u32,
    },
    /// Too few root keys of the trust in force have signed.
    #[error("{found} of {needed} signatures by the roots in force")]
    NotByOldRoots {
        /// Distinct root keys whose signature verified.
        found: u8,
        /// Signatures needed.
        needed: u8,
    },
    /// Too few of the document's own root keys have signed: nobody has shown that they can.
    #[error("{found} of {needed} signatures by the document's own roots")]
    NotByNewRoots {
        /// Distinct root keys whose signature verified.
        found: u8,
        /// Signatures needed.
        needed: u8,
    },
    /// Opens fewer epochs, or withdraws fewer manifests, than the trust in force.
    #[error("takes back what the trust in force has opened or withdrawn")]
    Lowered,
    /// Enough roots have signed, and they have to be of both families of algorithms.
    #[error("signatures of the roots are all of one family of algorithms")]
    NotHybrid,
    /// A critical extension is unknown.
    #[error("critical extension {0} is not known here")]
    UnknownExtension(u16),
}

impl TrustError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::WrongKind(_) => 0x0701,
            Self::TooLarge { .. } => 0x0702,
            Self::Malformed(_) => 0x0703,
            Self::NoRootKeys => 0x0704,
            Self::Replay { .. } => 0x0705,
            Self::Gap { .. } => 0x0706,
            Self::NotByOldRoots { .. } => 0x0707,
            Self::NotByNewRoots { .. } => 0x0708,
            Self::Lowered => 0x0709,
            Self::NotHybrid => 0x070A,
            Self::UnknownExtension(_) => 0x070B,
        }
    }
}

/// Why a freshness reply tells a device nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FreshnessError {
    /// It is not authentic.
    #[error(transparent)]
    Auth(AuthError),
    /// The signed payload is not a reply this device can read.
    #[error("freshness reply cannot be read: {0}")]
    Malformed(DecodeError),
    /// The answer to another question: replayed, or another device's.
    #[error("answers another question")]
    WrongNonce,
}

impl FreshnessError {
    /// The number in the device's log. Frozen.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Self::Auth(error) => error.code(),
            Self::Malformed(_) => 0x0801,
            Self::WrongNonce => 0x0802,
        }
    }
}
