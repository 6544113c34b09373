//! The chain of trust documents: what a bootloader adopts, and one test per way to make it adopt something else.

#[path = "common/device.rs"]
mod device;

use device::{Key, Refused, ed25519, p256};
use ota_manifest::{
    DecodeError, Frame, KeyDraft, Kind, MAX_TRUST_ENVELOPE, Order, Role, Thresholds, TrustDraft,
};
use ota_verify::sign::{Signer, seal, seal_manifest, seal_trust};
use ota_verify::{
    AdmitError, AlgSet, AuthError, AuthenticTrust, Bootloader, DeviceState, Ed25519, KeyAlgorithm, P256,
    Trust, TrustError, TrustTerms, TrustedKey,
};

const BOTH: &[&dyn KeyAlgorithm] = &[&Ed25519, &P256];
const ED25519_ALONE: &[&dyn KeyAlgorithm] = &[&Ed25519];

/// A document with these roots, of which `threshold` must sign, and the release key seed 50.
fn draft(version: u32, threshold: u8, roots: &[&Key]) -> TrustDraft {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.root = threshold;
    let root = |key: &&Key| key.public_key().draft(Role::Root);
    draft.keys = roots.iter().map(root).collect();
    draft.keys.push(ed25519(50).public_key().draft(Role::Release)).unwrap();
    draft
}

fn sealed(draft: &TrustDraft, signers: &[&Key]) -> Vec<u8> {
    let signers: Vec<&dyn Signer> = signers.iter().map(|key| *key as &dyn Signer).collect();
    seal_trust(draft, &signers).unwrap()
}

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame::parse(bytes).unwrap()
}

