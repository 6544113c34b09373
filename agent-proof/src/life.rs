//! One life of a device: power sessions, one after the other, until all its jobs have ended and it has been quiet for a
//! while, or until something shows that they never will.

use ota_agent::sim::{Dice, LossyLink, Mishaps, Weather};
use ota_agent::{BootReport, SlotDriver, Started};
use ota_manifest::wire::ResetCause;
use ota_slots::sim::{Cut, CutMode, Keeper};
use ota_slots::{Handover, Policy, SlotId, SlotState, Strategy, WORK_BUFFER};
use ota_verify::Trust;

use crate::board::{Board, CHUNK, IMAGE, SimFlash, ruin};
use crate::desk::{Desk, Moods, Posting};
use crate::frame::Unwrap;
use crate::oracle::Oracle;
use crate::plant::Plant;
use crate::scenario::Kind;
use crate::session::Session;
use crate::witness::{Fault, Finding, Witness};

/// Virtual time in which every life must have ended, ms: two weeks.
const LONGEST_MS: u64 = 14 * 24 * 3600 * 1000;
/// Outputs of an agent in a life, at most.
const MOST_OUTPUTS: u32 = 50_000;
/// Flash operations of a move of the longest image, about.
const MOVE: u64 = 60;
/// Polls with nothing to do until a device counts as quiet.
const QUIET_POLLS: u32 = 2;

/// How a power session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The device was reset.
    Reset(ResetCause),
    /// The life is over.
    Over,
}

/// What a life came to.
#[derive(Debug)]
pub struct Outcome {
    /// The jobs.
    pub kinds: Vec<Kind>,
    /// Resets, power failures among them.
    pub reboots: u32,
    /// Every job has ended, and the device is quiet.
    pub finished: bool,
    /// The most that was fetched again because of one reset, and the most that may be, bytes: of downloads that went on,
    /// and of those that began anew because less than two blocks were held.
    pub refetched: [(u32, u32); 2],
    /// Outputs of the agent that were carried out, or cut off.
    pub outputs: u32,
    /// What happened on the way up and on the way down.
    pub mishaps: [Mishaps; 2],
    /// What became of new images.
    pub strategy: Strategy,
    /// Power failures in the bootloader.
    pub cut_boots: u32,
    /// The journal was lost while a job was under way.
    pub lost_journal: bool,
    /// The server forgot how a job had ended.
    pub restored: bool,
    /// It keeps trust documents, and asks what time it is.
    pub keeps_trust: bool,
    /// Questions sent, replies believed and documents adopted.
    pub asked: [u32; 3],
    /// From the first offer of a job to its end, of all its jobs together, ms.
    pub jobs_ms: u64,
    /// Virtual time, ms.
    pub took_ms: u64,
    /// Broken promises.
    pub findings: Vec<Finding>,
}

/// When the next reset comes.
#[derive(Debug)]
struct Fate {
    /// Resets that are still to come.
    left: u32,
    /// Outputs until the next.
    until: u64,
    /// Power may fail while the bootloader works, too.
    in_boots: bool,
}

/// How a device asks and believes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Its bootloader looks into the inbox.
    adopts: bool,
    /// How often it asks by itself, ms.
    pub(crate) interval_ms: u32,
    /// The self-test has a question of its own.
    pub(crate) tests_with_question: bool,
}

impl Habits {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            adopts: dice.percent(90),
            interval_ms: dice.pick(&[60_000, 600_000, 3_600_000]),
            tests_with_question: dice.percent(50),
        }
    }
}

