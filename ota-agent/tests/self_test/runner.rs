//! The runner: order, time, verdict, record, watchdog.

use ota_agent::self_test::{
    Check, Fault, MAX_PROBES, NoSelfTest, Outcome, Probe, Probes, SelfTest, Step, Summary, Turn, Verdict,
};
use ota_manifest::wire::FailedProbes;
use proptest::prelude::*;

/// Says what it is told, in order, and the last thing for ever.
struct Scripted {
    steps: Vec<Step>,
    timeout_ms: u32,
    at_timeout: Outcome,
    polls: usize,
    expired: bool,
}

impl Scripted {
    fn new(steps: &[Step]) -> Self {
        let at_timeout = Outcome::Failed(Fault::TimedOut);
        Self { steps: steps.to_vec(), timeout_ms: 100, at_timeout, polls: 0, expired: false }
    }

    fn ending(outcome: Outcome) -> Self {
        Self::new(&[Step::Done(outcome)])
    }
}

impl Probe for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    fn poll(&mut self, _: u64) -> Step {
        assert!(!self.expired, "asked after its end");
        let step = self.steps[self.polls.min(self.steps.len() - 1)];
        self.polls += 1;
        step
    }

    fn expire(&mut self) -> Outcome {
        self.expired = true;
        self.at_timeout
    }
}

const FAILED: Outcome = Outcome::Failed(Fault::WrongIdentity);

fn failed(probe: usize, probes: u32, code: u16) -> Verdict {
    Verdict::Failed { probe, name: "scripted", failed: FailedProbes { probes, code } }
}

/// Polls without letting time pass.
fn verdict(test: &mut SelfTest<'_, '_>) -> Verdict {
    (0..1000).find_map(|_| if let Turn::Done(verdict) = test.poll(0) { Some(verdict) } else { None }).unwrap()
}

