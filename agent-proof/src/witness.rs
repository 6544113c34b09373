//! Sees everything a device does, and says what it must not have done.

use std::collections::BTreeMap;

use ota_agent::{SlotWork, SlotsAnswer};
use ota_manifest::wire::{Refusal, Report, RollbackReason, Stage};

use crate::believer::Believer;
use crate::board::{Board, CHUNK, WINDOW};
use crate::desk::{Desk, Posting};
use crate::scenario::{Facts, Kind, is_right};

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A job ended in the wrong way, or without a word.
    WrongTerminal,
    /// A job ended twice.
    DoubleTerminal,
    /// Two different reports of one attempt have the same number.
    Misnumbered,
    /// A wait without a time limit, a loop, or no end.
    Stuck,
    /// An image was made pending, or run, that is not a proven release.
    Unproven,
    /// More of a download was lost by a reset than one window.
    WentBack,
    /// More was fetched again after a reset than the erase pages of one window.
    Refetched,
    /// The device went on with a job that it had been told to give up.
    Deaf,
    /// What the server had forgotten was told in another way, or done once more.
    RetoldOtherwise,
    /// Trust went back or came from nobody, a reply to another question was believed, time ran ahead, a question or a document
    /// cost more than it may.
    Trust,
    /// A rule of flash was broken.
    FlashRule,
    /// The code under test panicked.
    Panicked,
}

impl Fault {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 12] = [
        Self::WrongTerminal,
        Self::DoubleTerminal,
        Self::Misnumbered,
        Self::Stuck,
        Self::Unproven,
        Self::WentBack,
        Self::Refetched,
        Self::Deaf,
        Self::RetoldOtherwise,
        Self::Trust,
        Self::FlashRule,
        Self::Panicked,
    ];

    /// Its name in the report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongTerminal => "wrong_terminal",
            Self::DoubleTerminal => "double_terminal",
            Self::Misnumbered => "misnumbered",
            Self::Stuck => "stuck",
            Self::Unproven => "unproven",
            Self::WentBack => "went_back",
            Self::Refetched => "refetched_beyond_window",
            Self::Deaf => "went_on_after_cancel",
            Self::RetoldOtherwise => "retold_otherwise",
            Self::Trust => "trust_broken",
            Self::FlashRule => "flash_rule_broken",
            Self::Panicked => "panicked",
        }
    }
}

/// A broken promise and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub fault: Fault,
    /// How.
    pub detail: String,
}

/// What has been seen of a life so far.
#[derive(Debug)]
pub struct Witness {
    /// What is known of each job.
    pub facts: Vec<Facts>,
    /// The job that was offered last.
    pub offered: Option<usize>,
    /// Power sessions before this one.
    pub reboots: u32,
    /// What went wrong.
    pub findings: Vec<Finding>,
    /// What it believes.
    pub believer: Believer,
    /// The whole image was proven in this power session, and nothing was staged since.
    proven: bool,
    /// The job was taken back in this power session, before it was pending.
    pub cancelled: bool,
    /// Chunks in flash, from the front.
    stored: u32,
    /// Of each chunk of the attempt under way: the power session in which it was last in the device.
    known: BTreeMap<u32, u32>,
    attempt: (usize, u8),
    /// The download goes on behind blocks that are held; if not, it has begun anew.
    goes_on: bool,
    /// Bytes fetched again because of the reset that ended each power session, and whether the download began anew then.
    refetched: BTreeMap<u32, (u32, bool)>,
}

