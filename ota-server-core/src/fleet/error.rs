//! What can go wrong between the engine and the world, and whose fault it is.

use alloc::string::String;

use ota_manifest::{Digest, EncodeError};
use ota_verify::sign::{DescribeError, SealError};
use ota_verify::{AdmitError, AuthError, ProofError};
use thiserror::Error;

use super::TrustRefused;
use crate::artifact::ArtifactError;
use crate::error::CommandError;
use crate::notify::NotifyError;
use crate::store::StoreError;

/// Why the fleet did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FleetError {
    /// An operator asked for what cannot be.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A release cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A trust document cannot be taken, or the newest one does not let this server release anything.
    #[error(transparent)]
    Trust(#[from] TrustRefused),
    /// A freshness key did not sign.
    #[error("no freshness reply: {0}")]
    Freshness(SealError),
    /// The keys that the server was given cannot be used together. Whoever started it has to change that.
    #[error("{0}")]
    Keys(&'static str),
    /// The store did not keep it; nothing was told to anybody.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifact store failed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A device could not be told to ask.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// The operating system has no randomness to give.
    #[error("no random numbers: {0}")]
    Random(String),
    /// A task was stopped; the server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// Why a release was not published. Nothing of it can be offered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The draft names an image that was not uploaded. The operator's fault.
    #[error("image {0} was not uploaded")]
    ImageMissing(Digest),
    /// No image, or more than a manifest holds. The operator's fault.
    #[error("a release has 1 to 4 images, not {0}")]
    ImageCount(usize),
    /// The image is larger than this server handles. The operator's fault.
    #[error("an image may have {limit} bytes here, not {size}")]
    ImageTooLarge {
        /// Its length.
        size: u64,
        /// The most this server handles.
        limit: u64,
    },
    /// The image has no bytes, or too many for a manifest. The operator's fault.
    #[error(transparent)]
    Image(#[from] DescribeError),
    /// What the artifact store returns is not what was uploaded. The storage's fault.
    #[error("artifact {0} is damaged; upload it again")]
    Damaged(Digest),
    /// The manifest is one that no device would take, the operator's fault; or a key did not sign, the signer's.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The envelope that came back from the signer does not verify. The signer's fault: wrong key or broken device.
    #[error("the signed envelope does not verify: {0}")]
    Unauthentic(#[from] AuthError),
    /// A device would refuse it. The operator's fault.
    #[error("a device would refuse the release: {0}")]
    NotAdmitted(#[from] AdmitError),
    /// The image's bytes are not what the manifest says.
    #[error("the image does not prove: {0}")]
    Unproven(#[from] ProofError),
}

impl PublishError {
    /// Whether the key's place is at fault: the operator cannot repair it by asking for something else.
    #[must_use]
    pub const fn is_signers_fault(&self) -> bool {
        matches!(self, Self::Seal(SealError::Signer(_)) | Self::Unauthentic(_))
    }
}

impl From<EncodeError> for PublishError {
    fn from(error: EncodeError) -> Self {
        Self::Seal(SealError::Manifest(error))
    }
}
