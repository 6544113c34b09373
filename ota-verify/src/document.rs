//! Trust documents: how the keys a device believes are replaced, one link of a chain at a time.
//!
//! ```text
//!   pinned, version 1 --successor--> AuthenticTrust 2 --documented--> Trust --successor--> AuthenticTrust 3 ...
//!                    signed by the roots of 1 and of 2              signed by the roots of 2 and of 3
//! ```
//! The old roots say who comes next; the new ones show that they hold their keys, so that a chain cannot end in a key
//! that nobody has. One link at a time, so that a stolen old root cannot reach over the document that replaced it.

use core::fmt;

use ota_manifest::{
    Alg, Digest, DocumentKey, Frame, Kind, MAX_TRUST_ENVELOPE, MAX_TRUST_ENVELOPE_POST_QUANTUM, Role,
    TrustDocument,
};

use crate::tally::Shortfall;
use crate::{AlgSet, KeyAlgorithm, Trust, TrustError, TrustTerms, frame_digest};

/// A trust document that takes the place of the trust in force.
///
/// Made by [`Trust::successor`], or read back by [`AuthenticTrust::from_guard_unchained`].
///
/// ```compile_fail
/// fn forge<'a>(document: ota_manifest::TrustDocument<'a>) -> ota_verify::AuthenticTrust<'a> {
///     ota_verify::AuthenticTrust { document } // private fields
/// }
/// ```
///
/// ```compile_fail
/// fn twice<'a>(adopted: ota_verify::AuthenticTrust<'a>) -> [ota_verify::AuthenticTrust<'a>; 2] {
///     [adopted.clone(), adopted] // not Clone
/// }
/// ```
#[must_use]
pub struct AuthenticTrust<'a> {
    document: TrustDocument<'a>,
    terms: TrustTerms,
    algorithms: &'a [&'a dyn KeyAlgorithm],
    content: Digest,
    encoded_len: usize,
}

impl<'a> AuthenticTrust<'a> {
    /// Believes a document that **this** bootloader adopted earlier and now reads back from flash that nobody but the
    /// bootloader can write. Above `pinned` it needs no more than the signatures of its own roots.
    ///
    /// The document before it is gone, so the link to it is not checked: whoever can write that flash can put a
    /// document of his own there, with his own roots. Call this only where all of it holds:
    /// - the flash is write-locked by hardware before the bootloader hands over, on every path;
    /// - nothing is ever written there but what [`Trust::successor`] returned;
    /// - the bytes do not come from a slot, a journal, or anything else that the application writes.
    ///
    /// # Errors
    /// [`TrustError`] but for what only a predecessor can tell (gap, old roots, [`TrustError::Lowered`]): torn by a power cut,
    /// or no newer than `pinned` because the bootloader image has been replaced since. Go on with the other copy, or with
    /// `pinned`.
    pub fn from_guard_unchained(
        frame: Frame<'a>,
        pinned: &Trust<'_>,
        algorithms: &'a [&'a dyn KeyAlgorithm],
    ) -> Result<Self, TrustError> {
        check_frame(&frame)?;
        Self::read(&frame, algorithms, &|adopted| check_newer(pinned.version(), adopted.version()))
    }

    /// The document.
    #[must_use]
    pub fn document(&self) -> &TrustDocument<'a> {
        &self.document
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.document.version
    }

    /// SHA-256 over the envelope's header and payload: the document's name.
    #[must_use]
    pub fn content(&self) -> Digest {
        self.content
    }

    /// Length of its envelope, bytes: that many belong into the guard region, at most [`MAX_TRUST_ENVELOPE`], or
    /// [`MAX_TRUST_ENVELOPE_POST_QUANTUM`] with a post-quantum signature.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    pub(crate) fn terms(&self) -> &TrustTerms {
        &self.terms
    }

    /// Reads a document that whoever calls has a reason to believe, if it `follows` and its own roots have signed it.
    fn read(
        frame: &Frame<'a>,
        algorithms: &'a [&'a dyn KeyAlgorithm],
        follows: &dyn Fn(&Self) -> Result<(), TrustError>,
    ) -> Result<Self, TrustError> {
        let document = TrustDocument::decode_unauthenticated(frame.payload_unauthenticated())
            .map_err(TrustError::Malformed)?;
        if let Some(extension) = document.extensions.iter().find(|extension| extension.critical) {
            return Err(TrustError::UnknownExtension(extension.id));
        }
        let TrustDocument { version, epoch, min_order, thresholds, hybrid, .. } = document;
        let terms = TrustTerms { version, epoch, min_order, thresholds, hybrid };
        let read = Self {
            document,
            terms,
            algorithms,
            content: frame_digest(frame),
            encoded_len: frame.encoded_len(),
        };
        follows(&read)?;
        let too_few = |found, needed| TrustError::NotByNewRoots { found, needed };
        signed_by_roots(&Trust::documented(&read), frame, too_few)?;
        Ok(read)
    }
}

impl fmt::Debug for AuthenticTrust<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticTrust").field("document", &self.document).finish_non_exhaustive()
    }
}

