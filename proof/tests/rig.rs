//! The rig itself: what it takes for granted, and that it notices what it is there to notice.

use std::cell::RefCell;
use std::sync::Arc;

use ota_manifest::ResetCause;
use ota_slots::Strategy;
use ota_slots::sim::CutMode;
use slots_proof::board::{Board, STRATEGIES};
use slots_proof::chip::Blow;
use slots_proof::course::{cut_points, judge, live, walk};
use slots_proof::grid;
use slots_proof::life::Life;
use slots_proof::memory::Memory;
use slots_proof::modes;
use slots_proof::replay::{parse_blow, replay};
use slots_proof::stage::Stage;
use slots_proof::witness::{Fault, Finding};
use slots_proof::world::World;

fn stage(life: &str) -> Stage {
    stage_of(Strategy::DirectXip, life)
}

fn stage_of(strategy: Strategy, life: &str) -> Stage {
    let world = Arc::new(World::new(Board::small(strategy)).unwrap());
    Stage::new(&world, Life::find(life).unwrap()).unwrap()
}

fn end(stage: &Stage, blow: Blow) -> Vec<Finding> {
    let points = cut_points(stage);
    let mut device = stage.struck(&points[blow.operation], blow.mode, blow.seed).unwrap();
    judge(stage, &mut device, ResetCause::PowerOn, None)
}

#[test]
fn every_life_on_every_board_is_led_to_its_end_undisturbed() {
    for strategy in STRATEGIES {
        for board in grid::boards(strategy) {
            let lives = Life::of(&board);
            let world = Arc::new(World::new(board).unwrap());
            for life in lives {
                let stage = Stage::new(&world, life).unwrap();
                let findings = walk(&stage, stage.device(), stage.cause(), |_| ());
                assert_eq!(findings, [], "{}", stage.name());
            }
        }
    }
}

#[test]
fn cut_points_are_numbered_without_a_gap_and_each_of_them_can_be_hit() {
    let stage = stage("fails");
    let points = cut_points(&stage);
    assert!(points.len() > 20);
    for (number, point) in points.iter().enumerate() {
        assert_eq!(point.eve.number(), number);
        for mode in CutMode::ALL {
            assert!(stage.struck(point, mode, 1).is_some(), "{number} {mode:?}");
        }
    }
}

#[test]
fn a_life_replayed_from_its_beginning_ends_like_the_one_cut_off_at_the_point() {
    let stage = stage("saves");
    for operation in (0..cut_points(&stage).len()).step_by(5) {
        for mode in CutMode::ALL {
            let blow = Blow { operation, mode, seed: 99 };
            let (_, found) = replay(&stage, &[blow]).unwrap();
            assert_eq!(found, end(&stage, blow), "{blow}");
        }
    }
}

#[test]
fn what_is_remembered_of_other_lives_changes_no_end() {
    for (strategy, life) in [(Strategy::DirectXip, "hangs"), (Strategy::SwapOffset, "fails")] {
        let stage = stage_of(strategy, life);
        let points = cut_points(&stage);
        let mut memory = Memory::default();
        for point in &points {
            for mode in CutMode::ALL {
                let end = |memory: Option<&mut Memory>| {
                    let mut device = stage.struck(point, mode, 5).unwrap();
                    let findings = judge(&stage, &mut device, ResetCause::PowerOn, memory);
                    (findings, format!("{:?}", device.witness))
                };
                let led = end(None);
                assert_eq!(end(Some(&mut memory)), led, "{life} {} {mode:?}", point.eve.number());
                assert_eq!(end(Some(&mut memory)), led, "{life} {} {mode:?} again", point.eve.number());
            }
        }
    }
}

#[test]
fn planned_failure_that_never_comes_is_not_passed_over() {
    let stage = stage("update");
    let mut device = stage.device();
    device.chip.plan(Blow { operation: 10_000, mode: CutMode::Before, seed: 1 });
    let findings = judge(&stage, &mut device, stage.cause(), None);
    assert_eq!(findings.iter().map(|finding| finding.fault).collect::<Vec<_>>(), [Fault::NotFired]);
    assert!(replay(&stage, &[Blow { operation: 10_000, mode: CutMode::Before, seed: 1 }]).is_err());
}

/// Leads `life` as if it had to end as `other` does.
fn misjudged(life: &str, other: &str) -> Vec<Fault> {
    let (stage, other) = (stage(life), stage(other));
    let mut device = stage.device();
    live(&mut device, stage.cause(), None);
    device.witness.judge(&other.life, &other.end(false));
    device.witness.findings.iter().map(|finding| finding.fault).collect()
}

#[test]
fn an_end_that_is_not_the_right_one_is_noticed() {
    assert_eq!(misjudged("update", "update"), []);
    assert_eq!(misjudged("fails", "update"), [Fault::FalseRollback, Fault::FalseRollback]);
    assert_eq!(misjudged("update", "fails"), [Fault::LostRollback, Fault::LostRollback]);
    assert_eq!(misjudged("fails", "hangs"), [Fault::LostRollback, Fault::LostTrial]);
    assert_eq!(misjudged("hangs", "fails"), [Fault::LostRollback, Fault::ExtraTrial]);
    assert_eq!(misjudged("update", "saves"), [Fault::Forgotten]);
}

#[test]
fn an_image_with_one_wrong_byte_is_not_taken_for_a_release() {
    let stage = stage("update");
    let mut device = stage.device();
    live(&mut device, stage.cause(), None);
    let b = stage.world.layout.slot(ota_slots::SlotId::B).region.start;
    assert!(stage.world.is_handed_over(&mut device.chip, ota_slots::SlotId::B, 2));
    assert!(!stage.world.is_handed_over(&mut device.chip, ota_slots::SlotId::B, 3));
    device.chip.corrupt(b + 700, &[0x5A ^ 0xFF]);
    device.chip.corrupt(b + 701, &[0x5A]);
    assert!(!stage.world.is_handed_over(&mut device.chip, ota_slots::SlotId::B, 2));
}

#[test]
fn power_failures_are_read_as_they_are_written() {
    for mode in CutMode::ALL {
        let blow = Blow { operation: 12, mode, seed: 345 };
        assert_eq!(parse_blow(&blow.to_string()).unwrap(), blow);
    }
    assert!(parse_blow("12:Sometimes:3").is_err());
}

#[test]
fn weak_modes_are_those_that_leave_something_to_chance() {
    let weak = modes::weak();
    assert!(weak.contains(&CutMode::Marginal) && weak.contains(&CutMode::BarelyBegun(1)));
    assert!(modes::CLEAN.iter().all(|mode| !weak.contains(mode)));
}

#[test]
fn undisturbed_lives_pass_every_cut_point_once() {
    let stage = stage("twice");
    let seen = RefCell::new(0);
    walk(&stage, stage.device(), stage.cause(), |_| *seen.borrow_mut() += 1);
    assert_eq!(seen.into_inner(), cut_points(&stage).len());
}