/// A device in the middle of its life, and all that is around it.
#[derive(Debug)]
pub struct Life<'b> {
    pub(crate) board: &'b Board,
    pub(crate) desk: Desk,
    pub(crate) flash: SimFlash,
    pub(crate) up: LossyLink,
    pub(crate) down: LossyLink,
    pub(crate) server: Unwrap,
    pub(crate) dice: Dice,
    /// Virtual time, ms. It goes on while the device is off.
    pub(crate) now: u64,
    pub(crate) witness: Witness,
    pub(crate) plant: Plant,
    /// Late answers of other questions reach the agent as well: a transport without correlation.
    pub(crate) loose: bool,
    /// Downloads and restarts wait for gates, which open and close by these dice.
    pub(crate) gates: Option<Dice>,
    /// It keeps trust documents.
    pub(crate) habits: Option<Habits>,
    /// What runs has failed and stays, since nothing else is there: nothing is adopted.
    stranded: bool,
    pub(crate) outputs: u32,
    pub(crate) told: bool,
    /// The agent itself has ended this power session, before any window was over or without a word to the server: that
    /// excuses no rollback.
    pub(crate) early: bool,
    fate: Fate,
    /// Power sessions after which the journal is lost, once a job is under way.
    loses_journal_after: Option<u32>,
    /// Power sessions that ended in the bootloader.
    cut_boots: u32,
    /// Polls with nothing to do at which the life is over; the first time, it is switched off and on once more.
    quiet_at: Option<u32>,
    switched: bool,
}

impl<'b> Life<'b> {
    /// The life of this seed.
    #[must_use]
    pub fn new(boards: &'b [Board], seed: u64, plant: Plant) -> Self {
        let mut dice = Dice::new(seed);
        // Half of the boards keep trust documents; a third of the lives are theirs.
        let plain = boards.len() / 2;
        let mut faith = Dice::new(seed.rotate_left(32) ^ 0x7A57);
        let habits = faith.percent(33).then(|| Habits::draw(&mut faith));
        let board = &boards[dice.index(plain) + if habits.is_some() { plain } else { 0 }];
        let weather = foul(&mut dice);
        let (up, down) = (LossyLink::new(weather, dice.roll()), LossyLink::new(weather, dice.roll()));
        let kinds = Kind::draw(&mut dice);
        let postings = postings(&kinds, board, &mut dice);
        let moods = Moods {
            busy: dice.pick(&[0, 2, 5]),
            lies: dice.pick(&[0, 0, 2, 4]),
            strange: dice.pick(&[0, 0, 1, 3]),
            forgets: dice.pick(&[0, 0, 5, 20]),
            restored: dice.pick(&[0, 0, 0, 30]),
        };
        let left = u32::try_from(dice.below(9)).unwrap_or(0);
        let until = dice.below(250);
        let mut flash = board.flash.reseeded(dice.roll());
        if dice.percent(5) && !kinds.contains(&Kind::BelowFloor) {
            // The floor is lost with the journal: this board has no guard region.
            ruin(&mut flash, board.layout.journal(), 0xA5);
        }
        let loses_journal_after = dice.pick(&[0, 0, 0, 0, 0, 0, 1, 2, 3, 5]);
        let mut life = Self {
            board,
            desk: Desk::new(postings, moods, Dice::new(dice.roll())),
            flash,
            up,
            down,
            server: Unwrap::default(),
            loose: dice.percent(25),
            habits,
            stranded: false,
            gates: seed.is_multiple_of(3).then(|| Dice::new(!seed)),
            dice,
            now: 0,
            witness: Witness::new(kinds.len()),
            plant,
            outputs: 0,
            told: false,
            early: false,
            fate: Fate { left, until, in_boots: true },
            loses_journal_after: None,
            cut_boots: 0,
            quiet_at: None,
            switched: false,
        };
        life.desk.oracle = habits.map(|_| Oracle::draw(faith));
        if loses_journal_after > 0 {
            life.lose_journal_after(loses_journal_after);
        }
        life
    }

    /// Resets it once, at this output of its agents, counted from 0, instead of whenever its seed says.
    pub fn strike_once(&mut self, output: u64) {
        self.fate = Fate { left: 1, until: output, in_boots: false };
    }

    /// Lets its journal be lost in a reset, after so many, once a job is under way; unless that changes how its jobs have to
    /// end. Whether it will be.
    pub fn lose_journal_after(&mut self, reboots: u32) -> bool {
        let survives = self.desk.postings.iter().all(|posting| posting.kind.survives_a_lost_journal());
        if survives {
            // One memory at a time: what neither side remembers nobody can tell.
            self.desk.remember();
            self.loses_journal_after = Some(reboots);
        }
        survives
    }

