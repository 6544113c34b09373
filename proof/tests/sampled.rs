//! A sample of what `slots-proof power-cut` does, small enough for every test run. Weak cells show in few reads out of
//! many, so each life is led from several places of the journal, with other randomness.

use std::sync::Arc;

use ota_slots::sim::CutMode;
use slots_proof::board::{Board, STRATEGIES};
use slots_proof::chance::Draw;
use slots_proof::double::{Pairs, double};
use slots_proof::grid::{aligned, corrected, two_chips, worn};
use slots_proof::life::Life;
use slots_proof::modes;
use slots_proof::progress::Ticker;
use slots_proof::stage::Stage;
use slots_proof::sweep::{Share, single};
use slots_proof::tally::Tally;
use slots_proof::world::World;

/// Every so many-th operation of a life that goes on after a first failure.
const EVERY: usize = 3;

fn stages(boards: impl IntoIterator<Item = Board>) -> Vec<Stage> {
    let of = |board: Board| {
        let lives = Life::of(&board);
        let world = Arc::new(World::new(board).expect("a board that can be"));
        lives.map(move |life| Stage::new(&world, life).expect("a life that begins"))
    };
    boards.into_iter().flat_map(of).collect()
}

fn expect_kept(tally: &Tally) {
    let failures: Vec<String> = tally.failures().iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} broken promises:\n{}", tally.total(), failures.join("\n"));
}

fn sweep(stages: &[Stage], seed: u64) {
    for stage in stages {
        let tally = single(stage, &CutMode::ALL, Share::WHOLE, seed, &Ticker::silent());
        assert!(tally.operations > 5, "{} has more operations than that", stage.name());
        assert_eq!(tally.lives, tally.operations * CutMode::ALL.len() as u64);
        expect_kept(&tally);
    }
}

#[test]
fn power_cut_at_every_operation_breaks_no_promise() {
    sweep(&stages(STRATEGIES.map(|strategy| aligned(strategy, 3))), 7);
}

#[test]
fn power_cut_on_flash_that_is_worn_corrected_or_of_two_kinds_breaks_no_promise() {
    let [in_place, swapping, overwriting] = STRATEGIES;
    let boards = [corrected(in_place, true), corrected(overwriting, true), two_chips(swapping)];
    sweep(&stages(worn(in_place).into_iter().chain(boards)), 9);
}

#[test]
fn power_cut_twice_in_clean_modes_breaks_no_promise() {
    for (number, stage) in stages(STRATEGIES.map(Board::small)).iter().enumerate() {
        let modes = modes::CLEAN.map(|mode| (mode, mode)).to_vec();
        let first = Share { first: number % EVERY, of: 2 * EVERY };
        expect_kept(&double(stage, &Pairs { modes, first, every: EVERY }, 7, &Ticker::silent()));
    }
}

#[test]
fn weak_tail_and_another_cut_break_no_promise() {
    for records in [0, 2, 5] {
        for stage in &stages(STRATEGIES.map(|strategy| aligned(strategy, records))) {
            expect_kept(&Draw::new(stage).tails(0..20, &Ticker::silent()));
        }
    }
}