#[test]
fn a_failure_hides_no_other_and_the_first_required_one_gives_its_name() {
    let mut probes = [FAILED, Outcome::Passed, Outcome::Failed(Fault::Own(3)), FAILED].map(Scripted::ending);
    let [a, b, c, d] = &mut probes;
    let mut checks = [Check::optional(a), Check::required(b), Check::required(c), Check::required(d)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert_eq!(verdict(&mut test), failed(2, 0b1101, 0x0C03));
    let summary = test.summary();
    assert_eq!((summary.failed.bits(), summary.code), (0b1101, 0x0C03));
    assert_eq!(test.checks()[1].outcome(), Some(Outcome::Passed));
    assert_eq!(verdict(&mut test), failed(2, 0b1101, 0x0C03), "asked again");
    assert!(probes.iter().all(|probe| probe.polls == 1), "each was asked once");
}

proptest! {
    #[test]
    fn verdict_and_record_follow_the_outcomes(found in prop::collection::vec((0_u8..3, any::<bool>()), 1..=MAX_PROBES)) {
        let outcome = |n| [Outcome::Passed, FAILED, Outcome::Inconclusive][usize::from(n)];
        let mut probes: Vec<_> = found.iter().map(|(n, _)| Scripted::ending(outcome(*n))).collect();
        let mut checks: Vec<_> = probes
            .iter_mut()
            .zip(&found)
            .map(|(probe, (_, required))| if *required { Check::required(probe) } else { Check::optional(probe) })
            .collect();
        let place = |kind| found.iter().position(|(n, required)| *required && *n == kind);
        let bits = |kind| found.iter().rev().fold(0, |bits, (n, _)| bits << 1 | u32::from(*n == kind));
        let expected = match (place(1), place(2)) {
            (Some(probe), _) => failed(probe, bits(1), 0x0B04),
            (None, Some(probe)) => Verdict::Inconclusive { probe, name: "scripted" },
            (None, None) => Verdict::Passed,
        };
        match SelfTest::new(&mut checks) {
            Ok(mut test) => {
                prop_assert_eq!(test.summary(), Summary::default());
                prop_assert_eq!(verdict(&mut test), expected);
                let summary = test.summary();
                prop_assert_eq!((summary.failed.bits(), summary.inconclusive.bits()), (bits(1), bits(2)));
                prop_assert_eq!(summary.code, if bits(1) == 0 { 0 } else { 0x0B04 });
                for (place, (n, _)) in found.iter().enumerate() {
                    prop_assert_eq!(summary.failed.contains(place), *n == 1);
                }
            }
            Err(error) => {
                prop_assert_eq!(error, NoSelfTest::NothingRequired);
                prop_assert!(found.iter().all(|(_, required)| !required));
            }
        }
    }
}

#[test]
fn lists_that_are_no_self_test_are_refused() {
    assert_eq!(SelfTest::new(&mut []).err(), Some(NoSelfTest::NothingRequired));
    let mut probes: Vec<_> = (0..=MAX_PROBES).map(|_| Scripted::ending(FAILED)).collect();
    let mut checks: Vec<_> = probes.iter_mut().map(|probe| Check::required(probe)).collect();
    assert_eq!(SelfTest::new(&mut checks).err(), Some(NoSelfTest::TooManyProbes));
    checks.pop();
    let mut test = SelfTest::new(&mut checks).unwrap();
    let _ = verdict(&mut test);
    assert_eq!(test.summary().failed.bits(), u32::MAX);
    assert!(!Probes::default().contains(MAX_PROBES));
}

#[test]
fn each_probe_has_its_own_time_from_its_first_poll() {
    let waiting = [Step::Wait { until: u64::MAX }];
    let (mut first, mut second) = (Scripted::new(&waiting), Scripted::new(&waiting));
    second.at_timeout = Outcome::Inconclusive;
    let mut checks = [Check::required(&mut first), Check::required(&mut second)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert_eq!(test.poll(1_000), Turn::Wait { until: 1_100 }, "never beyond the probe's time");
    assert_eq!(test.poll(1_099), Turn::Wait { until: 1_100 });
    let outcome = Outcome::Failed(Fault::TimedOut);
    assert_eq!(test.poll(1_100), Turn::Ended { probe: 0, name: "scripted", outcome });
    assert_eq!(test.poll(5_000), Turn::Wait { until: 5_100 });
    let outcome = Outcome::Inconclusive;
    assert_eq!(test.poll(9_000), Turn::Ended { probe: 1, name: "scripted", outcome });
    assert_eq!(test.poll(9_000), Turn::Done(failed(0, 0b01, 0x0B01)));
}

#[test]
fn probe_with_no_time_is_asked_once() {
    let mut probe = Scripted::ending(Outcome::Passed);
    probe.timeout_ms = 0;
    let mut checks = [Check::required(&mut probe)];
    assert_eq!(verdict(&mut SelfTest::new(&mut checks).unwrap()), Verdict::Passed);
}

#[test]
fn probe_that_never_ends_is_ended_even_when_the_clock_stands_still_or_runs_back() {
    for clock in [|_| 7, |turn: u64| 10_000_000 - turn] {
        for step in [Step::Progress, Step::Wait { until: 0 }] {
            let mut probe = Scripted::new(&[step]);
            let mut checks = [Check::required(&mut probe)];
            let mut test = SelfTest::new(&mut checks).unwrap();
            let ended =
                (0..2_000_000).map(|turn| test.poll(clock(turn))).find(|turn| matches!(turn, Turn::Done(_)));
            assert_eq!(ended, Some(Turn::Done(failed(0, 0b1, 0x0B01))));
            assert!(probe.expired);
        }
    }
}

#[test]
fn probe_that_a_stopped_clock_has_ended_takes_no_turns_from_the_next() {
    let (mut stuck, mut good) = (Scripted::new(&[Step::Progress]), Scripted::ending(Outcome::Passed));
    let mut checks = [Check::required(&mut stuck), Check::required(&mut good)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert!((0..2_000_000).any(|_| matches!(test.poll(7), Turn::Done(_))));
    assert_eq!(test.checks()[1].outcome(), Some(Outcome::Passed));
}

#[test]
fn end_of_time_is_no_overflow() {
    let mut probe = Scripted::new(&[Step::Wait { until: u64::MAX }]);
    let mut checks = [Check::required(&mut probe)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert_eq!(test.poll(u64::MAX - 1), Turn::Wait { until: u64::MAX });
    assert!(matches!(test.poll(u64::MAX), Turn::Ended { .. }));
}

#[test]
fn watchdog_is_fed_on_progress_and_never_while_a_probe_waits() {
    let wait = Step::Wait { until: 50 };
    let done = Step::Done(Outcome::Passed);
    let mut probe = Scripted::new(&[Step::Progress, wait, wait, Step::Progress, wait, done]);
    let mut checks = [Check::required(&mut probe)];
    let mut test = SelfTest::new(&mut checks).unwrap();
    let mut fed = Vec::new();
    for now in 0..20 {
        let mut feeds = 0;
        let _ = test.poll_feeding(now, &mut || feeds += 1);
        fed.push(feeds);
    }
    // The end of a probe is progress; after the verdict there is none.
    assert_eq!(fed[..6], [1, 0, 0, 1, 0, 1]);
    assert!(fed[6..].iter().all(|feeds| *feeds == 0));
}

#[test]
fn a_second_run_over_the_same_list_begins_with_an_empty_record() {
    let mut probe = Scripted::new(&[Step::Done(FAILED), Step::Done(Outcome::Passed)]);
    let mut checks = [Check::required(&mut probe)];
    assert_eq!(verdict(&mut SelfTest::new(&mut checks).unwrap()), failed(0, 0b1, 0x0B04));
    let mut test = SelfTest::new(&mut checks).unwrap();
    assert_eq!(test.summary(), Summary::default());
    assert_eq!(verdict(&mut test), Verdict::Passed);
}
