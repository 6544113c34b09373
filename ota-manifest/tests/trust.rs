//! Trust documents, reader against writer and postcard: one encoding for each document, one document for each encoding.

mod oracle;

use ota_manifest::{
    Alg, DecodeError, EncodeError, ExtensionDraft, FRAME_HEADER, Field, KeyDraft, MAX_SIGNATURES,
    MAX_TRUST_ENVELOPE, Order, Role, Roles, Thresholds, TrustDocument, TrustDraft,
};
use proptest::prelude::*;

fn p256(seed: u8) -> [u8; 65] {
    let mut point = [seed; 65];
    point[0] = 0x04;
    point
}

fn minimal() -> TrustDraft {
    let mut draft = TrustDraft::new(2);
    draft.keys.push(KeyDraft::new(Role::Root, Alg::Ed25519, &[1; 32])).unwrap();
    draft.keys.push(KeyDraft::new(Role::Release, Alg::Ed25519, &[2; 32])).unwrap();
    draft
}

fn extension(id: u16, bytes: &[u8]) -> ExtensionDraft {
    ExtensionDraft { id, critical: id % 2 == 1, bytes: bytes.iter().copied().collect() }
}

/// Every role, every algorithm, every threshold above 0, in the order that documents have.
fn full() -> TrustDraft {
    let mut draft = TrustDraft::new(u32::MAX);
    draft.epoch = 301;
    draft.min_order = Order { epoch: 300, sequence: 70_000 };
    draft.thresholds = Thresholds { root: 2, release: 2, approval: 1, freshness: 1 };
    draft.hybrid = Roles::NONE.with(Role::Release);
    draft.extensions.extend([extension(3, &[0xEE; 64]), extension(300, &[])]);
    for (role, alg, key) in [
        (Role::Root, Alg::Ed25519, &[1; 32][..]),
        (Role::Release, Alg::Ed25519, &[2; 32]),
        (Role::Freshness, Alg::Ed25519, &[3; 32]),
        (Role::Root, Alg::P256, &p256(1)),
        (Role::Approval, Alg::P256, &p256(2)),
        (Role::Root, Alg::P256, &p256(3)),
        (Role::Release, Alg::Lms, &[1; 60]),
        (Role::Root, Alg::Lms, &[2; 60]),
    ] {
        draft.keys.push(KeyDraft::new(role, alg, key)).unwrap();
    }
    draft
}

fn encoded(draft: &TrustDraft) -> Vec<u8> {
    let mut buffer = [0; MAX_TRUST_ENVELOPE];
    draft.encode(&mut buffer).unwrap().to_vec()
}

fn read(bytes: &[u8]) -> Result<TrustDocument<'_>, DecodeError> {
    TrustDocument::decode_unauthenticated(bytes)
}

/// What the reader says to a draft that postcard writes as it stands.
fn verdict(change: impl FnOnce(&mut TrustDraft)) -> Option<DecodeError> {
    let mut draft = minimal();
    change(&mut draft);
    let mut buffer = [0; MAX_TRUST_ENVELOPE];
    read(postcard::to_slice(&draft, &mut buffer).unwrap()).err()
}

#[test]
fn reader_returns_every_field_the_writer_wrote() {
    for draft in [minimal(), full()] {
        let bytes = encoded(&draft);
        assert_eq!(oracle::trust_draft(&read(&bytes).unwrap()), draft);
    }
}

#[test]
fn writer_sorts_keys_so_that_one_document_has_one_encoding() {
    let mut shuffled = full();
    shuffled.keys.reverse();
    assert_eq!(encoded(&shuffled), encoded(&full()));
    assert_eq!(verdict(|d| d.keys.reverse()), Some(DecodeError::KeyOrder));
}

#[test]
fn every_truncation_and_every_extra_byte_is_refused() {
    let mut bytes = encoded(&full());
    for len in 0..bytes.len() {
        assert!(read(&bytes[..len]).is_err(), "{len}");
    }
    bytes.push(0);
    assert_eq!(read(&bytes), Err(DecodeError::Trailing(1)));
}

#[test]
fn key_listed_twice_or_in_two_roles_is_refused() {
    let twice = |role| {
        move |d: &mut TrustDraft| d.keys.insert(1, KeyDraft::new(role, Alg::Ed25519, &[1; 32])).unwrap()
    };
    assert_eq!(verdict(twice(Role::Root)), Some(DecodeError::KeyOrder));
    assert_eq!(verdict(twice(Role::Release)), Some(DecodeError::KeyOrder));
    let mut draft = minimal();
    draft.keys.push(draft.keys[0].clone()).unwrap();
    assert_eq!(
        draft.encode(&mut [0; 256]).map(<[u8]>::len),
        Err(EncodeError::Refused(DecodeError::KeyOrder)),
        "the writer sorts, it does not merge"
    );
}

