//! The machine: one state, one outbox, at most one thing under way.

use ota_manifest::JobId;
use ota_manifest::wire::{Down, FailedStage, Refusal, Report, Stage, Up};
use ota_verify::TrustedTime;

use crate::backoff::Backoff;
use crate::context::{Context, Progress, SEQ_REJECTION, SEQ_TERMINAL, first_band, next_band};
use crate::gates::Step;
use crate::input::Started;
use crate::inquiry::Inquiry;
use crate::state::{Idle, Load, Recording, Reporting, State, Testing, code, fail};
use crate::{BootReport, Config, Event, Gates, Input, Output, SlotWork};

/// Requests for chunks that may bring nothing new, one after the other, before the job fails.
const FRUITLESS: u8 = 20;

/// Numbers kept for reports that say something new, below the one that ends a job.
const SEQ_RESERVE: u32 = 64;

/// The job of a device that never had one.
pub(crate) const NO_JOB: JobId = JobId::new([0; 16]);

/// Log lines that wait to be fetched; when full the oldest is lost.
const LOG: usize = 4;

/// Memory lent to the agent.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Holds the envelope of the job: [`MAX_ENVELOPE`](ota_manifest::MAX_ENVELOPE) bytes, or as many as the device's slots
    /// keep ([`Layout::envelope_limit`](ota_slots::Layout::envelope_limit)). An offer with a longer one is refused, so lend
    /// no more than that.
    pub envelope: &'b mut [u8],
    /// Holds the chunks of one window: at least one chunk and one erase page, better four of them.
    pub window: &'b mut [u8],
}

/// The device's side of the conversation. See the crate's documentation for the loop.
#[derive(Debug)]
pub struct Agent<'b> {
    core: Core<'b>,
    state: State,
    under_way: UnderWay,
    who: Who,
    /// A self-test is under way; messages go to and fro meanwhile.
    self_test: bool,
    inquiry: Inquiry,
}

/// What the agent waits for.
#[derive(Debug, Clone, Copy)]
enum UnderWay {
    Nothing,
    Slots,
    /// An answer, until this time, ms.
    Answer {
        deadline: u64,
    },
}

/// Who wanted it.
#[derive(Debug, Clone, Copy)]
enum Who {
    State,
    Report,
    Inquiry,
}

/// A report without the job, which is the context's: it changes when nothing is left to be said of the one before.
#[derive(Debug, Clone, Copy)]
struct Said {
    seq: u32,
    stage: Stage,
}

/// What all states share.
#[derive(Debug)]
pub(crate) struct Core<'b> {
    pub(crate) config: Config,
    pub(crate) boot: BootReport,
    pub(crate) context: Context,
    pub(crate) backoff: Backoff,
    /// The journal's event is to be acknowledged with the next record.
    pub(crate) ack_event: bool,
    buffers: Buffers<'b>,
    envelope_len: usize,
    /// Sequence of the next report.
    seq: u32,
    /// Sequence of this boot's terminal report.
    terminal_seq: u32,
    outbox: Option<Said>,
    log: [Option<Event>; LOG],
    /// Nothing is sent before this time, ms.
    paused_until: u64,
    /// Somebody rang while something else was under way: work is to be asked for after that.
    rung: bool,
    pub(crate) now: u64,
    stalled: bool,
    /// Requests for chunks since something last reached the flash.
    fruitless: u8,
    /// The server has had no work once in this boot.
    pub(crate) idle: bool,
    /// A time that a freshness key has told, and when, ms.
    pub(crate) told: Option<(TrustedTime, u64)>,
    /// Gates that are open.
    open: Gates,
    /// When the server is to hear again that the update is held, ms; `None` while it is not.
    held_until: Option<u64>,
    /// A record of this boot is in the journal: the next boot numbers its reports above those of this one.
    pub(crate) recorded: bool,
}

// What is laid out inside its caller, and what is not, was measured; to be measured again after larger changes.
impl<'b> Agent<'b> {
    /// An agent right after a reset at time `now`, ms. `seed` makes its pauses differ from other devices'.
    #[must_use]
    #[inline(never)]
    pub fn new(config: Config, boot: BootReport, seed: u64, buffers: Buffers<'b>, now: u64) -> Self {
        let context = Context::decode(&boot.opaque);
        let base = first_band(context.seq);
        let mut core = Core {
            config,
            boot,
            context,
            backoff: Backoff::new(seed, config.backoff_ms),
            ack_event: false,
            buffers,
            envelope_len: 0,
            seq: base,
            terminal_seq: base.saturating_add(SEQ_TERMINAL),
            outbox: None,
            log: [None; LOG],
            paused_until: 0,
            rung: false,
            now,
            stalled: false,
            fruitless: 0,
            idle: false,
            told: None,
            open: Gates::NONE,
            held_until: None,
            recorded: false,
        };
        let state = first_state(&mut core, now);
        let inquiry = Inquiry::new(boot.asks && config.freshness_interval_ms > 0);
        Self { core, state, under_way: UnderWay::Nothing, who: Who::State, self_test: false, inquiry }
    }

