//! The server: a few jobs for one device, one after the other, with moods.

use ota_agent::sim::{Dice, Lie, ScriptedServer};
use ota_manifest::wire::{Down, Fetch, Object, Refusal, Report, Stage, Up};
use ota_manifest::{Frame, JobId, ManifestId};
use ota_slots::sim::Release;
use ota_verify::manifest_id;

use crate::oracle::{Oracle, encoded};
use crate::scenario::Kind;

/// Attempts that the server gives a job whose copy was bad.
const SECOND: u8 = 2;
/// Polls after which the server gives up waiting for word of a job.
const LONGEST_SILENCE: u32 = 3;

/// How often the server is not at its best, percent of the messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moods {
    /// It is busy, or has put the device off.
    pub busy: u8,
    /// It lies about objects, once.
    pub lies: u8,
    /// It answers something else altogether.
    pub strange: u8,
    /// It offers once more what has ended.
    pub forgets: u8,
    /// It is restored from a backup that knows nothing of the last job's reports, once, when there is nothing left to do.
    pub restored: u8,
}

/// One job.
#[derive(Debug)]
pub struct Posting {
    /// Its id.
    pub job: JobId,
    /// What is special about it.
    pub kind: Kind,
    /// What it offers.
    pub release: Release,
    /// The attempt that is offered now.
    pub attempt: u8,
    /// The server waits for nothing more.
    pub closed: bool,
    /// It was offered to a device that lost its journal before the job ended.
    pub lost: bool,
    /// The report that ended it, which the server had acknowledged and has forgotten.
    pub forgotten: Option<Report>,
    /// When it was offered first, ms.
    offered_at: Option<u64>,
    /// When the report came that closed it, ms.
    closed_at: Option<u64>,
    /// Polls while the server waited for word of it, and the device runs it or has tested it.
    silent_polls: u32,
    manifest: ManifestId,
    /// Messages about it until the server takes it back.
    patience: u64,
    objects: ScriptedServer,
}

/// The server.
#[derive(Debug)]
pub struct Desk {
    /// The jobs, in order.
    pub postings: Vec<Posting>,
    /// Every report stored: repeated ones are stored once.
    pub reports: Vec<Report>,
    /// Reports under the number of another one.
    pub misnumbered: Vec<Report>,
    /// Polls answered with nothing to do since the last job was closed.
    pub idle_polls: u32,
    /// Answers questions, if this device has any.
    pub oracle: Option<Oracle>,
    now: u64,
    /// The job that was offered last.
    offered: Option<usize>,
    moods: Moods,
    dice: Dice,
}

impl Posting {
    /// A job, the `number`th of its device; taken back after `patience` messages if it is one of those.
    #[must_use]
    pub fn new(kind: Kind, release: Release, number: u8, patience: u64, chunk: usize) -> Self {
        let job = JobId::new([number; 16]);
        let objects = ScriptedServer::new(release.clone(), job, chunk);
        // A forged envelope may not be one at all; then nothing runs that has its name.
        let manifest = Frame::parse(&release.envelope).map_or(ManifestId::NONE, |frame| manifest_id(&frame));
        Self {
            job,
            kind,
            release,
            attempt: 1,
            closed: false,
            lost: false,
            forgotten: None,
            offered_at: None,
            closed_at: None,
            silent_polls: 0,
            manifest,
            patience,
            objects,
        }
    }

    /// From its first offer to its end, ms.
    #[must_use]
    pub fn took_ms(&self) -> u64 {
        self.closed_at.unwrap_or(0).saturating_sub(self.offered_at.unwrap_or(0))
    }

    /// Counts a message about it.
    fn note(&mut self) {
        self.patience = self.patience.saturating_sub(1);
    }

    fn is_taken_back(&self) -> bool {
        self.kind.is_taken_back() && self.patience == 0
    }

    const fn is_withdrawn(&self) -> bool {
        matches!(self.kind, Kind::Withdrawn) && self.patience == 0
    }
}

impl Desk {
    /// A server with these jobs.
    #[must_use]
    pub const fn new(postings: Vec<Posting>, moods: Moods, dice: Dice) -> Self {
        Self {
            postings,
            reports: Vec::new(),
            misnumbered: Vec::new(),
            idle_polls: 0,
            oracle: None,
            now: 0,
            offered: None,
            moods,
            dice,
        }
    }

