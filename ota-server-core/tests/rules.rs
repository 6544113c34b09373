//! The rules of a campaign, one claim each.

mod common;

use common::{NEW, ONE, RELEASE, Rig, device, plan, poll, release, stop_at_first_rollback};
use ota_manifest::wire::{
    FailedProbes, FailedStage, OLDEST_PROTOCOL, PROTOCOL, Poll, Refusal, ResetCause, RollbackReason, Stage,
};
use ota_manifest::{ManifestId, Order, SecurityVersion};
use ota_server_core::engine::RING_AGAIN_MS;
use ota_server_core::{
    Answer, Command, CommandError, Gate, HaltRule, JobKind, JobState, Outcome, Plan, ReleaseNo, Role, Target,
    Timeouts, Wave, first_broken,
};

const ROLLED_BACK: Stage = Stage::RolledBack {
    reason: RollbackReason::SelfTest,
    cause: ResetCause::Watchdog,
    boots: 3,
    failed: FailedProbes::NONE,
};
const FAILED: Stage = Stage::Failed { at: FailedStage::Downloading, code: 7 };

fn canary_then_all() -> Plan {
    Plan { waves: vec![Wave::Count(1), Wave::Percent(100)], ..plan() }
}

#[test]
fn one_canary_rolled_back_halts_and_nobody_is_offered_anything_afterwards() {
    let mut rig = Rig::running(4, Plan { halt: vec![stop_at_first_rollback()], ..canary_then_all() });
    let order = rig.ranked();
    let job = rig.offered(order[0]);
    assert_eq!(rig.report(order[0], job, 1, ROLLED_BACK), Answer::Ack { seq: 1 });
    assert_eq!(rig.state(), "halted");
    assert_eq!(rig.noted("campaign_halted"), 1);
    assert_eq!(rig.view(ONE).campaign.halted.unwrap().0, rig.now);
    for n in 0..4 {
        assert_eq!(rig.ask(n), Answer::Idle);
    }
    assert_eq!(rig.happened("offered"), 1);
    let row = rig.jobs(ONE).into_iter().find(|row| row.device == device(order[0])).unwrap();
    assert_eq!(row.job.state.columns().reason, Some("self_test"));
    assert!(matches!(rig.author(Command::Resume(ONE)), Err(CommandError::WrongState { .. })));
}

#[test]
fn a_halt_lets_accepted_jobs_go_on_and_withdraws_offers_nobody_accepted() {
    let mut rig = Rig::running(3, Plan { halt: vec![stop_at_first_rollback()], ..plan() });
    let (bad, going, told) = (rig.offered(0), rig.offered(1), rig.offered(2));
    rig.report(1, going, 1, Stage::Accepted);
    rig.report(0, bad, 1, ROLLED_BACK);
    assert_eq!((rig.kind(1), rig.kind(2)), (JobKind::Accepted, JobKind::Queued));
    assert_eq!(rig.report(2, told, 1, Stage::Accepted), Answer::Cancel { job: told.0 });
    assert_eq!(rig.report(1, going, 2, Stage::Confirmed), Answer::Ack { seq: 2 });
    assert_eq!((rig.count(JobKind::Confirmed), rig.state()), (1, "halted"));
}

#[test]
fn next_wave_waits_for_gate_and_soak() {
    let mut rig = Rig::running(4, Plan { soak_ms: 5000, ..canary_then_all() });
    let order = rig.ranked();
    assert!(order[1..].to_vec().iter().all(|n| rig.ask(*n) == Answer::Idle));
    let job = rig.offered(order[0]);
    rig.report(order[0], job, 1, Stage::Testing);
    assert_eq!(rig.noted("gate_passed"), 0);
    rig.report(order[0], job, 2, Stage::Confirmed);
    rig.tick(4999);
    assert_eq!(rig.ask(order[1]), Answer::Idle);
    rig.tick(1);
    rig.offered(order[1]);
    assert_eq!((rig.noted("gate_passed"), rig.noted("wave_started")), (1, 1));
}

