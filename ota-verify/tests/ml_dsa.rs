//! ML-DSA-44 on a host: pinned, alone or beside a classical key, and nowhere else.

#[path = "common/device.rs"]
mod device;

use device::{Key, ed25519};
use ed25519_dalek::ed25519::signature::Signer as _;
use ml_dsa::{Keypair as _, MlDsa44, SignatureEncoding as _, SigningKey};
use ota_manifest::{
    Alg, DecodeError, Digest, Frame, KeyDraft, Kind, Order, Role, Roles, Thresholds, TrustDraft,
};
use ota_verify::sign::{Signer, seal, seal_manifest};
use ota_verify::{
    AdmitError, AlgSet, AuthError, Bootloader, DeviceState, Ed25519, KeyAlgorithm, MlDsa44Key,
    SignatureRefused, Tbs, Trust, TrustError, TrustTerms, TrustedKey, VerifyKey, frame_digest,
};

const HYBRID: TrustTerms = TrustTerms {
    thresholds: Thresholds { release: 2, ..Thresholds::ONE },
    hybrid: Roles::NONE.with(Role::Release),
    ..TrustTerms::FIRST
};

fn lattice(seed: u8) -> SigningKey<MlDsa44> {
    SigningKey::from_seed(&[seed; 32].into())
}

fn pinned(key: &SigningKey<MlDsa44>) -> MlDsa44Key {
    MlDsa44Key::new(key.verifying_key().encode().as_slice().try_into().unwrap())
}

fn released(signers: &[&Key]) -> Vec<u8> {
    let signers: Vec<_> = signers.iter().map(|key| (*key as &dyn Signer, Role::Release)).collect();
    seal_manifest(&device::draft(Order::default()), &signers).unwrap()
}

