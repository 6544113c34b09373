//! Whole lives without a cut.

use board_proof::{Bench, Conduct, End, Outcome, Rollback, Story, unknown_registers};
use emulator::ResetCause::{PowerOn, Soft};
use ota_manifest::wire::Stage;
use ota_manifest::{ResetCause, RollbackReason};
use ota_slots::SlotId;
use provision::Image;

use crate::plays;

/// Bytes of the image of a product.
const FULL_SIZE: usize = 400 * 1024;

/// Most instructions for a byte of an image that a boot proves, signature included.
const PER_BYTE: u64 = 64;

#[test]
fn update_is_reported_stage_by_stage_and_confirmed_in_the_other_slot() {
    let mut story = plays().update().unwrap();
    assert_eq!(story.end.handovers, [SlotId::A, SlotId::B]);
    assert_eq!(story.end.resets, [PowerOn, Soft], "the one that activates it");
    let stages: Vec<_> = story.end.desk.reports.iter().map(|report| report.stage).collect();
    let is_download = |stage: &&Stage| matches!(stage, Stage::Downloading { .. });
    assert!(stages.iter().filter(is_download).count() > 2, "{stages:?}");
    let rest: Vec<_> = stages.iter().filter(|stage| !is_download(stage)).copied().collect();
    let expected = [
        Stage::Accepted,
        Stage::Downloaded,
        Stage::Verified,
        Stage::PendingBoot,
        Stage::Testing,
        Stage::Confirmed,
    ];
    assert_eq!(rest, expected);
    assert_eq!(story.end.desk.poll.unwrap().version.major, 2);
    assert_eq!(story.end.desk.unreadable, 0);
    assert_eq!(story.end.machine.flash().overprogrammed().count(), 0);
    assert!(story.end.machine.flash_is_protected() && story.end.machine.watchdog_runs());
    assert!(
        unknown_registers(&story.end.machine).is_empty(),
        "more than is modelled, or known not to matter"
    );
}

#[test]
fn second_update_goes_back_into_the_first_slot_and_an_older_release_is_refused() {
    let plays = plays();
    let mut bench = plays.update().unwrap().end;
    let third = plays.cast.image(SlotId::A, 3, Conduct::Healthy).unwrap();
    bench.permit(third.clone());
    bench.desk.offer(&plays.cast.release(vec![third], 3).unwrap());
    let end = bench.run_until(120, |bench| bench.desk.end().is_some());
    assert_eq!((end, bench.desk.end()), (End::Done, Some(Stage::Confirmed)));
    assert_eq!(bench.running, Some(SlotId::A));
    // What ran before it, signed as ever.
    bench.desk.offer(&plays.release(Conduct::Healthy).unwrap());
    let end = bench.run_until(120, |bench| bench.desk.end().is_some());
    assert!(
        end == End::Done && matches!(bench.desk.end(), Some(Stage::Rejected { .. })),
        "{:?}",
        bench.desk.end()
    );
    assert_eq!((bench.running, bench.unverified), (Some(SlotId::A), 0));
}

#[test]
fn each_unfit_image_goes_back_with_its_reason_and_what_reset_it() {
    use RollbackReason::{AttemptsExhausted, SelfTest};
    let expected = [
        (Conduct::FailsSelfTest, SelfTest, ResetCause::Software, 1),
        (Conduct::Hangs, AttemptsExhausted, ResetCause::Watchdog, 2),
        (Conduct::HangsMasked, AttemptsExhausted, ResetCause::Watchdog, 2),
        (Conduct::HardFault, AttemptsExhausted, ResetCause::Lockup, 2),
        (Conduct::Silent, AttemptsExhausted, ResetCause::Software, 2),
    ];
    for (conduct, reason, cause, boots) in expected {
        let (mut story, told) = plays().rollback(conduct).unwrap();
        assert_eq!(told, Rollback { reason, cause, boots }, "{conduct:?}");
        assert_eq!(story.end.running, Some(SlotId::A), "{conduct:?}");
        assert_eq!(story.end.machine.flash().overprogrammed().count(), 0, "{conduct:?}");
        assert!(unknown_registers(&story.end.machine).is_empty(), "{conduct:?}");
    }
}

