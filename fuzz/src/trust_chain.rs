//! Arbitrary documents, signed by roots that the input picks: the chain goes on exactly where the rules of `docs/wire.md` say.
//!
//! ```text
//! input:      document ...
//! document:   signers u8, a bit for each of eight roots | length u16, little endian | payload
//! ```

use ota_manifest::{
    Alg, ExtensionDraft, Frame, KeyDraft, Kind, MAX_TRUST_ENVELOPE, Order, Role, TrustDocument, TrustDraft,
};
use ota_verify::sign::{Signer, seal};
use ota_verify::{AuthenticTrust, Ed25519, KeyAlgorithm, PublicKey, Trust, TrustedKey};

use crate::keys::Key;
use crate::{Target, oracle};

/// The target.
pub const TARGET: Target = Target { name: "trust_chain", run, seeds };

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];
/// More would only be more of the same.
const MOST_DOCUMENTS: usize = 8;

/// The trust in force, as the reference has it.
struct InForce {
    version: u32,
    epoch: u16,
    min_order: Order,
    roots: Vec<Vec<u8>>,
    threshold: usize,
    hybrid: bool,
}

fn run(input: &[u8]) {
    let envelopes = envelopes(input);
    let pinned = Key::seeded(0).public_key();
    let keys = [TrustedKey::new(Role::Root, &pinned)];
    let first = Trust::pinned(&keys);
    let mut reference = InForce {
        version: 1,
        epoch: 0,
        min_order: Order::default(),
        roots: vec![pinned.as_bytes().to_vec()],
        threshold: 1,
        hybrid: false,
    };
    let mut adopted: Option<AuthenticTrust<'_>> = None;
    for (signers, envelope) in &envelopes {
        let frame = Frame::parse(envelope).expect("an envelope");
        let next = reference.next(envelope.len(), signers, frame.payload_unauthenticated());
        let successor = match &adopted {
            None => first.successor(frame, ALGORITHMS),
            Some(document) => Trust::documented(document).successor(frame, ALGORITHMS),
        };
        assert_eq!(successor.is_ok(), next.is_some(), "{:?}", successor.err());
        if let (Ok(successor), Some(next)) = (successor, next) {
            assert_eq!((successor.version(), successor.encoded_len()), (next.version, envelope.len()));
            (adopted, reference) = (Some(successor), next);
        }
    }
}

impl InForce {
    /// What is in force if a payload that these keys have signed follows.
    fn next(&self, len: usize, signers: &[PublicKey], payload: &[u8]) -> Option<Self> {
        if !oracle::check_trust(payload) {
            return None;
        }
        let document = TrustDocument::decode_unauthenticated(payload).ok()?;
        let roots = document.keys.iter().filter(|key| key.role == Role::Root && key.alg == Alg::Ed25519);
        let next = Self {
            version: document.version,
            epoch: document.epoch,
            min_order: document.min_order,
            roots: roots.map(|key| key.bytes.to_vec()).collect(),
            threshold: document.thresholds.root.into(),
            hybrid: document.hybrid.contains(Role::Root),
        };
        let follows = self.version.checked_add(1) == Some(next.version)
            && next.epoch >= self.epoch
            && next.min_order >= self.min_order
            && document.extensions.iter().all(|extension| !extension.critical)
            && len <= MAX_TRUST_ENVELOPE;
        (follows && self.is_signed_by(signers) && next.is_signed_by(signers)).then_some(next)
    }

    /// All signers here are classical, so a hybrid role is never satisfied.
    fn is_signed_by(&self, signers: &[PublicKey]) -> bool {
        let counts = |key: &&PublicKey| self.roots.iter().any(|root| root == key.as_bytes());
        !self.hybrid && signers.iter().filter(counts).count() >= self.threshold
    }
}

/// The documents of an input as envelopes, each with the keys that signed it.
fn envelopes(mut input: &[u8]) -> Vec<(Vec<PublicKey>, Vec<u8>)> {
    let mut envelopes = Vec::new();
    while let [mask, low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, next) = rest.split_at(len);
        input = next;
        let roots: Vec<Key> = (0..8).filter(|bit| mask >> bit & 1 == 1).map(Key::seeded).collect();
        let signers: Vec<_> = roots.iter().map(|root| (root as &dyn Signer, Role::Root)).collect();
        // Nothing is sealed without a signer, or longer than devices accept.
        if let Ok(envelope) = seal(Kind::Trust, payload, &signers) {
            envelopes.push((roots.iter().map(Signer::public_key).collect(), envelope));
        }
        if envelopes.len() == MOST_DOCUMENTS {
            break;
        }
    }
    envelopes
}

/// One document of an input.
fn document(version: u32, mask: u8, roots: &[u8], change: impl FnOnce(&mut TrustDraft)) -> Vec<u8> {
    let mut draft = TrustDraft::new(version);
    for seed in roots {
        draft.keys.push(Key::seeded(*seed).public_key().draft(Role::Root)).expect("room for eight");
    }
    draft.keys.push(KeyDraft::new(Role::Release, Alg::Ed25519, &[0x99; 32])).expect("room for eight");
    change(&mut draft);
    let mut buffer = [0; MAX_TRUST_ENVELOPE];
    let payload = draft.encode(&mut buffer).expect("a document");
    let len = u16::try_from(payload.len()).expect("a short one").to_le_bytes();
    [&[mask, len[0], len[1]][..], payload].concat()
}

fn seeds() -> Vec<Vec<u8>> {
    let epoch = |epoch, sequence| {
        move |draft: &mut TrustDraft| {
            (draft.epoch, draft.min_order) = (epoch, Order { epoch, sequence });
        }
    };
    let two = |draft: &mut TrustDraft| draft.thresholds.root = 2;
    let extended = |draft: &mut TrustDraft| {
        let bytes = [1].into_iter().collect();
        draft.extensions.push(ExtensionDraft { id: 9, critical: false, bytes }).expect("room for four");
    };
    let rotating = [
        document(2, 0b0001, &[0], |_| ()),
        document(3, 0b0011, &[0, 1], two),
        document(4, 0b0111, &[1, 2], two),
        document(5, 0b0110, &[2], extended),
    ];
    let opening = [
        document(2, 0b0001, &[0], epoch(1, 0)),
        document(3, 0b0001, &[0], epoch(1, 5)),
        document(4, 0b0001, &[0], epoch(2, 0)),
    ];
    let gap = [document(2, 1, &[0], |_| ()), document(4, 1, &[0], |_| ())];
    let short = [document(2, 0b0011, &[1], |_| ()), document(3, 0b0001, &[1], |_| ())];
    vec![rotating.concat(), opening.concat(), gap.concat(), short.concat()]
}
