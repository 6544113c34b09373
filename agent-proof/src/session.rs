//! One power session: the agent's loop, as a device runs it, in virtual time.

use ota_agent::{
    Agent, Bench, BootReport, Buffers, Config, Gates, Input, Output, SlotDriver, SlotWork, SlotsAnswer,
};
use ota_manifest::wire::{Down, Object, ResetCause, Stage, Up, decode, encode};
use ota_manifest::{JobId, Nonce, Version};
use ota_slots::{SlotId, WORK_BUFFER};

use crate::desk::Desk;
use crate::frame::{Unwrap, wrap};
use crate::life::{Ended, Life};
use crate::plant::{Plant, alter};
use crate::scenario::Kind;
use crate::witness::{Done, Fault};

/// Outputs at one point of virtual time, at most.
const MOST_AT_ONCE: u32 = 100;

/// The confirm window of every release here, ms.
const CONFIRM_WINDOW_MS: u64 = 900_000;

/// How often a self-test asks, ms.
const QUESTIONS_EVERY_MS: u64 = 30_000;

/// A device that is switched on.
pub(crate) struct Session<'s, 'b, 'w> {
    life: &'s mut Life<'b>,
    agent: Agent<'w>,
    slots: SlotDriver<'s>,
    buffer: [u8; WORK_BUFFER],
    /// The slot that may be filled.
    target: SlotId,
    /// What runs on trial, if anything does.
    trial: Option<Kind>,
    receiver: Unwrap,
    /// Number of the last question, and the question.
    asked: (u32, Option<Up>),
    /// Times the same question has been asked, one after the other.
    times: u32,
    /// Until when the agent waits for the answer, virtual time in ms.
    waits_until: u64,
    /// It has sent a report.
    reported: bool,
    booted_at: u64,
    verdict_at: Option<(u64, bool)>,
    /// The question of the self-test, and when it is asked next.
    question: Option<(Nonce, u64)>,
    bell_at: u64,
    /// When gates open or close, if this device has any.
    gates_at: u64,
    at_once: u32,
}

impl<'s, 'b, 'w> Session<'s, 'b, 'w> {
    pub(crate) fn new(
        life: &'s mut Life<'b>,
        slots: SlotDriver<'s>,
        report: BootReport,
        (slot, on_trial): (SlotId, Option<usize>),
        buffer: [u8; WORK_BUFFER],
        buffers: Buffers<'w>,
    ) -> Self {
        let (download_gates, restart_gates) = match life.gates {
            Some(_) => (Gates::BATTERY, Gates::USER.with(Gates::WINDOW)),
            None => (Gates::NONE, Gates::NONE),
        };
        let config = Config {
            version: Version::new(1, 0, 0),
            poll_interval_ms: 60_000,
            download_gates,
            restart_gates,
            freshness_interval_ms: life.habits.map_or(0, |habits| habits.interval_ms),
            ..Config::default()
        };
        // The device's own clock begins anew at every reset.
        let agent = Agent::new(config, report, life.dice.roll(), buffers, 0);
        let trial = on_trial.and_then(|job| life.desk.postings.get(job)).map(|posting| posting.kind);
        // Whatever arrived while it was off has arrived for nobody.
        while life.down.next_at().is_some_and(|at| at <= life.now) {
            life.down.receive(life.now);
        }
        let bell_at = life.now + life.dice.below(600_000);
        // Numbers of other power sessions are not used again.
        let first = life.witness.reboots.wrapping_mul(1 << 16);
        Self {
            agent,
            slots,
            buffer,
            target: slot.other(),
            trial,
            receiver: Unwrap::default(),
            asked: (first, None),
            times: 0,
            waits_until: 0,
            reported: false,
            booted_at: life.now,
            verdict_at: None,
            question: None,
            bell_at,
            gates_at: life.gates.as_mut().map_or(u64::MAX, |dice| life.now + dice.below(60_000)),
            at_once: 0,
            life,
        }
    }

    /// Gates open or close; more often they open, or nothing would ever be done.
    fn turn_gates(&mut self) {
        let now = self.now();
        let Some(dice) = &mut self.life.gates else { return };
        self.gates_at = self.life.now + dice.below(900_000);
        let open = dice.pick(&[
            Gates::ALL,
            Gates::ALL,
            Gates::ALL,
            Gates::BATTERY,
            Gates::USER.with(Gates::WINDOW),
            Gates::NONE,
        ]);
        self.agent.handle_input(now, Input::Gates(open));
    }

