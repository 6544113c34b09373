//! The lenient equation of Ed25519 cannot be reached: signatures that it accepts and the strict one refuses.

use std::collections::BTreeSet;
use std::path::Path;
use std::string::{String, ToString as _};
use std::vec::Vec;
use std::{format, fs};

use ed25519_dalek::ed25519::signature::Verifier as _;
use ed25519_dalek::{Signature, VerifyingKey};
use ota_manifest::{Alg, Digest, Kind, Role};

use super::{cases, from_hex, letters};
use crate::ed25519::verify_message;
use crate::{Ed25519, Ed25519Key, KeyAlgorithm, PublicKey, SignatureRefused, Tbs, VerifyKey};

/// Whether a signature (last) of a message is by a key (first).
type Check = fn(&[u8], &[u8], &[u8]) -> bool;

/// What the library's own `Verifier` implementation says.
fn lenient(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::try_from(key);
    let signature = Signature::from_slice(signature);
    key.and_then(|key| key.verify(message, &signature?)).is_ok()
}

fn strict(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    verify_message(key, message, signature).is_ok()
}

#[test]
fn twelve_edge_cases_come_out_as_the_strict_equation_has_them() {
    let cases = cases(include_str!("../../tests/vectors/ed25519-speccheck.txt"));
    let verdicts = |check: Check| {
        letters(cases.iter().map(|case| check(&case["key"], &case["message"], &case["signature"])))
    };
    // Case 3 is good in every equation: key and commitment have a part of small order and are not of it. Only who has
    // the key can make such a signature. Cases 6 and 7 have S above L, 8 to 11 a key or an R in another encoding.
    assert_eq!(verdicts(strict), "XXXVXXXXXXXX");
    // The control: the vectors tell the two apart. Case 6 is for the feature `legacy_compatibility`, which is on in the
    // tests: there the library's strict function would accept it too.
    assert_eq!(verdicts(lenient), "VVVVXXVXXXXV");
}

/// Every encoding of the eight points whose order divides 8, canonical ones first.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// Every way into the crate that checks an Ed25519 signature.
fn public_verdicts(key: [u8; 32], tbs: &Tbs, signature: &[u8]) -> [Result<(), SignatureRefused>; 3] {
    [
        Ed25519Key::new(key).verify(tbs, signature),
        Ed25519.verify(&key, tbs, signature),
        VerifyKey::verify(&PublicKey::ed25519(key), tbs, signature),
    ]
}

#[test]
fn key_of_small_order_that_signs_anything_for_a_lenient_verifier_signs_nothing() {
    let points: Vec<[u8; 32]> = SMALL_ORDER.iter().map(|point| from_hex(point).try_into().unwrap()).collect();
    assert_eq!(points.iter().collect::<BTreeSet<_>>().len(), 14);
    for key in &points {
        let mut forged = 0;
        for content in 0..4 {
            for role in Role::ALL {
                let tbs = Tbs::new(Kind::Manifest, Alg::Ed25519, role, &Digest::new([content; 32]));
                for commitment in &points {
                    // S = 0: nobody needs to know a private key for this.
                    let signature = [commitment.as_slice(), &[0; 32]].concat();
                    assert_eq!(public_verdicts(*key, &tbs, &signature), [Err(SignatureRefused); 3]);
                    forged += usize::from(lenient(key, tbs.as_bytes(), &signature));
                }
            }
        }
        assert!(forged > 0, "{key:02x?} forges nothing: the vectors have lost their teeth");
    }
}

/// The libraries by their crate names, outside comments: the lines of all sources but these tests.
fn lines_that_name_a_library(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        if path.is_dir() && name != "vectors" {
            lines_that_name_a_library(&path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().map(str::trim).filter(|line| !line.starts_with("//"));
            found.extend(
                code.filter(|line| line.contains("25519_dalek")).map(|line| format!("{name}: {line}")),
            );
        }
    }
}

#[test]
fn lenient_equation_is_linked_nowhere_and_points_are_computed_with_in_one_file() {
    let mut found = Vec::new();
    lines_that_name_a_library(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert_eq!(
        found,
        [
            "ed25519.rs: use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};",
            "ed25519.rs: use curve25519_dalek::scalar::Scalar;",
        ]
    );
}