#[test]
fn a_wave_that_misses_its_gate_halts_instead_of_waiting_forever() {
    let mut rig = Rig::running(4, canary_then_all());
    let order = rig.ranked();
    let job = rig.offered(order[0]);
    rig.report(order[0], job, 1, FAILED);
    assert_eq!(rig.state(), "halted");
    assert!(
        rig.view(ONE).campaign.state.halt_reason().unwrap().to_string().starts_with("gate missed: 0 of 1")
    );
}

#[test]
fn a_halt_rule_needs_its_minimum_sample() {
    let rule = HaltRule { outcome: Outcome::Any, permille: 500, min_sample: 3 };
    let mut rig = Rig::running(6, Plan { halt: vec![rule], ..plan() });
    for n in 0..3 {
        assert_eq!(rig.state(), "running");
        let job = rig.offered(n);
        rig.report(n, job, 1, FAILED);
    }
    assert_eq!(rig.state(), "halted");
}

#[test]
fn never_more_in_flight_than_allowed() {
    let mut rig = Rig::running(5, Plan { max_in_flight: 2, ..plan() });
    let first = rig.offered(0);
    rig.offered(1);
    assert_eq!(rig.ask(2), Answer::Idle);
    rig.report(0, first, 1, Stage::Confirmed);
    rig.offered(2);
}

#[test]
fn a_restarted_device_gets_the_same_attempt_again_until_it_tests_the_image() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    assert_eq!(rig.offered(0), job);
    rig.report(0, job, 1, Stage::Downloading { done: 10, total: 100 });
    assert_eq!(rig.offered(0), job);
    rig.report(0, job, 2, Stage::Testing);
    assert_eq!(rig.ask(0), Answer::Idle);
    assert_eq!((rig.happened("offered"), rig.happened("resumed")), (1, 2));
}

#[test]
fn a_device_that_runs_the_release_is_confirmed_without_an_offer() {
    let mut rig = Rig::running(1, plan());
    assert_eq!(
        rig.ask_as(0, &Poll { running: NEW, order: Order { epoch: 0, sequence: 2 }, ..poll() }),
        Answer::Idle
    );
    assert_eq!((rig.kind(0), rig.state()), (JobKind::Confirmed, "completed"));
    assert_eq!((rig.happened("offered"), rig.happened("installed_before")), (0, 1));
}

#[test]
fn what_a_device_would_refuse_is_not_offered() {
    let newer = Poll { order: Order { epoch: 0, sequence: 3 }, ..poll() };
    let floor = Poll { floor: SecurityVersion(1), ..poll() };
    let cases = [(newer, JobState::Superseded), (floor, JobState::Rejected { refusal: Refusal::BelowFloor })];
    for (poll, state) in cases {
        let mut rig = Rig::running(1, plan());
        assert_eq!(rig.ask_as(0, &poll), Answer::Idle);
        assert_eq!(rig.jobs(ONE)[0].job.state, state);
    }
}

#[test]
fn a_release_that_is_not_ready_is_not_offered() {
    let mut rig = Rig::running(1, plan());
    let gone =
        ota_server_core::Event::Readiness { release: RELEASE, ready: false, detail: "artifact missing" };
    rig.step(gone).unwrap();
    assert_eq!(rig.ask(0), Answer::Idle);
    rig.step(ota_server_core::Event::Readiness { release: RELEASE, ready: true, detail: "" }).unwrap();
    rig.offered(0);
    assert_eq!(rig.noted("release_withheld"), 1);
}

#[test]
fn a_silent_device_times_out_is_tried_again_and_then_given_up() {
    let mut rig = Rig::running(1, Plan { max_attempts: 2, retry_after_ms: 500, ..plan() });
    let first = rig.offered(0);
    rig.tick(999);
    assert_eq!(rig.kind(0), JobKind::Offered);
    rig.tick(1);
    assert_eq!(rig.kind(0), JobKind::Queued);
    assert_eq!(rig.ask(0), Answer::Idle, "not before the pause is over");
    rig.tick(500);
    let second = rig.offered(0);
    assert_eq!((second.0, second.1), (first.0, 2));
    rig.report(0, second, 1, Stage::Verified);
    rig.tick(1000);
    assert_eq!(rig.jobs(ONE)[0].job.state, JobState::TimedOut { stage: JobKind::Verified });
    assert_eq!(rig.state(), "completed");
    rig.report(0, second, 2, Stage::Confirmed);
    assert_eq!((rig.count(JobKind::Confirmed), rig.count(JobKind::TimedOut)), (1, 0));
}