    /// Tells on standard error what happens.
    pub fn tell(&mut self) {
        self.told = true;
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.told {
            eprintln!("{:>10} {:>2}  {}", self.now, self.witness.reboots, what());
        }
    }

    /// Leads it to its end.
    #[must_use]
    pub fn lead(mut self) -> Outcome {
        self.say(|| {
            let kinds: Vec<_> = self.desk.postings.iter().map(|posting| posting.kind).collect();
            format!("{:?}, pages of {}, {kinds:?}", self.board.layout.strategy(), self.board.page)
        });
        let mut cause = ResetCause::PowerOn;
        while let Ended::Reset(why) = self.session(cause) {
            self.say(|| format!("reset: {why:?}"));
            cause = why;
            self.flash.power_on();
            self.witness.reset();
            if self.loses_journal_after.is_some_and(|after| self.witness.reboots >= after) {
                self.lose_journal();
            }
            self.plant.at_reset(&mut self.flash, self.board);
            self.now += 100 + self.dice.below(3000);
            if self.witness.reboots > 500 {
                self.witness.find(Fault::Stuck, "500 resets".into());
                break;
            }
        }
        self.conclude()
    }

    /// If a job is under way: erased, or filled with something else, so that no record is left.
    fn lose_journal(&mut self) {
        let Some(posting) = self.desk.under_way() else { return };
        posting.lost = true;
        self.say(|| "the journal is lost".into());
        self.loses_journal_after = None;
        ruin(&mut self.flash, self.board.layout.journal(), self.dice.pick(&[0xFF, 0x00, 0xA5]));
        self.witness.forget_download();
    }

    fn conclude(mut self) -> Outcome {
        let finished = self.desk.is_done() && !self.witness.findings.iter().any(|f| f.fault == Fault::Stuck);
        if finished {
            let desk =
                core::mem::replace(&mut self.desk, Desk::new(Vec::new(), Moods::default(), Dice::new(0)));
            self.witness.judge(&desk, self.board);
            self.desk = desk;
        }
        let window = self.board.window_pages();
        // Until two blocks are held, a download begins anew with the leaf list: then the first block comes again, too.
        let bounds = [(false, window), (true, window + self.board.block())];
        let refetched = bounds.map(|(anew, bound)| (self.witness.refetched(anew), bound));
        for (most, bound) in refetched.into_iter().filter(|(most, bound)| most > bound) {
            self.witness.find(Fault::Refetched, format!("{most} bytes, more than {bound}"));
        }
        if self.flash.violations() > 0 {
            self.witness.find(Fault::FlashRule, format!("{} times", self.flash.violations()));
        }
        let believer = &self.witness.believer;
        Outcome {
            kinds: self.desk.postings.iter().map(|posting| posting.kind).collect(),
            reboots: self.witness.reboots,
            finished,
            refetched,
            outputs: self.outputs,
            mishaps: [self.up.mishaps(), self.down.mishaps()],
            strategy: self.board.layout.strategy(),
            cut_boots: self.cut_boots,
            lost_journal: self.desk.postings.iter().any(|posting| posting.lost),
            restored: self.desk.postings.iter().any(|posting| posting.forgotten.is_some()),
            keeps_trust: self.habits.is_some(),
            asked: [believer.questions, believer.believed, believer.adopted],
            jobs_ms: self.desk.postings.iter().map(Posting::took_ms).sum(),
            took_ms: self.now,
            findings: self.witness.findings,
        }
    }

