//! What is admitted must fit wherever it is moved to: where it runs, where it is staged, and where it is put aside.

mod common;

use common::{Device, Firmware};
use ota_manifest::RollbackReason;
use ota_slots::sim::{Lab, LabFlash};
use ota_slots::{SlotId, Strategy};

fn device(strategy: Strategy, firmware: Firmware) -> Device {
    let mut device = Device::with(strategy, firmware, 1);
    let lab = Lab::with_layout(device.layout);
    let largest = device.layout.target(SlotId::B).largest_image as usize;
    // The factory's image has no leaf list beside it; one that is staged has.
    let page = device.layout.geometry(SlotId::B).erase_page as usize;
    (device.old, device.new) = (lab.release(1, largest), lab.release(2, largest - page));
    let region = device.layout.slot(SlotId::B).region;
    device.flash = LabFlash::new((region.start + region.len) as usize, region.geometry.erased, 1);
    lab.provision(&mut device.flash, &device.old);
    device
}

#[test]
fn largest_image_that_fits_is_swapped_in_and_confirmed() {
    let mut device = device(Strategy::SwapOffset, Firmware::Healthy);
    device.live();
    assert_eq!((device.handovers.last(), device.events.len()), (Some(&2), 0));
}

#[test]
fn largest_image_that_fits_comes_back_after_a_failed_trial() {
    let mut device = device(Strategy::SwapOffset, Firmware::Fails);
    device.live();
    assert_eq!(device.handovers.last(), Some(&1));
    assert_eq!(device.events, [(1, RollbackReason::SelfTest)]);
}

#[test]
fn largest_image_that_fits_is_copied_over_the_old_one() {
    let mut device = device(Strategy::Overwrite, Firmware::Healthy);
    device.live();
    assert_eq!((device.handovers.last(), device.events.len()), (Some(&2), 0));
}
