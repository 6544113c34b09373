//! Random histories of devices, operators and time against the engine's promises.

mod common;

use std::collections::BTreeMap;

use common::{NEW, ONE, Rig, device, plan, stop_at_first_rollback};
use ota_manifest::wire::{FailedProbes, FailedStage, Report, ResetCause, RollbackReason, Stage};
use ota_manifest::{JobId, Order};
use ota_server_core::{Answer, CampaignState, Command, Event, JobKind, JobRow, Plan, Tally, Wave};
use proptest::prelude::*;

const DEVICES: u8 = 10;
const CAP: u32 = 3;

#[derive(Debug, Clone)]
enum Op {
    Poll(u8),
    /// Every device polls.
    Sweep,
    /// The device goes on by so many stages.
    Advance(u8, u8),
    /// The device's n-th report arrives once more.
    Repeat(u8, usize),
    Tick(u16),
    Pause,
    Resume,
    Abort,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..DEVICES).prop_map(Op::Poll),
        4 => Just(Op::Sweep),
        20 => ((0..DEVICES), 1u8..9).prop_map(|(n, stages)| Op::Advance(n, stages)),
        4 => ((0..DEVICES), any::<usize>()).prop_map(|(n, at)| Op::Repeat(n, at)),
        3 => (0u16..900).prop_map(Op::Tick),
        1 => Just(Op::Pause),
        2 => Just(Op::Resume),
        1 => Just(Op::Restart),
        1 => prop_oneof![9 => Just(Op::Resume), 1 => Just(Op::Abort)],
    ]
}

/// How a device's attempt ends.
fn outcome() -> impl Strategy<Value = Stage> {
    let back = Stage::RolledBack {
        reason: RollbackReason::SelfTest,
        cause: ResetCause::Watchdog,
        boots: 3,
        failed: FailedProbes::NONE,
    };
    let lost = Stage::RolledBack {
        reason: RollbackReason::Unproven,
        cause: ResetCause::PowerOn,
        boots: 0,
        failed: FailedProbes::NONE,
    };
    prop_oneof![
        12 => Just(Stage::Confirmed),
        1 => Just(back),
        1 => Just(lost),
        2 => Just(Stage::Failed { at: FailedStage::Downloading, code: 9 }),
    ]
}

/// An honest device: one job at a time, stages in order, one last word.
#[derive(Debug, Clone)]
struct Honest {
    outcome: Stage,
    job: Option<(JobId, u8)>,
    stage: usize,
    seq: u32,
    said: Vec<Report>,
    installed: bool,
}

const PATH: [Stage; 6] = [
    Stage::Accepted,
    Stage::Downloading { done: 10, total: 20 },
    Stage::Downloaded,
    Stage::Verified,
    Stage::PendingBoot,
    Stage::Testing,
];

impl Honest {
    fn new(outcome: Stage) -> Self {
        Self { outcome, job: None, stage: 0, seq: 0, said: vec![], installed: false }
    }

    fn next(&mut self) -> Option<Report> {
        let (job, attempt) = self.job?;
        let stage = PATH.get(self.stage).copied().unwrap_or(self.outcome);
        self.stage += 1;
        self.seq += 1;
        let report = Report { job, attempt, seq: self.seq, stage };
        if stage.is_terminal() {
            self.job = None;
            self.installed = stage == Stage::Confirmed;
        }
        self.said.push(report);
        Some(report)
    }
}

struct Model {
    rig: Rig,
    devices: Vec<Honest>,
}

impl Model {
    fn new(plan: Plan, outcomes: Vec<Stage>) -> Self {
        Self { rig: Rig::running(DEVICES, plan), devices: outcomes.into_iter().map(Honest::new).collect() }
    }