#[test]
fn progress_keeps_a_download_alive() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    for seq in 1..10 {
        rig.report(0, job, seq, Stage::Downloading { done: seq, total: 100 });
        rig.tick(900);
    }
    assert_eq!(rig.kind(0), JobKind::Downloading);
    rig.tick(1000);
    assert_eq!(rig.kind(0), JobKind::TimedOut);
}

#[test]
fn a_rollback_is_never_tried_again_not_even_by_another_campaign_with_the_same_release() {
    let mut rig = Rig::running(1, Plan { max_attempts: 9, ..plan() });
    let job = rig.offered(0);
    rig.report(0, job, 1, ROLLED_BACK);
    let again = rig.launch(RELEASE, plan());
    assert_eq!(rig.ask(0), Answer::Idle);
    assert_eq!(rig.jobs(again)[0].job.state, JobState::Rejected { refusal: Refusal::RejectedBefore });
}

#[test]
fn a_device_serves_one_job_at_a_time_and_the_newest_release_first() {
    let mut rig = Rig::running(1, plan());
    rig.author(Command::Publish(Box::new(release(3, ManifestId::new([3; 8]))))).unwrap();
    let second = rig.launch(ReleaseNo(2), plan());
    let Answer::Offer { release, .. } = rig.ask(0) else { panic!("no offer") };
    assert_eq!(release, ReleaseNo(2));
    assert_eq!(rig.jobs(second)[0].job.kind(), JobKind::Offered);
    assert_eq!(rig.jobs(ONE)[0].job.kind(), JobKind::Queued);
}

#[test]
fn author_cannot_approve_and_nobody_approves_twice() {
    let mut rig = Rig::new(1);
    rig.author(Command::Publish(Box::new(release(2, NEW)))).unwrap();
    let plan = Box::new(Plan { approvals: 2, ..plan() });
    rig.author(Command::Create {
        name: "c".into(),
        release: RELEASE,
        plan,
        target: Target::All,
        salt: [5; 16],
    })
    .unwrap();
    rig.author(Command::Submit(ONE)).unwrap();
    assert_eq!(rig.operator("ann", Role::Approver, Command::Approve(ONE)), Err(CommandError::OwnCampaign));
    assert_eq!(rig.author(Command::Approve(ONE)), Err(CommandError::NeedsRole("approver")));
    rig.approver(Command::Approve(ONE)).unwrap();
    assert_eq!(rig.approver(Command::Approve(ONE)), Err(CommandError::ApprovedAlready));
    assert_eq!(rig.state(), "awaiting_approval");
    rig.operator("eve", Role::Approver, Command::Approve(ONE)).unwrap();
    assert_eq!(rig.state(), "running");
}

#[test]
fn a_campaign_starts_at_its_time() {
    let mut rig = Rig::running(1, Plan { start_at_ms: Some(1_000_500), ..plan() });
    assert_eq!((rig.state(), rig.ask(0)), ("scheduled", Answer::Idle));
    rig.tick(500);
    rig.offered(0);
}

#[test]
fn pause_offers_nothing_and_resume_offers_under_a_new_attempt() {
    let mut rig = Rig::running(2, plan());
    let told = rig.offered(0);
    rig.approver(Command::Pause(ONE)).unwrap();
    assert_eq!((rig.ask(0), rig.ask(1)), (Answer::Idle, Answer::Idle));
    rig.author(Command::Resume(ONE)).unwrap();
    let again = rig.offered(0);
    assert_eq!(again, (told.0, told.1 + 1));
    assert_eq!(rig.report(0, told, 1, Stage::Accepted), Answer::Ack { seq: 1 });
    assert_eq!(rig.kind(0), JobKind::Offered, "a report of the withdrawn attempt moves nothing");
}

