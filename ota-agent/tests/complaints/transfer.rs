//! Transfers that stall, end early, or are taken for complete.

use ota_manifest::wire::{Down, FailedStage, Object, Refusal, Stage};
use ota_manifest::{Digest, PayloadDraft};

use crate::common::{Device, Firmware, JOB, bytes};
use crate::{device, payload_from, was_told};

/// zephyrproject-rtos/zephyr#37272: 5.75 % of the image is written, and it is said to be ready.
#[test]
fn download_that_ends_early_is_never_complete() {
    let mut device = device(Firmware::Fit);
    device.by(|up, server| match payload_from(&up) {
        // Every answer is well formed, and there is nothing more in it.
        Some(first @ 1..) => {
            vec![bytes(&Down::Chunk { job: JOB, object: Object::Payload, first, bytes: &[] })]
        }
        _ => vec![bytes(&server.answer(up))],
    });
    device.live();
    assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Downloading, code: 0x0506 }]);
    assert_eq!(device.running, 1);
    let complete =
        |stage| matches!(stage, Stage::Downloaded | Stage::Verified | Stage::PendingBoot | Stage::Testing);
    assert!(!was_told(&device, complete));
}

/// apache/mynewt-newtmgr#185: the device rounds what it has written to its flash's alignment, and each frame is sent four
/// times.
#[test]
fn image_of_any_length_is_fetched_once_and_no_byte_more() {
    for size in [1, 3, 1023, 1024, 1025, 4095, 4097, 8191, 12_289] {
        let mut device = Device::new(Firmware::Fit, |lab| lab.release(2, size));
        device.live();
        assert_eq!((device.terminals(), device.running), (vec![Stage::Confirmed], 2), "{size}");
        assert_eq!(device.server.served(), size);
        let mut asked: Vec<_> = device.server.fetches().iter().map(|f| (f.object, f.first)).collect();
        let all = asked.len();
        asked.dedup();
        assert_eq!(asked.len(), all, "{size}: {asked:?}");
    }
}

/// zephyrproject-rtos/zephyr#17608: an erase takes longer than the client waits for an answer, every second upload aborts.
#[test]
fn flash_that_takes_minutes_makes_nobody_time_out() {
    let mut quick = device(Firmware::Fit);
    quick.live();
    let mut slow = device(Firmware::Fit);
    slow.work_ms = 120_000;
    slow.live();
    assert_eq!((slow.terminals(), slow.running), (vec![Stage::Confirmed], 2));
    assert_eq!(slow.server.fetches(), quick.server.fetches());
    assert_eq!(slow.server.reports(), quick.server.reports());
}

/// There are no delta payloads yet. A release that travels as one and in no other way is refused, and nothing is fetched.
#[test]
fn release_that_travels_as_a_delta_alone_is_refused_before_anything_is_fetched() {
    let digest = Digest::new([9; 32]);
    let mut device = Device::new(Firmware::Fit, |lab| {
        lab.release_with(2, crate::SIZE, |draft| {
            for image in &mut draft.images {
                image.payload =
                    PayloadDraft::Delta { codec: 0, base: digest, size: 900, digest, chunk_root: digest };
            }
        })
    });
    device.live();
    assert_eq!(device.terminals(), [Stage::Rejected { refusal: Refusal::Unsupported }]);
    assert_eq!((device.server.fetches(), device.running), (&[][..], 1));
}