    fn run(&mut self, op: &Op) {
        let before = self.rig.view(ONE).campaign.state;
        let batches = self.rig.log.len();
        match *op {
            Op::Poll(n) => self.poll(n, before),
            Op::Sweep => return (0..DEVICES).for_each(|n| self.run(&Op::Poll(n))),
            Op::Advance(n, stages) => {
                for _ in 0..stages {
                    let Some(report) = self.devices[usize::from(n)].next() else { break };
                    self.deliver(n, &report);
                }
            }
            Op::Repeat(n, at) => {
                let said = &self.devices[usize::from(n)].said;
                if let Some(report) = said.get(at % said.len().max(1)).copied() {
                    self.deliver(n, &report);
                }
            }
            Op::Tick(ms) => self.rig.tick(u64::from(ms)),
            Op::Pause => drop(self.rig.author(Command::Pause(ONE))),
            Op::Resume => drop(self.rig.author(Command::Resume(ONE))),
            Op::Abort => drop(self.rig.author(Command::Abort(ONE))),
            Op::Restart => self.restart(),
        }
        self.check(before, batches);
    }

    fn poll(&mut self, n: u8, before: CampaignState) {
        let honest = &mut self.devices[usize::from(n)];
        let mut poll = common::poll();
        if honest.installed {
            (poll.running, poll.order) = (NEW, Order { epoch: 0, sequence: 2 });
        }
        let told = self.rig.question(n, 1);
        let answer = self.rig.ask_as(n, &poll);
        if let Answer::Fresh { latest, .. } = told {
            self.check_latest(n, latest, answer);
        }
        if let Answer::Offer { job, attempt, .. } = answer {
            assert!(matches!(before, CampaignState::Running { .. }), "offered while {}", before.name());
            let honest = &mut self.devices[usize::from(n)];
            if honest.job != Some((job, attempt)) {
                (honest.job, honest.stage) = (Some((job, attempt)), 0);
            }
        }
    }

    /// A device is offered what it was told of, and is told of nothing that it is not offered for a reason it could not wait for.
    fn check_latest(&self, n: u8, latest: Order, answer: Answer) {
        let released = latest == Order { epoch: 0, sequence: 2 };
        let row = self.rig.jobs(ONE).into_iter().find(|row| row.device == device(n)).unwrap();
        let waits = self.rig.view(ONE).total.in_flight() == CAP || row.job.not_before.0 > self.rig.now;
        let has = row.job.kind().is_in_flight() || row.job.kind() == JobKind::Confirmed;
        match answer {
            Answer::Offer { .. } => assert!(released, "{row:?}"),
            _ => assert!(!released || has || waits, "{row:?}"),
        }
    }

    fn deliver(&mut self, n: u8, report: &Report) {
        let event = Event::Report { device: device(n), report };
        match self.rig.step(event).unwrap().answer {
            Answer::Cancel { .. } => self.devices[usize::from(n)].job = None,
            answer => assert_eq!(answer, Answer::Ack { seq: report.seq }),
        }
    }

    fn restart(&mut self) {
        let (view, jobs) = (self.rig.view(ONE), self.rig.jobs(ONE));
        self.rig.restart();
        assert_eq!((self.rig.view(ONE), self.rig.jobs(ONE)), (view, jobs), "the store knows everything");
    }

    fn check(&self, before: CampaignState, batches: usize) {
        let (view, jobs) = (self.rig.view(ONE), self.rig.jobs(ONE));
        assert!(view.total.in_flight() <= CAP, "cap");
        let mut folded = Tally::default();
        jobs.iter().for_each(|row| folded.add(row.job.kind()));
        assert_eq!(view.total, folded, "counters are the fold of the rows");
        let mut sum = Tally::default();
        view.waves.iter().for_each(|wave| sum.absorb(&wave.added));
        assert_eq!(sum, folded, "waves add up");
        let fresh = self.rig.log[batches..].iter();
        for event in fresh.flat_map(|batch| &batch.events).filter(|event| event.what == "offered") {
            let row = jobs.iter().find(|row| row.id == event.job).unwrap();
            let CampaignState::Running { wave } = before else { panic!("offered while {}", before.name()) };
            // Closing a job in the same poll may open the gate, so the wave may have moved on within the step.
            let now = view.campaign.state.wave().unwrap_or(wave).max(wave);
            assert!(row.wave <= now, "device of wave {} offered in wave {now}", row.wave);
        }
        if let (Some(from), Some(to)) = (before.wave(), view.campaign.state.wave()) {
            (from..to).for_each(|wave| assert_gate_passed(&jobs, wave));
        }
    }

