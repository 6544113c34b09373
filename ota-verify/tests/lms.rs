//! LMS: what other implementations signed is accepted, and nothing that differs from it by a bit.

#[path = "common/vectors.rs"]
mod vectors;

use ota_manifest::{Alg, Digest, Kind, Role};
use ota_verify::{KeyAlgorithm, Lms, LmsKey, PublicKey, Sha256, SignatureRefused, Tbs, VerifyKey};
use vectors::from_hex;

/// What every vector signs.
fn tbs() -> Tbs {
    Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new([0x5A; 32]))
}

struct Foreign {
    key: [u8; 60],
    signature: Vec<u8>,
}

impl Foreign {
    fn verdict(&self) -> Result<(), SignatureRefused> {
        LmsKey::new(self.key).verify(&tbs(), &self.signature)
    }
}

/// Signatures of another implementation, over the message of [`tbs`].
fn foreign() -> Vec<Foreign> {
    let words = vectors::read(include_str!("vectors/lms-hbs-lms.txt"));
    let (message, pairs) = words.split_first().unwrap();
    assert_eq!((message.0, &*message.1), ("message", &tbs().as_bytes()[..]));
    let pair = |pair: &[(&str, Vec<u8>)]| {
        assert_eq!((pair[0].0, pair[1].0), ("key", "signature"));
        Foreign { key: pair[0].1.clone().try_into().unwrap(), signature: pair[1].1.clone() }
    };
    pairs.chunks(2).map(pair).collect()
}

/// H5 W8, one level, 1296 bytes: 4 | q 4, type 4, C 32, y 34 x 32, type 4, path 5 x 32.
fn w8_h5() -> Foreign {
    let found = foreign().into_iter().find(|vector| vector.signature.len() == 1296).unwrap();
    assert_eq!(found.key[..12], [0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 4]);
    found
}

#[test]
fn signatures_of_another_implementation_are_accepted_by_every_way_to_name_the_key() {
    assert_eq!(foreign().len(), 8);
    for vector in foreign() {
        assert_eq!(vector.verdict(), Ok(()));
        assert_eq!(Lms.verify(&vector.key, &tbs(), &vector.signature), Ok(()));
        assert_eq!(VerifyKey::verify(&PublicKey::lms(vector.key), &tbs(), &vector.signature), Ok(()));
    }
}

#[test]
fn signature_of_one_key_never_counts_for_another() {
    let vectors = foreign();
    for (i, key) in vectors.iter().enumerate() {
        for (k, other) in vectors.iter().enumerate() {
            let verdict = LmsKey::new(key.key).verify(&tbs(), &other.signature);
            assert_eq!(verdict.is_ok(), i == k, "key {i}, signature {k}");
        }
    }
}

#[test]
fn signature_for_another_role_kind_or_content_is_refused() {
    let Foreign { key, signature } = w8_h5();
    let content = Digest::new([0x5A; 32]);
    for other in [
        Tbs::new(Kind::Manifest, Alg::Lms, Role::Approval, &content),
        Tbs::new(Kind::Trust, Alg::Lms, Role::Release, &content),
        Tbs::new(Kind::Manifest, Alg::Ed25519, Role::Release, &content),
        Tbs::new(Kind::Manifest, Alg::Lms, Role::Release, &Digest::new([0x5B; 32])),
    ] {
        assert_eq!(LmsKey::new(key).verify(&other, &signature), Err(SignatureRefused));
    }
}

/// The signature that the vectors' header describes: filler in the form of the set.
fn filled(lms: u32, ots: u32, q: u32, digits: usize, height: usize) -> Vec<u8> {
    let filler = (0_u32..).flat_map(|k| *Sha256::of(&[b"filler", &k.to_be_bytes()]).as_bytes());
    let filler: Vec<u8> = filler.take(32 * (1 + digits + height)).collect();
    let (one_time, path) = filler.split_at(32 * (1 + digits));
    [&[0; 4], &q.to_be_bytes()[..], &ots.to_be_bytes(), one_time, &lms.to_be_bytes(), path].concat()
}