/// Runs `check` with a trust that pins these roots and the release key seed 50.
fn pinned<R>(terms: &TrustTerms, roots: &[&Key], check: impl FnOnce(&Trust<'_>) -> R) -> R {
    let roots: Vec<_> = roots.iter().map(|key| key.public_key()).collect();
    let release = ed25519(50).public_key();
    let mut keys: Vec<_> = roots.iter().map(|key| TrustedKey::new(Role::Root, key)).collect();
    keys.push(TrustedKey::new(Role::Release, &release));
    check(&Trust::pinned_on(terms, &keys))
}

/// What version 1 with these roots says to a document.
fn verdict(roots: &[&Key], bytes: &[u8]) -> Option<TrustError> {
    pinned(&TrustTerms::FIRST, roots, |trust| trust.successor(frame(bytes), BOTH).err())
}

fn terms(version: u32, root: u8) -> TrustTerms {
    TrustTerms { version, thresholds: Thresholds { root, ..Thresholds::ONE }, ..TrustTerms::FIRST }
}

#[test]
fn chain_goes_from_pinned_1_to_5_while_roots_and_algorithms_change_and_7_does_not_follow_5() {
    let (a, b, c) = (ed25519(1), p256(2), ed25519(3));
    let chain = [
        sealed(&draft(2, 1, &[&a, &b]), &[&a]),
        sealed(&draft(3, 2, &[&a, &b]), &[&a, &b]),
        sealed(&draft(4, 2, &[&b, &c]), &[&a, &b, &c]),
        sealed(&draft(5, 1, &[&c]), &[&b, &c]),
    ];
    let seventh = sealed(&draft(7, 1, &[&c]), &[&c]);
    pinned(&TrustTerms::FIRST, &[&a], |first| {
        assert_eq!((first.version(), first.threshold(Role::Root)), (1, 1));
        let mut adopted: Option<AuthenticTrust<'_>> = None;
        for (version, bytes) in (2..).zip(&chain) {
            let next = match &adopted {
                None => first.successor(frame(bytes), BOTH),
                Some(document) => Trust::documented(document).successor(frame(bytes), BOTH),
            }
            .unwrap();
            assert_eq!((next.version(), next.encoded_len()), (version, bytes.len()));
            assert_eq!(next.content(), ota_verify::frame_digest(&frame(bytes)));
            adopted = Some(next);
        }
        let fifth = adopted.unwrap();
        let trust = Trust::documented(&fifth);
        assert_eq!((trust.version(), trust.threshold(Role::Root)), (5, 1));
        let gap = trust.successor(frame(&seventh), BOTH).err();
        assert_eq!(gap, Some(TrustError::Gap { current: 5, found: 7 }));
    });
}

#[test]
fn gap_replay_and_rollback_are_refused_each_with_its_numbers() {
    let root = ed25519(1);
    let third = terms(3, 1);
    let verdict = |version| {
        let bytes = sealed(&draft(version, 1, &[&root]), &[&root]);
        pinned(&third, &[&root], |trust| trust.successor(frame(&bytes), BOTH).err())
    };
    assert_eq!(verdict(4), None);
    assert_eq!(verdict(5), Some(TrustError::Gap { current: 3, found: 5 }));
    assert_eq!(verdict(u32::MAX), Some(TrustError::Gap { current: 3, found: u32::MAX }));
    assert_eq!(verdict(3), Some(TrustError::Replay { current: 3, found: 3 }));
    assert_eq!(verdict(1), Some(TrustError::Replay { current: 3, found: 1 }));
    let last = sealed(&draft(u32::MAX, 1, &[&root]), &[&root]);
    let end = pinned(&terms(u32::MAX, 1), &[&root], |trust| trust.successor(frame(&last), BOTH).err());
    assert_eq!(end, Some(TrustError::Replay { current: u32::MAX, found: u32::MAX }), "no wrap to 0");
}

#[test]
fn document_needs_the_roots_in_force_and_its_own() {
    let (old, new, foreign) = (ed25519(1), ed25519(2), ed25519(3));
    let next = draft(2, 1, &[&new]);
    let none_old = Some(TrustError::NotByOldRoots { found: 0, needed: 1 });
    let none_new = Some(TrustError::NotByNewRoots { found: 0, needed: 1 });
    assert_eq!(verdict(&[&old], &sealed(&next, &[&old, &new])), None);
    assert_eq!(verdict(&[&old], &sealed(&next, &[&new])), none_old);
    assert_eq!(verdict(&[&old], &sealed(&next, &[&old])), none_new);
    assert_eq!(verdict(&[&old], &sealed(&next, &[&foreign])), none_old);
    assert_eq!(verdict(&[&old], &sealed(&next, &[&foreign, &old])), none_new);
    assert_eq!(verdict(&[&old], &sealed(&next, &[&foreign, &old, &new])), None, "a third does no harm");
}

#[test]
fn release_key_signs_no_document_and_a_root_key_signs_none_in_another_role() {
    let (root, release) = (ed25519(1), ed25519(50));
    let next = draft(2, 1, &[&root]);
    let none = Some(TrustError::NotByOldRoots { found: 0, needed: 1 });
    assert_eq!(verdict(&[&root], &sealed(&next, &[&release])), none);
    let mut buffer = [0; 512];
    let payload = next.encode(&mut buffer).unwrap();
    let as_release = seal(Kind::Trust, payload, &[(&root, Role::Release)]).unwrap();
    assert_eq!(verdict(&[&root], &as_release), none);
}

#[test]
fn two_of_three_are_counted_over_distinct_keys() {
    let (a, b, c) = (ed25519(1), p256(2), ed25519(3));
    let three = [&a, &b, &c];
    let second = terms(1, 2);
    let next = draft(2, 2, &three);
    let verdict = |bytes: &[u8]| pinned(&second, &three, |trust| trust.successor(frame(bytes), BOTH).err());
    let one = Some(TrustError::NotByOldRoots { found: 1, needed: 2 });
    for pair in [[&a, &b], [&b, &c], [&c, &a]] {
        assert_eq!(verdict(&sealed(&next, &pair)), None);
    }
    for single in three {
        assert_eq!(verdict(&sealed(&next, &[single])), one);
    }
    // The signature of one key under the name of another is no second signature.
    let (alone, both) = (sealed(&next, &[&a]), sealed(&next, &[&a, &c]));
    let of_a = frame(&alone).signatures().next().unwrap().bytes.to_vec();
    let of_c = frame(&both).signatures().find(|entry| entry.bytes != of_a).unwrap().bytes.to_vec();
    let at = both.windows(64).position(|window| window == of_c).unwrap();
    let mut renamed = both;
    renamed[at..at + 64].copy_from_slice(&of_a);
    assert_eq!(verdict(&renamed), one);
    // An old threshold that is reached does not stand in for a new one that is not.
    let stricter = sealed(&draft(2, 3, &three), &[&a, &b]);
    assert_eq!(verdict(&stricter), Some(TrustError::NotByNewRoots { found: 2, needed: 3 }));
}

#[test]
fn every_single_bit_flip_and_every_truncation_of_a_document_is_refused() {
    let (old, new) = (ed25519(1), ed25519(2));
    let good = sealed(&draft(2, 1, &[&new]), &[&old, &new]);
    let refused = |bytes: &[u8]| {
        pinned(&TrustTerms::FIRST, &[&old], |trust| {
            let Ok(frame) = Frame::parse(bytes) else { return true };
            trust.successor(frame, BOTH).is_err()
        })
    };
    assert!(!refused(&good));
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(refused(&good[..len]), "length {len}");
    }
}