/// The holder of a tree signs with it alone, and with a tree below it that it has signed: two keys by their ids, one secret.
#[test]
fn one_lms_tree_under_two_numbers_of_levels_is_one_key_listed_twice() {
    let key = |role, levels, tree: u8| {
        let mut key = [tree; 60];
        key[..4].copy_from_slice(&[0, 0, 0, levels]);
        KeyDraft::new(role, Alg::Lms, &key)
    };
    let verdict = |keys: [KeyDraft; 2]| {
        verdict(|d| {
            d.keys.extend(keys);
            d.thresholds.approval = u8::from(d.keys.iter().any(|key| key.role == Role::Approval));
        })
    };
    for role in [Role::Root, Role::Release, Role::Approval] {
        let twice = verdict([key(Role::Release, 1, 7), key(role, 2, 7)]);
        assert_eq!(twice, Some(DecodeError::KeyOrder), "{role:?}");
        assert_eq!(verdict([key(Role::Release, 2, 7), key(role, 1, 8)]), None, "two trees");
    }
    assert_eq!(verdict([key(Role::Root, 1, 8), key(Role::Root, 2, 7)]), Some(DecodeError::KeyOrder));
    let mut draft = minimal();
    draft.keys.extend([key(Role::Root, 1, 8), key(Role::Root, 2, 7)]);
    let keys =
        read(&encoded(&draft)).unwrap().keys.iter().map(|key| key.bytes[3..5].to_vec()).collect::<Vec<_>>();
    assert_eq!(keys[2..], [[2, 7], [1, 8]], "the writer sorts by the same rule");
}

#[test]
fn threshold_of_zero_and_unreachable_thresholds_are_refused() {
    let bad = Some(DecodeError::Threshold);
    assert_eq!(verdict(|d| d.thresholds.root = 0), bad);
    assert_eq!(verdict(|d| d.thresholds.root = 2), bad);
    assert_eq!(verdict(|d| d.thresholds.release = 0), bad);
    assert_eq!(verdict(|d| d.thresholds.release = 255), bad);
    assert_eq!(verdict(|d| d.thresholds.approval = 1), bad, "no such key");
    assert_eq!(verdict(|d| d.thresholds.freshness = 1), bad, "no such key");
    assert_eq!(verdict(|d| d.keys.clear()), bad);
    assert_eq!(verdict(|d| d.keys[1].role = Role::Approval), bad, "nobody left who releases");
    assert_eq!(verdict(|d| d.keys[0].role = Role::Release), bad, "nobody left who follows");
    // A role with keys and a threshold of 0 would be signed by nobody.
    let approver = KeyDraft::new(Role::Approval, Alg::Ed25519, &[3; 32]);
    assert_eq!(verdict(|d| d.keys.push(approver).unwrap()), bad);
    assert_eq!(verdict(|_| ()), None);
}

#[test]
fn version_zero_and_keys_of_another_length_or_form_are_refused() {
    assert_eq!(verdict(|d| d.version = 0), Some(DecodeError::OutOfRange(Field::Version)));
    assert_eq!(verdict(|d| d.version = 1), None);
    let bad = Some(DecodeError::OutOfRange(Field::PublicKey));
    let key = |alg, bytes: &[u8]| {
        let key = KeyDraft::new(Role::Release, alg, bytes);
        verdict(|d| d.keys[1] = key)
    };
    for (alg, len) in [(Alg::Ed25519, 32), (Alg::P256, 65), (Alg::Lms, 60)] {
        assert_eq!(key(alg, &[4; 65][..len]), None);
        assert_eq!(key(alg, &[4; 65][..len - 1]), bad);
        assert_eq!(key(alg, &[4; 66][..len + 1]), bad);
        assert_eq!(key(alg, &[]), bad);
    }
    for other_form in [0x00, 0x02, 0x03, 0x06, 0x07] {
        assert_eq!(key(Alg::P256, &[other_form; 65]), bad);
    }
}

#[test]
fn lowest_order_of_an_epoch_that_is_not_open_is_refused() {
    let order = |epoch, sequence| Order { epoch, sequence };
    let verdict = |epoch, min_order| verdict(|d| (d.epoch, d.min_order) = (epoch, min_order));
    assert_eq!(verdict(3, order(4, 0)), Some(DecodeError::OutOfRange(Field::Epoch)));
    assert_eq!(verdict(3, order(3, u32::MAX)), None);
    assert_eq!(verdict(3, order(0, 0)), None);
}

