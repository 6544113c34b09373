//! What the server hears of an end, and of nothing else.

use std::cell::Cell;
use std::rc::Rc;

use ota_agent::sim::ScriptedServer;
use ota_manifest::wire::{Refusal, ResetCause, Stage, Up};
use ota_manifest::{JobId, Version};
use ota_slots::sim::Lab;

use crate::common::{CHUNK, Device, Ended, Firmware, bytes};
use crate::{SIZE, device};

const OTHER_JOB: JobId = JobId::new([0xCD; 16]);

/// zephyrproject-rtos/zephyr pull request 89265: the old image is back, the server has heard nothing of it and offers the
/// same release for ever.
#[test]
fn release_that_was_rolled_back_is_refused_when_it_is_offered_again() {
    let mut device = device(Firmware::Unfit);
    device.live();
    assert!(matches!(device.terminals()[..], [Stage::RolledBack { .. }]));
    for attempt in 0..3 {
        device.server = ScriptedServer::new(Lab::new().release(2, SIZE), JobId::new([attempt; 16]), CHUNK);
        device.events.clear();
        device.live();
        assert_eq!(device.terminals(), [Stage::Rejected { refusal: Refusal::RejectedBefore }]);
        assert_eq!((device.server.fetches(), device.running), (&[][..], 1));
    }
}

/// jibrilsharafi/EnergyMe-Home pull request 240: every build says it is the same version, so a way back that is asked for
/// by version cannot tell them apart.
#[test]
fn release_is_known_by_what_was_signed_and_not_by_its_version() {
    let mut device = device(Firmware::Unfit);
    device.live();
    assert!(matches!(device.terminals()[..], [Stage::RolledBack { .. }]));
    // The repaired build carries the very version of the one that was rolled back.
    device.firmware = Firmware::Fit;
    let repaired = Lab::new().release_with(3, SIZE, |draft| draft.version = Version::new(2, 0, 0));
    device.server = ScriptedServer::new(repaired, OTHER_JOB, CHUNK);
    device.events.clear();
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 3));
}

/// A device whose terminal reports all reach the server, and whose server cannot be heard until `open` says so.
fn unheard(firmware: Firmware) -> (Device, Rc<Cell<bool>>) {
    let mut device = device(firmware);
    let open = Rc::new(Cell::new(false));
    let is_open = Rc::clone(&open);
    device.by(move |up, server| {
        let terminal = matches!(up, Up::Report(report) if report.stage.is_terminal());
        let answer = bytes(&server.answer(up));
        if terminal && !is_open.get() { vec![] } else { vec![answer] }
    });
    (device, open)
}

/// zephyrproject-rtos/zephyr#42584: the result is forgotten in the reset that makes it known.
#[test]
fn end_that_nobody_acknowledged_is_told_after_every_reset_under_the_same_number() {
    for firmware in [Firmware::Fit, Firmware::Unfit, Firmware::Hangs] {
        let (mut device, open) = unheard(firmware);
        let mut cause = ResetCause::PowerOn;
        for _ in 0..8 {
            device.stop_at = device.now + 3_600_000;
            cause = match device.session(cause) {
                Ended::Reset(why) => why,
                _ => ResetCause::PowerOn,
            };
        }
        let told = device.server.reports().iter().filter(|report| report.stage.is_terminal()).count();
        assert!(told >= 5, "{firmware:?}: {told}");
        open.set(true);
        device.stop_at = u64::MAX;
        device.live();
        assert_eq!(device.terminals().len(), 1, "{firmware:?}: {:?}", device.terminals());
    }
}
