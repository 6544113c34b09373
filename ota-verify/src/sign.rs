//! The signing side: describing images, building envelopes, and the seam behind which a key lives.
//!
//! A signer sees 48 bytes ([`Tbs`]) and nothing else, so that any HSM with a plain signing mechanism will do.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ota_manifest::{
    ChunkSize, EncodeError, FRAME_HEADER, ImageDraft, Kind, MAX_ENVELOPE, MAX_SIGNATURES, MAX_TRUST_ENVELOPE,
    ManifestDraft, PayloadDraft, Role, TrustDraft, frame_header,
};
use thiserror::Error;

use crate::{ChunkTree, PublicKey, Sha256, Tbs, leaf_hash};

/// A key that signs, wherever it lives: a file, a token, a service. Blocking.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> PublicKey;

    /// Signs the 48 bytes.
    ///
    /// # Errors
    /// [`SignerError`] with the transport's own words: nothing here is secret, and an operator has to act on it.
    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError>;
}

/// Why a key did not sign.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignerError {
    /// The place where the key lives cannot be reached; try again when it can.
    #[error("signing key cannot be reached: {0}")]
    Unavailable(String),
    /// It can be reached and will not sign; the operator must change something.
    #[error("signing refused: {0}")]
    Refused(String),
    /// What came back is not a signature of this algorithm.
    #[error("signer returned {0} bytes, not a signature")]
    NotASignature(usize),
}

/// A signature, at most 4 KiB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

impl Signature {
    /// Longest signature that fits an envelope, bytes.
    pub const MAX: usize = 4096;

    /// Wraps the raw bytes.
    ///
    /// # Errors
    /// [`SignerError::NotASignature`] if empty or longer than [`Self::MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, SignerError> {
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(SignerError::NotASignature(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An image as a manifest describes it, and the leaf list that travels with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDescription {
    /// The manifest's entry.
    pub image: ImageDraft,
    /// Object 0: the leaves, 32 bytes each.
    pub leaves: Vec<u8>,
}

/// Why an image cannot be described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DescribeError {
    /// No bytes.
    #[error("the image is empty")]
    Empty,
    /// 4 GiB or more.
    #[error("the image is too large for a 32-bit length")]
    TooLarge,
}

/// Computes digest, chunk root and leaf list of an image.
///
/// # Errors
/// [`DescribeError`].
pub fn describe_image(
    bytes: &[u8],
    link_address: u32,
    chunk: ChunkSize,
) -> Result<ImageDescription, DescribeError> {
    let size = u32::try_from(bytes.len()).map_err(|_| DescribeError::TooLarge)?;
    if size == 0 {
        return Err(DescribeError::Empty);
    }
    let mut tree = ChunkTree::new();
    let mut leaves = Vec::new();
    for (index, data) in (0u32..).zip(bytes.chunks(chunk.bytes() as usize)) {
        let leaf = leaf_hash(index, data);
        leaves.extend_from_slice(leaf.as_bytes());
        tree.push(leaf);
    }
    let image = ImageDraft {
        component: 0,
        link_address,
        size,
        digest: Sha256::of(&[bytes]),
        chunk_log2: chunk.log2(),
        chunk_root: tree.root(size),
        payload: PayloadDraft::Raw,
    };
    Ok(ImageDescription { image, leaves })
}

/// Why an envelope could not be made. Nothing has been published when this is returned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// The manifest or the trust document is one no device would take.
    #[error(transparent)]
    Manifest(#[from] EncodeError),
    /// A key did not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// No signer, or more than an envelope holds.
    #[error("an envelope needs 1 to 8 signatures, not {0}")]
    SignerCount(usize),
    /// Two signers are the same key.
    #[error("the same key was asked to sign twice")]
    SameKeyTwice,
    /// The envelope would not fit a device's buffer.
    #[error("envelope of {0} bytes is larger than devices accept")]
    TooLarge(usize),
}

/// Encodes `draft`, has every signer sign it in its role, and returns the envelope's bytes.
///
/// # Errors
/// [`SealError`] says whose fault it is: the manifest's, a signer's, or the caller's.
pub fn seal_manifest(draft: &ManifestDraft, signers: &[(&dyn Signer, Role)]) -> Result<Vec<u8>, SealError> {
    let mut buffer = vec![0; MAX_ENVELOPE];
    let payload = draft.encode(&mut buffer)?;
    seal(Kind::Manifest, payload, signers)
}

/// Encodes `draft`, has every signer sign it in role root, and returns the envelope's bytes.
///
/// A device adopts it only if the signers reach the root threshold of the version before and that of `draft`; a key that
/// is a root in both signs once. Nothing here knows the version before, so that is the caller's to see to.
///
/// # Errors
/// [`SealError`] as for [`seal_manifest`].
pub fn seal_trust(draft: &TrustDraft, signers: &[&dyn Signer]) -> Result<Vec<u8>, SealError> {
    let mut buffer = vec![0; MAX_TRUST_ENVELOPE];
    let payload = draft.encode(&mut buffer)?;
    let roots: Vec<_> = signers.iter().map(|signer| (*signer, Role::Root)).collect();
    seal(Kind::Trust, payload, &roots)
}

/// Has every signer sign an encoded payload in its role, and returns the envelope's bytes.
///
/// # Errors
/// [`SealError`] as for [`seal_manifest`]; what the payload says is not looked at.
pub fn seal(kind: Kind, payload: &[u8], signers: &[(&dyn Signer, Role)]) -> Result<Vec<u8>, SealError> {
    let count = u8::try_from(signers.len()).unwrap_or(u8::MAX);
    if count == 0 || count > MAX_SIGNATURES {
        return Err(SealError::SignerCount(signers.len()));
    }
    let too_large = SealError::TooLarge(FRAME_HEADER + payload.len());
    let payload_len = u16::try_from(payload.len()).map_err(|_| too_large)?;
    let header = frame_header(kind, payload_len);
    let content = Sha256::of(&[&header, payload]);

    let mut ordered: Vec<_> =
        signers.iter().map(|(signer, role)| (signer.public_key(), *signer, *role)).collect();
    ordered.sort_by_key(|(key, ..)| key.key_id());
    let twice = ordered.windows(2).any(|pair| matches!(pair, [a, b] if a.0.key_id() == b.0.key_id()));
    if twice {
        return Err(SealError::SameKeyTwice);
    }

    let mut envelope = [&header, payload, &[count]].concat();
    for (key, signer, role) in ordered {
        let signature = signer.sign(&Tbs::new(kind, key.alg(), role, &content))?;
        envelope.push(key.alg() as u8);
        envelope.extend_from_slice(key.key_id().as_bytes());
        let len = u16::try_from(signature.as_bytes().len()).unwrap_or(u16::MAX);
        envelope.extend_from_slice(&len.to_le_bytes());
        envelope.extend_from_slice(signature.as_bytes());
    }
    let limit = if kind == Kind::Trust { MAX_TRUST_ENVELOPE } else { MAX_ENVELOPE };
    if envelope.len() > limit { Err(SealError::TooLarge(envelope.len())) } else { Ok(envelope) }
}
