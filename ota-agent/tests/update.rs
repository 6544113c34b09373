//! Agent, bootloader and flash against a scripted server, one behaviour a test.

mod common;

use common::{CHUNK, Device, Ended, Firmware, WINDOW};
use ota_agent::Event;
use ota_agent::sim::Lie;
use ota_manifest::wire::{FailedProbes, FailedStage, Object, Refusal, ResetCause, RollbackReason, Stage};
use ota_slots::SlotId;
use ota_slots::sim::{Cut, CutMode, Lab, Logged, Release};

const SIZE: usize = 12_500;

fn device(firmware: Firmware) -> Device {
    Device::new(firmware, |lab| lab.release(2, SIZE))
}

#[test]
fn good_release_ends_confirmed_with_every_stage_reported_once() {
    let mut device = device(Firmware::Fit);
    device.live();
    assert_eq!(device.running, 2);
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    let stages: Vec<_> = device.server.reports().iter().map(|report| report.stage).collect();
    for stage in [Stage::Downloaded, Stage::PendingBoot, Stage::Testing, Stage::Confirmed] {
        let last_before = stages.iter().filter(|found| **found == stage).count();
        assert!(last_before <= 1, "{stage:?} was reported {last_before} times");
    }
    assert!(stages.contains(&Stage::Testing));
    assert_eq!(device.server.served(), SIZE, "every byte was fetched exactly once");
    let mut sequences: Vec<_> = device.server.reports().iter().map(|report| report.seq).collect();
    sequences.dedup();
    assert!(sequences.is_sorted(), "sequences rise across the reset: {sequences:?}");
}

#[test]
fn chunks_are_asked_for_in_windows_and_only_after_the_leaf_list() {
    let mut device = device(Firmware::Fit);
    device.live();
    let fetches = device.server.fetches();
    assert_eq!(fetches[0].object, Object::Leaves);
    let counts: Vec<_> = fetches.iter().filter(|f| f.object == Object::Payload).map(|f| f.count).collect();
    assert_eq!(counts, [4, 4, 4, 1]);
}

#[test]
fn unfit_firmware_is_rolled_back_and_the_reason_reported() {
    let mut device = device(Firmware::Unfit);
    device.live();
    assert_eq!(device.running, 1);
    let expected = Stage::RolledBack {
        reason: RollbackReason::SelfTest,
        cause: ResetCause::Software,
        boots: 1,
        failed: FailedProbes::NONE,
    };
    assert_eq!(device.terminals(), [expected]);
}

#[test]
fn hanging_firmware_is_rolled_back_after_three_boots() {
    let mut device = device(Firmware::Hangs);
    device.live();
    assert_eq!(device.running, 1);
    let expected = Stage::RolledBack {
        reason: RollbackReason::AttemptsExhausted,
        cause: ResetCause::Watchdog,
        boots: 3,
        failed: FailedProbes::NONE,
    };
    assert_eq!(device.terminals(), [expected]);
}

#[test]
fn old_manifest_is_refused_before_anything_is_fetched() {
    let mut device = Device::new(Firmware::Fit, |lab| lab.release(1, SIZE));
    device.live();
    assert_eq!(device.terminals(), [Stage::Rejected { refusal: Refusal::NotNewer }]);
    assert_eq!(device.server.fetches(), []);
    assert!(device.flash.log().len() <= 3, "not a page was erased: {:?}", device.flash.log());
}

#[test]
fn forged_manifest_is_refused_opaquely_and_logged_precisely() {
    let forged = |lab: &Lab| {
        let mut release = lab.release(2, SIZE);
        release.envelope[20] ^= 1;
        release
    };
    let mut device = Device::new(Firmware::Fit, forged);
    device.live();
    assert_eq!(device.terminals(), [Stage::Rejected { refusal: Refusal::Unauthentic }]);
    assert_eq!(device.server.fetches(), []);
    let refused = Event::OfferRefused { refusal: Refusal::Unauthentic, code: 0x0203 };
    assert!(device.events.contains(&refused), "{:?}", device.events);
}

