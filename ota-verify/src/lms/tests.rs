//! The test cases of RFC 8554, whose messages are longer than what keys of this family sign.

extern crate std;

use std::vec::Vec;

use super::*;

#[path = "../../tests/common/vectors.rs"]
mod vectors;

struct Case {
    key: [u8; 60],
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// Appendix F: both have two levels.
fn appendix_f() -> [Case; 2] {
    let words = vectors::read(include_str!("../../tests/vectors/lms-rfc8554.txt"));
    let case = |words: &[(&str, Vec<u8>)]| {
        assert_eq!(words.iter().map(|(word, _)| *word).collect::<Vec<_>>(), ["key", "message", "signature"]);
        let [key, message, signature] = [0, 1, 2].map(|i: usize| words[i].1.clone());
        Case { key: key.try_into().unwrap(), message, signature }
    };
    [case(&words[..3]), case(&words[3..])]
}

#[test]
fn test_cases_of_rfc_8554_are_accepted() {
    for case in appendix_f() {
        assert_eq!(verify_message(&case.key, &case.message, &case.signature), Ok(()));
    }
}

#[test]
fn other_message_key_or_order_of_signatures_is_refused() {
    let [one, two] = appendix_f();
    assert_eq!(verify_message(&one.key, &two.message, &one.signature), Err(SignatureRefused));
    assert_eq!(verify_message(&two.key, &one.message, &one.signature), Err(SignatureRefused));
    assert_eq!(verify_message(&one.key, &one.message, &two.signature), Err(SignatureRefused));
}

/// Case 2: H10 W4 (2508 bytes) signs the key of an H5 W8 (1292 bytes), which signs the message.
#[test]
fn tree_in_the_middle_counts_only_as_the_tree_above_signed_it() {
    let [_, case] = appendix_f();
    let inner = 4 + 2508;
    assert_eq!(case.signature.len(), inner + 56 + 1292);
    for at in inner..inner + 56 {
        let mut signature = case.signature.clone();
        signature[at] ^= 1;
        assert_eq!(verify_message(&case.key, &case.message, &signature), Err(SignatureRefused), "byte {at}");
    }
    // The inner key and its signature on their own, under the outer key's name or as a key of one level.
    let mut own: [u8; 60] = [0, 0, 0, 1]
        .iter()
        .chain(&case.signature[inner..inner + 56])
        .copied()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let alone = [&[0; 4], &case.signature[inner + 56..]].concat();
    assert_eq!(verify_message(&case.key, &case.message, &alone), Err(SignatureRefused));
    assert_eq!(verify_message(&own, &case.message, &alone), Ok(()), "it is a key, but nobody pinned it");
    own[3] = 2;
    assert_eq!(verify_message(&own, &case.message, &alone), Err(SignatureRefused));
}

#[test]
fn number_of_levels_is_the_keys_to_say_and_at_most_eight() {
    for case in appendix_f() {
        for levels in [0, 1, 3, 4, 8, 9, 1 << 16, u32::MAX] {
            let mut key = case.key;
            key[..4].copy_from_slice(&u32::to_be_bytes(levels));
            assert_eq!(verify_message(&key, &case.message, &case.signature), Err(SignatureRefused));
            for below in [levels.wrapping_sub(1), 1, 0, u32::MAX] {
                let mut signature = case.signature.clone();
                signature[..4].copy_from_slice(&u32::to_be_bytes(below));
                let verdict = verify_message(&key, &case.message, &signature);
                assert_eq!(verdict, Err(SignatureRefused), "{levels} levels, {below} signed keys");
            }
        }
    }
}