#[test]
fn read_back_from_the_guard_a_document_needs_its_own_roots_and_a_version_above_the_pinned_one() {
    let (old, new) = (ed25519(1), ed25519(2));
    let read_back = |version, bytes: &[u8]| {
        pinned(&terms(version, 1), &[&old], |trust| {
            let Ok(frame) = Frame::parse(bytes) else { return Some(None) };
            AuthenticTrust::from_guard_unchained(frame, trust, BOTH).err().map(Some)
        })
    };
    // Four documents lie between 1 and 5, and none of them is there any more.
    let fifth = sealed(&draft(5, 1, &[&new]), &[&new]);
    assert_eq!(read_back(1, &fifth), None);
    assert_eq!(read_back(4, &fifth), None);
    assert_eq!(read_back(5, &fifth), Some(Some(TrustError::Replay { current: 5, found: 5 })));
    assert_eq!(read_back(9, &fifth), Some(Some(TrustError::Replay { current: 9, found: 5 })));
    let unsigned = sealed(&draft(5, 1, &[&new]), &[&old]);
    assert_eq!(read_back(1, &unsigned), Some(Some(TrustError::NotByNewRoots { found: 0, needed: 1 })));
    for bit in 0..8 * fifth.len() {
        let mut bytes = fifth.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(read_back(1, &bytes), None, "bit {bit}");
    }
}

#[test]
fn trust_without_root_keys_ends_its_chain() {
    let root = ed25519(1);
    assert_eq!(verdict(&[], &sealed(&draft(2, 1, &[&root]), &[&root])), Some(TrustError::NoRootKeys));
}

#[test]
fn what_is_no_document_is_refused_whoever_signed_it() {
    let root = ed25519(1);
    let garbage = seal(Kind::Trust, b"garbage", &[(&root, Role::Root)]).unwrap();
    assert!(matches!(verdict(&[&root], &garbage), Some(TrustError::Malformed(_))));
    // A key in two roles, signed all the same: postcard writes what the draft would not.
    let mut buffer = [0; 512];
    let mut payload = draft(2, 1, &[&root]).encode(&mut buffer).unwrap().to_vec();
    // At the end: role, algorithm, length and 32 bytes of the second key, and the number of extensions.
    let entries = payload.len() - 36;
    let (first, second) = payload.split_at_mut(entries);
    second[2..35].copy_from_slice(&first[first.len() - 33..]);
    let twice = seal(Kind::Trust, &payload, &[(&root, Role::Root)]).unwrap();
    assert_eq!(verdict(&[&root], &twice), Some(TrustError::Malformed(DecodeError::KeyOrder)));
    let manifest = release(Order::default(), &[&root]);
    assert_eq!(verdict(&[&root], &manifest), Some(TrustError::WrongKind(Kind::Manifest)));
    let document = sealed(&draft(2, 1, &[&root]), &[&root]);
    let as_manifest = pinned(&TrustTerms::FIRST, &[&root], |trust| {
        trust.authenticate(frame(&document), Role::Release).map(|_| ()).err()
    });
    assert_eq!(as_manifest, Some(AuthError::WrongKind(Kind::Trust)));
}