impl Witness {
    /// Nothing has been seen.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        Self {
            facts: vec![Facts::default(); jobs],
            offered: None,
            reboots: 0,
            findings: Vec::new(),
            believer: Believer::default(),
            proven: false,
            cancelled: false,
            stored: 0,
            known: BTreeMap::new(),
            attempt: (usize::MAX, 0),
            goes_on: false,
            refetched: BTreeMap::new(),
        }
    }

    /// Notes a broken promise.
    pub fn find(&mut self, fault: Fault, detail: String) {
        self.findings.push(Finding { fault, detail });
    }

    /// Notes what was objected to what the device believes, or does for it.
    pub fn object(&mut self, objection: Option<String>) {
        objection.into_iter().for_each(|detail| self.find(Fault::Trust, detail));
    }

    /// The device was reset.
    pub fn reset(&mut self) {
        self.reboots += 1;
        (self.proven, self.cancelled) = (false, false);
    }

    /// Nobody knows any more of the download that was under way: it begins anew.
    pub fn forget_download(&mut self) {
        self.known.clear();
        self.stored = 0;
    }

    /// The most that was fetched again because of one reset, of downloads that went on or that began anew; bytes.
    #[must_use]
    pub fn refetched(&self, begun_anew: bool) -> u32 {
        let of = self.refetched.values().filter(|(_, anew)| *anew == begun_anew);
        of.map(|(bytes, _)| *bytes).max().unwrap_or(0)
    }

    /// An offer reaches the agent.
    pub fn offer(&mut self, job: usize, attempt: u8) {
        (self.offered, self.cancelled) = (Some(job), false);
        if self.attempt != (job, attempt) {
            self.attempt = (job, attempt);
            self.forget_download();
        }
    }

    /// Chunks reach the agent.
    pub fn chunks(&mut self, posting: &Posting, image: u8, first: u32, bytes: &[u8]) {
        let Some(built) = posting.release.built.get(usize::from(image)) else { return };
        let right = |(number, chunk): &(u32, &[u8])| {
            let start = (*number * CHUNK) as usize;
            built.image.get(start..start + chunk.len()) == Some(*chunk)
        };
        for (number, chunk) in (first..).zip(bytes.chunks(CHUNK as usize)).filter(right) {
            if let Some(session) = self.known.insert(number, self.reboots)
                && session < self.reboots
            {
                let (bytes, anew) = self.refetched.entry(session).or_default();
                *bytes += u32::try_from(chunk.len()).unwrap_or(CHUNK);
                *anew |= !self.goes_on;
            }
        }
    }

    /// Slot work is about to be done; what the slot holds, if it is to be booted.
    pub fn before(&mut self, work: &SlotWork<'_>, slot_is_right: impl FnOnce() -> bool) {
        match work {
            SlotWork::RequestBoot { .. } => {
                if !self.proven || !slot_is_right() {
                    let detail =
                        format!("request_boot, {}", if self.proven { "slot altered" } else { "no proof" });
                    self.find(Fault::Unproven, detail);
                }
                if let Some(facts) = self.offered.and_then(|job| self.facts.get_mut(job)) {
                    // Power may fail so late that it is done all the same.
                    facts.requested = true;
                }
            }
            SlotWork::Begin { .. } => self.proven = false,
            _ => {}
        }
        if self.cancelled
            && matches!(
                work,
                SlotWork::RequestBoot { .. } | SlotWork::StoreChunk { .. } | SlotWork::EraseBlock { .. }
            )
        {
            self.find(Fault::Deaf, format!("{work:?}").chars().take(60).collect());
        }
    }

    /// Slot work was done.
    pub fn after(&mut self, work: Done, answer: &SlotsAnswer, board: &Board) {
        match (work, answer) {
            (Done::Other, SlotsAnswer::Begun(resume)) => {
                self.goes_on = resume.leaves_held;
                let per_block = board.block() / CHUNK;
                let loaded = resume.block * per_block;
                // The block at which it goes on is there as well; it is read, and written anew.
                let held = loaded + if resume.leaves_held { per_block } else { 0 };
                if self.stored * CHUNK > held * CHUNK + WINDOW.max(2 * board.block()) {
                    self.find(
                        Fault::WentBack,
                        format!("{} chunks were stored, {held} are held", self.stored),
                    );
                }
                self.known.extend((0..loaded).map(|chunk| (chunk, self.reboots)));
                self.stored = held;
            }
            (Done::Load(chunk), SlotsAnswer::Done) => drop(self.known.insert(chunk, self.reboots)),
            (Done::Store(chunk), SlotsAnswer::Done) => self.stored = self.stored.max(chunk + 1),
            (Done::Finish, SlotsAnswer::Finished(_)) => self.proven = true,
            (Done::Finish, _) => self.forget_download(),
            _ => {}
        }
    }

    /// Holds the end of a life against what it had to be.
    pub fn judge(&mut self, desk: &Desk, board: &Board) {
        self.facts.iter_mut().for_each(|facts| facts.has_no_way_back = board.has_no_way_back());
        let is_lost =
            |report: &&Report| desk.postings.iter().any(|posting| posting.job == report.job && posting.lost);
        // Without its journal the device counts from the beginning; but the number of an end is that of nothing else.
        let wrong = |report: &&Report| !is_lost(report) || desk.ends_otherwise(report);
        if let Some(report) = desk.misnumbered.iter().find(wrong) {
            self.find(Fault::Misnumbered, format!("{report:?}"));
        }
        for (job, posting) in desk.postings.iter().enumerate() {
            for attempt in 1..=posting.attempt {
                let terminals: Vec<&Report> = desk.terminals(posting.job, attempt).collect();
                self.judge_attempt(job, posting, attempt, &terminals);
            }
        }
    }

    fn judge_attempt(&mut self, job: usize, posting: &Posting, attempt: u8, terminals: &[&Report]) {
        let mut facts = self.facts.get(job).copied().unwrap_or_default();
        // The copy of the second attempt is good.
        facts.rotted &= attempt == 1;
        facts.lost = posting.lost;
        if let Some(told) = posting.forgotten.filter(|told| told.attempt == attempt) {
            return self.judge_retold(posting, facts, &told, terminals);
        }
        let may_be_silent = posting.kind == Kind::Withdrawn || (facts.lost && facts.ran);
        match terminals {
            [] if may_be_silent => {}
            [] => self.find(Fault::WrongTerminal, format!("{:?}: no end of attempt {attempt}", posting.kind)),
            [report, more @ ..] => {
                let all = terminals.iter().filter(|report| !is_right(posting.kind, facts, report.stage));
                for wrong in all {
                    let detail = format!("{:?}: {:?}, {facts:?}", posting.kind, wrong.stage);
                    self.find(Fault::WrongTerminal, detail);
                }
                // A device without a journal may do again, and tell again, what was on its way to the server.
                if let Some(other) = more.first().filter(|_| !facts.lost) {
                    let detail = format!("{:?}: {report:?}, then {other:?}", posting.kind);
                    self.find(Fault::DoubleTerminal, detail);
                }
            }
        }
    }
}

