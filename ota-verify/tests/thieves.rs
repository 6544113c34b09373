//! What the thief of one key cannot do, and what he can: the second is as much a promise as the first, since operators
//! plan by it.

#[path = "common/device.rs"]
mod device;

use device::{Key, Refused, draft, ed25519, state, verdict};
use ota_manifest::{Frame, FreshnessDraft, ManifestDraft, Nonce, Order, Role, SecurityVersion, TrustDraft};
use ota_verify::sign::{Signer, seal_freshness, seal_manifest, seal_trust};
use ota_verify::{
    AdmitError, AlgSet, AuthError, DeviceState, Ed25519, KeyAlgorithm, Trust, TrustTerms, TrustedKey,
};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];
const ACCEPTED: Result<AlgSet, Refused> = Ok(AlgSet::ED25519);

fn release(key: &Key, sequence: u32, change: impl FnOnce(&mut ManifestDraft)) -> Vec<u8> {
    let mut draft = draft(Order { epoch: 0, sequence });
    change(&mut draft);
    seal_manifest(&draft, &[(key, Role::Release)]).unwrap()
}

/// The floor is counted in one place for all epochs, and goes up alone.
#[test]
fn floor_that_a_stolen_release_key_has_used_up_still_lets_its_last_number_in() {
    let (stolen, fresh, root) = (ed25519(50), ed25519(51), ed25519(1));
    let at =
        |security: u32| move |draft: &mut ManifestDraft| draft.security_version = SecurityVersion(security);
    let (root_key, stolen_key) = (root.public_key(), stolen.public_key());
    let keys = [TrustedKey::new(Role::Root, &root_key), TrustedKey::new(Role::Release, &stolen_key)];
    let pinned = Trust::pinned_on(&TrustTerms::FIRST, &keys);
    assert_eq!(verdict(&pinned, &state(), &release(&stolen, 8, at(u32::MAX))), ACCEPTED);

    // A device that has confirmed it takes nothing below, from nobody, in no epoch.
    let spent = DeviceState { floor: SecurityVersion(u32::MAX), ..state() };
    let mut document = TrustDraft::new(2);
    (document.epoch, document.min_order) = (0, Order { epoch: 0, sequence: 9 });
    document.keys.push(root_key.draft(Role::Root)).unwrap();
    document.keys.push(fresh.public_key().draft(Role::Release)).unwrap();
    let envelope = seal_trust(&document, &[&root]).unwrap();
    let adopted = pinned.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).unwrap();
    let trust = Trust::documented(&adopted);
    let below = Err(Refused::Admit(AdmitError::BelowFloor));
    assert_eq!(verdict(&trust, &spent, &release(&fresh, 10, at(u32::MAX - 1))), below);
    // The last number goes on working; what is old is then told by the orders of trust documents.
    assert_eq!(verdict(&trust, &spent, &release(&fresh, 10, at(u32::MAX))), ACCEPTED);
    let withdrawn = Err(Refused::Admit(AdmitError::BelowMinOrder));
    assert_eq!(verdict(&trust, &spent, &release(&fresh, 8, at(u32::MAX))), withdrawn);
}

/// A bootloader adopts no document under which the running image does not prove: with one signature that takes two documents.
#[test]
fn release_that_two_keys_have_signed_outlives_the_document_that_drops_one_of_them() {
    let (stolen, spare, root) = (ed25519(50), ed25519(51), ed25519(1));
    let [root_key, stolen_key, spare_key] = [&root, &stolen, &spare].map(Signer::public_key);
    let keys = [
        TrustedKey::new(Role::Root, &root_key),
        TrustedKey::new(Role::Release, &stolen_key),
        TrustedKey::new(Role::Release, &spare_key),
    ];
    let pinned = Trust::pinned_on(&TrustTerms::FIRST, &keys);
    let draft = draft(Order { epoch: 0, sequence: 8 });
    let ours = seal_manifest(&draft, &[(&stolen, Role::Release), (&spare, Role::Release)]).unwrap();
    let his = release(&stolen, 9, |_| ());
    assert_eq!((verdict(&pinned, &state(), &ours), verdict(&pinned, &state(), &his)), (ACCEPTED, ACCEPTED));

    let mut document = TrustDraft::new(2);
    document.keys.push(root_key.draft(Role::Root)).unwrap();
    document.keys.push(spare_key.draft(Role::Release)).unwrap();
    let envelope = seal_trust(&document, &[&root]).unwrap();
    let adopted = pinned.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).unwrap();
    let trust = Trust::documented(&adopted);
    assert_eq!(verdict(&trust, &state(), &ours), ACCEPTED, "what runs still proves");
    assert_eq!(verdict(&trust, &state(), &his), Err(Refused::Auth(AuthError::UnknownKey)));
}

#[test]
fn thief_of_a_freshness_key_moves_the_time_and_nothing_but_ends_of_validity_hears_of_it() {
    let (vendor, online) = (ed25519(50), ed25519(60));
    let (release_key, freshness_key) = (vendor.public_key(), online.public_key());
    let keys =
        [TrustedKey::new(Role::Release, &release_key), TrustedKey::new(Role::Freshness, &freshness_key)];
    let trust = Trust::pinned(&keys);
    let nonce = Nonce::new([7; 16]);
    let told = |time: u64| {
        let reply = FreshnessDraft { nonce, time, latest: Order::default(), trust_version: 1 };
        let envelope = seal_freshness(&reply, &[&online]).unwrap();
        trust.freshness(Frame::parse(&envelope).unwrap(), nonce).unwrap().time()
    };
    let (ends, lasts) =
        (release(&vendor, 8, |draft| draft.not_after = Some(1_000)), release(&vendor, 8, |_| ()));
    for (time, of_the_one_that_ends) in
        [(0, ACCEPTED), (1_000, ACCEPTED), (u64::MAX, Err(Refused::Admit(AdmitError::Expired)))]
    {
        let now = DeviceState { now: Some(told(time)), ..state() };
        assert_eq!(verdict(&trust, &now, &ends), of_the_one_that_ends, "{time}");
        assert_eq!(verdict(&trust, &now, &lasts), ACCEPTED, "{time}");
    }
    // A release by the online key is nobody's, whatever the role it was signed in.
    let unknown = Err(Refused::Auth(AuthError::UnknownKey));
    assert_eq!(verdict(&trust, &state(), &release(&online, 8, |_| ())), unknown);
}
