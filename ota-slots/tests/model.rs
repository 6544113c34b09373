//! Any sequence of operations, on all three strategies, against a naive reference written from the transition table.
//!
//! Without a power cut the device is exactly what the reference says after every single operation. With one it is what the
//! reference says before or after the operation that was hit, each taken one boot further.

mod rig;

#[path = "model/judge.rs"]
mod judge;
#[path = "model/reference.rs"]
mod reference;

use judge::{Judge, Op};
use ota_manifest::ResetCause;
use ota_slots::sim::CutMode;
use proptest::prelude::*;
use reference::{Act, Place};
use rig::STRATEGIES;

const CAUSES: [ResetCause; 4] =
    [ResetCause::PowerOn, ResetCause::Watchdog, ResetCause::Software, ResetCause::BrownOut];

fn act() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1u32..=5).prop_map(Act::Begin),
        3 => prop::bool::weighted(0.7).prop_map(Act::Fill),
        3 => Just(Act::Finish),
        2 => (1u8..=4).prop_map(Act::Request),
        3 => Just(Act::Confirm),
        2 => Just(Act::Fail),
        3 => Just(Act::Acknowledge),
        1 => any::<u8>().prop_map(Act::Save),
    ]
    .prop_map(Op::Act)
}

fn reset() -> impl Strategy<Value = Op> {
    prop::sample::select(&CAUSES).prop_map(Op::Reset)
}

/// A whole update up to the first boot of the new image: what single operations hardly ever add up to.
fn update() -> impl Strategy<Value = Vec<Op>> {
    (2u32..=5, 2u8..=4, reset()).prop_map(|(release, attempts, reset)| {
        let acts = [Act::Begin(release), Act::Fill(true), Act::Finish, Act::Request(attempts)];
        acts.into_iter().map(Op::Act).chain([reset]).collect()
    })
}

fn harm() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => prop::sample::select(&[Place::A, Place::B, Place::Displaced]).prop_map(Op::Damage),
        2 => Just(Op::SpoilNewestCell),
        1 => Just(Op::LoseJournal),
        2 => Just(Op::FailRead),
    ]
}

/// Cuts that leave every bit one way or the other: only then is there one state to compare.
const DECIDED: [CutMode; 8] = [
    CutMode::Before,
    CutMode::After,
    CutMode::FirstHalf,
    CutMode::LastHalf,
    CutMode::RandomBits(10),
    CutMode::RandomBits(50),
    CutMode::RandomBits(90),
    CutMode::RandomWords,
];

fn cut(modes: &'static [CutMode]) -> impl Strategy<Value = Op> {
    (0usize..30, prop::sample::select(modes)).prop_map(|(after, mode)| Op::Cut(after, mode))
}

/// Operations of an undisturbed device.
fn peaceful() -> impl Strategy<Value = Vec<Op>> {
    let single = prop_oneof![3 => act(), 3 => reset()].prop_map(|op| vec![op]);
    prop::collection::vec(prop_oneof![3 => single, 1 => update()], 1..16).prop_map(|ops| ops.concat())
}

/// The same among harm of every kind.
fn hostile() -> impl Strategy<Value = Vec<Op>> {
    let single =
        prop_oneof![4 => act(), 4 => reset(), 2 => harm(), 2 => cut(&DECIDED)].prop_map(|op| vec![op]);
    prop::collection::vec(prop_oneof![3 => single, 1 => update()], 1..20).prop_map(|ops| ops.concat())
}

/// Cuts of every kind, one in each few operations, and nothing else that is wrong.
fn cut_short() -> impl Strategy<Value = Vec<Op>> {
    let single = prop_oneof![4 => act(), 4 => reset(), 4 => cut(&CutMode::ALL)].prop_map(|op| vec![op]);
    prop::collection::vec(prop_oneof![3 => single, 2 => update()], 1..20).prop_map(|ops| ops.concat())
}

fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn undisturbed_device_is_what_the_reference_says(
        strategy in prop::sample::select(&STRATEGIES), ops in peaceful(),
    ) {
        prop_assert_eq!(Judge::run(strategy, 1, &ops), Ok(()));
    }

    #[test]
    fn cut_and_damaged_device_is_one_of_those_that_the_reference_says(
        strategy in prop::sample::select(&STRATEGIES), seed in any::<u64>(), ops in hostile(),
    ) {
        prop_assert_eq!(Judge::run(strategy, seed, &ops), Ok(()));
    }

    /// Bits that read anew each time leave no one state to compare; but an image runs, and never an older one than was
    /// once confirmed.
    #[test]
    fn device_whose_cells_are_undecided_runs_no_older_image_than_it_has_confirmed(
        strategy in prop::sample::select(&STRATEGIES), seed in any::<u64>(), ops in cut_short(),
    ) {
        prop_assert_eq!(judge::run_undecided(strategy, seed, &ops), Ok(()));
    }
}