    fn now(&self) -> u64 {
        self.life.now - self.booted_at
    }

    pub(crate) fn run(mut self) -> Ended {
        loop {
            if let Some(ended) = self.life.is_over() {
                return ended;
            }
            self.at_once += 1;
            if self.at_once > MOST_AT_ONCE {
                self.life.witness.find(Fault::Stuck, "a busy loop".into());
                return Ended::Over;
            }
            if let Some(ended) = self.step() {
                return ended;
            }
        }
    }

    /// Carries out one output, or is cut off: before it, in the middle of it, or before anybody knows that it is done.
    fn step(&mut self) -> Option<Ended> {
        let now = self.now();
        let strikes = self.life.strikes();
        match self.agent.poll_output(now) {
            Output::Wait => return self.wait(strikes),
            Output::Event(event) => self.life.say(|| format!("- {event:?}")),
            Output::Reset => {
                let objection = self.life.witness.believer.restarts();
                self.life.witness.object(objection);
                // On trial it may give up at the end of its window, if it has tried to reach the server.
                self.life.early = now < CONFIRM_WINDOW_MS || !self.reported;
                return Some(Ended::Reset(ResetCause::Software));
            }
            Output::Slots(work) => {
                self.life.say(|| format!("{work:?}").chars().take(70).collect());
                let cut = strikes.then(|| self.life.dice.below(4));
                match cut {
                    Some(0) => return Some(self.life.reset()),
                    Some(1 | 2) => self.life.plan_cut(4),
                    _ => {}
                }
                let answer = perform(self.life, &mut self.slots, &mut self.buffer, self.target, work);
                if !self.life.flash.is_powered() {
                    return Some(self.life.power_lost());
                }
                if cut == Some(3) {
                    return Some(self.life.reset());
                }
                self.life.say(|| format!("  {answer:?}").chars().take(70).collect());
                self.life.now += 1;
                self.answer_self_test(&answer);
                let now = self.now();
                self.agent.handle_input(now, Input::Slots(answer));
                self.at_once = 0;
                return None;
            }
            Output::SelfTest => self.begin_self_test(),
            Output::Draw => self.draw(),
            Output::Send(up) => {
                if strikes && self.life.dice.percent(50) {
                    return Some(self.life.reset());
                }
                self.send(up);
            }
        }
        strikes.then(|| self.life.reset())
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; Nonce::LEN];
        nonce.fill_with(|| u8::try_from(self.life.dice.below(256)).unwrap_or(0));
        Nonce::new(nonce)
    }

    fn draw(&mut self) {
        let nonce = self.nonce();
        let now = self.now();
        self.agent.handle_input(now, Input::Ask(nonce));
    }

    /// The self-test asks for itself; without an answer it comes to its verdict later.
    fn ask_in_self_test(&mut self) {
        let nonce = self.nonce();
        self.life.witness.believer.tests_with(nonce);
        self.question = Some((nonce, self.life.now));
        let (at, fit) =
            (self.life.now + 60_000 + self.life.dice.below(240_000), self.life.plant.verdict(true));
        self.verdict_at = Some((at, fit));
    }

    fn answer_self_test(&mut self, answer: &SlotsAnswer) {
        if let (Some((nonce, _)), SlotsAnswer::Fresh(fresh), Some((at, _))) =
            (self.question, answer, &mut self.verdict_at)
            && fresh.nonce() == nonce
        {
            (*at, self.question) = (self.life.now, None);
        }
    }

    fn begin_self_test(&mut self) {
        let lasts = self.life.dice.below(20_000);
        let fit = match self.trial {
            Some(Kind::Sleeps) => return,
            Some(Kind::Unfit) => false,
            // Stays there until the watchdog bites.
            Some(Kind::Hangs) => {
                self.verdict_at = Some((self.life.now + 8000, false));
                return;
            }
            _ if self.life.habits.is_some_and(|habits| habits.tests_with_question) => {
                return self.ask_in_self_test();
            }
            _ => true,
        };
        self.verdict_at = Some((self.life.now + lasts, self.life.plant.verdict(fit)));
    }

    fn send(&mut self, up: Up) {
        self.reported |= matches!(up, Up::Report(_));
        let objection = self.life.witness.believer.sends(&up);
        self.life.witness.object(objection);
        self.times = if self.asked.1 == Some(up) { self.times + 1 } else { 0 };
        self.asked = (self.asked.0.wrapping_add(1), Some(up));
        self.waits_until = self.life.now + u64::from(Config::default().request_timeout_ms);
        self.life.say(|| format!("> {up:?}").chars().take(110).collect());
        let mut buffer = [0; 256];
        let sent = self.life.plant.renumbered(up, self.times);
        if let Ok(bytes) = encode(&sent, &mut buffer)
            && self.trial != Some(Kind::Deaf)
        {
            self.life.up.send(self.life.now, &wrap(self.asked.0, bytes));
        }
        if self.life.dice.percent(3) {
            // A transport that notices, rightly or not.
            self.waits_until = 0;
            let now = self.now();
            self.agent.handle_input(now, Input::LinkLost);
        }
    }

    /// Lets time go by until something happens.
    fn wait(&mut self, strikes: bool) -> Option<Ended> {
        let Some(due) = self.agent.poll_timeout() else {
            self.life.witness.find(Fault::Stuck, "a wait without a time limit".into());
            return Some(Ended::Over);
        };
        let due = due + self.booted_at;
        if due <= self.life.now {
            self.life.witness.find(Fault::Stuck, "a wait that is over".into());
            return Some(Ended::Over);
        }
        let verdict = self.verdict_at.map(|(at, _)| at);
        let (bell, gates) = (Some(self.bell_at), Some(self.gates_at));
        let question = self.question.map(|(_, at)| at);
        let others = [self.life.up.next_at(), self.life.down.next_at(), verdict, question, bell, gates];
        let next = others.into_iter().flatten().fold(due, u64::min).max(self.life.now);
        if strikes {
            self.life.now += self.life.dice.below(next - self.life.now + 1);
            return Some(self.life.reset());
        }
        if next > self.life.now {
            self.at_once = 0;
        }
        self.life.now = next;
        self.serve();
        self.listen();
        if let Some(bites) = self.look_at_self_test() {
            return Some(bites);
        }
        if self.life.now >= self.gates_at {
            self.turn_gates();
        }
        let now = self.now();
        if let Some((nonce, at)) = &mut self.question
            && *at <= self.life.now
        {
            *at += QUESTIONS_EVERY_MS;
            self.agent.handle_input(now, Input::Ask(*nonce));
        }
        if self.life.now >= self.bell_at {
            self.bell_at = self.life.now + self.life.dice.below(3_000_000);
            self.agent.handle_input(now, Input::Doorbell);
        }
        if self.life.now >= due && self.life.plant != Plant::HasNoClock {
            self.agent.handle_timeout(now);
        }
        None
    }

    fn look_at_self_test(&mut self) -> Option<Ended> {
        let (at, fit) = self.verdict_at?;
        if at > self.life.now {
            return None;
        }
        (self.verdict_at, self.question) = (None, None);
        if self.trial == Some(Kind::Hangs) && self.life.plant != Plant::AlwaysFit {
            return Some(Ended::Reset(ResetCause::Watchdog));
        }
        let now = self.now();
        self.agent.handle_input(now, Input::SelfTest(self.life.plant.verdict(fit).into()));
        None
    }

    /// The server answers what has arrived there.
    fn serve(&mut self) {
        while let Some(piece) = self.life.up.receive(self.life.now) {
            for (tag, message) in self.life.server.push(&piece) {
                if let Ok(up) = decode::<Up>(&message) {
                    let answer = self.life.desk.answer(up, self.life.now);
                    let frame = answer.map(|answer| wrap(tag, &answer));
                    frame.into_iter().for_each(|frame| self.life.down.send(self.life.now, &frame));
                }
            }
        }
    }

    /// What has arrived at the device.
    fn listen(&mut self) {
        while let Some(piece) = self.life.down.receive(self.life.now) {
            for (tag, message) in self.receiver.push(&piece) {
                let belongs = tag == self.asked.0 || self.life.loose;
                if belongs
                    && self.trial != Some(Kind::Deaf)
                    && let Ok(down) = decode::<Down<'_>>(&message)
                {
                    self.hear(down);
                }
            }
        }
    }

    fn hear(&mut self, down: Down<'_>) {
        self.note(&down);
        self.waits_until = 0;
        let down = self.life.plant.heard(self.asked.1.as_ref(), down);
        self.life.say(|| format!("< {down:?}").chars().take(70).collect());
        let now = self.now();
        self.agent.handle_input(now, Input::Message(down));
    }

    /// Tells the witness.
    fn note(&mut self, down: &Down<'_>) {
        self.life.witness.believer.hears(down);
        match *down {
            // A second answer to the same question tells the agent nothing.
            Down::Offer { job, attempt, .. }
                if matches!(self.asked.1, Some(Up::Poll(_))) && self.life.now < self.waits_until =>
            {
                let posting = self.life.desk.postings.iter().position(|posting| posting.job == job);
                if let Some(index) = posting {
                    self.life.witness.offer(index, attempt);
                }
            }
            Down::Chunk { job, object: Object::Payload, first, bytes } => {
                let offered = self.life.witness.offered.and_then(|index| self.life.desk.postings.get(index));
                if let (Some(posting), Some(Up::Fetch(fetch))) = (offered, self.asked.1)
                    && posting.job == job
                {
                    self.life.witness.chunks(posting, fetch.image, first, bytes);
                }
            }
            Down::Cancel { job } if self.life.now < self.waits_until && self.may_be_cancelled(job) => {
                self.life.witness.cancelled = true;
            }
            _ => {}
        }
    }

    /// Whether the agent works on this job, has asked a question about it, and can still turn back.
    fn may_be_cancelled(&self, job: JobId) -> bool {
        let offered = self.life.witness.offered.and_then(|index| self.life.desk.postings.get(index));
        let asked = match self.asked.1 {
            Some(Up::Fetch(fetch)) => fetch.job == job,
            Some(Up::Report(report)) => report.job == job && Desk::is_reversible(report.stage),
            _ => false,
        };
        asked && offered.is_some_and(|posting| posting.job == job)
    }
}

