//! What is a verdict on a release and what is not, and who may be offered something else meanwhile.
//!
//! Each of these went wrong once: a silent device that woke up opened a gate, a halted campaign kept its devices from the
//! fix, a flash cell was taken for faulty firmware, a stranded device for a success, a second download for silence.

mod common;

use common::{NEW, ONE, RELEASE, Rig, device, plan, poll, release, stop_at_first_rollback};
use ota_manifest::wire::{FailedProbes, Poll, Refusal, ResetCause, RollbackReason, Stage};
use ota_manifest::{JobId, ManifestId, Order};
use ota_server_core::{
    Answer, Command, Gate, HaltRule, Job, JobKind, JobState, Outcome, Plan, ReleaseNo, Wave, fault_name,
};

const NO_VERDICT: [RollbackReason; 3] =
    [RollbackReason::Unproven, RollbackReason::ConfirmedLost, RollbackReason::JournalLost];

fn back(reason: RollbackReason) -> Stage {
    Stage::RolledBack { reason, cause: ResetCause::Software, boots: 1, failed: FailedProbes::NONE }
}

fn job(rig: &Rig, n: u8) -> Job {
    rig.jobs(ONE).into_iter().find(|row| row.device == device(n)).unwrap().job
}

/// Publishes a newer release and starts it for everybody.
fn launch_fix(rig: &mut Rig) {
    rig.author(Command::Publish(Box::new(release(3, ManifestId::new([3; 8]))))).unwrap();
    rig.launch(ReleaseNo(2), plan());
}

/// A campaign that device 1 has halted while device 0 was at `stage`.
fn halted_with(stage: Stage) -> (Rig, (JobId, u8)) {
    let mut rig = Rig::running(2, Plan { halt: vec![stop_at_first_rollback()], ..plan() });
    let (held, bad) = (rig.offered(0), rig.offered(1));
    rig.report(0, held, 1, stage);
    rig.report(1, bad, 1, back(RollbackReason::SelfTest));
    assert_eq!(rig.state(), "halted");
    (rig, held)
}

#[test]
fn silent_device_that_wakes_up_and_is_cancelled_does_not_open_the_gate() {
    let waves = vec![Wave::Count(2), Wave::Percent(100)];
    let gate = Gate { permille: 1000, min_sample: 1 };
    let mut rig = Rig::running(4, Plan { waves, gate, ..plan() });
    let order = rig.ranked();
    let (a, b) = (order[0], order[1]);
    let silent = rig.offered(a);
    rig.report(a, silent, 1, Stage::Accepted);
    rig.tick(1500);
    let good = rig.offered(b);
    assert_eq!(rig.report(a, silent, 2, Stage::Downloaded), Answer::Cancel { job: silent.0 });
    assert_eq!(rig.report(a, silent, 3, Stage::Cancelled), Answer::Ack { seq: 3 });
    assert_eq!(job(&rig, a).state, JobState::TimedOut { stage: JobKind::Accepted });
    assert_eq!(job(&rig, a).word, Some(3), "the device's last word is known, so nothing more is cancelled");
    rig.report(b, good, 1, Stage::Confirmed);
    assert_eq!(rig.state(), "halted", "one of two devices fell silent and the gate needs all");
    rig.report(a, silent, 4, Stage::Confirmed);
    assert_eq!(rig.kind(a), JobKind::Confirmed, "a success still corrects the silence");
}

#[test]
fn device_held_by_a_halted_campaign_is_offered_the_fix_when_it_asks() {
    for stage in [Stage::Accepted, Stage::Downloading { done: 1, total: 9 }, Stage::Verified] {
        let (mut rig, held) = halted_with(stage);
        launch_fix(&mut rig);
        let Answer::Offer { release, .. } = rig.ask(0) else { panic!("the fix is withheld at {stage:?}") };
        assert_eq!((release, rig.kind(0)), (ReleaseNo(2), JobKind::Cancelled));
        assert_eq!(rig.happened("cancelled"), 1);
        assert_eq!(rig.report(0, held, 2, Stage::Downloaded), Answer::Cancel { job: held.0 });
    }
}