    /// One power session.
    fn session(&mut self, cause: ResetCause) -> Ended {
        let board = self.board;
        if self.fate.in_boots && self.fate.left > 0 && self.dice.percent(10) {
            // Within the bootloader, if it writes; else a little later. Where it moves images, or adopts a document, it writes a
            // lot.
            let writes = board.layout.strategy().moves() || self.habits.is_some();
            let among = if writes { self.dice.pick(&[3, MOVE]) } else { 3 };
            self.plan_cut(among);
        }
        let (layout, pinned) = (&board.layout, &board.policy);
        let adopts = self.habits.is_some_and(|habits| habits.adopts);
        let keeper = Keeper { layout, policy: pinned, adopts };
        let handover = keeper.boot(&mut self.flash, cause);
        if !self.flash.is_powered() {
            self.cut_boots += 1;
            return self.power_lost();
        }
        let Ok(handover) = handover else {
            self.witness.find(Fault::Stuck, format!("bricked: {handover:?}"));
            return Ended::Over;
        };
        self.check_handover(&handover);
        self.stranded = !matches!(handover.state(), SlotState::Confirmed | SlotState::Trial);
        let mut memory = Vec::new();
        let kept = keeper.kept(&mut self.flash, &mut memory);
        let policy = Policy { trust: kept.as_ref().map_or(pinned.trust, Trust::documented), ..*pinned };
        let mut buffer = [0; WORK_BUFFER];
        let bench = ota_agent::Bench { flash: &mut self.flash, buffer: &mut buffer, feed: &mut || () };
        let opened = SlotDriver::open(layout, &policy, handover.slot(), bench);
        if !self.flash.is_powered() {
            return self.power_lost();
        }
        match opened {
            Ok((slots, report)) => {
                let newest = self.desk.oracle.as_ref().map_or(1, |oracle| oracle.newest);
                let on_trial = report.started == Started::Trial;
                let objection = self.witness.believer.boots(kept.as_ref(), newest, on_trial);
                self.witness.object(objection);
                self.run(slots, report, handover.slot(), buffer)
            }
            Err(error) => {
                self.witness.find(Fault::Stuck, format!("slots do not open: {error:?}"));
                Ended::Over
            }
        }
    }

    fn run(
        &mut self,
        slots: SlotDriver<'_>,
        mut report: BootReport,
        slot: SlotId,
        buffer: [u8; WORK_BUFFER],
    ) -> Ended {
        self.say(|| format!("boots {slot:?}, {:?}, event {:?}", report.started, report.event));
        self.plant.at_boot(&mut report, &mut self.flash, self.board, slot, self.witness.reboots);
        let offered = self.witness.offered.and_then(|job| self.desk.postings.get(job));
        self.plant.believe(&mut report, offered.map(|posting| posting.job));
        let running = self.job_of(report.order.sequence);
        let on_trial = running.filter(|_| report.started == Started::Trial);
        self.early = false;
        let (mut envelope, mut window) = (vec![0; 1536], vec![0; crate::board::WINDOW as usize]);
        let buffers = ota_agent::Buffers { envelope: &mut envelope, window: &mut window };
        let ended = Session::new(self, slots, report, (slot, on_trial), buffer, buffers).run();
        if let (Ended::Reset(why), Some(job)) = (ended, on_trial)
            && !why.is_power()
            && !core::mem::take(&mut self.early)
            && let Some(facts) = self.witness.facts.get_mut(job)
        {
            facts.attempts_lost += 1;
        }
        ended
    }

    /// The job of the release that is the `number`th of the device; the first one came with it.
    fn job_of(&self, number: u32) -> Option<usize> {
        let job = usize::try_from(number.checked_sub(2)?).ok()?;
        (job < self.desk.postings.len()).then_some(job)
    }

    /// Whatever runs is a release, whole.
    fn check_handover(&mut self, handover: &Handover) {
        let (slot, number) = (handover.slot(), handover.image().order().sequence);
        let posting = self.job_of(number).and_then(|job| self.desk.postings.get(job));
        let release = match number {
            1 => Some(&self.board.first),
            _ => posting.map(|posting| &posting.release),
        };
        let may_run = posting.is_none_or(|posting| posting.kind.may_run());
        if let Some(facts) = self.job_of(number).and_then(|job| self.witness.facts.get_mut(job)) {
            facts.ran = true;
        }
        let start = self.board.image_at(slot);
        let whole = release.is_some_and(|release| {
            let image = &release.for_slot(slot).image;
            self.flash.bytes_in(start..start + image.len()) == *image
        });
        if !whole || !may_run {
            self.witness.find(Fault::Unproven, format!("release {number} runs from slot {slot:?}"));
        }
    }

