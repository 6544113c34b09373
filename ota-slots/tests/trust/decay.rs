//! Copies and cells that rot.

use super::*;

#[test]
fn second_copy_serves_when_the_first_has_rotted_and_the_first_when_the_second_has() {
    for version in [2, 3] {
        let before = Device::with_trust(Strategy::DirectXip, version);
        let len = chain(version).len();
        for copy in [KEPT, KEPT + COPY] {
            for bit in (8 * copy..8 * (copy + len)).step_by(97) {
                let mut device = before.reseeded(1);
                device.flash.flip(bit);
                let ran = device.boot().unwrap();
                assert_eq!((ran.trust, ran.release), (version, 1), "bit {bit}");
            }
        }
    }
}

#[test]
fn one_flipped_bit_of_the_guard_region_changes_no_trust() {
    for version in [2, 3] {
        let before = Device::with_trust(Strategy::DirectXip, version);
        for bit in 8 * GUARD..8 * KEPT {
            let mut device = before.reseeded(1);
            device.flash.flip(bit);
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.release), (version, 1), "bit {bit}");
        }
    }
}

#[test]
fn two_rotten_copies_leave_the_pinned_keys_and_a_device_that_boots_what_they_sign() {
    let mut device = Device::with_trust(Strategy::DirectXip, 3);
    for copy in [KEPT, KEPT + COPY] {
        device.flash.corrupt(copy + 20, &[0x55; 8]);
    }
    let ran = device.boot().unwrap();
    assert_eq!((ran.trust, ran.release), (1, 1));
}

#[test]
fn floor_and_trust_outlive_the_journal() {
    for strategy in STRATEGIES {
        let mut device = Device::with_trust(strategy, 3);
        device.update(&[2], 7, true);
        assert_eq!(device.boot().map(|ran| ran.floor), Some(SecurityVersion(1)), "a trial raises nothing");
        device.confirm();
        assert_eq!(device.boot().map(|ran| ran.floor), Some(SecurityVersion(7)));
        for journal in [[0x00; JOURNAL], [0xFF; JOURNAL], [0xA5; JOURNAL]] {
            let mut device = device.clone();
            device.flash.corrupt(0, &journal);
            let ran = device.boot().unwrap();
            assert_eq!((ran.trust, ran.floor, ran.release), (3, SecurityVersion(7), 2), "{strategy:?}");
            assert_eq!(ran.state, SlotState::Trial);
        }
    }
}

#[test]
fn lost_journal_does_not_keep_the_next_document_from_being_adopted() {
    for strategy in STRATEGIES {
        let mut device = Device::with_trust(strategy, 2);
        device.flash.corrupt(0, &[0xA5; JOURNAL]);
        assert_eq!(device.boot().map(|ran| ran.state), Some(SlotState::Trial));
        device.confirm();
        assert_eq!(device.boot().map(|ran| ran.state), Some(SlotState::Confirmed));
        device.offer(&chain(3)).unwrap();
        assert_eq!(device.boot().and_then(|ran| ran.adoption), Some(Ok(())), "{strategy:?}");
    }
}

/// The floor is raised by a cell of its own, which must not forget the document, nor a document the floor.
#[test]
fn floor_and_trust_do_not_overwrite_each_other() {
    let mut device = Device::with_trust(Strategy::DirectXip, 2);
    device.update(&[1, 2], 5, true);
    assert!(device.boot().is_some());
    device.confirm();
    assert!(device.boot().is_some());
    device.offer(&chain(3)).unwrap();
    assert_eq!(device.boot().unwrap().adoption, Some(Ok(())));
    let ran = device.boot().unwrap();
    assert_eq!((ran.trust, ran.floor, ran.slot), (3, SecurityVersion(5), SlotId::B));
    let guard = device.run(Guard::read(device.layout));
    assert_eq!((guard.floor(), guard.trust_version()), (SecurityVersion(5), 3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_lies_in_the_inbox_the_device_boots_under_the_trust_it_had(
        at in 0usize..2048, garbage in prop::collection::vec(any::<u8>(), 1..600), whole in any::<bool>(),
    ) {
        let mut device = Device::with_trust(Strategy::DirectXip, 2);
        device.offer(&chain(3)).unwrap();
        let at = if whole { 0 } else { at };
        let end = (at + garbage.len()).min(2048);
        device.flash.corrupt(INBOX + at, &garbage[..end - at]);
        let ran = device.boot().unwrap();
        prop_assert_eq!((ran.trust, ran.release), (2, 1));
        prop_assert!(matches!(device.boot().map(|ran| ran.trust), Some(2 | 3)));
    }

    #[test]
    fn whatever_lies_in_guard_and_kept_trust_the_device_boots(
        at in 0usize..6 * PAGE, garbage in prop::collection::vec(any::<u8>(), 1..2000),
    ) {
        let mut device = Device::with_trust(Strategy::DirectXip, 2);
        let end = (at + garbage.len()).min(6 * PAGE);
        device.flash.corrupt(GUARD + at, &garbage[..end - at]);
        for _ in 0..3 {
            prop_assert_eq!(device.boot().map(|ran| ran.release), Some(1));
        }
    }
}
