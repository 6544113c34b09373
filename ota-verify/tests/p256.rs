//! P-256 as release key: what tokens emit is accepted, what nobody signed is not.

use ota_manifest::{Alg, Digest, Kind, Role};
use ota_verify::{AlgSet, P256Key, PublicKey, SignatureRefused, Tbs, VerifyKey};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

fn signing() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).unwrap()
}

fn public(key: &SigningKey) -> [u8; 65] {
    key.verifying_key().to_sec1_point(false).as_bytes().try_into().unwrap()
}

fn tbs(role: Role) -> Tbs {
    Tbs::new(Kind::Manifest, Alg::P256, role, &Digest::new([0x5A; 32]))
}

fn sign(tbs: &Tbs) -> Signature {
    signing().sign_prehash(ota_verify::Sha256::of(&[tbs.as_bytes()]).as_bytes()).unwrap()
}

/// The other value of s that makes the same signature good.
fn high_s(signature: &Signature) -> Signature {
    let (r, s) = signature.split_scalars();
    Signature::from_scalars(r, -*s).unwrap()
}

#[test]
fn both_values_of_s_are_accepted_and_nothing_else_is() {
    let key = P256Key::new(public(&signing()));
    let (tbs, other) = (tbs(Role::Release), tbs(Role::Approval));
    let good = sign(&tbs).normalize_s();
    let high = high_s(&good);
    assert_ne!(good, high);
    assert_eq!(key.verify(&tbs, &good.to_bytes()), Ok(()));
    assert_eq!(key.verify(&tbs, &high.to_bytes()), Ok(()));
    assert_eq!(key.verify(&other, &good.to_bytes()), Err(SignatureRefused), "made in another role");
    for bit in 0..512 {
        let mut bytes = good.to_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.verify(&tbs, &bytes), Err(SignatureRefused), "bit {bit}");
    }
    for wrong in [&[][..], &[0; 64], &[0xFF; 64], &good.to_bytes()[..63], good.to_der().as_bytes()] {
        assert_eq!(key.verify(&tbs, wrong), Err(SignatureRefused));
    }
}

#[test]
fn key_that_is_no_point_or_in_another_form_checks_nothing() {
    let tbs = tbs(Role::Release);
    let good = sign(&tbs).to_bytes();
    let mut off_curve = public(&signing());
    off_curve[64] ^= 1;
    let mut hybrid = public(&signing());
    hybrid[0] = 0x06 | hybrid[64] & 1;
    for key in [[0; 65], off_curve, hybrid] {
        assert_eq!(P256Key::new(key).verify(&tbs, &good), Err(SignatureRefused));
    }
}

#[test]
fn key_known_at_run_time_behaves_as_the_one_in_rom() {
    let rom = P256Key::new(public(&signing()));
    let key = PublicKey::p256(public(&signing()));
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!((VerifyKey::key_id(&key), VerifyKey::alg(&key)), (rom.key_id(), Alg::P256));
    let tbs = tbs(Role::Release);
    assert_eq!(key.verify(&tbs, &sign(&tbs).to_bytes()), Ok(()));
    let ed25519 = PublicKey::ed25519([7; 32]);
    assert_eq!(ed25519.verify(&tbs, &sign(&tbs).to_bytes()), Err(SignatureRefused));
    assert!(AlgSet::P256.contains(Alg::P256) && !AlgSet::P256.contains(Alg::Ed25519));
}

#[test]
fn text_that_is_no_key_is_refused_with_what_a_key_looks_like() {
    let text = PublicKey::p256(public(&signing())).to_string();
    let compressed = format!("02{}", &text[2..66]);
    let signs = "+1".repeat(32);
    for wrong in ["", "04", &text[..128], &compressed, &text.replacen("04", "05", 1), &signs, &"é".repeat(32)]
    {
        let error = wrong.parse::<PublicKey>().unwrap_err();
        assert!(error.to_string().contains("64 hexadecimal digits"), "{wrong}");
    }
}
