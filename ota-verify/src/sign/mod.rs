//! The signing side: describing images, building envelopes, and the seam behind which a key lives.
//!
//! A signer sees 48 bytes ([`Tbs`]) and nothing else, so that any HSM with a plain signing mechanism will do.

#[cfg(feature = "lms")]
mod lms;

#[cfg(feature = "lms")]
pub use lms::{LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, NotAnLmsSet};

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use ota_manifest::{
    Alg, ChunkSize, EncodeError, FRAME_HEADER, Frame, FrameError, FreshnessDraft, ImageDraft, KeyId, Kind,
    MAX_ENVELOPE, MAX_ENVELOPE_POST_QUANTUM, MAX_SIGNATURES, MAX_TRUST_ENVELOPE,
    MAX_TRUST_ENVELOPE_POST_QUANTUM, ManifestDraft, PayloadDraft, Role, TrustDraft, frame_header,
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
    /// The manifest, trust document or freshness reply is one no device would take.
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
    /// What was to be signed as well is not an envelope.
    #[error("not an envelope: {0}")]
    NotAnEnvelope(FrameError),
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

/// Encodes `draft`, has every signer sign it in role freshness, and returns the envelope's bytes.
///
/// # Errors
/// [`SealError`] as for [`seal_manifest`].
pub fn seal_freshness(draft: &FreshnessDraft, signers: &[&dyn Signer]) -> Result<Vec<u8>, SealError> {
    let mut buffer = [0; FreshnessDraft::MAX];
    let payload = draft.encode(&mut buffer)?;
    let online: Vec<_> = signers.iter().map(|signer| (*signer, Role::Freshness)).collect();
    seal(Kind::Freshness, payload, &online)
}

/// Adds a signature in `role` to a sealed envelope: an operator's approval, or another key's that lives elsewhere. Returns
/// the new envelope; what was signed before stays as it is, byte for byte.
///
/// ```
/// # #[cfg(feature = "ed25519")] {
/// use ota_manifest::{Frame, Kind, Role};
/// use ota_verify::sign::{SealError, Signature, Signer, SignerError, cosign, seal};
/// # struct Dev(ed25519_dalek::SigningKey);
/// # impl Dev {
/// #     fn seeded(seed: u8) -> Self { Self(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])) }
/// # }
/// # impl Signer for Dev {
/// #     fn public_key(&self) -> ota_verify::PublicKey { ota_verify::PublicKey::ed25519(self.0.verifying_key().to_bytes()) }
/// #     fn sign(&self, tbs: &ota_verify::Tbs) -> Result<Signature, SignerError> {
/// #         use ed25519_dalek::ed25519::signature::Signer as _;
/// #         Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
/// #     }
/// # }
/// # let (vendor, operator) = (Dev::seeded(1), Dev::seeded(2));
/// let released = seal(Kind::Manifest, b"...", &[(&vendor, Role::Release)])?;
/// let approved = cosign(&released, &operator, Role::Approval)?;
/// assert_eq!(Frame::parse(&approved).unwrap().signatures().count(), 2);
/// assert_eq!(cosign(&approved, &operator, Role::Approval), Err(SealError::SameKeyTwice));
/// # }
/// # Ok::<(), ota_verify::sign::SealError>(())
/// ```
///
/// # Errors
/// [`SealError::NotAnEnvelope`] if that is what it is, and as for [`seal_manifest`].
pub fn cosign(envelope: &[u8], signer: &dyn Signer, role: Role) -> Result<Vec<u8>, SealError> {
    let frame = Frame::parse(envelope).map_err(SealError::NotAnEnvelope)?;
    let key = signer.public_key();
    let mut entries: Vec<Entry> = frame
        .signatures()
        .map(|entry| Entry { alg: entry.alg, key_id: entry.key_id, signature: entry.bytes.to_vec() })
        .collect();
    if entries.iter().any(|entry| entry.key_id == key.key_id()) {
        return Err(SealError::SameKeyTwice);
    }
    // As in `seal`: asked before anything is signed.
    if entries.len() >= usize::from(MAX_SIGNATURES) {
        return Err(SealError::SignerCount(entries.len() + 1));
    }
    let tbs = Tbs::new(frame.kind(), key.alg(), role, &Sha256::of(&[frame.signed_bytes()]));
    entries.push(Entry::new(&key, signer.sign(&tbs)?));
    assemble(frame.kind(), frame.signed_bytes(), entries)
}

/// Has every signer sign an encoded payload in its role, and returns the envelope's bytes.
///
/// # Errors
/// [`SealError`] as for [`seal_manifest`]; what the payload says is not looked at.
pub fn seal(kind: Kind, payload: &[u8], signers: &[(&dyn Signer, Role)]) -> Result<Vec<u8>, SealError> {
    let too_large = SealError::TooLarge(FRAME_HEADER + payload.len());
    let payload_len = u16::try_from(payload.len()).map_err(|_| too_large)?;
    let signed = [&frame_header(kind, payload_len), payload].concat();
    let content = Sha256::of(&[&signed]);

    let keys: Vec<_> = signers.iter().map(|(signer, _)| signer.public_key()).collect();
    // Asked before anything is signed: a hash-based key has only so many signatures.
    check_signers(&keys)?;
    let sign = |((signer, role), key): (&(&dyn Signer, Role), &PublicKey)| {
        let signature = signer.sign(&Tbs::new(kind, key.alg(), *role, &content))?;
        Ok(Entry::new(key, signature))
    };
    let entries: Result<Vec<_>, SealError> = signers.iter().zip(&keys).map(sign).collect();
    assemble(kind, &signed, entries?)
}

fn check_signers(keys: &[PublicKey]) -> Result<(), SealError> {
    if keys.is_empty() || keys.len() > usize::from(MAX_SIGNATURES) {
        return Err(SealError::SignerCount(keys.len()));
    }
    let mut ids: Vec<_> = keys.iter().map(PublicKey::key_id).collect();
    ids.sort_unstable();
    if ids.is_sorted_by(|before, after| before < after) { Ok(()) } else { Err(SealError::SameKeyTwice) }
}

/// One signature of an envelope to be.
struct Entry {
    alg: Alg,
    key_id: KeyId,
    signature: Vec<u8>,
}

impl Entry {
    fn new(key: &PublicKey, Signature(signature): Signature) -> Self {
        Self { alg: key.alg(), key_id: key.key_id(), signature }
    }
}

/// Puts the envelope of a kind together, signatures in the order of their key ids.
fn assemble(kind: Kind, signed: &[u8], mut entries: Vec<Entry>) -> Result<Vec<u8>, SealError> {
    let count = u8::try_from(entries.len()).ok().filter(|count| *count <= MAX_SIGNATURES);
    let count = count.ok_or(SealError::SignerCount(entries.len()))?;
    entries.sort_by_key(|entry| entry.key_id);
    let mut envelope = [signed, &[count]].concat();
    for Entry { alg, key_id, signature } in &entries {
        envelope.push(*alg as u8);
        envelope.extend_from_slice(key_id.as_bytes());
        let len = u16::try_from(signature.len()).unwrap_or(u16::MAX);
        envelope.extend_from_slice(&len.to_le_bytes());
        envelope.extend_from_slice(signature);
    }
    if envelope.len() > limit(kind, &entries) {
        Err(SealError::TooLarge(envelope.len()))
    } else {
        Ok(envelope)
    }
}

/// Most bytes of an envelope of a kind with these signatures.
fn limit(kind: Kind, entries: &[Entry]) -> usize {
    match (kind, entries.iter().any(|entry| entry.alg.is_post_quantum())) {
        (Kind::Trust, false) => MAX_TRUST_ENVELOPE,
        (Kind::Trust, true) => MAX_TRUST_ENVELOPE_POST_QUANTUM,
        (_, false) => MAX_ENVELOPE,
        (_, true) => MAX_ENVELOPE_POST_QUANTUM,
    }
}