    /// Per attempt a device has one last word, and at most one silence before it.
    fn check_last_words(&self) {
        let mut words: BTreeMap<(JobId, u8), (u32, u32)> = BTreeMap::new();
        for event in self.rig.log.iter().flat_map(|batch| &batch.events).filter(|event| !event.late) {
            let last =
                ["confirmed", "rolled_back", "failed", "rejected", "cancelled"].contains(&&*event.what);
            let entry = words.entry((event.job, event.attempt)).or_default();
            entry.0 += u32::from(last && event.seq.is_some());
            entry.1 += u32::from(event.what == "timed_out");
        }
        assert!(words.values().all(|(word, silence)| *word <= 1 && *silence <= 1), "{words:?}");
    }
}

/// Counted naively: every contacted device of the wave but a twentieth confirmed, and at least one was contacted.
fn assert_gate_passed(jobs: &[JobRow], wave: u16) {
    let kinds: Vec<_> = jobs.iter().filter(|row| row.wave == wave).map(|row| row.job.kind()).collect();
    let contacted = kinds.iter().filter(|kind| kind.is_in_flight() || kind.is_verdict()).count();
    let confirmed = kinds.iter().filter(|kind| **kind == JobKind::Confirmed).count();
    let nobody = kinds.iter().all(|kind| *kind > JobKind::TimedOut);
    assert!(
        nobody || (contacted > 0 && confirmed * 1000 >= 600 * contacted),
        "gate of wave {wave}: {kinds:?}"
    );
}

fn random_plan() -> impl Strategy<Value = Plan> {
    (0u64..500, 1u8..4, any::<bool>()).prop_map(|(soak_ms, max_attempts, halts)| Plan {
        waves: vec![Wave::Count(1), Wave::Percent(25), Wave::Percent(100)],
        max_in_flight: CAP,
        gate: ota_server_core::Gate { permille: 600, min_sample: 1 },
        soak_ms,
        max_attempts,
        halt: if halts { vec![stop_at_first_rollback()] } else { vec![] },
        ..plan()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_cap_halt_gate_or_counters(
        plan in random_plan(),
        outcomes in prop::collection::vec(outcome(), usize::from(DEVICES)),
        ops in prop::collection::vec(op(), 1..250),
    ) {
        let mut model = Model::new(plan, outcomes);
        ops.iter().for_each(|op| model.run(op));
        model.check_last_words();
    }

    #[test]
    fn order_and_repetition_of_reports_do_not_matter(
        outcome in outcome(),
        steps in 0usize..7,
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let run = |shuffled: bool| {
            let mut rig = Rig::running(1, plan());
            let mut honest = Honest::new(outcome);
            honest.job = Some(rig.offered(0));
            (0..=steps).for_each(|_| assert!(honest.next().is_some() || honest.job.is_none()));
            let mut reports = honest.said.clone();
            if shuffled {
                // Any order with any repetition, and then each once in reverse, so that all arrive.
                reports = order.iter().map(|index| *index.get(&honest.said)).collect();
                reports.extend(honest.said.iter().rev());
            }
            for report in reports {
                rig.step(Event::Report { device: device(0), report: &report }).unwrap();
            }
            let job = rig.jobs(ONE).remove(0).job;
            (job.state, job.attempt, job.done, rig.view(ONE).total, rig.state())
        };
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn bytes_of_any_job_id_are_answered_without_harm(bytes: [u8; 16], attempt: u8, seq: u32) {
        let mut rig = Rig::running(1, plan());
        let answer = rig.report(0, (JobId::new(bytes), attempt), seq, Stage::Confirmed);
        prop_assert_eq!(answer, Answer::Refused(ota_manifest::wire::Refusal::Gone));
    }
}