    /// Tells what happened at time `now`, ms.
    pub fn handle_input(&mut self, now: u64, input: Input<'_>) {
        self.core.now = now;
        match input {
            Input::Doorbell | Input::Message(Down::Ring) => {
                self.core.paused_until = now;
                match (&self.state, self.under_way) {
                    (State::Idle(_), UnderWay::Nothing) => self.state = State::Idle(Idle::now()),
                    _ => self.core.rung = true,
                }
            }
            Input::Message(message) => self.message(now, message),
            Input::LinkLost => self.link_lost(),
            Input::Slots(answer) if matches!(self.under_way, UnderWay::Slots) => {
                self.under_way = UnderWay::Nothing;
                if matches!(self.who, Who::Inquiry) {
                    let settled = matches!(self.state, State::Idle(_)) && !self.core.has_job();
                    self.inquiry.slots(&mut self.core, settled, answer);
                    // A poll may have become due while a reply was checked.
                    self.handle_timeout(now);
                } else {
                    self.state.slots(&mut self.core, now, answer);
                }
            }
            Input::SelfTest(fitness) if core::mem::take(&mut self.self_test) => {
                self.state.verdict(&mut self.core, now, fitness);
            }
            // The answer to the one that is under way would be the answer to another.
            Input::Ask(_) if self.awaits_reply() => {}
            Input::Ask(nonce) => self.inquiry.ask(nonce),
            Input::Slots(_) | Input::SelfTest(_) => self.core.log(Event::Ignored),
            Input::Gates(open) => self.core.open = open,
        }
        self.core.apply_stall();
    }

