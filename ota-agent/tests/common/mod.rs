//! A device in memory: bootloader, agent, flash and a scripted server, under virtual time.
#![allow(dead_code, reason = "each test file uses its part")]

mod awaited;

use ota_agent::sim::ScriptedServer;
use ota_agent::{
    Agent, Bench, BootReport, Buffers, Config, Event, Fitness, Gates, Input, Output, SlotDriver, SlotWork,
    SlotsAnswer,
};
use ota_manifest::wire::{Down, ResetCause, Stage, Up, decode, encode};
use ota_manifest::{JobId, Nonce, Version};
use ota_slots::sim::{Keeper, Lab, LabFlash, Release};
use ota_slots::{Layout, Policy, SlotId, WORK_BUFFER};
use ota_verify::Trust;

pub(crate) use awaited::{Patience, Waiting};

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
    pub(crate) input: Option<Fitness>,
}

/// A self-test that begins at a time, ms.
pub(crate) type SelfTesting = Box<dyn FnMut(u64) -> Tested>;

/// Carries messages in place of the device's hands.
pub(crate) trait Line {
    /// Takes one message to the server; what arrives at the device meanwhile.
    fn exchange(&mut self, up: Up, server: &mut ScriptedServer) -> Vec<Vec<u8>>;
}

/// A line that a test makes up: it may ask the server, and says what arrives.
pub(crate) struct MadeUp<F>(pub(crate) F);

impl<F: FnMut(Up, &mut ScriptedServer) -> Vec<Vec<u8>>> Line for MadeUp<F> {
    fn exchange(&mut self, up: Up, server: &mut ScriptedServer) -> Vec<Vec<u8>> {
        (self.0)(up, server)
    }
}

/// A message of the server, as it travels.
pub(crate) fn bytes(down: &Down<'_>) -> Vec<u8> {
    encode(down, &mut vec![0; 2 * WINDOW]).unwrap().to_vec()
}

