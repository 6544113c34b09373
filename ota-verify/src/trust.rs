//! Who may sign what.

use core::fmt;

use ota_manifest::{
    Alg, Digest, DocumentKey, Frame, KeyId, Kind, Manifest, Order, Role, Roles, SignatureEntry, Thresholds,
};

use crate::document::KeySource;
use crate::key::key_id;
use crate::tally::{Quorum, Shortfall, Tally};
use crate::{
    AlgSet, AuthError, Authentic, AuthenticTrust, Hardened, Sha256, SignatureRefused, Tbs, VerifyKey,
    frame_digest, manifest_id,
};

/// A key and the one role it serves.
pub struct TrustedKey<'k> {
    role: Role,
    key: &'k dyn VerifyKey,
}

impl<'k> TrustedKey<'k> {
    /// Lets `key` sign in `role`, and in no other.
    #[must_use]
    pub const fn new(role: Role, key: &'k dyn VerifyKey) -> Self {
        Self { role, key }
    }
}

impl fmt::Debug for TrustedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedKey").field("role", &self.role).field("key_id", &self.key.key_id()).finish()
    }
}

/// What a trust demands, beside its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustTerms {
    /// Its place in the chain of trust documents, from 1.
    pub version: u32,
    /// Manifests of a higher epoch are refused. Only a trust document opens the next, so that a stolen release key cannot
    /// use up the orders there are.
    pub epoch: u16,
    /// Manifests of a lower order are refused.
    pub min_order: Order,
    /// Distinct keys that must sign in each role; 0 counts as 1. A role without keys has no say: nobody approves, or
    /// nothing can follow.
    pub thresholds: Thresholds,
    /// Roles in which a classical and a post-quantum signature must be among those that count.
    pub hybrid: Roles,
}

impl TrustTerms {
    /// The beginning of a chain: version 1, epoch 0 from its first sequence on, one signature.
    pub const FIRST: Self = Self {
        version: 1,
        epoch: 0,
        min_order: Order { epoch: 0, sequence: 0 },
        thresholds: Thresholds::ONE,
        hybrid: Roles::NONE,
    };

    fn hash(&self, hash: &mut Sha256) {
        hash.update(&self.version.to_le_bytes());
        hash.update(&self.epoch.to_le_bytes());
        hash.update(&self.min_order.epoch.to_le_bytes());
        hash.update(&self.min_order.sequence.to_le_bytes());
        for role in Role::ALL {
            hash.update(&[self.thresholds.of(role), u8::from(self.hybrid.contains(role))]);
        }
    }
}

/// The orders a trust accepts: from the lowest to the end of the last open epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenOrders {
    pub(crate) min: Order,
    pub(crate) epoch: u16,
}

/// The keys a device believes.
///
/// ```
/// use ota_manifest::Role;
/// use ota_verify::{Trust, TrustedKey};
/// # #[cfg(feature = "ed25519")] {
/// use ota_verify::Ed25519Key;
/// static RELEASE: Ed25519Key = Ed25519Key::new([7; 32]); // in ROM
/// static KEYS: [TrustedKey<'static>; 1] = [TrustedKey::new(Role::Release, &RELEASE)];
/// const TRUST: Trust<'static> = Trust::pinned(&KEYS);
/// assert_eq!((TRUST.version(), TRUST.threshold(Role::Release)), (1, 1));
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Trust<'k> {
    keys: Keys<'k>,
    terms: &'k TrustTerms,
}

/// Where the keys are. The second case is reached through a table of functions that only [`Trust::documented`] and
/// `successor` name: firmware whose keys are pinned for good does not link the reader of documents.
#[derive(Clone, Copy)]
enum Keys<'k> {
    Pinned(&'k [TrustedKey<'k>]),
    Document(&'k dyn KeySource),
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(keys) => f.debug_tuple("Pinned").field(keys).finish(),
            Self::Document(_) => f.write_str("Document"),
        }
    }
}

