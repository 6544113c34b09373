//! What a forger, a broken tool or a torn transfer could send: each refused with a code of its own. None of it allocates:
//! firmware that does all of this is linked without an allocator and without a panic by the `no-alloc` check.

#[path = "common/device.rs"]
mod device;

use std::collections::BTreeMap;

use device::{draft, ed25519, state};
use ota_manifest::{ExtensionDraft, Frame, Kind, ManifestDraft, Order, Role, TrustDraft};
use ota_verify::sign::{Signer, seal, seal_manifest, seal_trust};
use ota_verify::{AuthError, Ed25519, KeyAlgorithm, Trust, TrustError, TrustedKey};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];

/// The log's codes for an envelope: of the step that refused it, and of what that step found if it says so.
fn codes(envelope: &[u8]) -> Option<(u16, u16)> {
    let release = ed25519(1).public_key();
    let root = ed25519(2).public_key();
    let keys = [TrustedKey::new(Role::Release, &release), TrustedKey::new(Role::Root, &root)];
    let trust = Trust::pinned(&keys);
    let frame = match Frame::parse(envelope) {
        Ok(frame) => frame,
        Err(error) => return Some((0x0102, error.code())),
    };
    if frame.kind() == Kind::Trust {
        return trust.successor(frame, ALGORITHMS).err().map(|error| match error {
            TrustError::Malformed(found) => (error.code(), found.code()),
            _ => (error.code(), 0),
        });
    }
    match trust.authenticate(frame, Role::Release) {
        Ok(authentic) => authentic.admit(&state()).err().map(|error| (error.code(), 0)),
        Err(error @ AuthError::Manifest(found)) => Some((error.code(), found.code())),
        Err(error) => Some((error.code(), 0)),
    }
}

fn sealed(change: impl FnOnce(&mut ManifestDraft)) -> Vec<u8> {
    let mut draft = draft(Order::default());
    change(&mut draft);
    seal_manifest(&draft, &[(&ed25519(1), Role::Release)]).unwrap()
}

/// Signs a payload as it is, whatever it says.
fn signed(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let (seed, role) = if kind == Kind::Trust { (2, Role::Root) } else { (1, Role::Release) };
    seal(kind, payload, &[(&ed25519(seed), role)]).unwrap()
}

fn payload(envelope: &[u8]) -> Vec<u8> {
    Frame::parse(envelope).unwrap().payload_unauthenticated().to_vec()
}

/// Replaces `len` bytes of `bytes` from `at` on.
fn spliced(bytes: &[u8], at: usize, len: usize, by: &[u8]) -> Vec<u8> {
    [&bytes[..at], by, &bytes[at + len..]].concat()
}

#[test]
fn every_class_of_malformed_input_has_a_code_of_its_own() {
    let good = sealed(|_| ());
    let manifest = payload(&good);
    let count = 8 + manifest.len();
    let entry = &good[count + 1..];
    let key = |bytes: u8, role| ota_manifest::KeyDraft::new(role, ota_manifest::Alg::Ed25519, &[bytes; 32]);
    let mut document = TrustDraft::new(2);
    document.keys.push(ed25519(2).public_key().draft(Role::Root)).unwrap();
    document.keys.push(key(9, Role::Release)).unwrap();
    let trust = seal_trust(&document, &[&ed25519(2)]).unwrap();
    let threshold_0 = spliced(&payload(&trust), 5, 1, &[0]);
    let critical = ExtensionDraft { id: 77, critical: true, bytes: [1].into_iter().collect() };
    assert_eq!((codes(&good), codes(&trust)), (None, None), "the control");

    let attacks: [(&str, Vec<u8>, (u16, u16)); 14] = [
        ("zero signatures", spliced(&good, count, 1 + entry.len(), &[0]), (0x0102, 0x0905)),
        ("empty signature", spliced(&good, count + 10, 66, &[0, 0]), (0x0102, 0x0907)),
        ("duplicate key id", spliced(&[&good, entry].concat(), count, 1, &[2]), (0x0102, 0x0909)),
        ("unknown algorithm", spliced(&good, count + 1, 1, &[0xFE]), (0x0102, 0x0908)),
        ("nine signatures", spliced(&good, count, 1, &[9]), (0x0102, 0x0906)),
        ("a byte behind the envelope", [&good[..], &[0]].concat(), (0x0102, 0x090A)),
        ("oversized signature length", spliced(&good, count + 10, 2, &[0xFF, 0xFF]), (0x0102, 0x0901)),
        ("threshold 0", signed(Kind::Trust, &threshold_0), (0x0703, 0x0A08)),
        ("unknown critical extension", sealed(|d| d.extensions.push(critical.clone()).unwrap()), (0x030F, 0)),
        (
            "trailing byte in the manifest",
            signed(Kind::Manifest, &[&manifest[..], &[0]].concat()),
            (0x0205, 0x0A0C),
        ),
        (
            "non-canonical varint",
            signed(Kind::Manifest, &spliced(&manifest, 0, 1, &[0x80, 0])),
            (0x0205, 0x0A02),
        ),
        (
            "oversized list length",
            signed(Kind::Manifest, &spliced(&manifest, 19, 1, &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F])),
            (0x0205, 0x0A05),
        ),
        ("second component", sealed(|d| d.images[0].component = 1), (0x030A, 0)),
        ("signature that does not verify", spliced(&good, good.len() - 1, 1, &[0]), (0x0203, 0)),
    ];
    let mut seen = BTreeMap::new();
    for (attack, envelope, expected) in &attacks {
        assert_eq!(codes(envelope), Some(*expected), "{attack}");
        assert_eq!(seen.insert(expected, attack), None, "{attack} and another look the same in a log");
    }
}

#[test]
fn second_image_of_another_component_is_refused_beside_one_that_fits() {
    // At an address of its own, or at the very same: addresses of two components do not compare.
    for address in [0x9000, 0x8000] {
        let mut two = draft(Order::default());
        let mut other = two.images[0].clone();
        (other.component, other.link_address) = (1, address);
        two.images.push(other).unwrap();
        let envelope = seal_manifest(&two, &[(&ed25519(1), Role::Release)]).unwrap();
        assert_eq!(codes(&envelope), Some((0x030A, 0)));
    }
}