    /// Whether it waits for no word about any job.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.postings.iter().all(|posting| posting.closed || posting.is_withdrawn())
    }

    /// Whether a device that says this can still turn back.
    #[must_use]
    pub const fn is_reversible(stage: Stage) -> bool {
        matches!(stage, Stage::Accepted | Stage::Downloading { .. } | Stage::Downloaded | Stage::Verified)
    }

    /// The terminal reports of an attempt, each once, in order of arrival.
    pub fn terminals(&self, job: JobId, attempt: u8) -> impl Iterator<Item = &Report> {
        let of = move |report: &&Report| report.job == job && report.attempt == attempt;
        self.reports.iter().filter(of).filter(|report| report.stage.is_terminal())
    }

    /// Whether one of the two reports of this number ends the job, and the other does not.
    #[must_use]
    pub fn ends_otherwise(&self, report: &Report) -> bool {
        let first = self.reports.iter().find(|known| same_number(known, report));
        first.is_some_and(|first| first.stage.is_terminal() != report.stage.is_terminal())
    }

    /// The answer at this time, ms, encoded; `None` for silence.
    pub fn answer(&mut self, up: Up, now: u64) -> Option<Vec<u8>> {
        self.now = now;
        let down = match (up, &mut self.oracle) {
            (Up::Poll(poll), _) => self.poll(poll.running),
            (Up::Report(report), _) => self.report(report),
            (Up::Fetch(fetch), _) => self.fetch(fetch),
            (Up::Ask(question), Some(oracle)) => return oracle.ask(question, now),
            (Up::Trust { version }, Some(oracle)) => return Some(oracle.trust(version)),
            (Up::Ask(_) | Up::Trust { .. }, None) => {
                Down::Refused { refusal: Refusal::Unsupported, retry_after_ms: 0 }
            }
        };
        Some(encoded(&down))
    }

    fn poll(&mut self, running: ManifestId) -> Down<'_> {
        if self.dice.percent(self.moods.busy) {
            return Down::Idle { retry_after_ms: 5000 };
        }
        if self.dice.percent(self.moods.strange) {
            return Down::Ack { seq: 0 };
        }
        let forgotten = if self.dice.percent(self.moods.forgets) { self.ended() } else { None };
        if self.open().is_none() && self.dice.percent(self.moods.restored) {
            self.restore();
        }
        let open = self.open();
        let chosen = forgotten.or(open.filter(|open| !self.is_awaited(*open, running)));
        let Some((index, posting)) = chosen.and_then(|index| Some((index, self.postings.get_mut(index)?)))
        else {
            self.idle_polls += 1;
            return Down::Idle { retry_after_ms: 0 };
        };
        self.offered = Some(index);
        posting.offered_at.get_or_insert(self.now);
        posting.note();
        Down::Offer { job: posting.job, attempt: posting.attempt, envelope: &posting.release.envelope }
    }

    /// The job that is to be offered, or worked on.
    fn open(&self) -> Option<usize> {
        self.postings.iter().position(|posting| !posting.closed && !posting.is_withdrawn())
    }

    /// Whether the image of a job was on trial: it answers for itself, or the one does that runs after it. A device that has
    /// lost its journal may run the image and know nothing of a job: then the server gives up, after a while.
    fn is_awaited(&mut self, index: usize, running: ManifestId) -> bool {
        let Some(posting) = self.postings.get_mut(index) else { return false };
        let of = |report: &&Report| report.job == posting.job && report.attempt == posting.attempt;
        let tested = self.reports.iter().filter(of).any(|report| report.stage == Stage::Testing);
        let awaited =
            (tested && posting.forgotten.is_none()) || (posting.lost && posting.manifest == running);
        if awaited && posting.lost {
            posting.silent_polls += 1;
            posting.closed |= posting.silent_polls > LONGEST_SILENCE;
        }
        awaited
    }

    /// Forgets every report of the attempt that ended last.
    fn restore(&mut self) {
        let Some(posting) = self.offered.and_then(|index| self.postings.get_mut(index)) else { return };
        let of = |report: &Report| (report.job, report.attempt) == (posting.job, posting.attempt);
        let ended = self.reports.iter().find(|report| of(report) && report.stage.is_terminal());
        let Some(ended) = ended.copied().filter(|_| posting.closed && posting.kind != Kind::Withdrawn) else {
            return;
        };
        self.reports.retain(|report| !of(report));
        (posting.closed, posting.forgotten) = (false, Some(ended));
        self.moods.restored = 0;
    }

    /// It forgets nothing from now on.
    pub const fn remember(&mut self) {
        (self.moods.forgets, self.moods.restored) = (0, 0);
    }

    /// The job that was offered and has not ended.
    pub fn under_way(&mut self) -> Option<&mut Posting> {
        let offered = self.offered.and_then(|index| self.postings.get_mut(index));
        offered.filter(|posting| !posting.closed)
    }

    /// The job that was offered last, if it has ended in a way that a device remembers, or comes to again.
    fn ended(&self) -> Option<usize> {
        let index = self.offered?;
        let posting = self.postings.get(index).filter(|posting| posting.closed)?;
        let report = self.terminals(posting.job, posting.attempt).next()?;
        (!matches!(report.stage, Stage::RolledBack { .. })).then_some(index)
    }

    fn report(&mut self, report: Report) -> Down<'_> {
        if self.dice.percent(self.moods.busy) {
            return Down::Refused { refusal: Refusal::Busy, retry_after_ms: 3000 };
        }
        if self.dice.percent(self.moods.strange) {
            return Down::Ack { seq: report.seq.wrapping_add(1) };
        }
        let Some(posting) = self.postings.iter_mut().find(|posting| posting.job == report.job) else {
            return Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        };
        match self.reports.iter().find(|known| same_number(known, &report)) {
            Some(known) if known.stage != report.stage => self.misnumbered.push(report),
            Some(_) => {}
            None => self.reports.push(report),
        }
        posting.note();
        if report.stage.is_terminal() && report.attempt == posting.attempt {
            posting.end(report.stage);
            posting.closed_at = Some(self.now);
        }
        if Self::is_reversible(report.stage) && posting.is_taken_back() {
            return Down::Cancel { job: report.job };
        }
        Down::Ack { seq: report.seq }
    }

    fn fetch(&mut self, fetch: Fetch) -> Down<'_> {
        let Some(posting) = self.postings.iter_mut().find(|posting| posting.job == fetch.job) else {
            return Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        };
        posting.note();
        if posting.closed || posting.is_withdrawn() || posting.kind == Kind::Gone {
            return Down::Refused { refusal: Refusal::Gone, retry_after_ms: 0 };
        }
        if posting.is_taken_back() {
            return Down::Cancel { job: fetch.job };
        }
        if self.dice.percent(self.moods.busy) {
            return Down::Refused { refusal: Refusal::Busy, retry_after_ms: 2000 };
        }
        if self.dice.percent(self.moods.strange) {
            return Down::Idle { retry_after_ms: 0 };
        }
        if self.dice.percent(self.moods.lies) {
            posting.objects.lie(self.dice.pick(&[
                Lie::FlipChunkBit,
                Lie::FlipLeafBit,
                Lie::WrongIndex,
                Lie::ShortBody,
            ]));
        }
        match (posting.kind, fetch.object) {
            (Kind::WrongChunk, Object::Payload) => posting.objects.lie(Lie::FlipChunkBit),
            (Kind::WrongLeaves, Object::Leaves) => posting.objects.lie(Lie::FlipLeafBit),
            _ => {}
        }
        posting.objects.answer(Up::Fetch(fetch))
    }
}

fn same_number(one: &Report, other: &Report) -> bool {
    (one.job, one.attempt, one.seq) == (other.job, other.attempt, other.seq)
}

impl Posting {
    /// The device has spoken its last word; a bad copy is fetched once more.
    fn end(&mut self, stage: Stage) {
        let unproven =
            matches!(stage, Stage::RolledBack { reason: ota_manifest::wire::RollbackReason::Unproven, .. });
        if unproven && self.attempt < SECOND {
            self.attempt = SECOND;
        } else {
            self.closed = true;
        }
    }
}