#[test]
fn image_of_a_products_size_is_proven_in_few_instructions_and_confirmed() {
    let plays = plays();
    let image = grown(plays.image(Conduct::Healthy).unwrap(), FULL_SIZE);
    let mut bench = plays.at_work().unwrap();
    bench.permit(image.clone());
    bench.desk.offer(&plays.cast.release(vec![image], 2).unwrap());
    let mut story = Story::tell("full size", Outcome::Confirmed, bench).unwrap();
    let instructions = boot(&mut story.end);
    let per_byte = instructions / FULL_SIZE as u64;
    assert!(per_byte <= PER_BYTE, "{instructions} instructions for a boot, {per_byte} per byte");
}

/// Instructions from the reset to the application, which nothing changes.
fn boot(bench: &mut Bench) -> u64 {
    bench.reset(emulator::ResetCause::Pin);
    let before = bench.machine.core().instructions();
    assert_eq!(bench.run_until(30, |bench| bench.running.is_some()), End::Done);
    assert_eq!(bench.running, Some(SlotId::B));
    bench.machine.core().instructions() - before
}

/// The image with data behind it.
fn grown(image: &Image, len: usize) -> Image {
    let mut image = image.clone();
    let data = (0_u32..).flat_map(|word| word.wrapping_mul(0x9E37_79B9).to_le_bytes());
    let missing = len - image.bytes.len();
    image.bytes.extend(data.take(missing));
    image
}

#[test]
fn trust_document_is_adopted_at_the_next_boot_and_its_keys_sign_the_next_release() {
    let plays = plays();
    let mut bench = plays.rotation().unwrap().end;
    assert_eq!(board_proof::trust_version(&mut bench.machine), 2);
    let image = plays.image(Conduct::Healthy).unwrap().clone();
    bench.desk.offer(&plays.cast.release_by_the_next_key(vec![image], 2).unwrap());
    let end = bench.run_until(120, |bench| bench.desk.end().is_some());
    assert_eq!((end, bench.desk.end()), (End::Done, Some(Stage::Confirmed)));
    assert_eq!((bench.running, bench.unverified), (Some(SlotId::B), 0));
}

#[test]
fn flood_on_the_line_does_not_make_a_board_deaf() {
    let plays = plays();
    let mut bench = plays.at_work().unwrap();
    bench.desk.offer(&plays.release(Conduct::Healthy).unwrap());
    let mut floods = 0;
    let end = bench.run_until(300, |bench| {
        if floods < 5 && bench.desk.reports.len() > floods && bench.machine.line(0).0 == 0 {
            floods += 1;
            bench.machine.send(0, &[7; 9_000]);
        }
        bench.desk.end().is_some()
    });
    assert!(bench.machine.line(0).1 > 0, "more came than could be taken");
    assert_eq!((end, bench.desk.end(), floods), (End::Done, Some(Stage::Confirmed), 5));
}

#[test]
fn server_that_is_away_during_the_download_is_asked_again() {
    let plays = plays();
    let mut bench = plays.at_work().unwrap();
    bench.desk.offer(&plays.release(Conduct::Healthy).unwrap());
    let end = bench.run_until(60, |bench| bench.desk.reports.len() >= 2);
    assert_eq!(end, End::Done);
    bench.connected = false;
    assert_eq!(bench.run_until(30, |_| false), End::Late, "it waits");
    bench.connected = true;
    let end = bench.run_until(120, |bench| bench.desk.end().is_some());
    assert_eq!((end, bench.desk.end()), (End::Done, Some(Stage::Confirmed)));
}