#[test]
fn abort_closes_what_was_not_accepted_and_leaves_nothing_open_forever() {
    let mut rig = Rig::running(3, plan());
    let going = rig.offered(0);
    rig.offered(1);
    rig.report(0, going, 1, Stage::PendingBoot);
    rig.author(Command::Abort(ONE)).unwrap();
    assert_eq!(rig.count(JobKind::Cancelled), 2);
    assert_eq!((0..3).map(|n| rig.ask(n)).collect::<Vec<_>>(), [Answer::Idle; 3]);
    rig.tick(1000);
    assert_eq!(rig.view(ONE).total.open(), 0, "silence ends the last one");
}

#[test]
fn a_removed_device_is_unknown_and_its_job_is_closed() {
    let mut rig = Rig::running(2, plan());
    let job = rig.offered(0);
    rig.author(Command::Remove(device(0))).unwrap();
    assert_eq!(rig.ask(0), Answer::Refused(Refusal::Gone));
    assert_eq!(rig.report(0, job, 1, Stage::Confirmed), Answer::Refused(Refusal::Gone));
    assert_eq!((rig.kind(0), rig.engine.token_of(device(0))), (JobKind::Removed, None));
}

#[test]
fn order_must_rise_from_release_to_release() {
    let mut rig = Rig::new(1);
    rig.author(Command::Publish(Box::new(release(2, NEW)))).unwrap();
    let same = rig.author(Command::Publish(Box::new(release(2, ManifestId::new([3; 8])))));
    assert_eq!(same, Err(CommandError::OrderNotRising(RELEASE)));
}

#[test]
fn a_gate_counts_contacted_devices_so_absent_ones_do_not_block_it() {
    let waves = vec![Wave::Percent(50), Wave::Percent(100)];
    let mut rig = Rig::running(8, Plan { waves, gate: Gate { permille: 1000, min_sample: 2 }, ..plan() });
    let order = rig.ranked();
    for n in &order[..2] {
        let job = rig.offered(*n);
        rig.report(*n, job, 1, Stage::Confirmed);
    }
    rig.offered(order[7]);
}