    /// What to do now. Repeat until [`Output::Wait`].
    pub fn poll_output(&mut self, now: u64) -> Output<'_> {
        self.core.now = now;
        let is_free = matches!(self.under_way, UnderWay::Nothing);
        let held = is_free && self.is_held(now);
        if let Some(event) = self.core.next_log() {
            return Output::Event(event);
        }
        if !is_free {
            return Output::Wait;
        }
        let state = &self.state;
        let core = &mut self.core;
        let is_paused = now < core.paused_until;
        let deadline = now.saturating_add(u64::from(core.config.request_timeout_ms));
        let ask_again = now.saturating_add(u64::from(core.config.freshness_interval_ms));
        let (who, output) = match core.outbox {
            Some(Said { seq, stage }) if !is_paused => {
                let Context { job, attempt, .. } = core.context;
                (Who::Report, Output::Send(Up::Report(Report { job, attempt, seq, stage })))
            }
            _ if held && core.recorded => return Output::Wait,
            _ if held => (Who::State, Output::Slots(SlotWork::Save { context: core.context_now().encode() })),
            _ if self.inquiry.has_turn(core, state.spare_time()) => (Who::Inquiry, self.inquiry.want(core)),
            _ => (
                Who::State,
                match state.load() {
                    Some(Load { chunk, at, len }) => {
                        Output::Slots(SlotWork::LoadChunk { chunk, into: core.window_mut(at, len) })
                    }
                    // A reset does not wait for the last report before it, which has had its chance: the server learns the
                    // rest from the next boot.
                    None => state.want(core),
                },
            ),
        };
        match &output {
            Output::Send(_) if is_paused => return Output::Wait,
            Output::SelfTest if self.self_test => return Output::Wait,
            Output::Send(_) => self.under_way = UnderWay::Answer { deadline },
            Output::Slots(_) => self.under_way = UnderWay::Slots,
            Output::SelfTest => self.self_test = true,
            Output::Draw => self.inquiry.put_off(ask_again),
            _ => {}
        }
        self.who = who;
        output
    }

    fn awaits_reply(&self) -> bool {
        matches!((self.under_way, self.who), (UnderWay::Answer { .. }, Who::Inquiry))
    }

    /// Whether a gate is closed before the next step; the server hears of it now and then.
    #[inline(never)]
    fn is_held(&mut self, now: u64) -> bool {
        let step = self.state.step();
        let held = self.core.is_held(now, step);
        if held {
            self.core.keep_in_touch(now, self.state.stage());
        }
        held
    }

    /// When [`Agent::handle_timeout`] is due, ms; `None` while work is under way that ends by itself.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        let state = self.state.deadline();
        let request = match self.under_way {
            UnderWay::Answer { deadline } => Some(deadline),
            UnderWay::Nothing => {
                let paused = Some(self.core.paused_until).filter(|until| *until > self.core.now);
                earlier(paused, self.core.held_until)
            }
            UnderWay::Slots => None,
        };
        earlier(state, request)
    }

    /// Tells that it is `now`, ms.
    #[inline(never)]
    pub fn handle_timeout(&mut self, now: u64) {
        self.core.now = now;
        if matches!(self.under_way, UnderWay::Answer { deadline } if now >= deadline) {
            self.link_lost();
        }
        self.state.timeout(now);
        if matches!(&self.state, State::Testing(testing) if testing.is_over()) {
            // Whatever is still under way, a self-test or an unanswered report, comes too late.
            self.under_way = UnderWay::Nothing;
            self.core.outbox = None;
        }
        self.core.apply_stall();
    }

    fn message(&mut self, now: u64, message: Down<'_>) {
        if !matches!(self.under_way, UnderWay::Answer { .. }) {
            // Nobody asked: late or forged. What is under way goes on.
            return self.core.log(Event::Ignored);
        }
        self.under_way = UnderWay::Nothing;
        match self.who {
            Who::Report => self.answer_to_report(now, message),
            Who::State => self.answer_to_request(now, message),
            Who::Inquiry => self.inquiry.message(&mut self.core, message),
        }
    }

    fn answer_to_report(&mut self, now: u64, message: Down<'_>) {
        let Some(Said { seq: said, stage }) = self.core.outbox else { return };
        match message {
            Down::Ack { seq } if seq == said => self.report_arrived(now, stage),
            // Who does not know the job any more, or wants it cancelled that has ended, has heard of it all the same.
            Down::Refused { refusal: Refusal::Gone, .. } => self.report_arrived(now, stage),
            Down::Cancel { .. } if stage.is_terminal() => self.report_arrived(now, stage),
            // An older server does not know every stage, and repeating it would hold up the job. A trial does insist: firmware
            // that cannot make itself understood is not fit.
            Down::Refused { refusal: refusal @ (Refusal::Malformed | Refusal::Unsupported), .. }
                if !matches!(stage, Stage::Testing) =>
            {
                self.core.log(Event::ServerRefused { refusal });
                self.report_arrived(now, stage);
            }
            Down::Cancel { job } if job == self.core.context.job => {
                self.report_arrived(now, stage);
                self.state.cancelled(&mut self.core, now);
            }
            Down::Refused { refusal, retry_after_ms } => {
                self.core.log(Event::ServerRefused { refusal });
                self.core.retry(retry_after_ms);
            }
            _ => {
                self.core.log(Event::Ignored);
                self.core.stall();
            }
        }
    }

    fn report_arrived(&mut self, now: u64, stage: Stage) {
        self.core.outbox = None;
        self.state.acknowledged(&mut self.core, now, stage);
    }

    fn answer_to_request(&mut self, now: u64, message: Down<'_>) {
        match message {
            Down::Cancel { job } if job == self.core.context.job => {
                self.state.cancelled(&mut self.core, now);
            }
            message => self.state.message(&mut self.core, now, message),
        }
    }

    #[inline(never)]
    fn link_lost(&mut self) {
        if matches!(self.under_way, UnderWay::Answer { .. }) {
            self.under_way = UnderWay::Nothing;
            if matches!(self.who, Who::Inquiry) {
                self.inquiry.give_up(&self.core);
            } else {
                self.core.stall();
            }
        }
    }
}

/// The earlier of two points in time, if there is one.
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.map_or(other, |one| Some(other.map_or(one, |other| one.min(other))))
}

/// What a device has to do first depends on what its journal says.
#[inline(never)]
fn first_state(core: &mut Core<'_>, now: u64) -> State {
    if core.boot.started == Started::Trial {
        return State::Testing(Testing::new(core, now));
    }
    if let Some(event) = core.boot.event {
        let (reason, cause, boots) = (event.reason, event.cause, event.boots);
        core.log(Event::RolledBack { reason, cause, boots });
        if core.context.job == NO_JOB {
            // Nothing the server could file it under: it stays in the log.
            core.ack_event = true;
            core.context.acknowledged = true;
            return State::Recording(Recording);
        }
        let stage = Stage::RolledBack { reason, cause, boots, failed: core.context.failed };
        core.report_terminal(stage);
        return State::Reporting(Reporting);
    }
    match core.context.terminal() {
        Some(stage) if !core.context.acknowledged => {
            core.repeat_terminal(stage);
            State::Reporting(Reporting)
        }
        _ if core.config.ask_at_boot || core.has_job() => State::Idle(Idle::now()),
        _ => State::Idle(Idle::later(core, now, 0)),
    }
}