#[test]
fn envelope_over_2048_bytes_is_refused_before_anything_is_computed() {
    let root = ed25519(1);
    let good = sealed(&draft(2, 1, &[&root]), &[&root]);
    let count = frame(&good).signed_bytes().len();
    let stretched = |len: usize| {
        let mut bytes = good.clone();
        bytes[count] = 2;
        let signature = len - good.len() - 11;
        bytes.extend_from_slice(&[1, 255, 255, 255, 255, 255, 255, 255, 255]);
        bytes.extend_from_slice(&u16::try_from(signature).unwrap().to_le_bytes());
        bytes.resize(len, 0);
        verdict(&[&root], &bytes)
    };
    assert_eq!(stretched(MAX_TRUST_ENVELOPE), None);
    assert_eq!(stretched(MAX_TRUST_ENVELOPE + 1), Some(TrustError::TooLarge { len: 2049 }));
}

#[test]
fn pinned_threshold_of_zero_counts_as_one() {
    let (root, foreign) = (ed25519(1), ed25519(9));
    let bytes = sealed(&draft(2, 1, &[&foreign]), &[&foreign]);
    let verdict = pinned(&terms(1, 0), &[&root], |trust| trust.successor(frame(&bytes), BOTH).err());
    assert_eq!(verdict, Some(TrustError::NotByOldRoots { found: 0, needed: 1 }));
}

#[test]
fn owners_word_names_the_next_document_and_nothing_else() {
    let (old, new, foreign) = (ed25519(1), ed25519(2), ed25519(3));
    let third = terms(3, 1);
    let named = |bytes: &[u8]| pinned(&third, &[&old], |trust| trust.names_successor(&frame(bytes)).err());
    assert_eq!(named(&sealed(&draft(4, 1, &[&new]), &[&old, &new])), None);
    assert_eq!(
        named(&sealed(&draft(4, 1, &[&new]), &[&old])),
        None,
        "its own roots are the bootloader's matter"
    );
    let none_old = Some(TrustError::NotByOldRoots { found: 0, needed: 1 });
    assert_eq!(named(&sealed(&draft(4, 1, &[&new]), &[&new])), none_old);
    assert_eq!(named(&sealed(&draft(4, 1, &[&foreign]), &[&foreign])), none_old);
    let of = |version| sealed(&draft(version, 1, &[&old]), &[&old]);
    assert_eq!(named(&of(5)), Some(TrustError::Gap { current: 3, found: 5 }));
    assert_eq!(named(&of(3)), Some(TrustError::Replay { current: 3, found: 3 }));
    let release = release(Order::default(), &[&old]);
    assert_eq!(named(&release), Some(TrustError::WrongKind(Kind::Manifest)));
    let mut flipped = of(4);
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(named(&flipped), none_old);
    let rootless = pinned(&third, &[], |trust| trust.names_successor(&frame(&of(4))).err());
    assert_eq!(rootless, Some(TrustError::NoRootKeys));
}

fn release(order: Order, signers: &[&Key]) -> Vec<u8> {
    let signers: Vec<_> = signers.iter().map(|key| (*key as &dyn Signer, Role::Release)).collect();
    seal_manifest(&device::draft(order), &signers).unwrap()
}

/// What a device with this trust says to a release.
fn admit(trust: &Trust<'_>, bootloader: AlgSet, bytes: &[u8]) -> Result<AlgSet, Refused> {
    let state = device::state();
    let bootloader = Bootloader { algorithms: bootloader, ..state.bootloader };
    device::verdict(trust, &DeviceState { bootloader, ..state }, bytes)
}