#[test]
fn device_held_by_an_aborted_campaign_is_offered_the_fix_when_it_asks() {
    let mut rig = Rig::running(1, plan());
    let held = rig.offered(0);
    rig.report(0, held, 1, Stage::Downloaded);
    rig.author(Command::Abort(ONE)).unwrap();
    launch_fix(&mut rig);
    assert!(matches!(rig.ask(0), Answer::Offer { release: ReleaseNo(2), .. }));
    assert_eq!(rig.kind(0), JobKind::Cancelled);
}

#[test]
fn device_that_may_run_the_halted_image_already_is_left_to_answer_for_it() {
    for (stage, running) in [(Stage::PendingBoot, poll().running), (Stage::Verified, NEW)] {
        let (mut rig, held) = halted_with(stage);
        launch_fix(&mut rig);
        assert_eq!(rig.ask_as(0, &Poll { running, ..poll() }), Answer::Idle);
        rig.report(0, held, 2, Stage::Confirmed);
        assert_eq!(rig.kind(0), JobKind::Confirmed);
    }
}

#[test]
fn copy_that_does_not_prove_is_a_failure_and_no_verdict_on_the_release() {
    for reason in NO_VERDICT {
        let mut rig = Rig::running(4, Plan { halt: vec![stop_at_first_rollback()], ..plan() });
        let unlucky = rig.offered(0);
        rig.report(0, unlucky, 1, back(reason));
        assert_eq!((rig.state(), rig.kind(0)), ("running", JobKind::Failed));
        let columns = job(&rig, 0).state.columns();
        assert_eq!(columns.cause, Some("software"), "why and how it went back is not lost: {columns:?}");
        rig.restart();
        assert_eq!(job(&rig, 0).state.columns(), columns);
        let again = rig.launch(RELEASE, plan());
        assert!(
            matches!(rig.ask(0), Answer::Offer { .. }),
            "the device would take it: {:?}",
            rig.jobs(again)
        );
    }
}

#[test]
fn copy_that_does_not_prove_is_tried_again_up_to_max_attempts_and_then_breaks_a_rule_on_failures() {
    let halt = vec![HaltRule { outcome: Outcome::Failed, permille: 0, min_sample: 1 }];
    let mut rig = Rig::running(1, Plan { halt, max_attempts: 2, ..plan() });
    for (attempt, state) in [(1, "running"), (2, "halted")] {
        let job = rig.offered(0);
        assert_eq!(job.1, attempt);
        rig.report(0, job, u32::from(attempt), back(RollbackReason::Unproven));
        assert_eq!(rig.state(), state);
    }
}

#[test]
fn copy_of_an_older_attempt_that_did_not_prove_leaves_the_current_attempt_alone() {
    let mut rig = Rig::running(1, Plan { max_attempts: 2, ..plan() });
    let first = rig.offered(0);
    rig.tick(1000);
    let second = rig.offered(0);
    rig.report(0, first, 7, back(RollbackReason::Unproven));
    assert_eq!((rig.kind(0), job(&rig, 0).attempt), (JobKind::Offered, second.1));
}

#[test]
fn confirmed_image_that_is_lost_is_no_success_and_its_old_confirmed_does_not_bring_it_back() {
    let mut rig = Rig::running(2, Plan { max_attempts: 3, ..plan() });
    let first = rig.offered(0);
    rig.tick(1000);
    rig.report(0, first, 5, Stage::Confirmed); // of attempt 1, while attempt 2 waits
    assert_eq!(rig.kind(0), JobKind::Confirmed);
    rig.report(0, first, 9, back(RollbackReason::ConfirmedLost));
    assert_eq!((rig.kind(0), rig.state()), (JobKind::Failed, "running"));
    rig.report(0, first, 5, Stage::Confirmed);
    assert_eq!(rig.kind(0), JobKind::Failed);
}

#[test]
fn rollback_is_not_forgotten_when_the_device_later_loses_its_image_too() {
    let mut rig = Rig::running(2, plan());
    let bad = rig.offered(0);
    rig.report(0, bad, 5, back(RollbackReason::SelfTest));
    rig.report(0, bad, 9, back(RollbackReason::ConfirmedLost));
    assert_eq!((rig.kind(0), job(&rig, 0).word), (JobKind::RolledBack, Some(9)));
}

