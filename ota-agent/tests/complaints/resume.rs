//! Downloads that are cut off go on, and never at the wrong place.

use ota_agent::sim::ScriptedServer;
use ota_manifest::JobId;
use ota_manifest::wire::{Down, FailedStage, Fetch, Object, Refusal, ResetCause, Stage, Up};
use ota_slots::SlotId;
use ota_slots::sim::{Cut, CutMode, Lab, Logged};

use crate::common::{CHUNK, Device, Ended, Firmware, WINDOW, bytes};
use crate::{SIZE, device, payload_from};

/// A device whose power fails before a flash operation in the middle of its download; switched on again, not booted yet.
fn cut_off() -> Device {
    let mut undisturbed = device(Firmware::Fit);
    undisturbed.live();
    let stored = |logged: &Logged| matches!(logged, Logged::Write { len, .. } if *len as usize == CHUNK);
    let log = undisturbed.flash.log().to_vec();
    let chunks: Vec<usize> =
        log.iter().enumerate().filter(|(_, logged)| stored(logged)).map(|(at, _)| at).collect();
    let mut device = device(Firmware::Fit);
    device.flash.cut(Cut { operation: chunks[chunks.len() / 2], mode: CutMode::Before });
    assert_eq!(device.session(ResetCause::PowerOn), Ended::PowerLost);
    device.flash.power_on();
    assert!(device.server.served() >= WINDOW, "in the middle of the download");
    device
}

/// What was asked for since, in order: the object and its first part.
fn asked_since(device: &Device, before: usize) -> Vec<(Object, u32)> {
    device.server.fetches()[before..].iter().map(|fetch| (fetch.object, fetch.first)).collect()
}

/// What the slot that is filled holds, chunk by chunk.
fn staged(device: &Device) -> Vec<Vec<u8>> {
    let start = device.layout.slot(SlotId::B).region.start as usize;
    device.flash.bytes_in(start..start + SIZE).chunks(CHUNK).map(<[u8]>::to_vec).collect()
}

/// espressif/esp-idf#17520: a device that is awake for some minutes, and a download that takes twenty.
#[test]
fn device_that_is_awake_for_a_moment_at_a_time_ends_up_updated() {
    let mut device = device(Firmware::Fit);
    let (mut cause, mut cut_short) = (ResetCause::PowerOn, 0);
    for _ in 0..100 {
        let operation = device.flash.operations() + 16;
        device.flash.cut(Cut { operation, mode: CutMode::Before });
        cause = match device.session(cause) {
            Ended::Reset(why) => why,
            Ended::PowerLost => {
                cut_short += 1;
                device.flash.power_on();
                ResetCause::PowerOn
            }
            _ => break,
        };
    }
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert!(cut_short >= 3, "{cut_short}");
    let again = device.server.served() - SIZE;
    assert!(again <= cut_short * WINDOW, "{again} bytes twice in {cut_short} sessions");
}

/// Azure/iot-hub-device-update#811: the agent restarts, and the download begins anew.
#[test]
fn agent_that_restarts_between_two_windows_fetches_no_byte_twice() {
    let mut device = device(Firmware::Fit);
    device.by(|up, server| match payload_from(&up) {
        Some(8) => vec![bytes(&Down::Refused { refusal: Refusal::Busy, retry_after_ms: 60_000 })],
        _ => vec![bytes(&server.answer(up))],
    });
    device.stop_at = 60_000;
    assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
    assert_eq!(device.server.served(), 2 * WINDOW);
    (device.line, device.stop_at) = (None, u64::MAX);
    let before = device.server.fetches().len();
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert_eq!(device.server.served(), SIZE);
    assert!(!asked_since(&device, before).iter().any(|(object, _)| *object == Object::Leaves));
}

/// espressif/esp-idf#13127: an offset of one's own, kept beside the flash, and a library that wants to have erased itself.
#[test]
fn resumed_download_programs_nothing_that_was_not_erased() {
    let mut undisturbed = device(Firmware::Fit);
    undisturbed.live();
    let slot = undisturbed.layout.slot(SlotId::B).region.start;
    for (operation, logged) in undisturbed.flash.log().to_vec().iter().enumerate() {
        let (Logged::Write { at, .. } | Logged::Erase { at }) = logged;
        if *at < slot {
            continue;
        }
        for mode in [CutMode::After, CutMode::FirstHalf, CutMode::RandomWords, CutMode::BarelyBegun(1)] {
            let mut device = device(Firmware::Fit);
            device.flash.cut(Cut { operation, mode });
            device.live();
            assert_eq!(device.terminals(), [Stage::Confirmed], "cut {operation} {mode:?}");
            assert_eq!(device.flash.violations(), 0, "cut {operation} {mode:?}");
        }
    }
}

