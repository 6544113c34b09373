//! A device in memory: bootloader, agent, flash and a scripted server, under virtual time.
#![allow(dead_code, reason = "each test file uses its part")]

use ota_agent::sim::ScriptedServer;
use ota_agent::{Agent, Bench, Buffers, Config, Event, Gates, Input, Output, SlotDriver};
use ota_manifest::wire::{Down, ResetCause, Stage, Up, decode};
use ota_manifest::{JobId, Version};
use ota_slots::sim::{Lab, LabFlash, Release};
use ota_slots::{Boot, Layout, Policy, WORK_BUFFER, run_blocking};
use ota_verify::TrustedTime;

pub(crate) const JOB: JobId = JobId::new([0xAB; 16]);
pub(crate) const CHUNK: usize = 1024;
/// Four blocks of one page.
pub(crate) const WINDOW: usize = 4 * CHUNK;

/// What the new firmware's self-test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Firmware {
    Fit,
    Unfit,
    /// Never answers: the watchdog bites.
    Hangs,
}

/// How a power session ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ended {
    PowerLost,
    Reset(ResetCause),
    /// The server has the terminal report and the device asks for work again.
    Settled,
    /// Time has come to `Device::stop_at`.
    Stopped,
}

/// How a self-test ended.
pub(crate) struct Tested {
    /// When, ms.
    pub(crate) now: u64,
    /// What the agent is told, if anything.
    pub(crate) input: Option<bool>,
}

/// A self-test that begins at a time, ms.
pub(crate) type SelfTesting = Box<dyn FnMut(u64) -> Tested>;

/// Carries messages in place of the device's hands.
pub(crate) trait Line {
    /// Takes one message to the server; what arrives at the device meanwhile.
    fn exchange(&mut self, up: Up, server: &mut ScriptedServer) -> Vec<Vec<u8>>;
}

pub(crate) struct Device {
    pub(crate) layout: Layout,
    pub(crate) policy: Policy<'static>,
    pub(crate) flash: LabFlash,
    pub(crate) server: ScriptedServer,
    pub(crate) firmware: Firmware,
    /// The new firmware's real self-test, in place of what `firmware` says.
    pub(crate) tested: Option<SelfTesting>,
    pub(crate) events: Vec<Event>,
    pub(crate) running: u32,
    pub(crate) now: u64,
    pub(crate) config: Config,
    /// From when on which gates are open.
    pub(crate) gates: &'static [(u64, Gates)],
    /// What time a freshness reply has told.
    pub(crate) time: Option<TrustedTime>,
    /// When to look what the device has done so far.
    pub(crate) stop_at: u64,
    /// Requests that get lost before they reach the server, counted down.
    pub(crate) lost_requests: usize,
    /// What messages travel by; nothing for "as they are".
    pub(crate) line: Option<Box<dyn Line>>,
}

impl Device {
    pub(crate) fn new(firmware: Firmware, release: impl FnOnce(&Lab) -> Release) -> Self {
        let lab = Lab::new();
        let old = lab.release(1, 3000);
        Self {
            layout: lab.layout(),
            policy: lab.policy(),
            flash: lab.provisioned(&old).reseeded(1),
            server: ScriptedServer::new(release(&lab), JOB, CHUNK),
            firmware,
            tested: None,
            events: Vec::new(),
            running: 0,
            now: 0,
            config: Config { version: Version::new(1, 0, 0), poll_interval_ms: 60_000, ..Config::default() },
            gates: &[],
            time: None,
            stop_at: u64::MAX,
            lost_requests: 0,
            line: None,
        }
    }

    pub(crate) fn session(&mut self, cause: ResetCause) -> Ended {
        let (layout, policy) = (self.layout, self.policy);
        let mut buffer = [0; WORK_BUFFER];
        let handover =
            run_blocking(Boot::new(&layout, &policy, cause), &mut self.flash, &layout, &mut buffer, || ());
        if !self.flash.is_powered() {
            return Ended::PowerLost;
        }
        let handover = handover.expect("a device that has a good image boots");
        self.running = handover.image().order().sequence;
        let bench = Bench { flash: &mut self.flash, buffer: &mut buffer, feed: &mut || () };
        let (mut slots, report) =
            SlotDriver::open(&layout, &policy, handover.slot(), bench).expect("slots open");
        if let Some(now) = self.time {
            slots.set_time(now);
        }
        let (mut envelope, mut window) = (vec![0; 1536], vec![0; WINDOW]);
        let buffers = Buffers { envelope: &mut envelope, window: &mut window };
        let mut agent = Agent::new(self.config, report, 7, buffers, self.now);
        if let Some((_, open)) = self.gates.iter().rev().find(|(from, _)| *from <= self.now) {
            agent.handle_input(self.now, Input::Gates(*open));
        }
        for _ in 0..20_000 {
            if let Some(ended) = self.step(&mut agent, &mut slots, &mut buffer) {
                return ended;
            }
        }
        panic!("stuck: {:?}", self.events.iter().rev().take(10).collect::<Vec<_>>());
    }