    pub(crate) fn power_lost(&mut self) -> Ended {
        let brown_out = self.dice.percent(30);
        Ended::Reset(if brown_out { ResetCause::BrownOut } else { ResetCause::PowerOn })
    }

    /// Whether the device is reset at this output. Counts it.
    pub(crate) fn strikes(&mut self) -> bool {
        self.outputs += 1;
        if self.fate.left == 0 {
            return false;
        }
        if self.fate.until > 0 {
            self.fate.until -= 1;
            return false;
        }
        self.fate.left -= 1;
        // Half of those that follow come while the device still gets over the one before.
        let end = if self.dice.percent(50) { 15 } else { 120 };
        self.fate.until = self.dice.below(end);
        true
    }

    /// Lets power fail in one of the next flash operations.
    pub(crate) fn plan_cut(&mut self, among: u64) {
        let operation = self.flash.operations() + self.dice.index(usize::try_from(among).unwrap_or(1));
        let mode = self.dice.pick(&CutMode::ALL);
        self.say(|| format!("power will fail: {mode:?}, operation {operation}"));
        self.flash.cut(Cut { operation, mode });
    }

    /// Any reset, at rest.
    pub(crate) fn reset(&mut self) -> Ended {
        use ResetCause::{BrownOut, Lockup, Pin, PowerOn, Software, Unknown, Watchdog};
        let causes = [PowerOn, PowerOn, PowerOn, BrownOut, Software, Watchdog, Pin, Lockup, Unknown];
        Ended::Reset(self.dice.pick(&causes))
    }

    /// Whether it has to come to a newer trust.
    fn awaits_trust(&self) -> bool {
        let in_force = self.witness.believer.in_force;
        let comes = |oracle: &Oracle| oracle.can_be_reached() && in_force < oracle.newest;
        // A stranded device adopts nothing until the next image is confirmed.
        let adopts = !self.stranded && self.habits.is_some_and(|habits| habits.adopts);
        adopts && self.desk.oracle.as_ref().is_some_and(comes)
    }

    /// Whether the life has come to an end, one way or the other.
    pub(crate) fn is_over(&mut self) -> Option<Ended> {
        if self.now > LONGEST_MS || self.outputs > MOST_OUTPUTS {
            let detail = format!("no end after {} ms and {} outputs", self.now, self.outputs);
            let fault = if self.desk.is_done() { Fault::Trust } else { Fault::Stuck };
            self.witness.find(fault, detail);
            return Some(Ended::Over);
        }
        if !self.desk.is_done() {
            self.quiet_at = None;
            return None;
        }
        let quiet_at = *self.quiet_at.get_or_insert(self.desk.idle_polls + QUIET_POLLS);
        if self.desk.idle_polls < quiet_at {
            return None;
        }
        if self.switched {
            return (!self.awaits_trust()).then_some(Ended::Over);
        }
        // Once more off and on: nothing that has ended may end again.
        self.switched = true;
        self.quiet_at = None;
        Some(Ended::Reset(ResetCause::PowerOn))
    }
}

fn foul(dice: &mut Dice) -> Weather {
    let share = |dice: &mut Dice, end: u64| u8::try_from(dice.below(end)).unwrap_or(0);
    Weather {
        lost: 1 + share(dice, 30),
        doubled: share(dice, 21),
        damaged: share(dice, 11),
        split: share(dice, 31),
        late: share(dice, 16),
        latency_ms: (5, dice.pick(&[50, 400, 3000])),
        late_ms: dice.pick(&[2000, 20_000, 90_000]),
    }
}

fn postings(kinds: &[Kind], board: &Board, dice: &mut Dice) -> Vec<Posting> {
    let mut postings: Vec<Posting> = Vec::new();
    for (number, kind) in (1u8..).zip(kinds) {
        let size = usize::try_from(1 + dice.below(IMAGE)).unwrap_or(1);
        let release = match postings.last() {
            Some(last) if *kind == Kind::Again => last.release.clone(),
            _ => kind.release(&board.lab, u16::from(number) + 1, size),
        };
        postings.push(Posting::new(*kind, release, number, dice.below(45), CHUNK as usize));
    }
    postings
}
