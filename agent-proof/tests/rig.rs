//! The rig itself: it notices what it is there to notice.

use agent_proof::board::Board;
use agent_proof::life::Life;
use agent_proof::plant::Plant;
use agent_proof::progress::lead;
use agent_proof::scenario::{Facts, Kind, is_right};
use ota_manifest::wire::{FailedProbes, Refusal, ResetCause, RollbackReason, Stage};

#[test]
fn every_planted_fault_is_noticed_as_what_it_is() {
    for (plant, fault) in Plant::ALL {
        let noticed = |batch: u64| lead(60 * batch..60 * (batch + 1), plant, 2, false).of(fault) > 0;
        assert!((0..8).any(noticed), "{plant:?} passed for sound");
    }
}

#[test]
fn same_seed_leads_the_same_life() {
    let boards = Board::all();
    for seed in 1..30 {
        let end = |()| {
            let outcome = Life::new(&boards, seed, Plant::None).lead();
            (outcome.reboots, outcome.outputs, outcome.took_ms, outcome.mishaps, outcome.refetched)
        };
        assert_eq!(end(()), end(()), "{seed}");
    }
}

#[test]
fn fit_image_may_be_rolled_back_only_when_resets_have_used_up_its_attempts() {
    let rolled_back = |boots| Stage::RolledBack {
        reason: RollbackReason::AttemptsExhausted,
        cause: ResetCause::Watchdog,
        boots,
        failed: FailedProbes::NONE,
    };
    let facts = |attempts_lost| Facts { requested: true, attempts_lost, ..Facts::default() };
    assert!(is_right(Kind::Good, facts(0), Stage::Confirmed));
    assert!(!is_right(Kind::Good, facts(2), rolled_back(3)));
    assert!(is_right(Kind::Good, facts(3), rolled_back(3)));
    assert!(!is_right(Kind::Good, facts(3), rolled_back(2)));
    assert!(!is_right(Kind::Good, Facts::default(), Stage::Confirmed), "never asked the bootloader");
}

#[test]
fn device_that_lost_its_journal_may_refuse_what_it_has_run_and_nothing_else() {
    let refused = |refusal| Stage::Rejected { refusal };
    let facts = |lost, ran| Facts { lost, ran, ..Facts::default() };
    for refusal in [Refusal::NotNewer, Refusal::RejectedBefore] {
        assert!(is_right(Kind::Good, facts(true, true), refused(refusal)));
        assert!(!is_right(Kind::Good, facts(true, false), refused(refusal)), "it never ran");
        assert!(!is_right(Kind::Good, facts(false, true), refused(refusal)), "it knows better");
    }
    assert!(!is_right(Kind::Good, facts(true, true), refused(Refusal::Busy)));
    assert!(!is_right(Kind::Good, facts(true, true), Stage::Confirmed), "never asked the bootloader");
}