/// The envelope with signatures of these keys beside its own. Our signing side makes none of this algorithm.
fn signed_again(envelope: &[u8], keys: &[SigningKey<MlDsa44>]) -> Vec<u8> {
    let frame = Frame::parse(envelope).unwrap();
    let mut entries: Vec<_> = frame.signatures().map(|s| (s.key_id, s.alg, s.bytes.to_vec())).collect();
    let tbs = Tbs::new(frame.kind(), Alg::MlDsa44, Role::Release, &frame_digest(&frame));
    entries.extend(
        keys.iter()
            .map(|key| (pinned(key).key_id(), Alg::MlDsa44, key.sign(tbs.as_bytes()).to_bytes().to_vec())),
    );
    entries.sort_by_key(|(key_id, ..)| *key_id);
    let mut bytes = [frame.signed_bytes(), &[u8::try_from(entries.len()).unwrap()]].concat();
    for (key_id, alg, signature) in &entries {
        bytes.push(*alg as u8);
        bytes.extend_from_slice(key_id.as_bytes());
        bytes.extend_from_slice(&u16::try_from(signature.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(signature);
    }
    bytes
}

#[test]
fn signature_is_good_for_its_key_its_role_and_its_bytes_alone() {
    let (signing, other) = (lattice(7), lattice(8));
    let key = pinned(&signing);
    let tbs = |role| Tbs::new(Kind::Manifest, Alg::MlDsa44, role, &Digest::new([0x5A; 32]));
    let good = signing.sign(tbs(Role::Release).as_bytes()).to_bytes();
    assert_eq!(good.len(), MlDsa44Key::SIGNATURE_LEN);
    assert_eq!(key.verify(&tbs(Role::Release), &good), Ok(()));
    assert_eq!(key.verify(&tbs(Role::Approval), &good), Err(SignatureRefused));
    assert_eq!(pinned(&other).verify(&tbs(Role::Release), &good), Err(SignatureRefused));
    for len in 0..good.len() {
        assert_eq!(key.verify(&tbs(Role::Release), &good[..len]), Err(SignatureRefused), "length {len}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(key.verify(&tbs(Role::Release), &longer), Err(SignatureRefused));
    // Nor is one made in a context: ours have none.
    let in_context =
        signing.expanded_key().sign_deterministic(tbs(Role::Release).as_bytes(), b"ota").unwrap();
    assert_eq!(key.verify(&tbs(Role::Release), &in_context.to_bytes()), Err(SignatureRefused));
}

#[test]
fn key_is_named_as_every_other() {
    let key = pinned(&lattice(7));
    let number = [Alg::MlDsa44 as u8];
    let digest = ota_verify::Sha256::of(&[&number, key.as_bytes()]);
    assert_eq!(key.key_id().as_bytes(), &digest.as_bytes()[..8]);
    assert_eq!((key.alg(), number), (Alg::MlDsa44, [4]));
    assert!(format!("{key:?}").len() < 100, "a kilobyte of digits helps nobody");
    assert_eq!(AlgSet::NONE.with(Alg::MlDsa44).bits(), 0b1_0000);
}

#[test]
fn host_that_wants_both_families_gets_them_from_a_classical_key_and_this_one() {
    let (vendor, second, signing) = (ed25519(1), ed25519(2), lattice(7));
    let (a, b, c) = (vendor.public_key(), second.public_key(), pinned(&signing));
    let keys = [&a as &dyn VerifyKey, &b, &c].map(|key| TrustedKey::new(Role::Release, key));
    let trust = Trust::pinned_on(&HYBRID, &keys);
    let verdict = |bytes: &[u8]| trust.authenticate(Frame::parse(bytes).unwrap(), Role::Release).err();

    let classical = released(&[&vendor]);
    let both = signed_again(&classical, &[lattice(7)]);
    assert_eq!(verdict(&both), None);
    assert_eq!(verdict(&classical), Some(AuthError::BelowThreshold { found: 1, needed: 2 }));
    assert_eq!(verdict(&released(&[&vendor, &second])), Some(AuthError::NotHybrid(Role::Release)));
    // A key that is not pinned adds nothing.
    let foreign = signed_again(&classical, &[lattice(8)]);
    assert_eq!(verdict(&foreign), Some(AuthError::BelowThreshold { found: 1, needed: 2 }));
}

#[test]
fn signature_that_this_bootloader_cannot_check_does_not_count_for_its_device() {
    let signing = lattice(7);
    let key = pinned(&signing);
    let keys = [TrustedKey::new(Role::Release, &key)];
    let envelope = signed_again(&released(&[&ed25519(1)]), &[signing]);
    let verdict = |algorithms| {
        let frame = Frame::parse(&envelope).unwrap();
        let authentic = Trust::pinned(&keys).authenticate(frame, Role::Release).unwrap();
        let bootloader = Bootloader { version: 1, algorithms };
        authentic.admit(&DeviceState { bootloader, ..device::state() }).err()
    };
    assert_eq!(verdict(AlgSet::ED25519.with(Alg::P256)), Some(AdmitError::BootloaderAlgorithm));
    assert_eq!(verdict(AlgSet::NONE.with(Alg::MlDsa44)), None);
}

#[test]
fn trust_document_that_lists_such_a_key_is_refused_although_signed() {
    let (root, release) = (ed25519(1), ed25519(2));
    let mut draft = TrustDraft::new(2);
    draft.keys.push(root.public_key().draft(Role::Root)).unwrap();
    draft.keys.push(release.public_key().draft(Role::Release)).unwrap();
    let mut buffer = [0; 256];
    let mut payload = draft.encode(&mut buffer).unwrap().to_vec();
    // The number of the first key's algorithm, before 1 byte of length and 32 of key, and the second key's 35.
    let at = payload.windows(2).rposition(|pair| pair == [1, 32]).unwrap();
    payload[at] = Alg::MlDsa44 as u8;
    let envelope = seal(Kind::Trust, &payload, &[(&root, Role::Root)]).unwrap();

    const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];
    let key = root.public_key();
    let keys = [TrustedKey::new(Role::Root, &key)];
    let verdict = Trust::pinned(&keys).successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).err();
    assert_eq!(verdict, Some(TrustError::Malformed(DecodeError::PinnedOnly(4))));

    draft.keys[1] = KeyDraft::new(Role::Release, Alg::MlDsa44, pinned(&lattice(7)).as_bytes());
    assert!(draft.encode(&mut buffer).unwrap_err().to_string().contains("pinned"));
}
