//! The keys of the rig, and a memory for their verdicts: a sweep checks the same few signatures a million times.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::Result;
use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use ota_manifest::{Alg, KeyDraft, KeyId, Role, TrustDraft};
use ota_verify::sign::{Signature, Signer, SignerError, seal_trust};
use ota_verify::{
    Ed25519, Ed25519Key, KeyAlgorithm, PublicKey, SignatureRefused, Tbs, Trust, TrustedKey, VerifyKey,
};

/// Refusals remembered at most.
const REMEMBERED: usize = 10_000;

static PINNED: LazyLock<[PinnedKey; 2]> =
    LazyLock::new(|| [LabKey::Release, LabKey::Root].map(PinnedKey::of));
static KEYS: LazyLock<[TrustedKey<'static>; 2]> = LazyLock::new(|| {
    let [release, root] = &*PINNED;
    [TrustedKey::new(Role::Release, release), TrustedKey::new(Role::Root, root)]
});

/// The algorithms that documents may name keys of.
pub static ALGORITHMS: [&dyn KeyAlgorithm; 1] = [&Remembering];

/// What the devices of the rig believe before they have adopted anything.
#[must_use]
pub fn trust() -> Trust<'static> {
    Trust::pinned(&*KEYS)
}

/// The second trust document: one more release key.
///
/// # Errors
/// When it cannot be signed.
pub fn next_trust() -> Result<Vec<u8>> {
    let mut draft = TrustDraft::new(2);
    let roles = [(LabKey::Root, Role::Root), (LabKey::Release, Role::Release), (LabKey::Next, Role::Release)];
    for (key, role) in roles {
        let public = key.signing().verifying_key().to_bytes();
        let listed = draft.keys.push(KeyDraft::new(role, Alg::Ed25519, &public));
        anyhow::ensure!(listed.is_ok(), "room for three keys");
    }
    Ok(seal_trust(&draft, &[&LabKey::Root])?)
}

/// A private key. For tests: it is public knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabKey {
    /// The release key that is pinned.
    Release,
    /// The root key.
    Root,
    /// The release key that the second trust document brings.
    Next,
}

impl LabKey {
    fn signing(self) -> SigningKey {
        SigningKey::from_bytes(&[0x1A + self as u8; 32])
    }
}

impl Signer for LabKey {
    fn public_key(&self) -> PublicKey {
        PublicKey::ed25519(self.signing().verifying_key().to_bytes())
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        Signature::new(&self.signing().sign(tbs.as_bytes()).to_bytes())
    }
}

/// Key, what was signed, and the signature.
type Question = (Vec<u8>, Vec<u8>, Vec<u8>);

static VERDICTS: LazyLock<Mutex<HashMap<Question, bool>>> = LazyLock::new(Mutex::default);

/// Ed25519 that computes each verdict once.
struct Remembering;

impl KeyAlgorithm for Remembering {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn verify(&self, key: &[u8], tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        let question = (key.to_vec(), tbs.as_bytes().to_vec(), signature.to_vec());
        let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = verdicts.get(&question).copied();
        let good = known.unwrap_or_else(|| Ed25519.verify(key, tbs, signature).is_ok());
        // Torn envelopes come in any number and are not worth remembering.
        if known.is_none() && (good || verdicts.len() < REMEMBERED) {
            verdicts.insert(question, good);
        }
        if good { Ok(()) } else { Err(SignatureRefused) }
    }
}

struct PinnedKey {
    public: [u8; 32],
    id: KeyId,
}

impl PinnedKey {
    fn of(key: LabKey) -> Self {
        let public = key.signing().verifying_key().to_bytes();
        Self { public, id: Ed25519Key::new(public).key_id() }
    }
}

impl VerifyKey for PinnedKey {
    fn alg(&self) -> Alg {
        Alg::Ed25519
    }

    fn key_id(&self) -> KeyId {
        self.id
    }

    fn verify(&self, tbs: &Tbs, signature: &[u8]) -> Result<(), SignatureRefused> {
        Remembering.verify(&self.public, tbs, signature)
    }
}
