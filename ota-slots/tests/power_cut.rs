//! Power fails at every operation of whole update lives, in every way it can; then the device must find its way.
//!
//! The cut points come from the operation log of an undisturbed life, and each cut is asserted to have fired: a sweep that
//! silently misses its targets proves nothing.

mod common;

use common::{Device, Firmware};
use ota_manifest::RollbackReason;
use ota_slots::sim::{Cut, CutMode};

/// Marginal bits fall differently each time; so do random tears.
const SEEDS: u64 = 4;

/// Lives one life for every operation, mode and seed; `judge` looks at the end of each.
fn sweep(firmware: Firmware, judge: impl Fn(&Device)) -> usize {
    let mut undisturbed = Device::new(firmware, 1);
    undisturbed.live();
    undisturbed.stays();
    judge(&undisturbed);
    let operations = undisturbed.flash.log().len();
    assert!(operations > 20, "a life has more than {operations} operations");
    let mut cuts = 0;
    for operation in 0..operations {
        for mode in CutMode::ALL {
            let seeds = if matches!(
                mode,
                CutMode::Before | CutMode::After | CutMode::FirstHalf | CutMode::LastHalf
            ) {
                1
            } else {
                SEEDS
            };
            for seed in 0..seeds {
                let mut device = Device::new(firmware, seed);
                device.flash.cut(Cut { operation, mode });
                device.live();
                assert!(device.flash.cut_fired(), "cut {operation} {mode:?} was never reached");
                assert_eq!(
                    device.flash.violations(),
                    0,
                    "cut {operation} {mode:?} seed {seed} led to a broken flash rule"
                );
                device.stays();
                judge(&device);
                cuts += 1;
            }
        }
    }
    cuts
}

#[test]
fn power_cut_at_any_operation_of_a_good_update_still_ends_confirmed_and_reports_nothing() {
    let cuts = sweep(Firmware::Healthy, |device| {
        assert_eq!(device.handovers.last(), Some(&2));
        assert_eq!(device.events, [], "a false report");
        assert!(device.saw_confirmed);
    });
    println!("{cuts} cuts");
}

#[test]
fn power_cut_at_any_operation_of_a_failing_update_still_ends_on_the_old_image_with_one_report() {
    sweep(Firmware::Fails, |device| {
        assert_eq!(device.handovers.last(), Some(&1));
        assert_eq!(device.events, [(1, RollbackReason::SelfTest)]);
        assert!(device.refused_again, "a rejected manifest is not staged again");
    });
}

#[test]
fn power_cut_at_any_operation_of_a_hanging_update_still_ends_on_the_old_image_after_its_attempts() {
    sweep(Firmware::Hangs, |device| {
        assert_eq!(device.handovers.last(), Some(&1));
        assert_eq!(device.events, [(1, RollbackReason::AttemptsExhausted)]);
        assert!((3..=4).contains(&device.trial_handovers), "{} hand-overs", device.trial_handovers);
    });
}

#[test]
fn undisturbed_lives_take_exactly_the_hand_overs_they_should() {
    for (firmware, expected) in [
        (Firmware::Healthy, vec![1, 2, 2]),
        (Firmware::Fails, vec![1, 2, 1, 1]),
        (Firmware::Hangs, vec![1, 2, 2, 2, 1, 1]),
    ] {
        let mut device = Device::new(firmware, 1);
        device.live();
        assert_eq!(device.handovers, expected, "{firmware:?}");
    }
}