impl Core<'_> {
    /// Whether the journal speaks of a job whose end the server does not know, and which it may still want: one that it has
    /// dropped without a word stays in the journal until the next.
    pub(crate) fn has_job(&self) -> bool {
        !self.idle && !matches!(self.context.progress, Progress::None) && !self.context.acknowledged
    }

    /// What time it is, as far as anybody has told.
    #[inline(never)]
    pub(crate) fn time(&self) -> Option<TrustedTime> {
        let (time, at) = self.told?;
        // In 32 bits, for a division of 64 is 860 bytes of library. After 49 days without an answer it stands still: too
        // early, never too late.
        let elapsed_ms = u32::try_from(self.now.saturating_sub(at)).unwrap_or(u32::MAX);
        Some(time.later(u64::from(elapsed_ms / 1000)))
    }

    /// The context with the sequence of the next report, so that the next boot numbers its own above it.
    pub(crate) fn context_now(&self) -> Context {
        Context { seq: self.seq, ..self.context }
    }

    /// Marks the journal's event as dealt with, if there is one: while it is open no update can begin.
    pub(crate) fn settle_event(&mut self) -> State {
        if self.boot.event.take().is_none() {
            return State::Idle(Idle::now());
        }
        self.ack_event = true;
        State::Recording(Recording)
    }

    /// Notes how the job ended; the caller writes it down.
    pub(crate) fn conclude(&mut self, progress: Progress) {
        self.context.progress = progress;
        self.context.acknowledged = self.context.job == NO_JOB;
        self.context.seq = self.terminal_seq;
    }

    /// Whether somebody rang meanwhile; asked once.
    pub(crate) fn take_rung(&mut self) -> bool {
        core::mem::take(&mut self.rung)
    }

    /// Queues a report. A newer one takes the place of one that has not left yet: only the last matters.
    pub(crate) fn report(&mut self, stage: Stage) {
        let seq = self.seq;
        self.seq = seq.saturating_add(1);
        self.enqueue(stage, seq);
    }

    /// Whether the next step of an update has to wait for a gate. The server hears so now and then: a device that says
    /// nothing would be given up.
    fn is_held(&mut self, now: u64, step: Option<Step>) -> bool {
        let Some(step) = step else {
            self.held_until = None;
            return false;
        };
        let wanted = match step {
            Step::Download => self.config.download_gates,
            Step::Restart => self.config.restart_gates,
        };
        let by = wanted.without(self.open);
        match (by.is_empty(), self.held_until) {
            (true, Some(_)) => {
                self.held_until = None;
                self.log(Event::Released);
            }
            (false, None) => {
                self.held_until = Some(self.next_word(now));
                self.log(Event::Held { by });
            }
            _ => {}
        }
        !by.is_empty()
    }

    /// Whether the gates let the device restart.
    pub(crate) fn may_restart(&self) -> bool {
        self.config.restart_gates.without(self.open).is_empty()
    }

    fn next_word(&self, now: u64) -> u64 {
        now.saturating_add(u64::from(self.config.poll_interval_ms.max(1)))
    }

    /// Says once more how far the job has come, if it is time, under a new number. Not before the journal holds these
    /// numbers; and as they are limited and a boot's last words come first, the device is silent when they run out, and
    /// the server decides.
    fn keep_in_touch(&mut self, now: u64, stage: Option<Stage>) {
        if self.held_until.is_none_or(|until| now < until) {
            return;
        }
        self.held_until = Some(self.next_word(now));
        if let Some(stage) = stage
            && self.recorded
            && self.seq < self.terminal_seq.saturating_sub(SEQ_RESERVE)
        {
            self.queue(stage, self.seq);
            self.seq += 1;
        }
    }

    /// Queues the report that ends the job, numbered above everything this boot has sent.
    pub(crate) fn report_terminal(&mut self, stage: Stage) {
        self.context.seq = self.terminal_seq;
        self.seq = next_band(self.terminal_seq);
        self.enqueue(stage, self.terminal_seq);
        self.terminal_seq = self.seq.saturating_add(SEQ_TERMINAL);
    }

    /// Queues the rejection of an offer, always under the same number. Nothing of it is in the journal, so no other number
    /// would be the same after a reset, and `(job, attempt, seq)` has to name one end.
    pub(crate) fn report_rejection(&mut self, stage: Stage) {
        self.enqueue(stage, SEQ_REJECTION);
    }

    /// Queues the report that ended the job once more, under the number it had.
    pub(crate) fn repeat_terminal(&mut self, stage: Stage) {
        self.enqueue(stage, self.context.seq);
    }

    fn enqueue(&mut self, stage: Stage, seq: u32) {
        self.log(Event::Reached(stage));
        self.queue(stage, seq);
    }

    fn queue(&mut self, stage: Stage, seq: u32) {
        self.outbox = Some(Said { seq, stage });
    }

    /// Something of the job has reached the flash: whatever failed before is forgiven.
    pub(crate) fn progressed(&mut self) {
        self.backoff.succeed();
        self.fruitless = 0;
    }

    /// A request for chunks brought nothing new. After too many of them the job cannot be finished.
    pub(crate) fn fruitless(&mut self) -> Option<State> {
        self.log(Event::Ignored);
        self.stall();
        self.fruitless += 1;
        (self.fruitless > FRUITLESS).then(|| fail(self, FailedStage::Downloading, code::NOTHING_NEW))
    }

    /// A request for chunks was refused. A job that is gone is left, and offered again or not; anything else is waited out.
    pub(crate) fn fetch_refused(&mut self, refusal: Refusal, retry_after_ms: u32) -> Option<State> {
        if let Some(failed) = self.fruitless() {
            return Some(failed);
        }
        if refusal == Refusal::Gone {
            // Not at once: every round costs a journal record and an erase of the envelope's page.
            return Some(State::Idle(Idle::now()));
        }
        if retry_after_ms > 0 {
            self.stalled = false;
            self.retry(retry_after_ms);
        }
        None
    }

    pub(crate) fn log(&mut self, event: Event) {
        let [_, b, c, d] = self.log;
        match self.log.iter_mut().find(|line| line.is_none()) {
            Some(free) => *free = Some(event),
            None => self.log = [b, c, d, Some(event)],
        }
    }

    fn next_log(&mut self) -> Option<Event> {
        let [first, b, c, d] = self.log;
        self.log = [b, c, d, None];
        first
    }

    /// Something did not work: pause before the next request.
    pub(crate) fn stall(&mut self) {
        self.stalled = true;
    }

    fn apply_stall(&mut self) {
        if core::mem::take(&mut self.stalled) {
            let pause_ms = self.backoff.fail();
            self.log(Event::BackingOff { pause_ms: pause_ms.into() });
            self.pause(pause_ms);
        }
    }

    /// Tries again when the server says, or after a pause of our own.
    fn retry(&mut self, after_ms: u32) {
        match after_ms {
            0 => self.stall(),
            after_ms => self.pause(after_ms.min(self.config.backoff_ms.1)),
        }
    }

    fn pause(&mut self, pause_ms: u32) {
        self.paused_until = self.now.saturating_add(pause_ms.into());
    }

    /// Copies the envelope into the lent buffer; `None` if it does not fit.
    pub(crate) fn keep_envelope(&mut self, envelope: &[u8]) -> Option<()> {
        copy(self.buffers.envelope.get_mut(..envelope.len())?, envelope);
        self.envelope_len = envelope.len();
        Some(())
    }

    pub(crate) fn envelope(&self) -> &[u8] {
        self.buffers.envelope.get(..self.envelope_len).unwrap_or(&[])
    }

    pub(crate) fn window_len(&self) -> usize {
        self.buffers.window.len()
    }

    pub(crate) fn window_holds(&self, bytes: u32) -> bool {
        self.window_len() >= bytes as usize
    }

    pub(crate) fn window(&self, at: usize, len: usize) -> &[u8] {
        self.buffers.window.get(at..at.saturating_add(len)).unwrap_or(&[])
    }

    fn window_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        self.buffers.window.get_mut(at..at.saturating_add(len)).unwrap_or(&mut [])
    }

    /// Whether it fits.
    pub(crate) fn fill_window(&mut self, at: usize, bytes: &[u8]) -> bool {
        match self.buffers.window.get_mut(at..at.saturating_add(bytes.len())) {
            Some(place) => {
                copy(place, bytes);
                true
            }
            None => false,
        }
    }
}

/// As `copy_from_slice`, of slices that are equally long, without a function that panics.
fn copy(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