impl Witness {
    /// What was told to a server that has forgotten it is told again, under the same number. How a rollback came about the
    /// device does not keep; it refuses the release.
    fn judge_retold(&mut self, posting: &Posting, facts: Facts, told: &Report, terminals: &[&Report]) {
        let rolled_back = matches!(told.stage, Stage::RolledBack { .. });
        let unproven = matches!(told.stage, Stage::RolledBack { reason: RollbackReason::Unproven, .. });
        let fits = |report: &Report| {
            let refused = matches!(
                report.stage,
                Stage::Rejected { refusal: Refusal::RejectedBefore | Refusal::NotNewer }
            );
            report == told
                || (rolled_back && refused)
                || (unproven && is_right(posting.kind, facts, report.stage))
        };
        if terminals.is_empty() || !terminals.iter().all(|report| fits(report)) {
            let detail = format!("{:?}: {told:?}, then {terminals:?}", posting.kind);
            self.find(Fault::RetoldOtherwise, detail);
        }
    }
}

/// Slot work, as far as the witness has to know it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// A chunk was to be read.
    Load(u32),
    /// A chunk was to be stored.
    Store(u32),
    /// The image was to be proven.
    Finish,
    /// The bootloader was to be asked.
    Request,
    /// The trial was to be confirmed.
    Confirm,
    /// Anything else.
    Other,
}

impl Done {
    /// Of this work.
    #[must_use]
    pub const fn of(work: &SlotWork<'_>) -> Self {
        match work {
            SlotWork::LoadChunk { chunk, .. } => Self::Load(*chunk),
            SlotWork::StoreChunk { chunk, .. } => Self::Store(*chunk),
            SlotWork::Finish => Self::Finish,
            SlotWork::RequestBoot { .. } => Self::Request,
            SlotWork::Confirm { .. } => Self::Confirm,
            _ => Self::Other,
        }
    }
}