impl Trust<'_> {
    /// Accepts the document that follows this trust: its version is one higher, and the roots in force as well as its own
    /// have signed it, each to their threshold.
    ///
    /// The caller still has to prove the running image under it before the old trust is given up, and to write it down.
    /// The payload is read only when the roots in force have signed it.
    ///
    /// ```
    /// # #[cfg(all(feature = "sign", feature = "ed25519"))] {
    /// use ota_manifest::{Frame, Role, TrustDraft};
    /// use ota_verify::sign::{Signature, Signer, SignerError, seal_trust};
    /// use ota_verify::{Ed25519, Ed25519Key, KeyAlgorithm, PublicKey, Trust, TrustedKey};
    /// # struct Dev(ed25519_dalek::SigningKey);
    /// # impl Dev {
    /// #     fn seeded(seed: u8) -> Self { Self(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])) }
    /// # }
    /// # impl Signer for Dev {
    /// #     fn public_key(&self) -> PublicKey { PublicKey::ed25519(self.0.verifying_key().to_bytes()) }
    /// #     fn sign(&self, tbs: &ota_verify::Tbs) -> Result<Signature, SignerError> {
    /// #         use ed25519_dalek::ed25519::signature::Signer as _;
    /// #         Signature::new(&self.0.sign(tbs.as_bytes()).to_bytes())
    /// #     }
    /// # }
    /// # let (root, lost, next) = (Dev::seeded(1), Dev::seeded(2), Dev::seeded(3));
    /// // The ceremony: the same root, another release key.
    /// let mut draft = TrustDraft::new(2);
    /// draft.keys.push(root.public_key().draft(Role::Root)).unwrap();
    /// draft.keys.push(next.public_key().draft(Role::Release)).unwrap();
    /// let envelope = seal_trust(&draft, &[&root]).unwrap();
    ///
    /// // The bootloader:
    /// const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];
    /// let (root, lost) = (root.public_key(), lost.public_key());
    /// let keys = [TrustedKey::new(Role::Root, &root), TrustedKey::new(Role::Release, &lost)];
    /// let adopted = Trust::pinned(&keys).successor(Frame::parse(&envelope)?, ALGORITHMS).unwrap();
    /// let trust = Trust::documented(&adopted);
    /// assert_eq!((trust.version(), trust.threshold(Role::Release)), (2, 1));
    /// # }
    /// # Ok::<(), ota_manifest::FrameError>(())
    /// ```
    ///
    /// # Errors
    /// [`TrustError`], the first that is found: kind and length, roots in force, payload, version, orders, own roots. The trust
    /// in force stays in force.
    pub fn successor<'a>(
        &self,
        frame: Frame<'a>,
        algorithms: &'a [&'a dyn KeyAlgorithm],
    ) -> Result<AuthenticTrust<'a>, TrustError> {
        self.check_roots(&frame)?;
        AuthenticTrust::read(&frame, algorithms, &|adopted| {
            self.check_next(adopted.version())?;
            // What has been withdrawn, and what has been opened, stays so.
            let lowered = adopted.terms.epoch < self.epoch() || adopted.terms.min_order < self.min_order();
            if lowered { Err(TrustError::Lowered) } else { Ok(()) }
        })
    }

    /// Whether the owners of this trust say that `frame` is what follows it, so that it is worth a place in flash and a reset.
    /// Whether it can follow is for [`Self::successor`] to say, which the bootloader calls.
    ///
    /// # Errors
    /// [`TrustError`]: kind and length, roots in force, payload, version.
    pub fn names_successor(&self, frame: &Frame<'_>) -> Result<(), TrustError> {
        self.check_roots(frame)?;
        let document = TrustDocument::decode_unauthenticated(frame.payload_unauthenticated())
            .map_err(TrustError::Malformed)?;
        self.check_next(document.version)
    }

    fn check_roots(&self, frame: &Frame<'_>) -> Result<(), TrustError> {
        check_frame(frame)?;
        if !self.has_keys(Role::Root) {
            return Err(TrustError::NoRootKeys);
        }
        signed_by_roots(self, frame, |found, needed| TrustError::NotByOldRoots { found, needed })
    }

    fn check_next(&self, found: u32) -> Result<(), TrustError> {
        let current = self.version();
        check_newer(current, found)?;
        if found - current > 1 { Err(TrustError::Gap { current, found }) } else { Ok(()) }
    }
}

fn check_frame(frame: &Frame<'_>) -> Result<(), TrustError> {
    if frame.kind() != Kind::Trust {
        return Err(TrustError::WrongKind(frame.kind()));
    }
    let is_post_quantum = frame.signatures().any(|entry| entry.alg.is_post_quantum());
    let limit = if is_post_quantum { MAX_TRUST_ENVELOPE_POST_QUANTUM } else { MAX_TRUST_ENVELOPE };
    match frame.encoded_len() {
        len if len > limit => Err(TrustError::TooLarge { len }),
        _ => Ok(()),
    }
}

fn check_newer(current: u32, found: u32) -> Result<(), TrustError> {
    if found > current { Ok(()) } else { Err(TrustError::Replay { current, found }) }
}

fn signed_by_roots(
    trust: &Trust<'_>,
    frame: &Frame<'_>,
    too_few: fn(u8, u8) -> TrustError,
) -> Result<(), TrustError> {
    trust.quorum(frame, Role::Root).check(AlgSet::ALL).map_err(|shortfall| match shortfall {
        Shortfall::Count { found, needed } => too_few(found, needed),
        Shortfall::Family => TrustError::NotHybrid,
    })
}

/// Keys that are not known when firmware is built. Not `Debug`: the table of functions would link all of formatting.
pub(crate) trait KeySource: Sync {
    /// The key at this place of the list.
    fn key(&self, index: usize) -> Option<DocumentKey<'_>>;

    /// What checks signatures of `alg`, if there is such a thing here.
    fn algorithm(&self, alg: Alg) -> Option<&dyn KeyAlgorithm>;
}

impl KeySource for AuthenticTrust<'_> {
    fn key(&self, index: usize) -> Option<DocumentKey<'_>> {
        self.document.keys.iter().nth(index)
    }

    fn algorithm(&self, alg: Alg) -> Option<&dyn KeyAlgorithm> {
        self.algorithms.iter().find(|algorithm| algorithm.alg() == alg).copied()
    }
}
