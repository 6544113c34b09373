//! What is adopted, when, and what is not.

use super::*;

#[test]
fn chain_goes_from_1_to_5_one_document_per_boot_and_writes_nothing_in_between() {
    for strategy in STRATEGIES {
        let mut device = Device::new(strategy);
        assert_eq!(device.boot().unwrap().trust, 1);
        for next in 2..=5 {
            device.offer(&chain(next)).unwrap();
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.adoption), (next - 1, Some(Ok(()))), "in force from the next boot on");
            let mut operations = 0;
            for _ in 0..4 {
                let ran = device.boot().unwrap();
                assert_eq!((ran.trust, ran.adoption, ran.release), (next, None, 1));
                operations = if operations == 0 { device.flash.operations() } else { operations };
            }
            assert_eq!(device.flash.operations(), operations, "what is adopted is left alone");
        }
        assert_eq!(device.flash.violations(), 0);
    }
}

#[test]
fn document_over_a_gap_an_older_one_and_a_forged_one_are_not_adopted() {
    let mut device = Device::with_trust(Strategy::DirectXip, 3);
    let by_a_stranger = {
        let mut draft = TrustDraft::new(4);
        draft.keys.push(Key::new(77).public_key().draft(Role::Root)).unwrap();
        draft.keys.push(release_key(1).public_key().draft(Role::Release)).unwrap();
        seal_trust(&draft, &[&Key::new(77)]).unwrap()
    };
    for envelope in [chain(5), chain(3), chain(2), by_a_stranger] {
        device.offer(&envelope).unwrap();
        let operations = device.flash.operations();
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.adoption), (3, None));
        assert_eq!(device.flash.operations(), operations);
    }
    device.offer(&chain(4)).unwrap();
    assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
    assert_eq!(device.boot().unwrap().trust, 4);
}

#[test]
fn device_on_version_5_does_not_adopt_version_7() {
    let mut device = Device::with_trust(Strategy::DirectXip, 5);
    device.offer(&document(7, &[2])).unwrap();
    for _ in 0..3 {
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.adoption), (5, None));
    }
}

/// The thief of release key 1 has made devices run the last order of epoch 0, so that no release is newer.
#[test]
fn fast_forward_by_a_stolen_key_is_recovered_from_by_a_new_epoch() {
    let order = |epoch, sequence| Order { epoch, sequence };
    for strategy in STRATEGIES {
        let mut device = Device::new(strategy);
        device.update_to(order(0, u32::MAX), &[1], 1, true);
        assert!(device.boot().is_some());
        device.confirm();
        assert_eq!(device.boot().unwrap().release, u32::MAX);
        // To withdraw at once what runs would leave nothing to boot: the bootloader sees to that.
        let adopt = |device: &mut Device, envelope: &[u8]| {
            device.offer(envelope).unwrap();
            device.boot().unwrap().adoption
        };
        let at_once = adopt(&mut device, &opening(2, 1, order(1, 0), &[2]));
        assert!(matches!(at_once, Some(Err(AdoptError::WouldNotBoot(_)))), "{at_once:?}");
        // First the epoch, then a release in it by another key, then the stolen key and its orders go.
        assert_eq!(adopt(&mut device, &opening(2, 1, order(0, 0), &[1, 2])), Some(Ok(())));
        assert_eq!(device.boot().unwrap().trust, 2);
        device.update_to(order(1, 7), &[2], 1, true);
        assert!(device.boot().is_some());
        device.confirm();
        assert_eq!(adopt(&mut device, &opening(3, 1, order(1, 0), &[2])), Some(Ok(())));
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.state, ran.release), (3, SlotState::Confirmed, 7));
        // And no document opens the way back.
        assert_eq!(adopt(&mut device, &opening(4, 0, order(0, 0), &[1, 2])), None);
        assert_eq!(adopt(&mut device, &opening(4, 1, order(0, 9), &[1, 2])), None);
        assert_eq!(device.boot().unwrap().trust, 3);
    }
}

#[test]
fn update_that_was_given_up_does_not_keep_a_document_from_being_adopted() {
    for strategy in STRATEGIES {
        let mut device = Device::new(strategy);
        device.update(&[1, 2], 1, false);
        device.offer(&chain(2)).unwrap();
        assert_eq!(device.boot().unwrap().adoption, Some(Ok(())), "what is staged is no hindrance");
        device.update(&[1, 2], 1, true);
        let ran = device.boot().unwrap();
        assert_eq!((ran.state, ran.release, ran.trust), (SlotState::Trial, 2, 2));
    }
}

