//! Orders: what a thief of a release key can do to them, and how a trust document undoes it.

#[path = "common/device.rs"]
mod device;

use device::{Key, Refused, draft, ed25519, state, verdict};
use ota_manifest::{ExtensionDraft, Frame, Order, Role, TrustDraft};
use ota_verify::sign::{Signer, seal_manifest, seal_trust};
use ota_verify::{
    AdmitError, AlgSet, AuthError, DeviceState, Ed25519, KeyAlgorithm, Trust, TrustError, TrustTerms,
    TrustedKey,
};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];

fn release(epoch: u16, sequence: u32, key: &Key) -> Vec<u8> {
    seal_manifest(&draft(Order { epoch, sequence }), &[(key, Role::Release)]).unwrap()
}

/// A document by root seed 1 with this release key.
fn next(version: u32, epoch: u16, min_order: Order, releases: &Key) -> TrustDraft {
    let mut draft = TrustDraft::new(version);
    (draft.epoch, draft.min_order) = (epoch, min_order);
    draft.keys.push(ed25519(1).public_key().draft(Role::Root)).unwrap();
    draft.keys.push(releases.public_key().draft(Role::Release)).unwrap();
    draft
}

/// Runs `check` with root seed 1 and this release key pinned on `terms`.
fn pinned<R>(terms: TrustTerms, releases: &Key, check: impl FnOnce(&Trust<'_>) -> R) -> R {
    let (root, releases) = (ed25519(1).public_key(), releases.public_key());
    let keys = [TrustedKey::new(Role::Root, &root), TrustedKey::new(Role::Release, &releases)];
    check(&Trust::pinned_on(&terms, &keys))
}

/// What a device that runs `running` says to a release.
fn choose(trust: &Trust<'_>, running: Order, envelope: &[u8]) -> Result<AlgSet, Refused> {
    verdict(trust, &DeviceState { running: Some(running), ..state() }, envelope)
}

#[test]
fn fast_forward_by_a_stolen_release_key_is_recovered_from_by_a_new_epoch() {
    let (stolen, fresh) = (ed25519(50), ed25519(51));
    let ok = Ok(AlgSet::ED25519);
    let last = Order { epoch: 0, sequence: u32::MAX };
    let order = |epoch, sequence| Order { epoch, sequence };

    pinned(TrustTerms::FIRST, &stolen, |trust| {
        // The thief uses up every order there is in the open epoch, and cannot reach the next.
        assert_eq!(choose(trust, order(0, 7), &release(0, u32::MAX, &stolen)), ok);
        let closed = Err(Refused::Admit(AdmitError::EpochNotOpen));
        assert_eq!(choose(trust, order(0, 7), &release(1, 0, &stolen)), closed);
        assert_eq!(choose(trust, order(0, 7), &release(u16::MAX, 0, &stolen)), closed);
        // Nothing of this epoch is newer than what now runs.
        let stuck = Err(Refused::Admit(AdmitError::NotNewer));
        assert_eq!(choose(trust, last, &release(0, u32::MAX, &stolen)), stuck);
        assert_eq!(verdict(trust, &state(), &release(1, 0, &stolen)), closed, "at boot neither");

        // The roots open the next epoch to another key, and withdraw all that came before.
        let envelope = seal_trust(&next(2, 1, order(1, 0), &fresh), &[&ed25519(1)]).unwrap();
        let adopted = trust.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).unwrap();
        let trust = Trust::documented(&adopted);
        assert_eq!((trust.epoch(), trust.min_order()), (1, order(1, 0)));
        assert_eq!(choose(&trust, last, &release(1, 0, &fresh)), ok);
        let unknown = Err(Refused::Auth(AuthError::UnknownKey));
        assert_eq!(choose(&trust, last, &release(1, 9, &stolen)), unknown);
        let withdrawn = Err(Refused::Admit(AdmitError::BelowMinOrder));
        assert_eq!(verdict(&trust, &state(), &release(0, u32::MAX, &fresh)), withdrawn);
    });
}

#[test]
fn document_takes_back_neither_an_open_epoch_nor_a_withdrawal() {
    let key = ed25519(50);
    let terms = TrustTerms { epoch: 3, min_order: Order { epoch: 2, sequence: 9 }, ..TrustTerms::FIRST };
    let verdict = |epoch, min_epoch, sequence| {
        let document = next(2, epoch, Order { epoch: min_epoch, sequence }, &key);
        let envelope = seal_trust(&document, &[&ed25519(1)]).unwrap();
        pinned(terms, &key, |trust| trust.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).err())
    };
    assert_eq!(verdict(3, 2, 9), None);
    assert_eq!(verdict(4, 4, 0), None);
    assert_eq!(verdict(2, 2, 9), Some(TrustError::Lowered));
    assert_eq!(verdict(3, 2, 8), Some(TrustError::Lowered));
    assert_eq!(verdict(9, 1, u32::MAX), Some(TrustError::Lowered));
}

#[test]
fn critical_extension_of_a_document_is_refused_by_name_and_another_is_not() {
    let key = ed25519(50);
    let verdict = |critical| {
        let mut document = next(2, 0, Order::default(), &key);
        let bytes = [1].into_iter().collect();
        document.extensions.push(ExtensionDraft { id: 77, critical, bytes }).unwrap();
        let envelope = seal_trust(&document, &[&ed25519(1)]).unwrap();
        pinned(TrustTerms::FIRST, &key, |trust| {
            trust.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).err()
        })
    };
    assert_eq!(verdict(true), Some(TrustError::UnknownExtension(77)));
    assert_eq!(verdict(false), None);
}