#[test]
fn flipped_chunk_is_refused_and_only_it_is_fetched_again() {
    let mut device = device(Firmware::Fit);
    device.server.lie(Lie::FlipChunkBit);
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    assert!(device.events.contains(&Event::ChunkRefused { chunk: 0 }));
    assert_eq!(device.server.served(), SIZE + CHUNK);
}

#[test]
fn flipped_leaf_list_is_refused_and_fetched_again() {
    let mut device = device(Firmware::Fit);
    device.server.lie(Lie::FlipLeafBit);
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    assert!(device.events.contains(&Event::LeavesRefused));
    assert_eq!(device.server.served(), SIZE);
}

#[test]
fn wrong_index_and_short_body_are_ignored_and_asked_for_again_after_a_pause() {
    for lie in [Lie::WrongIndex, Lie::ShortBody] {
        let mut device = device(Firmware::Fit);
        device.server.lie(lie);
        device.live();
        assert_eq!(device.terminals(), [Stage::Confirmed], "{lie:?}");
        assert!(device.server.served() <= SIZE + WINDOW, "{lie:?}");
        assert!(device.events.iter().any(|event| matches!(event, Event::BackingOff { .. })), "{lie:?}");
    }
}

#[test]
fn cancelled_job_ends_cancelled_and_leaves_the_old_image_running() {
    let mut device = device(Firmware::Fit);
    device.server.lie(Lie::Cancel);
    device.live();
    assert_eq!(device.terminals(), [Stage::Cancelled]);
    assert_eq!(device.running, 1);
}

#[test]
fn server_that_is_out_for_a_while_only_delays_the_update() {
    let mut device = device(Firmware::Fit);
    device.lost_requests = 12;
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    assert!(device.now > 10_000, "pauses grew: {} ms", device.now);
}

/// A release whose whole-image digest contradicts its own chunk tree: every chunk is good, the image never is.
fn contradicting(lab: &Lab) -> Release {
    lab.release_with(2, SIZE, |draft| draft.images[1].digest = ota_manifest::Digest::new([9; 32]))
}

#[test]
fn flash_that_keeps_failing_its_proof_ends_in_one_failure_and_not_in_a_loop() {
    let mut device = Device::new(Firmware::Fit, contradicting);
    device.live();
    // One number for all failed proofs on the wire, the precise one in the log.
    assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Verifying, code: 0x0200 }]);
    assert!(device.events.contains(&Event::FlashFailed { code: 0x0402 }));
    assert!(device.server.served() <= 2 * SIZE, "fetched once more and no more");
    assert_eq!(device.running, 1);
}

#[test]
fn confirmed_image_that_is_lost_after_its_job_was_settled_is_still_reported() {
    let mut device = device(Firmware::Fit);
    device.live();
    let start = device.layout.slot(SlotId::B).region.start as usize;
    device.flash.corrupt(start + 100, &[0; 4]);
    device.session(ResetCause::PowerOn);
    assert_eq!(device.running, 1);
    let last = device.server.reports().last().map(|report| report.stage);
    let lost = RollbackReason::ConfirmedLost;
    assert!(matches!(last, Some(Stage::RolledBack { reason, .. }) if reason == lost), "{last:?}");
}

#[test]
fn lost_journal_is_survived_and_the_next_update_still_begins() {
    let mut device = device(Firmware::Fit);
    device.flash.corrupt(0, &[0xA5; 2 * CHUNK]);
    device.live();
    assert_eq!(device.terminals(), [Stage::Confirmed]);
    assert_eq!(device.running, 2);
}