#[test]
fn document_that_is_offered_again_is_not_written_again() {
    let mut device = Device::new(Strategy::DirectXip);
    assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::Written));
    let operations = device.flash.operations();
    assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::HeldBefore));
    assert_eq!(device.flash.operations(), operations);
    // The same beginning is not the same document.
    assert_eq!(device.offer(&chain(3)), Ok(TrustOffer::Written));
    assert_eq!(device.offer(&chain(2)), Ok(TrustOffer::Written));
    assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
}

#[test]
fn nothing_is_adopted_while_an_image_is_on_trial() {
    for strategy in STRATEGIES {
        let mut device = Device::new(strategy);
        device.update(&[1, 2], 1, true);
        device.offer(&chain(2)).unwrap();
        let ran = device.boot().unwrap();
        assert_eq!((ran.state, ran.release), (SlotState::Trial, 2));
        assert_eq!((ran.trust, ran.adoption), (1, Some(Err(AdoptError::NotNow))), "on trial");
        device.confirm();
        let ran = device.boot().unwrap();
        assert_eq!((ran.state, ran.adoption), (SlotState::Confirmed, Some(Ok(()))), "and then it is");
        assert_eq!(device.boot().unwrap().trust, 2);
    }
}

#[test]
fn document_under_which_the_running_image_would_not_boot_is_not_adopted() {
    let mut device = Device::new(Strategy::DirectXip);
    device.offer(&document(2, &[3])).unwrap();
    (0..2).for_each(|_| assert!(device.boot().is_some()));
    for _ in 0..3 {
        let operations = device.flash.operations();
        let ran = device.boot().unwrap();
        assert!(matches!(ran.adoption, Some(Err(AdoptError::WouldNotBoot(_)))), "{ran:?}");
        assert_eq!(
            (ran.trust, ran.release, device.flash.operations()),
            (1, 1, operations),
            "and nothing is written"
        );
    }
    device.offer(&chain(2)).unwrap();
    assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
}

#[test]
fn image_that_needs_the_new_keys_runs_after_the_adoption() {
    for strategy in STRATEGIES {
        let mut device = Device::with_trust(strategy, 4);
        device.update(&[2], 1, true);
        let ran = device.boot().unwrap();
        assert_eq!((ran.trust, ran.state, ran.release), (4, SlotState::Trial, 2));
        device.confirm();
        let ran = device.boot().unwrap();
        assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 2));
    }
}

#[test]
fn guard_and_kept_trust_are_locked_and_the_inbox_is_not() {
    let mut device = Device::new(Strategy::DirectXip);
    let locked = device.boot().unwrap().locked;
    assert_eq!(locked, [pages(4, 2), pages(6, 4)]);
    assert_eq!(device.layout.kept_trust(), Some(pages(6, 4)));
}

#[test]
fn what_is_no_trust_document_is_not_even_offered() {
    let mut device = Device::new(Strategy::DirectXip);
    let manifest = image(device.layout, device.policy, 2, SlotId::B, &[1], 1).envelope;
    let operations = device.flash.operations();
    assert_eq!(device.offer(&manifest), Err(OfferError::WrongEnvelope));
    assert_eq!(device.offer(&chain(2)[1..]), Err(OfferError::WrongEnvelope));
    assert_eq!(device.offer(&[&chain(2)[..], &[0]].concat()), Err(OfferError::WrongEnvelope));
    assert_eq!(device.flash.operations(), operations);
}

#[test]
fn envelope_must_be_the_one_the_trust_was_read_from() {
    let mut device = Device::new(Strategy::DirectXip);
    let (layout, pinned) = (device.layout, device.policy);
    let (second, other) = (chain(2), document(2, &[1]));
    let successor = pinned.trust.successor(Frame::parse(&second).unwrap(), ALGORITHMS).unwrap();
    let mut guard = device.run(Guard::read(layout));
    let handover = device.decide(pinned, &guard, ResetCause::PowerOn).unwrap();
    let next = Policy { trust: Trust::documented(&successor), ..*pinned };
    let wrong = Adopt::new(layout, &mut guard, &handover, &next, (&successor, &other)).err();
    assert_eq!(wrong, Some(AdoptError::WrongEnvelope));
    let under_the_old = Adopt::new(layout, &mut guard, &handover, pinned, (&successor, &second)).err();
    assert_eq!(under_the_old, Some(AdoptError::WrongEnvelope));
}