/// Answers every request for chunks with the image from its beginning, as a server does that knows no ranges; `labelled`
/// says whether the device is told where that is.
fn front_of_the_image(up: Up, server: &mut ScriptedServer, labelled: bool) -> Vec<u8> {
    let Up::Fetch(fetch) = up else { return bytes(&server.answer(up)) };
    if fetch.object == Object::Leaves {
        return bytes(&server.answer(up));
    }
    match server.answer(Up::Fetch(Fetch { first: 0, ..fetch })) {
        Down::Chunk { job, object, bytes: front, .. } => {
            let first = if labelled { 0 } else { fetch.first };
            bytes(&Down::Chunk { job, object, first, bytes: front })
        }
        other => bytes(&other),
    }
}

/// espressif/esp-idf pull request 17960: 200 in answer to a range. The front of the image is written behind what is held,
/// and the image grows to 115 %.
#[test]
fn front_of_the_image_in_answer_to_its_middle_is_never_written() {
    let right = Lab::new().release(2, SIZE).for_slot(SlotId::B).image.clone();
    for (labelled, code) in [(true, 0x0506), (false, 0x0502)] {
        let mut device = cut_off();
        device.by(move |up, server| vec![front_of_the_image(up, server, labelled)]);
        device.live();
        assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Downloading, code }]);
        let held = staged(&device);
        let is_blank = |chunk: &[u8]| chunk.iter().all(|byte| *byte == 0xFF);
        for (number, (held, right)) in held.iter().zip(right.chunks(CHUNK)).enumerate() {
            assert!(held == right || is_blank(held), "chunk {number}, labelled: {labelled}");
        }
        assert!(is_blank(&held[held.len() - 1]) && held[0] == right[..CHUNK]);
    }
}

#[test]
fn server_that_learns_ranges_while_the_device_waits_completes_the_same_download() {
    for labelled in [true, false] {
        let mut device = cut_off();
        let (before, mut wrong) = (device.server.fetches().len(), 3);
        device.by(move |up, server| {
            if payload_from(&up).is_some() && wrong > 0 {
                wrong -= 1;
                return vec![front_of_the_image(up, server, labelled)];
            }
            vec![bytes(&server.answer(up))]
        });
        device.live();
        assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
        assert!(!asked_since(&device, before).iter().any(|(object, _)| *object == Object::Leaves));
    }
}

/// zephyrproject-rtos/zephyr#51798: the slot is erased between two parts of an upload, which goes on where it was.
#[test]
fn slot_that_was_erased_meanwhile_is_filled_from_its_beginning() {
    let mut device = cut_off();
    let slot = device.layout.slot(SlotId::B).region;
    device.flash.corrupt(slot.start as usize, &vec![0xFF; slot.len as usize]);
    let before = device.server.fetches().len();
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    assert_eq!(asked_since(&device, before)[..2], [(Object::Leaves, 0), (Object::Payload, 0)]);
    assert_eq!(device.flash.violations(), 0);
}

#[test]
fn page_that_was_erased_meanwhile_is_where_the_download_goes_on() {
    let mut device = cut_off();
    let start = device.layout.slot(SlotId::B).region.start as usize;
    device.flash.corrupt(start + 2 * CHUNK, &[0xFF; CHUNK]);
    let before = device.server.fetches().len();
    device.live();
    assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2));
    let (object, first) = asked_since(&device, before)[0];
    assert!(object == Object::Payload && first <= 2, "{object:?} {first}");
}

/// zephyrproject-rtos/mcumgr pull request 48: how far an upload had come outlives its failure, and the next one skips what
/// was never sent.
#[test]
fn job_that_was_given_up_leaves_no_offset_to_the_next() {
    for (number, size, fetched) in [(3, 9_000, 9_000), (2, SIZE, SIZE - WINDOW)] {
        let mut device = device(Firmware::Fit);
        device.by(|up, server| match payload_from(&up) {
            None | Some(0) => vec![bytes(&server.answer(up))],
            Some(_) => vec![],
        });
        device.stop_at = 600_000;
        assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
        device.by(|up, server| match up {
            Up::Fetch(_) => vec![bytes(&Down::Cancel { job: crate::common::JOB })],
            up => vec![bytes(&server.answer(up))],
        });
        device.stop_at = u64::MAX;
        device.live();
        assert_eq!(device.terminals(), [Stage::Cancelled]);

        // Another release is fetched whole. Of the same one, under another name, what is held and proven is not.
        device.line = None;
        device.server = ScriptedServer::new(Lab::new().release(number, size), JobId::new([0xCD; 16]), CHUNK);
        device.events.clear();
        device.live();
        assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], u32::from(number)));
        assert_eq!(device.server.served(), fetched);
    }
}