/// A lost journal takes the numbers with it. What is said on the way may come again under an old number and say something
/// else; how the job ends may not, or a server that knows the number would take it for heard.
#[test]
fn end_of_a_job_has_a_number_of_its_own_though_the_journal_was_lost_on_the_way() {
    for (resets, restarts) in (0..6).flat_map(|resets| (0..4).map(move |restarts| (resets, restarts))) {
        let mut device = Device::new(Firmware::Fit, contradicting);
        for _ in 0..resets {
            device.flash.cut(Cut { operation: device.flash.operations() + 9, mode: CutMode::Before });
            assert_eq!(device.session(ResetCause::PowerOn), Ended::PowerLost);
            device.flash.power_on();
        }
        device.flash.corrupt(0, &[0xA5; 2 * CHUNK]);
        for _ in 0..restarts {
            (device.lost_requests, device.stop_at) = (1, device.now + 1);
            assert_eq!(device.session(ResetCause::PowerOn), Ended::Stopped);
        }
        (device.lost_requests, device.stop_at) = (0, u64::MAX);
        device.live();
        assert_eq!(device.terminals(), [Stage::Failed { at: FailedStage::Verifying, code: 0x0200 }]);
        let reports = device.server.reports();
        let ends = reports.iter().filter(|report| report.stage.is_terminal());
        for end in ends {
            let other = reports.iter().find(|other| other.seq == end.seq && other.stage != end.stage);
            assert_eq!(other, None, "{resets} resets, {restarts} restarts: {end:?}");
        }
    }
}

#[test]
fn download_cut_off_anywhere_resumes_and_fetches_at_most_one_window_again() {
    let mut undisturbed = device(Firmware::Fit);
    undisturbed.live();
    let log = undisturbed.flash.log().to_vec();
    for (operation, logged) in log.iter().enumerate() {
        let slot_write = matches!(logged, Logged::Write { len, .. } if *len > 128);
        if !slot_write {
            continue;
        }
        let mut device = device(Firmware::Fit);
        device.flash.cut(Cut { operation, mode: CutMode::RandomBits(50) });
        device.live();
        assert!(device.flash.cut_fired());
        assert_eq!(device.terminals(), [Stage::Confirmed], "cut {operation}");
        assert!(device.server.served() <= SIZE + WINDOW, "cut {operation}: {} bytes", device.server.served());
    }
}

/// Whoever compares what was fetched twice with how often an update was resumed must not miss a resumption.
#[test]
fn update_cut_off_before_a_block_is_held_counts_as_resumed_with_nothing_held() {
    let mut undisturbed = device(Firmware::Fit);
    undisturbed.live();
    assert!(!undisturbed.events.iter().any(|event| matches!(event, Event::Resumed { .. })));
    let slot = undisturbed.layout.slot(SlotId::B).region.start;
    let log = undisturbed.flash.log().to_vec();
    let in_slot =
        |logged: &Logged| matches!(logged, Logged::Write { at, .. } | Logged::Erase { at } if *at >= slot);
    let begun = log.iter().position(in_slot).expect("the envelope's page is erased first");
    let second_block = log.iter().position(|logged| *logged == Logged::Erase { at: slot + 1024 });
    for operation in begun..second_block.expect("blocks are erased in order") {
        let mut device = device(Firmware::Fit);
        device.flash.cut(Cut { operation, mode: CutMode::Before });
        device.live();
        let resumed = device.events.iter().filter(|event| matches!(event, Event::Resumed { .. }));
        let nothing_held = Event::Resumed { held: 0, total: u32::try_from(SIZE).unwrap() };
        assert_eq!(resumed.collect::<Vec<_>>(), [&nothing_held], "cut {operation}");
    }
}

#[test]
fn power_cut_at_any_operation_ends_in_exactly_one_terminal_report() {
    for (firmware, expected) in [(Firmware::Fit, 2), (Firmware::Unfit, 1)] {
        let mut undisturbed = device(firmware);
        undisturbed.live();
        for operation in 0..undisturbed.flash.log().len() {
            for mode in [CutMode::Before, CutMode::After, CutMode::AlmostDone(1)] {
                let mut device = device(firmware);
                device.flash.cut(Cut { operation, mode });
                device.live();
                assert_eq!(device.running, expected, "cut {operation} {mode:?}");
                let terminals = device.terminals();
                assert_eq!(terminals.len(), 1, "cut {operation} {mode:?}: {terminals:?}");
                let good = terminals[0] == Stage::Confirmed;
                assert_eq!(good, firmware == Firmware::Fit, "cut {operation} {mode:?}: {terminals:?}");
            }
        }
    }
}