    /// Carries out one output.
    fn step(
        &mut self,
        agent: &mut Agent<'_>,
        slots: &mut SlotDriver<'_>,
        buffer: &mut [u8; WORK_BUFFER],
    ) -> Option<Ended> {
        match agent.poll_output(self.now) {
            Output::Event(event) => self.events.push(event),
            Output::Reset => return Some(Ended::Reset(ResetCause::Software)),
            Output::SelfTest => match (&mut self.tested, self.firmware) {
                (Some(tested), _) => {
                    let Tested { now, input } = tested(self.now);
                    self.now = now;
                    input.into_iter().for_each(|fit| agent.handle_input(now, Input::SelfTest(fit)));
                }
                (None, Firmware::Hangs) => return Some(Ended::Reset(ResetCause::Watchdog)),
                (None, firmware) => agent.handle_input(self.now, Input::SelfTest(firmware == Firmware::Fit)),
            },
            Output::Slots(work) => {
                let answer = slots.perform(work, Bench { flash: &mut self.flash, buffer, feed: &mut || () });
                if !self.flash.is_powered() {
                    return Some(Ended::PowerLost);
                }
                self.now += 1;
                agent.handle_input(self.now, Input::Slots(answer));
            }
            Output::Send(Up::Poll(_)) if self.settled() || self.has_settled() => return Some(Ended::Settled),
            Output::Send(_) if self.lost_requests > 0 => {
                self.lost_requests -= 1;
                agent.handle_input(self.now, Input::LinkLost);
            }
            Output::Send(up) => match &mut self.line {
                None => agent.handle_input(self.now, Input::Message(self.server.answer(up))),
                Some(line) => {
                    self.now += 1;
                    for down in line.exchange(up, &mut self.server) {
                        let down = decode::<Down<'_>>(&down).expect("a link hands out what can be read");
                        agent.handle_input(self.now, Input::Message(down));
                    }
                }
            },
            Output::Wait => {
                let due = agent.poll_timeout().expect("every wait has a time limit");
                assert!(due > self.now, "a wait that is over is no wait");
                if due >= self.stop_at {
                    return Some(Ended::Stopped);
                }
                let change = self.gates.iter().find(|(from, _)| (self.now + 1..due).contains(from));
                if let Some((from, open)) = change {
                    self.now = *from;
                    agent.handle_input(self.now, Input::Gates(*open));
                } else {
                    self.now = due;
                    agent.handle_timeout(self.now);
                }
            }
        }
        None
    }

    fn has_settled(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Settled { .. }))
    }

    fn settled(&self) -> bool {
        self.server.reports().last().is_some_and(|report| report.stage.is_terminal())
    }

    /// Sessions until the job is settled.
    pub(crate) fn live(&mut self) {
        let mut cause = ResetCause::PowerOn;
        for _ in 0..40 {
            match self.session(cause) {
                Ended::PowerLost => {
                    self.flash.power_on();
                    cause = ResetCause::PowerOn;
                }
                Ended::Reset(why) => cause = why,
                Ended::Settled | Ended::Stopped => return,
            }
        }
        panic!("not settled after 40 sessions");
    }

    /// Terminal reports by sequence: repeated ones are one report.
    pub(crate) fn terminals(&self) -> Vec<Stage> {
        let mut seen: Vec<(u32, Stage)> = Vec::new();
        for report in self.server.reports().iter().filter(|report| report.stage.is_terminal()) {
            if !seen.contains(&(report.seq, report.stage)) {
                seen.push((report.seq, report.stage));
            }
        }
        seen.into_iter().map(|(_, stage)| stage).collect()
    }
}
