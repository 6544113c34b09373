//! The chain of trust documents: what may follow what, and what this server can do under it.

use alloc::vec::Vec;

use ota_manifest::{Frame, FrameError, Role, TrustDocument};
use ota_verify::{
    AuthenticTrust, Ed25519, KeyAlgorithm, Lms, P256, PublicKey, Trust, TrustError, TrustTerms, TrustedKey,
};
use thiserror::Error;

use crate::trust::{TrustRow, lists};

/// What signatures in documents are checked by.
const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519, &P256, &Lms];

/// The trust that devices were made with, as far as the document after it is held against it.
///
/// ```
/// use ota_server_core::PinnedTrust;
/// use ota_verify::PublicKey;
/// let pinned = PinnedTrust::roots(vec![PublicKey::ed25519([7; 32]), PublicKey::ed25519([8; 32])], 2);
/// assert_eq!((pinned.terms.version, pinned.terms.thresholds.root), (1, 2));
/// assert!(PinnedTrust::default().roots.is_empty(), "nobody: no document is taken");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedTrust {
    /// Version, epochs, lowest order, and how many roots must sign.
    pub terms: TrustTerms,
    /// The root keys.
    pub roots: Vec<PublicKey>,
}

impl PinnedTrust {
    /// Version 1 with these root keys, of which `threshold` must sign.
    #[must_use]
    pub fn roots(roots: Vec<PublicKey>, threshold: u8) -> Self {
        let mut terms = TrustTerms::FIRST;
        terms.thresholds.root = threshold;
        Self { terms, roots }
    }
}

impl Default for PinnedTrust {
    /// Version 1 without roots: nothing can follow it.
    fn default() -> Self {
        Self::roots(Vec::new(), 1)
    }
}

/// Proves, as a device would, that `envelope` takes the place of the newest document, or of the pinned trust if there is none;
/// and that devices take what `key` releases under it. Returns its version.
pub(super) fn successor(
    newest: Option<&TrustRow>,
    pinned: &PinnedTrust,
    envelope: &[u8],
    key: &PublicKey,
) -> Result<u32, TrustRefused> {
    let follows = |trust: &Trust<'_>| {
        let adopted = trust.successor(Frame::parse(envelope)?, ALGORITHMS)?;
        releases_alone(adopted.document(), key)?;
        Ok(adopted.version())
    };
    match newest {
        Some(newest) => follows(&Trust::documented(&adopted(newest)?)),
        None if pinned.roots.is_empty() => Err(TrustRefused::NoRoots),
        None => {
            let keys: Vec<_> = pinned.roots.iter().map(|key| TrustedKey::new(Role::Root, key)).collect();
            follows(&Trust::pinned_on(&pinned.terms, &keys))
        }
    }
}

/// Whether devices under `document` take what `key` alone has signed as a release.
///
/// # Errors
/// [`TrustRefused::SignerLeftOut`] or [`TrustRefused::NotAlone`].
pub(super) fn releases_alone(document: &TrustDocument<'_>, key: &PublicKey) -> Result<(), TrustRefused> {
    if !lists(document, Role::Release, key) {
        return Err(TrustRefused::SignerLeftOut { version: document.version, key: *key });
    }
    let one = document.thresholds.release == 1 && !document.hybrid.contains(Role::Release);
    if one && document.thresholds.approval == 0 {
        Ok(())
    } else {
        Err(TrustRefused::NotAlone(document.version))
    }
}

/// Whether devices under `document` believe freshness replies that all of `keys` have signed.
pub(super) fn answers(document: &TrustDocument<'_>, keys: &[PublicKey]) -> bool {
    let ours: Vec<_> = keys.iter().filter(|key| lists(document, Role::Freshness, key)).collect();
    let post_quantum = ours.iter().filter(|key| key.alg().is_post_quantum()).count();
    let of_both = (1..ours.len()).contains(&post_quantum);
    let needed = usize::from(document.thresholds.freshness).max(1);
    ours.len() >= needed && (of_both || !document.hybrid.contains(Role::Freshness))
}

/// A document as a device has it that has adopted it.
pub(super) fn adopted(row: &TrustRow) -> Result<AuthenticTrust<'_>, TrustRefused> {
    let before = TrustTerms { version: row.version.saturating_sub(1), ..TrustTerms::FIRST };
    let frame = Frame::parse(&row.envelope)?;
    // Not from flash, and as good: nothing gets into the store but what `successor` has accepted.
    Ok(AuthenticTrust::from_guard_unchained(frame, &Trust::pinned_on(&before, &[]), ALGORITHMS)?)
}

/// Why a trust document was not taken into the chain. Nothing of it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrustRefused {
    /// The bytes are no envelope.
    #[error("not an envelope: {0}")]
    NotAnEnvelope(#[from] FrameError),
    /// The server does not know which roots its devices were made with.
    #[error("this server does not know the root keys its devices were made with, so nothing can follow them")]
    NoRoots,
    /// A device would not adopt it.
    #[error("a device would refuse the document: {0}")]
    NotAdopted(#[from] TrustError),
    /// There is another document of this version, and devices may have it already.
    #[error("version {0} is there already, with other bytes")]
    Contradicts(u32),
    /// Devices that adopted it would take nothing that this server signs.
    #[error("version {version} does not list {key} as a release key, and this server signs releases with it")]
    SignerLeftOut {
        /// Version of the document.
        version: u32,
        /// The server's release key.
        key: PublicKey,
    },
    /// Devices that adopted it would ask for more than this server's one signature.
    #[error("under version {0} a release needs more signatures than the one that this server makes")]
    NotAlone(u32),
}