#[test]
fn hybrid_role_needs_a_key_of_each_family_and_a_threshold_of_two() {
    let keys = |threshold, algs: &'static [Alg]| {
        verdict(move |d| {
            d.hybrid = Roles::NONE.with(Role::Release);
            d.thresholds.release = threshold;
            d.keys.truncate(1);
            for alg in algs {
                let len = if *alg == Alg::Lms { 60 } else { 32 };
                d.keys.push(KeyDraft::new(Role::Release, *alg, &[2; 60][..len])).unwrap();
            }
        })
    };
    let bad = Some(DecodeError::OutOfRange(Field::Hybrid));
    assert_eq!(keys(2, &[Alg::Ed25519, Alg::Lms]), None);
    assert_eq!(keys(1, &[Alg::Ed25519, Alg::Lms]), bad, "one signature is of one family");
    assert_eq!(keys(1, &[Alg::Ed25519]), bad);
    assert_eq!(keys(1, &[Alg::Lms]), bad);
    assert_eq!(verdict(|d| d.hybrid = Roles::NONE.with(Role::Freshness)), bad, "no such key");
    let bytes = encoded(&minimal());
    let hybrid = bytes.len() - 2 * 35 - 3;
    for bits in [0x01, 0x20, 0x80, 0xFF] {
        let mut bytes = bytes.clone();
        bytes[hybrid] = bits;
        assert_eq!(read(&bytes).err(), Some(DecodeError::OutOfRange(Field::Roles)), "{bits:#04x}");
    }
}

#[test]
fn extensions_have_one_order_and_none_is_given_twice() {
    let ids = |ids: &[u16]| verdict(|d| d.extensions = ids.iter().map(|id| extension(*id, &[1])).collect());
    assert_eq!(ids(&[1, 2, 3, 300]), None);
    assert_eq!(ids(&[2, 1]), Some(DecodeError::ExtensionOrder));
    assert_eq!(ids(&[1, 1]), Some(DecodeError::ExtensionOrder));
    assert_eq!(ids(&[1, 3, 2]), Some(DecodeError::ExtensionOrder));
    let mut draft = minimal();
    draft.extensions.extend([extension(9, &[]), extension(2, &[])]);
    let mut sorted = draft.clone();
    sorted.extensions.reverse();
    assert_eq!(encoded(&draft), encoded(&sorted), "the writer sorts");
}

#[test]
fn unknown_roles_unknown_algorithms_and_a_ninth_key_are_refused() {
    let bytes = encoded(&minimal());
    let keys = bytes.len() - 2 * 35 - 1;
    let changed = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        read(&bytes).err()
    };
    for number in [0, 5, 0x80, 255] {
        assert_eq!(changed(keys, number), Some(DecodeError::UnknownTag(number)), "role");
    }
    for number in [0, 5, 0x81, 255] {
        assert_eq!(changed(keys + 1, number), Some(DecodeError::UnknownTag(number)), "algorithm");
    }
    assert_eq!(changed(keys - 1, 9), Some(DecodeError::TooMany { found: 9, limit: 8 }));
}

#[test]
fn key_that_can_only_be_pinned_is_refused_by_its_algorithm_and_never_written() {
    let mut bytes = encoded(&minimal());
    let algorithm = bytes.len() - 2 * 35;
    bytes[algorithm] = Alg::MlDsa44 as u8;
    let pinned_only = DecodeError::PinnedOnly(4);
    assert_eq!(read(&bytes).err(), Some(pinned_only));
    // As it would be written: the length of 1312 bytes is not what is wrong with it.
    let key = [&[0xA0, 0x0A][..], &[7; 1312]].concat();
    bytes.splice(algorithm + 1..algorithm + 34, key);
    assert_eq!(read(&bytes).err(), Some(pinned_only));

    let mut buffer = [0; MAX_TRUST_ENVELOPE];
    for key in [&[7; 1312][..], &[7; 32]] {
        let mut draft = minimal();
        draft.keys[1] = KeyDraft::new(Role::Release, Alg::MlDsa44, key);
        assert_eq!(draft.encode(&mut buffer), Err(EncodeError::Refused(pinned_only)));
    }
    assert!(pinned_only.to_string().contains("pinned"));
}

#[test]
fn largest_document_with_all_signatures_fits_an_envelope() {
    let mut draft = TrustDraft::new(u32::MAX);
    draft.epoch = u16::MAX;
    draft.min_order = Order { epoch: u16::MAX, sequence: u32::MAX };
    draft.extensions = (0..4).map(|n| extension(u16::MAX - n, &[0; 64])).collect();
    for seed in 0..8 {
        let role = if seed == 0 { Role::Release } else { Role::Root };
        draft.keys.push(KeyDraft::new(role, Alg::P256, &p256(seed))).unwrap();
    }
    let envelope = FRAME_HEADER + encoded(&draft).len() + 1 + usize::from(MAX_SIGNATURES) * (11 + 64);
    assert!(envelope <= MAX_TRUST_ENVELOPE, "{envelope}");
    assert_eq!(envelope, 1452, "docs/wire.md says so");
}

proptest! {
    /// Reader and postcard agree on every input: what the reader takes, postcard takes with the same meaning and writes
    /// back identically; what postcard takes but the reader refuses is non-canonical or out of range.
    #[test]
    fn reader_agrees_with_postcard_on_mutated_documents(
        start in prop::sample::select(vec![encoded(&minimal()), encoded(&full())]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        // Most bytes are key bytes, which may be anything; the others come first.
        early in prop::collection::vec((0..20usize, any::<u8>()), 0..3),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = start;
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in early {
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        oracle::check_trust(&bytes);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }
}
