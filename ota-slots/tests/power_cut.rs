//! Power fails at every operation of whole update lives, in every way it can; then the device must find its way.
//!
//! The cut points come from the operation log of an undisturbed life, and each cut is asserted to have fired: a sweep that
//! silently misses its targets proves nothing.

mod common;

use common::{Device, Firmware};
use ota_manifest::RollbackReason;
use ota_slots::sim::{Cut, CutMode};

/// Marginal bits fall differently each time; so do random tears.
const SEEDS: u64 = 3;
/// Cells of a journal page: with so many different beginnings a page change falls on every record of a life.
const ALIGNMENTS: usize = 8;
/// At other alignments than the first, one of each kind of cut.
const SAMPLE: [CutMode; 4] =
    [CutMode::Before, CutMode::RandomBits(50), CutMode::AlmostDone(1), CutMode::BarelyBegun(1)];

/// Lives one life for every operation, mode and seed; `judge` looks at the end of each.
fn sweep(firmware: Firmware, judge: impl Fn(&Device)) -> usize {
    (0..ALIGNMENTS).map(|records| sweep_aligned(firmware, records, &judge)).sum()
}

fn sweep_aligned(firmware: Firmware, records: usize, judge: &impl Fn(&Device)) -> usize {
    let mut undisturbed = Device::aged(firmware, 1, records);
    undisturbed.live();
    undisturbed.stays();
    judge(&undisturbed);
    let operations = undisturbed.flash.log().len();
    assert!(operations > 20, "a life has more than {operations} operations");
    let modes = if records == 0 { &CutMode::ALL[..] } else { &SAMPLE };
    let mut cuts = 0;
    for operation in 0..operations {
        for mode in modes {
            let clean =
                matches!(mode, CutMode::Before | CutMode::After | CutMode::FirstHalf | CutMode::LastHalf);
            for seed in 0..if clean || records > 0 { 1 } else { SEEDS } {
                cut_once(Device::aged(firmware, seed, records), Cut { operation, mode: *mode }, judge);
                cuts += 1;
            }
        }
    }
    cuts
}

fn cut_once(mut device: Device, cut: Cut, judge: &impl Fn(&Device)) {
    device.flash.cut(cut);
    device.live();
    assert!(device.flash.cut_fired(), "{cut:?} was never reached");
    assert_eq!(device.flash.violations(), 0, "{cut:?} led to a broken flash rule");
    device.stays();
    judge(&device);
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
