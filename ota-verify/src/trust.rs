//! Who may sign what.

use ota_manifest::{Alg, Digest, Frame, Kind, Manifest, ManifestId, Role};

use crate::key::AlgSet;
use crate::{AuthError, Hardened, Sha256, SignatureRefused, Tbs, VerifyKey, frame_digest, manifest_id};

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

impl core::fmt::Debug for TrustedKey<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TrustedKey").field("role", &self.role).field("key_id", &self.key.key_id()).finish()
    }
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
/// assert_eq!(TRUST.threshold(Role::Release), 1);
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Trust<'k> {
    keys: &'k [TrustedKey<'k>],
}

impl<'k> Trust<'k> {
    /// Keys fixed at build time; one good signature of the role is enough.
    #[must_use]
    pub const fn pinned(keys: &'k [TrustedKey<'k>]) -> Self {
        Self { keys }
    }

    /// Distinct keys that must sign in `role`.
    #[must_use]
    pub const fn threshold(&self, _role: Role) -> u8 {
        1
    }

    /// SHA-256 over role, algorithm and key id of each key in turn: what a boot descriptor says about its trust.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        for trusted in self.keys {
            hash.update(&[trusted.role as u8, trusted.key.alg() as u8]);
            hash.update(trusted.key.key_id().as_bytes());
        }
        hash.finish()
    }

    /// Checks the signatures of `frame` in `role` and, only then, reads the manifest inside.
    ///
    /// Work is bounded: at most eight signatures are looked at, and only those whose key id is known are computed.
    ///
    /// # Errors
    /// [`AuthError`]; tell a peer no more than "not authentic".
    pub fn authenticate<'a>(&self, frame: Frame<'a>, role: Role) -> Result<Authentic<'a>, AuthError> {
        if frame.kind() != Kind::Manifest {
            return Err(AuthError::WrongKind(frame.kind()));
        }
        if role != Role::Release {
            // An approval alone must never become a proof of a release.
            return Err(AuthError::WrongRole(role));
        }
        let algorithms = self.count_signatures(&frame, role)?;
        let manifest =
            Manifest::decode_unauthenticated(frame.payload_unauthenticated()).map_err(AuthError::Manifest)?;
        Ok(Authentic { manifest, id: manifest_id(&frame), algorithms })
    }

    fn count_signatures(&self, frame: &Frame<'_>, role: Role) -> Result<AlgSet, AuthError> {
        let content = frame_digest(frame);
        let (mut known, mut found, mut algorithms) = (0u8, 0u8, AlgSet::NONE);
        for entry in frame.signatures() {
            // Key ids are strictly ascending in a frame, so no key is counted twice.
            let Some(key) = self.resolve(role, entry.alg, entry.key_id) else { continue };
            known += 1;
            let tbs = Tbs::new(frame.kind(), entry.alg, role, &content);
            let verdict: Result<(), SignatureRefused> = key.verify(&tbs, entry.bytes);
            if Hardened::of(verdict.is_ok()).passed() {
                found += 1;
                algorithms = algorithms.with(entry.alg);
            }
        }
        let needed = self.threshold(role);
        match (known, found) {
            (0, _) => Err(AuthError::UnknownKey),
            (_, 0) => Err(AuthError::BadSignature),
            (_, found) if found < needed => Err(AuthError::BelowThreshold { found, needed }),
            _ => Ok(algorithms),
        }
    }

    fn resolve(&self, role: Role, alg: Alg, id: ota_manifest::KeyId) -> Option<&'k dyn VerifyKey> {
        self.keys
            .iter()
            .find(|trusted| trusted.role == role && trusted.key.alg() == alg && trusted.key.key_id() == id)
            .map(|trusted| trusted.key)
    }
}

/// A manifest signed by keys this device trusts. Whether it is *for* this device is the next question.
///
/// ```compile_fail
/// fn forge<'a>(manifest: ota_manifest::Manifest<'a>) -> ota_verify::Authentic<'a> {
///     ota_verify::Authentic { manifest } // private fields
/// }
/// ```
#[derive(Debug)]
pub struct Authentic<'a> {
    manifest: Manifest<'a>,
    id: ManifestId,
    algorithms: AlgSet,
}

impl<'a> Authentic<'a> {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> ManifestId {
        self.id
    }

    /// Algorithms of the signatures that counted.
    #[must_use]
    pub fn algorithms(&self) -> AlgSet {
        self.algorithms
    }

    pub(crate) fn into_parts(self) -> (Manifest<'a>, ManifestId) {
        (self.manifest, self.id)
    }
}