/// Runs `check` with the trust of a document that follows a pinned root.
fn documented<R>(
    algorithms: &'static [&'static dyn KeyAlgorithm],
    change: impl FnOnce(&mut TrustDraft),
    check: impl FnOnce(&Trust<'_>) -> R,
) -> R {
    let root = ed25519(1);
    let mut draft = draft(2, 1, &[&root]);
    change(&mut draft);
    let bytes = sealed(&draft, &[&root]);
    let adopted = pinned(&TrustTerms::FIRST, &[&root], |trust| trust.successor(frame(&bytes), algorithms));
    check(&Trust::documented(&adopted.unwrap()))
}

fn releasing(key: &Key) -> KeyDraft {
    key.public_key().draft(Role::Release)
}

#[test]
fn release_key_that_the_document_names_counts_and_the_one_it_dropped_does_not() {
    let (dropped, named) = (ed25519(50), ed25519(51));
    let replace = |d: &mut TrustDraft| {
        d.keys.pop();
        d.keys.push(releasing(&named)).unwrap();
    };
    let (old, new) = (release(Order::default(), &[&dropped]), release(Order::default(), &[&named]));
    documented(BOTH, replace, |trust| {
        assert_eq!(admit(trust, AlgSet::ED25519, &new), Ok(AlgSet::ED25519));
        assert_eq!(admit(trust, AlgSet::ED25519, &old), Err(Refused::Auth(AuthError::UnknownKey)));
        assert_eq!(trust.threshold(Role::Approval), 0, "no such key");
        assert!(format!("{trust:?}").contains("version: 2"));
    });
}

#[test]
fn order_below_the_lowest_is_refused_although_signed_and_the_lowest_is_not() {
    let min = Order { epoch: 1, sequence: 7 };
    let signed = |epoch, sequence| release(Order { epoch, sequence }, &[&ed25519(50)]);
    let check = |trust: &Trust<'_>| {
        assert_eq!(trust.min_order(), min);
        let withdrawn = Err(Refused::Admit(AdmitError::BelowMinOrder));
        assert_eq!(admit(trust, AlgSet::ED25519, &signed(1, 6)), withdrawn);
        assert_eq!(admit(trust, AlgSet::ED25519, &signed(0, u32::MAX)), withdrawn, "fast-forward");
        assert_eq!(admit(trust, AlgSet::ED25519, &signed(1, 7)), Ok(AlgSet::ED25519));
        assert_eq!(admit(trust, AlgSet::ED25519, &signed(2, 0)), Ok(AlgSet::ED25519));
    };
    let withdraw = |d: &mut TrustDraft| (d.epoch, d.min_order) = (2, min);
    documented(BOTH, withdraw, check);
    pinned(&TrustTerms { epoch: 2, min_order: min, ..TrustTerms::FIRST }, &[], check);
}

#[test]
fn release_threshold_counts_distinct_keys_of_mixed_algorithms() {
    let (a, b, c) = (ed25519(50), p256(51), p256(52));
    let two_of_three = |d: &mut TrustDraft| {
        d.thresholds.release = 2;
        d.keys.extend([releasing(&b), releasing(&c)]);
    };
    let both = AlgSet::ED25519.with(ota_manifest::Alg::P256);
    let signed = |signers: &[&Key]| release(Order::default(), signers);
    let too_few = Err(Refused::Auth(AuthError::BelowThreshold { found: 1, needed: 2 }));
    documented(BOTH, two_of_three, |trust| {
        assert_eq!(trust.threshold(Role::Release), 2);
        assert_eq!(admit(trust, both, &signed(&[&a, &b])), Ok(both));
        assert_eq!(admit(trust, both, &signed(&[&b, &c])), Ok(AlgSet::P256));
        assert_eq!(admit(trust, both, &signed(&[&a])), too_few);
        assert_eq!(admit(trust, both, &signed(&[&a, &ed25519(1)])), too_few, "a root releases nothing");
        // The application counts two, a bootloader that knows P-256 alone would count one.
        let unprovable = Err(Refused::Admit(AdmitError::BootloaderAlgorithm));
        assert_eq!(admit(trust, AlgSet::P256, &signed(&[&a, &b])), unprovable);
        assert_eq!(admit(trust, AlgSet::P256, &signed(&[&b, &c])), Ok(AlgSet::P256));
    });
    documented(ED25519_ALONE, two_of_three, |trust| {
        assert_eq!(admit(trust, both, &signed(&[&a, &b])), too_few, "no algorithm, no signature");
    });
}