impl<'k> Trust<'k> {
    /// Keys fixed at build time, version 1; one good signature of the role is enough.
    #[must_use]
    pub const fn pinned(keys: &'k [TrustedKey<'k>]) -> Self {
        Self::pinned_on(&TrustTerms::FIRST, keys)
    }

    /// Keys fixed at build time on other terms: a bootloader that is built when the chain has gone on, or one that asks
    /// for two signatures from the start. A threshold of 0 counts as 1.
    ///
    /// ```
    /// use ota_manifest::{Role, Thresholds};
    /// use ota_verify::{Trust, TrustTerms};
    /// let thresholds = Thresholds { root: 2, ..Thresholds::ONE };
    /// let terms = TrustTerms { version: 4, thresholds, ..TrustTerms::FIRST };
    /// let trust = Trust::pinned_on(&terms, &[]);
    /// assert_eq!((trust.version(), trust.threshold(Role::Root)), (4, 2));
    /// ```
    #[must_use]
    pub const fn pinned_on(terms: &'k TrustTerms, keys: &'k [TrustedKey<'k>]) -> Self {
        Self { keys: Keys::Pinned(keys), terms }
    }

    /// The keys of a document, on its terms. Signatures are checked by the algorithms the document was accepted with; a
    /// key of another algorithm is as good as unknown.
    #[must_use]
    pub fn documented(adopted: &'k AuthenticTrust<'k>) -> Self {
        Self { keys: Keys::Document(adopted), terms: adopted.terms() }
    }

    /// Whether its keys were fixed at build time.
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        matches!(self.keys, Keys::Pinned(_))
    }

    /// Its place in the chain of trust documents; what is pinned is version 1 unless it says otherwise.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.terms.version
    }

    /// Manifests of a higher epoch are refused.
    #[must_use]
    pub const fn epoch(&self) -> u16 {
        self.terms.epoch
    }

    /// Manifests of a lower order are refused.
    #[must_use]
    pub const fn min_order(&self) -> Order {
        self.terms.min_order
    }

    /// Distinct keys that must sign in `role`; 0 if a document gives the role no keys, so that nobody can.
    #[must_use]
    pub const fn threshold(&self, role: Role) -> u8 {
        self.terms.thresholds.of(role)
    }

    /// SHA-256 over the terms, then over role, algorithm and key id of each key in turn: what a boot descriptor says about its
    /// trust. The terms as well: an application content with one signature would install what a bootloader that wants two
    /// refuses.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        self.terms.hash(&mut hash);
        let mut take = |role: Role, alg: Alg, id: KeyId| {
            hash.update(&[role as u8, alg as u8]);
            hash.update(id.as_bytes());
        };
        match self.keys {
            Keys::Pinned(keys) => {
                keys.iter().for_each(|trusted| take(trusted.role, trusted.key.alg(), trusted.key.key_id()));
            }
            Keys::Document(source) => (0..)
                .map_while(|index| source.key(index))
                .for_each(|key| take(key.role, key.alg, key_id(key.alg, key.bytes))),
        }
        hash.finish()
    }

    /// Checks the signatures of `frame` in `role`, which is [`Role::Release`], and, only then, reads the manifest inside.
    ///
    /// Where this trust has approval keys, they must have signed as well, to their threshold. Work is bounded: at most eight
    /// signatures are looked at, and only those whose key id is known are computed.
    ///
    /// # Errors
    /// [`AuthError`]; tell a peer no more than "not authentic".
    // Of its own frame: a bootloader has the reader's stack back before it holds against the device what was read.
    #[inline(never)]
    pub fn authenticate<'a>(&self, frame: Frame<'a>, role: Role) -> Result<Authentic<'a>, AuthError> {
        if frame.kind() != Kind::Manifest {
            return Err(AuthError::WrongKind(frame.kind()));
        }
        if role != Role::Release {
            // An approval alone must never become a proof of a release.
            return Err(AuthError::WrongRole(role));
        }
        let release = self.signed(&frame, role)?;
        let approval = self.approved(&frame)?;
        let manifest =
            Manifest::decode_unauthenticated(frame.payload_unauthenticated()).map_err(AuthError::Manifest)?;
        let open = OpenOrders { min: self.min_order(), epoch: self.epoch() };
        Ok(Authentic { manifest, id: manifest_id(&frame), release, approval, open })
    }

    /// The signatures in `role`, if they are enough.
    pub(crate) fn signed(&self, frame: &Frame<'_>, role: Role) -> Result<Quorum, AuthError> {
        let quorum = self.quorum(frame, role);
        let Err(shortfall) = quorum.check(AlgSet::ALL) else { return Ok(quorum) };
        Err(match shortfall {
            _ if quorum.tally.known() == 0 => AuthError::UnknownKey,
            Shortfall::Count { found: 0, .. } => AuthError::BadSignature,
            Shortfall::Count { found, needed } => AuthError::BelowThreshold { found, needed },
            Shortfall::Family => AuthError::NotHybrid(role),
        })
    }

    /// The operators' signatures, if there are operators.
    fn approved(&self, frame: &Frame<'_>) -> Result<Option<Quorum>, AuthError> {
        let role = Role::Approval;
        if !self.has_keys(role) {
            return Ok(None);
        }
        let quorum = self.quorum(frame, role);
        match quorum.check(AlgSet::ALL) {
            Ok(()) => Ok(Some(quorum)),
            Err(Shortfall::Count { found, needed }) => Err(AuthError::NotApproved { found, needed }),
            Err(Shortfall::Family) => Err(AuthError::NotHybrid(role)),
        }
    }

    /// Counts the distinct keys of `role` whose signature is good.
    pub(crate) fn quorum(&self, frame: &Frame<'_>, role: Role) -> Quorum {
        let content = frame_digest(frame);
        let mut tally = Tally::NONE;
        for entry in frame.signatures() {
            // Key ids are strictly ascending in a frame, so no key is counted twice.
            let tbs = Tbs::new(frame.kind(), entry.alg, role, &content);
            let Some(verdict) = self.verify(role, &entry, &tbs) else { continue };
            tally.add(entry.alg, Hardened::of(verdict.is_ok()).passed());
        }
        let hybrid = self.terms.hybrid.contains(role);
        // A pinned threshold of 0 must not let anything unsigned in.
        Quorum { tally, needed: self.threshold(role).max(1), hybrid }
    }

    /// The verdict of the key that `entry` names; `None` if this trust has no such key in `role`.
    fn verify(
        &self,
        role: Role,
        entry: &SignatureEntry<'_>,
        tbs: &Tbs,
    ) -> Option<Result<(), SignatureRefused>> {
        let keys = match self.keys {
            Keys::Pinned(keys) => keys,
            Keys::Document(source) => {
                let named = |key: &DocumentKey<'_>| {
                    key.role == role && key.alg == entry.alg && key_id(key.alg, key.bytes) == entry.key_id
                };
                let key = (0..).map_while(|index| source.key(index)).find(named)?;
                return Some(source.algorithm(key.alg)?.verify(key.bytes, tbs, entry.bytes));
            }
        };
        let named = |trusted: &&TrustedKey<'_>| {
            trusted.role == role && trusted.key.alg() == entry.alg && trusted.key.key_id() == entry.key_id
        };
        keys.iter().find(named).map(|trusted| trusted.key.verify(tbs, entry.bytes))
    }

    /// Whether anybody could sign in `role`.
    #[must_use]
    pub fn has_keys(&self, role: Role) -> bool {
        match self.keys {
            Keys::Pinned(keys) => keys.iter().any(|trusted| trusted.role == role),
            // The reader refuses documents with keys and no threshold, and the other way round.
            Keys::Document(_) => self.threshold(role) > 0,
        }
    }
}
