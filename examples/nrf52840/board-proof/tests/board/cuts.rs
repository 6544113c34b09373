//! Lives with a cut, sampled: `board-proof` leads them all.

use board_proof::{Broken, Conduct, Kind, Known, Life, Plan, Plant, Story, Tally};
use emulator::{Cut, FlashFault, Operation};

use crate::plays;

/// One in so many of what `board-proof` cuts, and never the same places as a neighbour in the list.
const SAMPLE: Plan = Plan { each: 41, words: 4001, records: 1, doubles: 3, seed: 7 };

fn hold(story: &Story, plan: &Plan) -> Tally {
    let tally = plan.sweep(story, &plays().cast.keys().policy());
    assert!(tally.broken.is_empty(), "{:#?}", tally.failures);
    tally
}

#[test]
fn sampled_cuts_of_an_update_end_in_the_new_image() {
    let tally = hold(&plays().update().unwrap(), &SAMPLE);
    assert!(tally.cuts > 20 && tally.by_kind.contains_key(&Kind::Journal), "{tally:?}");
}

#[test]
fn sampled_cuts_of_a_rollback_end_in_the_old_image_with_the_reason_told() {
    let (story, _) = plays().rollback(Conduct::FailsSelfTest).unwrap();
    hold(&story, &SAMPLE);
}

#[test]
fn sampled_cuts_while_trust_is_replaced_leave_one_document_in_force() {
    let tally = hold(&plays().rotation().unwrap(), &Plan { each: 29, ..SAMPLE });
    assert!(tally.by_kind.contains_key(&Kind::Guard), "{tally:?}");
}

#[test]
fn cuts_while_the_drivers_configure_a_blank_chip_end_in_the_first_image() {
    let story = plays().first_boot().unwrap();
    assert!(story.end.resets.len() > 1, "the drivers have reset the chip: {:?}", story.end.resets);
    let tally = hold(&story, &SAMPLE);
    assert!(tally.by_kind.contains_key(&Kind::Uicr), "{tally:?}");
}

#[test]
fn watchdog_that_bites_during_an_erase_costs_nothing_but_a_reset() {
    let story = plays().update().unwrap();
    let policy = plays().cast.keys().policy();
    let erases = story.numbered().filter(|(_, operation)| matches!(operation, Operation::Erase(_)));
    for (operation, _) in erases.step_by(5) {
        let fault = FlashFault { operation, cut: Cut::Bitten(operation) };
        let led = Life::cut(fault)
            .lead(&story, &policy, &Known::default())
            .unwrap_or_else(|broken| panic!("{fault:?}: {:?}", broken.0));
        assert!(led.resets.contains(&emulator::ResetCause::Watchdog), "{fault:?}: {:?}", led.resets);
    }
}

/// Sweeps an update under a bootloader that lacks something.
fn sweep_without(plant: Plant) -> Tally {
    let planted = plays().under(plant).unwrap();
    plant.plan().sweep(&planted.update().unwrap(), &planted.cast.keys().policy())
}

#[test]
fn bootloader_without_its_proof_makes_the_sweep_fail() {
    let tally = sweep_without(Plant::Proof);
    assert!(tally.count(Broken::Unverified) > 0, "{tally:#?}");
}

#[test]
fn bootloader_that_acts_on_what_it_has_only_read_makes_the_sweep_fail() {
    let tally = sweep_without(Plant::Affirm);
    assert!(tally.shows_a_defect(), "{tally:#?}");
}