pub(crate) struct Device {
    pub(crate) layout: Layout,
    pub(crate) policy: Policy<'static>,
    pub(crate) flash: LabFlash,
    /// The flash is waited for, with so much patience.
    pub(crate) awaited: Option<Patience>,
    pub(crate) server: ScriptedServer,
    pub(crate) firmware: Firmware,
    /// The new firmware's real self-test, in place of what `firmware` says.
    pub(crate) tested: Option<SelfTesting>,
    /// The new firmware is fit once this question is answered; it is asked every half minute.
    pub(crate) asks_on_trial: Option<Nonce>,
    pub(crate) events: Vec<Event>,
    pub(crate) running: u32,
    /// The bootloader looks into its inbox.
    pub(crate) adopts: bool,
    /// Version of the trust in force.
    pub(crate) trust: u32,
    pub(crate) now: u64,
    pub(crate) config: Config,
    /// From when on which gates are open.
    pub(crate) gates: &'static [(u64, Gates)],
    /// Nonces drawn so far.
    pub(crate) draws: u8,
    /// When the self-test asks again.
    question_at: u64,
    /// When to look what the device has done so far.
    pub(crate) stop_at: u64,
    /// How long one piece of slot work takes, ms.
    pub(crate) work_ms: u64,
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
            awaited: None,
            server: ScriptedServer::new(release(&lab), JOB, CHUNK),
            firmware,
            tested: None,
            asks_on_trial: None,
            question_at: u64::MAX,
            events: Vec::new(),
            running: 0,
            adopts: true,
            trust: 0,
            now: 0,
            config: Config { version: Version::new(1, 0, 0), poll_interval_ms: 60_000, ..Config::default() },
            gates: &[],
            draws: 0,
            stop_at: u64::MAX,
            work_ms: 1,
            lost_requests: 0,
            line: None,
        }
    }

    pub(crate) fn session(&mut self, cause: ResetCause) -> Ended {
        let layout = self.layout;
        let mut buffer = [0; WORK_BUFFER];
        let pinned = self.policy;
        let keeper = Keeper { layout: &layout, policy: &pinned, adopts: self.adopts };
        let booted = keeper.boot(&mut self.flash, cause);
        let mut memory = Vec::new();
        let kept = keeper.kept(&mut self.flash, &mut memory);
        if !self.flash.is_powered() {
            return Ended::PowerLost;
        }
        let handover = booted.expect("a device that has a good image boots");
        let policy = Policy { trust: kept.as_ref().map_or(pinned.trust, Trust::documented), ..pinned };
        self.running = handover.image().order().sequence;
        self.trust = policy.trust.version();
        self.question_at = u64::MAX;
        let Some((mut slots, report)) = self.open(&layout, &policy, handover.slot(), &mut buffer) else {
            return Ended::PowerLost;
        };
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

    /// Opens the slots, blocking or not; `None` if that was cut short.
    fn open<'s>(
        &mut self,
        layout: &'s Layout,
        policy: &'s Policy<'s>,
        slot: SlotId,
        buffer: &mut [u8; WORK_BUFFER],
    ) -> Option<(SlotDriver<'s>, BootReport)> {
        let opened = match &self.awaited {
            None => {
                let bench = Bench { flash: &mut self.flash, buffer, feed: &mut || () };
                SlotDriver::open(layout, policy, slot, bench)
            }
            Some(patience) => {
                let bench = Bench { flash: &mut Waiting(&mut self.flash), buffer, feed: &mut || () };
                patience.wait(SlotDriver::open_async(layout, policy, slot, bench))?
            }
        };
        Some(opened.expect("slots open"))
    }

    /// Does slot work, blocking or not; `None` if it was cut short.
    fn perform(
        &mut self,
        slots: &mut SlotDriver<'_>,
        work: SlotWork<'_>,
        buffer: &mut [u8; WORK_BUFFER],
    ) -> Option<SlotsAnswer> {
        match &self.awaited {
            None => Some(slots.perform(work, Bench { flash: &mut self.flash, buffer, feed: &mut || () })),
            Some(patience) => {
                let bench = Bench { flash: &mut Waiting(&mut self.flash), buffer, feed: &mut || () };
                patience.wait(slots.perform_async(work, bench))
            }
        }
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
            Output::SelfTest => return self.begin_self_test(agent),
            Output::Draw => {
                self.draws += 1;
                agent.handle_input(self.now, Input::Ask(Nonce::new([self.draws; 16])));
            }
            Output::Slots(work) => {
                let Some(answer) = self.perform(slots, work, buffer) else { return Some(Ended::PowerLost) };
                return self.done(agent, answer);
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
            Output::Wait => return self.wait(agent),
        }
        None
    }

    fn begin_self_test(&mut self, agent: &mut Agent<'_>) -> Option<Ended> {
        match (&mut self.tested, self.firmware) {
            _ if self.asks_on_trial.is_some() => self.question_at = self.now,
            (Some(tested), _) => {
                let Tested { now, input } = tested(self.now);
                self.now = now;
                input.into_iter().for_each(|fit| agent.handle_input(now, Input::SelfTest(fit)));
            }
            (None, Firmware::Hangs) => return Some(Ended::Reset(ResetCause::Watchdog)),
            (None, firmware) => {
                agent.handle_input(self.now, Input::SelfTest((firmware == Firmware::Fit).into()));
            }
        }
        None
    }

    /// Hands in the result of slot work, and what the self-test has asked for.
    fn done(&mut self, agent: &mut Agent<'_>, answer: SlotsAnswer) -> Option<Ended> {
        if !self.flash.is_powered() {
            return Some(Ended::PowerLost);
        }
        self.now += self.work_ms;
        let heard = if let SlotsAnswer::Fresh(fresh) = &answer { Some(fresh.nonce()) } else { None };
        agent.handle_input(self.now, Input::Slots(answer));
        if heard.is_some() && heard == self.asks_on_trial {
            self.question_at = u64::MAX;
            agent.handle_input(self.now, Input::SelfTest(Fitness::Fit));
        }
        None
    }

    fn wait(&mut self, agent: &mut Agent<'_>) -> Option<Ended> {
        let due = agent.poll_timeout().expect("every wait has a time limit");
        assert!(due > self.now, "a wait that is over is no wait");
        if due >= self.stop_at {
            return Some(Ended::Stopped);
        }
        let change = self.gates.iter().find(|(from, _)| (self.now + 1..due).contains(from));
        if let Some(nonce) = self.asks_on_trial.filter(|_| self.question_at < due) {
            self.now = self.now.max(self.question_at);
            self.question_at = self.now + 30_000;
            agent.handle_input(self.now, Input::Ask(nonce));
        } else if let Some((from, open)) = change {
            self.now = *from;
            agent.handle_input(self.now, Input::Gates(*open));
        } else {
            self.now = due;
            agent.handle_timeout(self.now);
        }
        None
    }

    fn has_settled(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Settled { .. }))
    }

    fn settled(&self) -> bool {
        self.server.reports().last().is_some_and(|report| report.stage.is_terminal())
    }

    /// Lets messages travel by a line that a test makes up.
    pub(crate) fn by(&mut self, line: impl FnMut(Up, &mut ScriptedServer) -> Vec<Vec<u8>> + 'static) {
        self.line = Some(Box::new(MadeUp(line)));
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