/// Does slot work, under the eyes of the witness.
fn perform(
    life: &mut Life<'_>,
    slots: &mut SlotDriver<'_>,
    buffer: &mut [u8; WORK_BUFFER],
    target: SlotId,
    work: SlotWork<'_>,
) -> SlotsAnswer {
    let done = Done::of(&work);
    let offered = life.witness.offered.and_then(|job| life.desk.postings.get(job));
    if matches!(work, SlotWork::Begin { .. } | SlotWork::RequestBoot { .. })
        && let Some(told) = offered.and_then(|posting| posting.forgotten)
        && !matches!(told.stage, Stage::RolledBack { .. })
    {
        life.witness.find(Fault::RetoldOtherwise, format!("{told:?}, and done once more"));
    }
    if done == Done::Request {
        set_rotted(life, false);
    }
    let offered = life.witness.offered.and_then(|job| life.desk.postings.get(job));
    let (flash, start) = (&life.flash, life.board.image_at(target));
    life.witness.before(&work, || {
        offered.is_some_and(|posting| {
            let image = &posting.release.for_slot(target).image;
            flash.bytes_in(start..start + image.len()) == *image
        })
    });
    let operations = life.flash.operations();
    let (belief, objection) = life.witness.believer.before(&work, operations, life.now);
    life.witness.object(objection);
    let work = life.plant.misread(work);
    let answer = match life.plant.instead(&work) {
        Some(answer) => answer,
        None => slots.perform(work, Bench { flash: &mut life.flash, buffer, feed: &mut || () }),
    };
    if !life.flash.is_powered() {
        return answer;
    }
    let objection = life.witness.believer.after(belief, &answer, life.flash.operations(), life.now);
    life.witness.object(objection);
    let answer = life.plant.after(answer, &mut life.flash, life.board, target);
    life.witness.after(done, &answer, life.board);
    if done == Done::Request && matches!(answer, SlotsAnswer::Done) && set_rotted(life, true) {
        alter(&mut life.flash, life.board, target);
    }
    answer
}

/// Notes whether the copy that is to be booted changes in the slot; whether its job is one of those. Without a journal a device
/// may do a job a second time, and then it is the last copy that counts.
fn set_rotted(life: &mut Life<'_>, rotted: bool) -> bool {
    let Some(job) = life.witness.offered else { return false };
    let Some(posting) = life.desk.postings.get(job) else { return false };
    let (Kind::Rots, 1, Some(facts)) = (posting.kind, posting.attempt, life.witness.facts.get_mut(job))
    else {
        return false;
    };
    facts.rotted = rotted;
    true
}
