//! Freshness replies: whom a device believes what time it is, and what it does with it.

#[path = "common/device.rs"]
mod device;

use device::{Key, Refused, draft, ed25519, p256, state, verdict};
use ota_manifest::{DecodeError, Frame, FreshnessDraft, Kind, Nonce, Order, Role, Thresholds};
use ota_verify::sign::{Signer, seal, seal_freshness, seal_manifest};
use ota_verify::{
    AdmitError, AuthError, DeviceState, Expiry, FreshnessError, Trust, TrustTerms, TrustedKey, TrustedTime,
};

const NONCE: Nonce = Nonce::new([7; 16]);

fn reply() -> FreshnessDraft {
    let latest = Order { epoch: 0, sequence: 9 };
    FreshnessDraft { nonce: NONCE, time: 1_790_000_000, latest, trust_version: 3 }
}

/// What a device says that has asked with [`NONCE`] and believes freshness key seed 4.
fn believed(envelope: &[u8]) -> Result<TrustedTime, FreshnessError> {
    let key = ed25519(4).public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    Ok(Trust::pinned(&keys).freshness(Frame::parse(envelope).unwrap(), NONCE)?.time())
}

fn sealed(draft: &FreshnessDraft, key: &Key) -> Vec<u8> {
    seal_freshness(draft, &[key]).unwrap()
}

#[test]
fn reply_to_the_devices_own_question_is_believed_in_all_it_says() {
    let key = ed25519(4).public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let envelope = sealed(&reply(), &ed25519(4));
    let fresh = Trust::pinned(&keys).freshness(Frame::parse(&envelope).unwrap(), NONCE).unwrap();
    assert_eq!((fresh.latest(), fresh.trust_version()), (reply().latest, 3));
    let later = fresh.time().later(60);
    assert_eq!((later.seconds(), later > fresh.time()), (1_790_000_060, true));
    assert_eq!(fresh.time().later(u64::MAX).seconds(), u64::MAX, "no wrap into the past");
}

#[test]
fn replayed_foreign_and_other_peoples_replies_are_refused_each_with_its_code() {
    let code = |envelope: &[u8]| believed(envelope).err().map(|error| (error, error.code()));
    let refused = |error, code| Some((error, code));

    let earlier = FreshnessDraft { nonce: Nonce::new([8; 16]), ..reply() };
    assert_eq!(code(&sealed(&earlier, &ed25519(4))), refused(FreshnessError::WrongNonce, 0x0802));
    let unknown = FreshnessError::Auth(AuthError::UnknownKey);
    assert_eq!(code(&sealed(&reply(), &ed25519(5))), refused(unknown, 0x0202));
    let malformed = FreshnessError::Malformed(DecodeError::Truncated);
    let garbage = seal(Kind::Freshness, b"now", &[(&ed25519(4), Role::Freshness)]).unwrap();
    assert_eq!(code(&garbage), refused(malformed, 0x0801));

    let mut buffer = [0; FreshnessDraft::MAX];
    let payload = reply().encode(&mut buffer).unwrap();
    let in_another_role = seal(Kind::Freshness, payload, &[(&ed25519(4), Role::Release)]).unwrap();
    assert_eq!(code(&in_another_role), refused(FreshnessError::Auth(AuthError::BadSignature), 0x0203));
    let manifest = seal_manifest(&draft(Order::default()), &[(&ed25519(4), Role::Freshness)]).unwrap();
    let kind = FreshnessError::Auth(AuthError::WrongKind(Kind::Manifest));
    assert_eq!(code(&manifest), refused(kind, 0x0201));
}

#[test]
fn reply_is_no_manifest_and_an_online_key_releases_nothing() {
    let online = ed25519(4);
    let key = online.public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let trust = Trust::pinned(&keys);
    let reply = sealed(&reply(), &online);
    let as_manifest = trust.authenticate(Frame::parse(&reply).unwrap(), Role::Release).map(|_| ());
    assert_eq!(as_manifest, Err(AuthError::WrongKind(Kind::Freshness)));
    let forged = seal_manifest(&draft(Order::default()), &[(&online, Role::Release)]).unwrap();
    assert_eq!(verdict(&trust, &state(), &forged), Err(Refused::Auth(AuthError::UnknownKey)));
}

#[test]
fn freshness_threshold_counts_distinct_keys() {
    let (a, b) = (ed25519(4), p256(5));
    let [first, second] = [&a, &b].map(Signer::public_key);
    let keys = [TrustedKey::new(Role::Freshness, &first), TrustedKey::new(Role::Freshness, &second)];
    let thresholds = Thresholds { freshness: 2, ..Thresholds::ONE };
    let terms = TrustTerms { thresholds, ..TrustTerms::FIRST };
    let trust = Trust::pinned_on(&terms, &keys);
    let verdict = |signers: &[&dyn Signer]| {
        let envelope = seal_freshness(&reply(), signers).unwrap();
        trust.freshness(Frame::parse(&envelope).unwrap(), NONCE).map(|_| ())
    };
    assert_eq!(verdict(&[&a, &b]), Ok(()));
    let one = FreshnessError::Auth(AuthError::BelowThreshold { found: 1, needed: 2 });
    assert_eq!(verdict(&[&a]), Err(one));
}

#[test]
fn every_single_bit_flip_and_every_truncation_of_a_reply_is_refused() {
    let good = sealed(&reply(), &ed25519(4));
    let key = ed25519(4).public_key();
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let trust = Trust::pinned(&keys);
    let refused =
        |bytes: &[u8]| Frame::parse(bytes).map_or(true, |frame| trust.freshness(frame, NONCE).is_err());
    assert!(!refused(&good));
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(refused(&good[..len]), "length {len}");
    }
    assert!(refused(&[&good[..], &[0]].concat()), "a byte behind");
}

#[test]
fn release_past_its_end_is_refused_once_the_time_is_known_and_only_then() {
    let vendor = ed25519(1);
    let key = vendor.public_key();
    let keys = [TrustedKey::new(Role::Release, &key)];
    let trust = Trust::pinned(&keys);
    let now = believed(&sealed(&reply(), &ed25519(4))).unwrap();
    let verdict = |not_after, now| {
        let mut draft = draft(Order::default());
        draft.not_after = not_after;
        let envelope = seal_manifest(&draft, &[(&vendor, Role::Release)]).unwrap();
        let authentic = trust.authenticate(Frame::parse(&envelope).unwrap(), Role::Release).unwrap();
        authentic.admit(&DeviceState { now, ..state() }).map(|applicable| applicable.expiry())
    };
    assert_eq!(verdict(None, Some(now)), Ok(Expiry::Never));
    assert_eq!(verdict(Some(now.seconds()), Some(now)), Ok(Expiry::NotYet), "its last second is valid");
    assert_eq!(verdict(Some(now.seconds()), Some(now.later(1))), Err(AdmitError::Expired));
    assert_eq!(verdict(Some(0), None), Ok(Expiry::Unchecked), "no clock, and the bootloader has none");
    assert_eq!(verdict(None, None), Ok(Expiry::Never));
}