#[test]
fn all_twenty_sets_lead_to_the_roots_another_implementation_found() {
    let lines = include_str!("vectors/lms-sets.txt").lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let mut sets = Vec::new();
    for entry in lines.chunks(3) {
        let words: Vec<_> = entry[0].split(' ').collect();
        let height: usize = words[1][1..].parse().unwrap();
        let (ots, chains) = match words[2] {
            "W1" => (1, 265),
            "W2" => (2, 133),
            "W4" => (3, 67),
            "W8" => (4, 34),
            other => panic!("{other}"),
        };
        let lms = u32::try_from(height).unwrap() / 5 + 4;
        let q: u32 = words[4].parse().unwrap();
        let signature = filled(lms, ots, q, chains, height);
        let digest = Sha256::of(&[&signature]).to_string();
        assert_eq!(entry[2], format!("digest {digest}"), "{}", entry[0]);
        let key: [u8; 60] = from_hex(entry[1].strip_prefix("key ").unwrap()).try_into().unwrap();
        assert_eq!(LmsKey::new(key).verify(&tbs(), &signature), Ok(()), "{}", entry[0]);
        let neighbour = filled(lms, ots, q ^ 1, chains, height);
        assert_eq!(LmsKey::new(key).verify(&tbs(), &neighbour), Err(SignatureRefused), "{}", entry[0]);
        sets.push((lms, ots));
    }
    sets.sort_unstable();
    sets.dedup();
    assert_eq!(sets.len(), 20);
}

#[test]
fn every_flipped_bit_of_a_signature_or_key_is_refused() {
    let good = w8_h5();
    // A fault there is looked for with the work of a whole verification; two halves for two cores.
    let bits = good.signature.len() * 8;
    std::thread::scope(|scope| {
        for part in [0..bits / 2, bits / 2..bits] {
            let good = &good;
            scope.spawn(move || part.for_each(|bit| assert_flip_refused(good, bit)));
        }
    });
    for bit in 0..good.key.len() * 8 {
        let Foreign { mut key, signature } = w8_h5();
        key[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            LmsKey::new(key).verify(&tbs(), &signature),
            Err(SignatureRefused),
            "bit {bit} of the key"
        );
    }
    assert_eq!(good.verdict(), Ok(()));
}

fn assert_flip_refused(good: &Foreign, bit: usize) {
    let mut signature = good.signature.clone();
    signature[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(LmsKey::new(good.key).verify(&tbs(), &signature), Err(SignatureRefused), "bit {bit}");
}

#[test]
fn every_truncation_and_every_added_byte_is_refused() {
    for vector in foreign() {
        let Foreign { key, signature } = vector;
        for len in 0..signature.len() {
            assert_eq!(
                LmsKey::new(key).verify(&tbs(), &signature[..len]),
                Err(SignatureRefused),
                "{len} bytes"
            );
        }
        for byte in [0, 0xFF] {
            let longer = [&signature[..], &[byte]].concat();
            assert_eq!(LmsKey::new(key).verify(&tbs(), &longer), Err(SignatureRefused));
        }
        let longer = [&[0], &signature[..]].concat();
        assert_eq!(LmsKey::new(key).verify(&tbs(), &longer), Err(SignatureRefused));
    }
}

#[test]
fn types_that_are_not_those_of_the_key_are_refused() {
    for wrong in (0..=16).chain([0x0105, 0x8000_0005, u32::MAX]) {
        for (at, right) in [(8, 4), (4 + 8 + 35 * 32, 5)] {
            let mut vector = w8_h5();
            let field = &mut vector.signature[at..at + 4];
            assert_eq!(field, u32::to_be_bytes(right));
            field.copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(vector.verdict().is_ok(), wrong == right, "type {wrong} at {at}");
        }
        for (at, right) in [(4, 5), (8, 4)] {
            let mut vector = w8_h5();
            vector.key[at..at + 4].copy_from_slice(&wrong.to_be_bytes());
            assert_eq!(vector.verdict().is_ok(), wrong == right, "type {wrong} at {at} of the key");
        }
    }
}

#[test]
fn one_time_key_outside_the_tree_is_refused() {
    // Number 19 signed. 19 + 32 would lead through the same path to the same root, were it not for the hashes.
    for q in (0..64).chain([19 + 64, 1 << 31, u32::MAX, u32::MAX - 12]) {
        let mut vector = w8_h5();
        vector.signature[4..8].copy_from_slice(&q.to_be_bytes());
        assert_eq!(vector.verdict().is_ok(), q == 19, "one-time key {q}");
    }
}

#[test]
fn key_of_another_length_checks_nothing() {
    let Foreign { key, signature } = w8_h5();
    for wrong in [&[][..], &key[..59], &[&key[..], &[0]].concat(), &key[4..]] {
        assert_eq!(Lms.verify(wrong, &tbs(), &signature), Err(SignatureRefused));
    }
}

#[test]
fn key_in_text_has_120_digits() {
    let key = PublicKey::lms(w8_h5().key);
    let text = key.to_string();
    assert_eq!((text.len(), text.parse(), key.alg()), (120, Ok(key), Alg::Lms));
    assert_eq!(VerifyKey::key_id(&key), LmsKey::new(w8_h5().key).key_id());
    for wrong in [&text[..118], &text.replacen('0', "g", 1), &format!("{text}00")] {
        assert!(wrong.parse::<PublicKey>().unwrap_err().to_string().contains("120 (LMS)"));
    }
}