#[test]
fn bells_ring_for_as_many_as_may_come_and_again_for_those_who_did_not() {
    let mut rig = Rig::running(5, Plan { max_in_flight: 2, ..plan() });
    let order = rig.ranked();
    let rung = |rig: &mut Rig| {
        std::mem::take(&mut rig.bells).iter().map(|(d, _)| d.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(rung(&mut rig), order[..2]);
    rig.tick(1);
    assert!(rung(&mut rig).is_empty());
    let job = rig.offered(order[0]);
    rig.report(order[0], job, 1, Stage::Confirmed);
    assert_eq!(rung(&mut rig), order[2..3]);
    rig.tick(RING_AGAIN_MS);
    assert_eq!(rung(&mut rig), order[3..5], "those who never ask do not keep the others from being told");
}

/// The answer may never have arrived: the device lost its power, and with a bell it does not ask by itself.
#[test]
fn device_that_was_offered_a_job_and_has_not_accepted_it_is_rung_again() {
    let patient = Timeouts { offered: 10 * RING_AGAIN_MS, accepted: 10 * RING_AGAIN_MS, ..plan().timeouts };
    let mut rig = Rig::running(1, Plan { timeouts: patient, ..plan() });
    let job = rig.offered(0);
    rig.bells.clear();
    rig.tick(RING_AGAIN_MS - 1);
    assert!(rig.bells.is_empty(), "it may be reading the manifest");
    for _ in 0..2 {
        rig.tick(RING_AGAIN_MS);
        rig.tick(1);
        assert_eq!(
            std::mem::take(&mut rig.bells),
            [(device(0), job.0)],
            "once in a while, until it says something"
        );
    }
    rig.restart();
    rig.tick(1);
    assert_eq!(
        std::mem::take(&mut rig.bells),
        [(device(0), job.0)],
        "a new process does not know whom it told"
    );
    rig.report(0, job, 1, Stage::Accepted);
    rig.tick(RING_AGAIN_MS);
    assert!(rig.bells.is_empty(), "from here on the device remembers the job by itself");
}

/// With a bell it does not ask by itself before its interval is over.
#[test]
fn device_that_restarted_while_its_campaign_was_held_is_rung_when_it_goes_on() {
    let patient =
        Timeouts { accepted: 10 * RING_AGAIN_MS, downloading: 10 * RING_AGAIN_MS, ..plan().timeouts };
    let mut rig = Rig::running(1, Plan { timeouts: patient, ..plan() });
    let job = rig.offered(0);
    rig.report(0, job, 1, Stage::Downloading { done: 10, total: 100 });
    rig.author(Command::Pause(ONE)).unwrap();
    assert_eq!(rig.ask(0), Answer::Idle);
    rig.bells.clear();
    rig.tick(2 * RING_AGAIN_MS);
    assert!(rig.bells.is_empty(), "there is nothing to come for yet");
    rig.author(Command::Resume(ONE)).unwrap();
    rig.tick(1);
    assert_eq!(std::mem::take(&mut rig.bells), [(device(0), job.0)]);
    assert_eq!(rig.offered(0), job);
    rig.report(0, job, 2, Stage::Accepted);
    rig.tick(RING_AGAIN_MS);
    assert!(rig.bells.is_empty());

    rig.author(Command::Pause(ONE)).unwrap();
    assert_eq!(rig.ask(0), Answer::Idle);
    rig.restart();
    rig.author(Command::Resume(ONE)).unwrap();
    rig.tick(1);
    assert_eq!(std::mem::take(&mut rig.bells), [(device(0), job.0)], "also by a server that has restarted");
}

#[test]
fn audit_chain_holds_and_names_every_decision() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    rig.report(0, job, 1, Stage::Confirmed);
    let rows: Vec<_> = rig.log.iter().flat_map(|batch| batch.audit.clone()).collect();
    assert_eq!(first_broken(&rows), None);
    let actions: Vec<_> = rows.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "device_enrolled",
            "release_published",
            "campaign_created",
            "campaign_submitted",
            "campaign_approved",
            "campaign_started",
            "campaign_completed"
        ]
    );
}

#[test]
fn a_device_of_an_unknown_protocol_is_refused_until_it_speaks_a_known_one_and_its_reports_are_taken() {
    let mut rig = Rig::running(1, plan());
    for protocol in [0, PROTOCOL + 1, u8::MAX] {
        let strange = Poll { protocol, ..poll() };
        assert_eq!(rig.ask_as(0, &strange), Answer::Refused(Refusal::Unsupported), "{protocol}");
        assert_eq!(rig.kind(0), JobKind::Queued);
        assert_eq!(
            rig.engine.device(device(0)).unwrap().said.unwrap().protocol,
            protocol,
            "people can see why"
        );
    }
    let job = rig.offered(0);
    // It restarts into firmware with a newer protocol: what it reports carries no number.
    assert_eq!(
        rig.ask_as(0, &Poll { protocol: PROTOCOL + 1, ..poll() }),
        Answer::Refused(Refusal::Unsupported)
    );
    assert_eq!(rig.report(0, job, 1, Stage::Testing), Answer::Ack { seq: 1 });
    assert_eq!(rig.report(0, job, 2, Stage::Confirmed), Answer::Ack { seq: 2 });
    assert_eq!(rig.kind(0), JobKind::Confirmed);
}

#[test]
fn a_device_of_every_protocol_since_the_oldest_is_served() {
    for protocol in OLDEST_PROTOCOL..=PROTOCOL {
        let mut rig = Rig::running(1, plan());
        assert!(matches!(rig.ask_as(0, &Poll { protocol, ..poll() }), Answer::Offer { .. }), "{protocol}");
    }
}