#[test]
fn stranded_device_that_still_runs_the_failed_release_is_no_success_of_the_next_campaign() {
    let mut rig = Rig::running(1, plan());
    let bad = rig.offered(0);
    rig.report(0, bad, 1, back(RollbackReason::SelfTest));
    let again = rig.launch(RELEASE, plan());
    let stranded = Poll { running: NEW, order: Order { epoch: 0, sequence: 2 }, ..poll() };
    assert_eq!(rig.ask_as(0, &stranded), Answer::Idle);
    assert_eq!(rig.jobs(again)[0].job.state, JobState::Rejected { refusal: Refusal::RejectedBefore });
    assert_eq!(rig.happened("installed_before"), 0);
}

#[test]
fn device_that_moved_on_from_a_failed_release_is_superseded_and_not_blamed() {
    let mut rig = Rig::running(1, plan());
    let bad = rig.offered(0);
    rig.report(0, bad, 1, back(RollbackReason::SelfTest));
    let again = rig.launch(RELEASE, plan());
    rig.ask_as(
        0,
        &Poll { running: ManifestId::new([3; 8]), order: Order { epoch: 0, sequence: 3 }, ..poll() },
    );
    assert_eq!(rig.jobs(again)[0].job.kind(), JobKind::Superseded);
}

#[test]
fn honest_second_download_is_not_taken_for_silence() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    rig.report(0, job, 1, Stage::Downloaded);
    for seq in 2..20 {
        rig.tick(900);
        let stage = Stage::Downloading { done: seq, total: 100 };
        assert_eq!(
            rig.report(0, job, seq, stage),
            Answer::Ack { seq },
            "fetching again after a failed proof"
        );
    }
    rig.restart();
    rig.tick(900);
    assert_eq!(rig.kind(0), JobKind::Downloaded);
    rig.tick(100);
    assert_eq!(rig.kind(0), JobKind::TimedOut);
}

#[test]
fn repeated_and_outdated_reports_do_not_hide_silence() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    rig.report(0, job, 2, Stage::Downloaded);
    rig.tick(900);
    rig.report(0, job, 2, Stage::Downloaded);
    rig.report(0, job, 1, Stage::Accepted);
    rig.tick(100);
    assert_eq!(rig.kind(0), JobKind::TimedOut);
}

#[test]
fn device_that_begins_again_for_ever_does_not_hold_its_place_for_ever() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    let mut seq = 0;
    while rig.kind(0).is_in_flight() {
        seq += 1;
        assert!(seq < 3000, "still in flight");
        rig.report(0, job, seq, Stage::Accepted);
        rig.tick(900);
    }
    assert_eq!(rig.kind(0), JobKind::TimedOut);
}

#[test]
fn success_by_report_can_be_told_from_what_was_installed_before() {
    let mut rig = Rig::running(2, plan());
    let earned = rig.offered(0);
    rig.report(0, earned, 4, Stage::Confirmed);
    rig.ask_as(1, &Poll { running: NEW, order: Order { epoch: 0, sequence: 2 }, ..poll() });
    assert_eq!((rig.kind(0), rig.kind(1)), (JobKind::Confirmed, JobKind::Confirmed));
    assert_eq!((job(&rig, 0).was_installed_before(), job(&rig, 1).was_installed_before()), (false, true));
}

#[test]
fn faults_of_a_self_test_have_the_names_of_the_documentation() {
    let wire = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wire.md");
    let wire = std::fs::read_to_string(wire).unwrap();
    let row = wire.lines().find(|line| line.starts_with("| 0x0B01 to 0x0B0E |")).unwrap();
    let (names, _) = row.rsplit_once('|').unwrap().0.rsplit_once(" (").unwrap();
    let names: Vec<_> = names.rsplit_once("| ").unwrap().1.split("; ").collect();
    let known: Vec<_> = (0x0B01..=0x0B0E).map(|code| fault_name(code).unwrap()).collect();
    assert_eq!(names, known);
    assert_eq!([0x0000, 0x0200, 0x0B00, 0x0B0F, 0x0D00].map(fault_name), [None; 5]);
}
