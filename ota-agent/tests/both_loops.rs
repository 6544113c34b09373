//! Slot work on blocking flash and on asynchronous flash is the same, because it is the same machine.

mod common;

use common::{Device, Firmware, Patience};
use ota_manifest::wire::{Report, Stage};
use ota_slots::sim::{Cut, CutMode, Logged};

const SIZE: usize = 5_500;
/// More than any life waits.
const ENDLESS: usize = usize::MAX;

fn device(firmware: Firmware, awaited: bool) -> Device {
    let mut device = Device::new(firmware, |lab| lab.release(2, SIZE));
    device.awaited = awaited.then_some(Patience::new(ENDLESS));
    device
}

/// All that a life leaves behind.
fn remains(mut device: Device) -> (Vec<Logged>, Vec<u8>, Vec<Report>, u64) {
    device.live();
    let (log, bytes) = (device.flash.log().to_vec(), device.flash.bytes().to_vec());
    (log, bytes, device.server.reports().to_vec(), device.now)
}

#[test]
fn both_loops_lead_the_same_lives() {
    for firmware in [Firmware::Fit, Firmware::Unfit, Firmware::Hangs] {
        assert!(
            remains(device(firmware, false)) == remains(device(firmware, true)),
            "{firmware:?}: operations, flash, reports or times differ"
        );
    }
}

#[test]
fn both_loops_come_out_of_the_same_power_cut_the_same() {
    let operations = remains(device(Firmware::Fit, false)).0.len();
    for operation in (0..operations).step_by(7) {
        let [blocking, awaited] = [false, true].map(|awaited| {
            let mut device = device(Firmware::Fit, awaited);
            device.flash.cut(Cut { operation, mode: CutMode::RandomBits(50) });
            remains(device)
        });
        assert!(blocking == awaited, "cut {operation}");
    }
}

#[test]
fn power_cut_at_any_operation_of_an_asynchronous_update_ends_in_exactly_one_terminal_report() {
    for (firmware, expected) in [(Firmware::Fit, 2), (Firmware::Unfit, 1)] {
        let operations = remains(device(firmware, true)).0.len();
        for operation in 0..operations {
            for mode in [CutMode::Before, CutMode::After, CutMode::AlmostDone(1)] {
                let mut device = device(firmware, true);
                device.flash.cut(Cut { operation, mode });
                device.live();
                assert!(device.flash.cut_fired());
                assert_eq!(device.running, expected, "cut {operation} {mode:?}");
                let terminals = device.terminals();
                let good = matches!(terminals[..], [Stage::Confirmed]);
                assert_eq!(terminals.len(), 1, "cut {operation} {mode:?}: {terminals:?}");
                assert_eq!(good, firmware == Firmware::Fit, "cut {operation} {mode:?}: {terminals:?}");
            }
        }
    }
}

/// Somebody raced slot work against something else, and lost the race.
#[test]
fn future_dropped_at_any_operation_is_a_power_cut_there_and_no_more() {
    let mut undisturbed = device(Firmware::Fit, true);
    undisturbed.live();
    let waits = ENDLESS - undisturbed.awaited.map_or(ENDLESS, |patience| patience.left());
    assert!(waits > undisturbed.flash.log().len(), "reads are waited for, too");
    for waits in 0..waits {
        let mut device = device(Firmware::Fit, true);
        device.awaited = Some(Patience::new(waits));
        device.live();
        assert_eq!((device.running, device.terminals()), (2, vec![Stage::Confirmed]), "dropped at {waits}");
    }
}
