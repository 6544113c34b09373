//! Power that fails while documents are offered and adopted.

use super::*;

const SEEDS: u64 = 3;

fn offer_and_boot(device: &mut Device, version: u32) {
    if device.offer(&chain(version)).is_ok() {
        let _ = device.boot();
    }
}

/// Boots of a device that was under `old` and is to be under `new`: one of them is in force, and the image runs.
fn judge(device: &mut Device, allowed: &[u32], what: &dyn std::fmt::Debug) {
    for _ in 0..3 {
        let ran = device.boot().unwrap_or_else(|| panic!("does not boot after {what:?}"));
        assert!(allowed.contains(&ran.trust), "trust {} in force after {what:?}", ran.trust);
        assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 1), "{what:?}");
    }
}

fn sweep(strategy: Strategy, old: u32) {
    let before = Device::with_trust(strategy, old).reseeded(1);
    let mut undisturbed = before.clone();
    offer_and_boot(&mut undisturbed, old + 1);
    let operations = undisturbed.flash.operations();
    assert!(operations > 10, "{operations}");
    for operation in 0..operations {
        for mode in CutMode::ALL {
            for seed in 0..SEEDS {
                let cut = Cut { operation, mode };
                let mut device = before.reseeded(seed);
                device.flash.cut(cut);
                offer_and_boot(&mut device, old + 1);
                assert!(device.flash.cut_fired(), "{cut:?}");
                device.flash.power_on();
                judge(&mut device, &[old, old + 1], &cut);
                // And the chain goes on.
                device.offer(&chain(old + 1)).unwrap();
                judge(&mut device, &[old, old + 1], &cut);
                assert_eq!(device.flash.violations(), 0, "{cut:?}");
            }
        }
    }
}

#[test]
fn at_any_operation_of_the_first_adoption_leave_the_pinned_or_the_new_document_in_force() {
    sweep(Strategy::DirectXip, 1);
}

#[test]
fn at_any_operation_of_a_later_adoption_leave_the_old_or_the_new_document_in_force() {
    sweep(Strategy::DirectXip, 2);
    sweep(Strategy::SwapOffset, 3);
}

/// Offers what follows the trust in force, until version 5 is. Ends early if power fails.
fn follow(device: &mut Device) -> Option<u32> {
    let mut trust = device.boot()?.trust;
    for _ in 0..12 {
        if trust == 5 {
            return Some(5);
        }
        if device.offer(&chain(trust + 1)).is_err() && !device.flash.is_powered() {
            return None;
        }
        let ran = device.boot()?;
        assert_eq!((ran.state, ran.release), (SlotState::Confirmed, 1));
        assert!(ran.trust >= trust, "{} after {trust}", ran.trust);
        trust = ran.trust;
    }
    Some(trust)
}

fn journey(strategy: Strategy) {
    let before = Device::new(strategy).reseeded(1);
    let mut undisturbed = before.clone();
    assert_eq!(follow(&mut undisturbed), Some(5));
    let operations = undisturbed.flash.operations();
    for operation in 0..operations {
        for mode in CutMode::ALL {
            let cut = Cut { operation, mode };
            let mut device = before.reseeded(operation as u64);
            device.flash.cut(cut);
            let _ = follow(&mut device);
            assert!(device.flash.cut_fired(), "{cut:?}");
            device.flash.power_on();
            assert_eq!(follow(&mut device), Some(5), "{cut:?}");
            assert_eq!(device.flash.violations(), 0, "{cut:?}");
        }
    }
    println!("{operations} operations, {} cuts", operations * CutMode::ALL.len());
}

#[test]
fn at_any_operation_of_a_chain_from_1_to_5_do_not_keep_the_device_from_5() {
    journey(Strategy::DirectXip);
}

#[test]
fn at_any_operation_of_a_chain_do_not_keep_a_device_that_swaps_from_its_end() {
    journey(Strategy::SwapOffset);
}

/// A cell of the guard region that was almost written reads either way. Nothing irreversible may be done on its word:
/// the copy of the document that it names tomorrow must still be there tomorrow.
#[test]
fn in_two_adoptions_on_end_leave_one_of_three_documents_in_force() {
    let before = Device::with_trust(Strategy::DirectXip, 3).reseeded(1);
    let mut undisturbed = before.clone();
    offer_and_boot(&mut undisturbed, 4);
    let first_operations = undisturbed.flash.operations();
    for operation in 0..first_operations {
        for mode in [CutMode::AlmostDone(1), CutMode::WeaklyDone(1), CutMode::BarelyBegun(1)] {
            for second in 0..first_operations {
                let cuts = [(operation, mode), (second, CutMode::Before)];
                let mut device = before.reseeded((operation + second) as u64);
                device.flash.cut(Cut { operation, mode });
                offer_and_boot(&mut device, 4);
                device.flash.power_on();
                let Some(ran) = device.boot() else { panic!("does not boot after {cuts:?}") };
                device.flash = device.flash.reseeded(second as u64);
                device.flash.cut(Cut { operation: second, mode: CutMode::Before });
                offer_and_boot(&mut device, ran.trust.max(4) + u32::from(ran.trust == 4));
                if !device.flash.cut_fired() {
                    // What was there already took fewer operations.
                    continue;
                }
                device.flash.power_on();
                judge(&mut device, &[3, 4, 5], &cuts);
            }
        }
    }
}

/// A bit that was programmed by half reads differently from one time to the other. What reads whole to the application may
/// not have done so to the bootloader, which then has nothing to adopt until the document is written anew.
#[test]
fn document_that_the_bootloader_could_not_read_is_not_taken_for_one_it_would_not_adopt() {
    let before = Device::new(Strategy::DirectXip);
    let mut undisturbed = before.clone();
    undisturbed.offer(&chain(2)).unwrap();
    let operations = undisturbed.flash.operations() - before.flash.operations();
    let (mut unread, mut healed) = (0, 0);
    for seed in 0..4000 {
        for mode in [CutMode::AlmostDone(1), CutMode::WeaklyDone(1)] {
            let mut device = before.reseeded(seed);
            device.flash.cut(Cut { operation: operations - 1, mode });
            assert!(device.offer(&chain(2)).is_err(), "the last write was cut");
            device.flash.power_on();
            if device.boot().unwrap().adoption == Some(Ok(())) {
                continue;
            }
            unread += 1;
            healed += u32::from(device.offer(&chain(2)) == Ok(TrustOffer::Written));
            assert_eq!(device.boot().unwrap().adoption, Some(Ok(())), "seed {seed}, {mode:?}");
        }
    }
    assert!(unread > 100 && healed == unread, "{healed} of {unread} were written anew");
}