#[test]
fn digest_of_a_document_is_that_of_the_same_keys_pinned_on_the_same_terms_and_frozen() {
    let (root, release) = (ed25519(1), ed25519(50));
    let mut keys = [(Role::Root, root.public_key()), (Role::Release, release.public_key())];
    keys.sort_by_key(|(_, key)| key.as_bytes().to_vec());
    let [first, second] = &keys;
    let keys = [TrustedKey::new(first.0, &first.1), TrustedKey::new(second.0, &second.1)];
    let thresholds = Thresholds { root: 1, release: 1, approval: 0, freshness: 0 };
    let min_order = Order { epoch: 0x0102, sequence: 0x0304_0506 };
    let terms = TrustTerms { version: 2, epoch: 0x0708, min_order, thresholds, ..TrustTerms::FIRST };
    let document = |d: &mut TrustDraft| (d.epoch, d.min_order) = (0x0708, min_order);
    let digest = Trust::pinned_on(&terms, &keys).digest();
    documented(BOTH, document, |trust| assert_eq!(trust.digest(), digest));
    assert_ne!(Trust::pinned(&keys).digest(), digest, "other terms");

    // As `docs/wire.md` has it: version, epochs, lowest order, threshold and hybrid of each role; then the keys.
    let terms = [2, 0, 0, 0, 8, 7, 2, 1, 6, 5, 4, 3, 1, 0, 1, 0, 0, 0, 0, 0];
    let entry = |(role, key): &(Role, ota_verify::PublicKey)| {
        [&[*role as u8, key.alg() as u8], &key.key_id().as_bytes()[..]].concat()
    };
    assert_eq!(ota_verify::Sha256::of(&[&terms, &entry(first), &entry(second)]), digest);
}

#[test]
fn signed_document_is_frozen_to_the_byte() {
    let (a, b) = (ed25519(1), p256(2));
    let mut draft = draft(2, 2, &[&a, &b]);
    (draft.epoch, draft.min_order) = (2, Order { epoch: 1, sequence: 300 });
    let vector: String = include_str!("vectors/trust.hex").split_whitespace().collect();
    let found: String = sealed(&draft, &[&a, &b]).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, vector, "bootloaders in the field verify exactly these bytes: bump a format instead");
}

#[test]
fn codes_of_refused_documents_are_frozen() {
    let codes = [
        (TrustError::WrongKind(Kind::Manifest), 0x0701),
        (TrustError::TooLarge { len: 0 }, 0x0702),
        (TrustError::Malformed(DecodeError::Truncated), 0x0703),
        (TrustError::NoRootKeys, 0x0704),
        (TrustError::Replay { current: 0, found: 0 }, 0x0705),
        (TrustError::Gap { current: 0, found: 0 }, 0x0706),
        (TrustError::NotByOldRoots { found: 0, needed: 0 }, 0x0707),
        (TrustError::NotByNewRoots { found: 0, needed: 0 }, 0x0708),
        (TrustError::Lowered, 0x0709),
        (TrustError::NotHybrid, 0x070A),
        (TrustError::UnknownExtension(0), 0x070B),
    ];
    for (error, code) in codes {
        assert_eq!(error.code(), code, "{error}");
    }
    assert_eq!(AdmitError::BelowMinOrder.code(), 0x0310);
}
