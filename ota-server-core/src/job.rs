//! One device's part in one campaign, and what a report does to it.

use core::cmp::Ordering;

use ota_manifest::JobId;
use ota_manifest::wire::{Report, RollbackReason, Stage};

use crate::campaign::CampaignNo;
use crate::clock::UnixMs;
use crate::plan::Timeouts;
use crate::state::{JobKind, JobState};

/// Most rows of timeline that one job may write; what comes after is obeyed and not recorded.
pub const MAX_JOB_EVENTS: u16 = 1000;

/// A job. Small: a campaign holds one for each of its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Index of the device in the engine.
    pub device: u32,
    /// The current attempt, from 1; rises when the job is queued again, so that old reports can be told apart.
    pub attempt: u8,
    /// Attempts that failed or fell silent.
    pub failures: u8,
    /// Where it stands.
    pub state: JobState,
    /// Highest report sequence seen in this attempt.
    pub seq: Option<u32>,
    /// Sequence of the report that closed it; `None` while open or when the server closed it.
    pub word: Option<u32>,
    /// Bytes proven and in flash, as last reported.
    pub done: u32,
    /// When it was last offered anew.
    pub offered: Option<UnixMs>,
    /// When state or progress last changed.
    pub changed: UnixMs,
    /// When the device last said something new of this attempt, even if it moved nothing.
    pub heard: UnixMs,
    /// Not offered before this moment.
    pub not_before: UnixMs,
    /// Polls of the device that were answered "nothing" because the campaign had stopped.
    pub turned_away: u32,
    /// Bytes of images and leaf lists sent to the device for this job.
    pub served: u64,
    /// Timeline rows written.
    pub events: u16,
}

/// What a report did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is here already.
    Duplicate,
    /// The state changed.
    Moved,
    /// The download went on.
    Progress,
    /// Recorded; it says nothing new about where the job stands.
    Late,
}

impl Job {
    /// A job nobody has heard of yet.
    #[must_use]
    pub fn queued(device: u32, now: UnixMs) -> Self {
        Self {
            device,
            attempt: 1,
            failures: 0,
            state: JobState::Queued,
            seq: None,
            word: None,
            done: 0,
            offered: None,
            changed: now,
            heard: now,
            not_before: UnixMs(0),
            turned_away: 0,
            served: 0,
            events: 0,
        }
    }

    /// The state without its details.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        self.state.kind()
    }

    /// Moves to `state`.
    pub fn enter(&mut self, state: JobState, now: UnixMs) {
        self.state = state;
        self.changed = now;
    }

    /// Takes a report in.
    ///
    /// Within an attempt stages only rise, and of several last words the one with the highest sequence counts, so the
    /// order of arrival does not matter. What the server closed by itself (silence, cancel) the device's word corrects.
    pub fn apply(&mut self, report: &Report, now: UnixMs) -> Effect {
        if report.attempt == self.attempt {
            if self.seq == Some(report.seq) {
                return Effect::Duplicate;
            }
            self.hear(report.seq, now);
        }
        let effect = if report.stage.is_terminal() { self.close(report) } else { self.advance(report) };
        match effect {
            Effect::Moved => self.enter(report.stage.into(), now),
            Effect::Progress => self.changed = now,
            Effect::Duplicate | Effect::Late => {}
        }
        effect
    }

    /// A device that begins again after a failed proof says nothing new for a while and is not silent; one that begins
    /// again for ever runs out of timeline, and then only what moves the job counts.
    fn hear(&mut self, seq: u32, now: UnixMs) {
        if Some(seq) > self.seq {
            self.seq = Some(seq);
            if self.events < MAX_JOB_EVENTS {
                self.heard = now;
            }
        }
    }

    fn close(&mut self, report: &Report) -> Effect {
        let ended = JobState::from(report.stage);
        let current = report.attempt == self.attempt && self.state != JobState::Queued;
        // What an attempt left behind on the device is true whatever the server thought of the attempt meanwhile.
        let lasting = match ended {
            JobState::Confirmed | JobState::RolledBack { .. } => true,
            JobState::Lost { .. } => self.state == JobState::Confirmed,
            _ => false,
        };
        let known = current || (lasting && report.attempt < self.attempt);
        if !known || self.state == JobState::Removed || self.word >= Some(report.seq) {
            return Effect::Late;
        }
        self.word = Some(report.seq);
        if self.outweighs(ended) { Effect::Late } else { Effect::Moved }
    }

    /// Whether what is known says more of the release than the device's last word, and must not be forgotten for it:
    /// silence is not undone by giving up, nor a rollback by losing the image that it went back to.
    fn outweighs(&self, ended: JobState) -> bool {
        matches!(
            (self.state, ended),
            (JobState::TimedOut { .. }, JobState::Cancelled)
                | (JobState::RolledBack { .. }, JobState::Lost { .. })
        )
    }

    fn advance(&mut self, report: &Report) -> Effect {
        if report.attempt != self.attempt {
            return Effect::Late;
        }
        let further = self.note_progress(report.stage);
        let (reported, current) = (JobState::from(report.stage).kind(), self.kind());
        match reported.cmp(&current) {
            _ if !current.is_in_flight() => Effect::Late,
            Ordering::Greater => Effect::Moved,
            Ordering::Equal if further => Effect::Progress,
            _ => Effect::Late,
        }
    }

    /// Remembers how far the download has come; true if that is further than known.
    fn note_progress(&mut self, stage: Stage) -> bool {
        let Stage::Downloading { done, .. } = stage else { return false };
        let further = done > self.done;
        self.done = self.done.max(done);
        further
    }

    /// Queues the job again under a new attempt number; `false` if the numbers have run out.
    pub fn requeue(&mut self, now: UnixMs, not_before: UnixMs) -> bool {
        let Some(attempt) = self.attempt.checked_add(1) else { return false };
        self.attempt = attempt;
        self.seq = None;
        self.word = None;
        self.done = 0;
        self.not_before = not_before;
        self.enter(JobState::Queued, now);
        true
    }

    /// When the device has been silent for too long; `None` when nothing is awaited from it.
    #[must_use]
    pub fn deadline(&self, timeouts: &Timeouts) -> Option<UnixMs> {
        let allowed = match self.kind() {
            JobKind::Offered => timeouts.offered,
            JobKind::Accepted => timeouts.accepted,
            JobKind::Downloading => timeouts.downloading,
            JobKind::Downloaded => timeouts.downloaded,
            JobKind::Verified => timeouts.verified,
            JobKind::PendingBoot => timeouts.pending_boot,
            JobKind::Testing => timeouts.testing,
            _ => return None,
        };
        Some(self.changed.max(self.heard).after(allowed))
    }

    /// Whether it is confirmed because the device ran the release already when it asked, and not by the device's report.
    ///
    /// In a store: `state = 'confirmed' AND word IS NULL`.
    #[must_use]
    pub fn was_installed_before(&self) -> bool {
        self.state == JobState::Confirmed && self.word.is_none()
    }

    /// Whether a failure of this kind may be tried again by the same campaign.
    pub(crate) fn may_be_retried(&self) -> bool {
        match self.state {
            JobState::Failed { .. } | JobState::TimedOut { .. } => true,
            // The copy was bad; the device rejects nothing and may fetch another. What was confirmed and lost is a
            // matter of the device: it had its update.
            JobState::Lost { reason, .. } => reason == RollbackReason::Unproven,
            _ => false,
        }
    }

    /// Whether one more timeline row may be written; counts it.
    pub(crate) fn may_record(&mut self) -> bool {
        let may = self.events < MAX_JOB_EVENTS;
        self.events = self.events.saturating_add(u16::from(may));
        may
    }
}

/// The parts of a [`JobId`]: campaign and rank, big endian, then the device's cohort number.
///
/// The cohort number is salted by the campaign, so an id is not repeated by another campaign or another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobParts {
    /// Which campaign.
    pub campaign: CampaignNo,
    /// Place in the campaign's order.
    pub rank: u32,
    /// See [`cohort`](crate::rollout::cohort).
    pub cohort: u64,
}

impl JobParts {
    /// The id.
    #[must_use]
    pub fn id(self) -> JobId {
        let [a, b, c, d] = self.campaign.0.to_be_bytes();
        let [e, f, g, h] = self.rank.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.cohort.to_be_bytes();
        JobId::new([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// The parts of an id. Every id has some; whether there is such a job is another question.
    #[must_use]
    pub fn of(id: JobId) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *id.as_bytes();
        Self {
            campaign: CampaignNo(u32::from_be_bytes([a, b, c, d])),
            rank: u32::from_be_bytes([e, f, g, h]),
            cohort: u64::from_be_bytes([i, j, k, l, m, n, o, p]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ota_manifest::wire::{FailedProbes, FailedStage, ResetCause};

    const NOW: UnixMs = UnixMs(1000);

    fn offered() -> Job {
        let mut job = Job::queued(0, NOW);
        job.enter(JobState::Offered, NOW);
        job
    }

    fn report(attempt: u8, seq: u32, stage: Stage) -> Report {
        Report { job: JobId::new([0; 16]), attempt, seq, stage }
    }

    #[test]
    fn a_late_confirmed_corrects_a_timeout() {
        let mut job = offered();
        job.enter(JobState::TimedOut { stage: JobKind::Testing }, NOW);
        assert_eq!(job.apply(&report(1, 3, Stage::Testing), NOW), Effect::Late);
        assert_eq!(job.apply(&report(1, 4, Stage::Confirmed), NOW), Effect::Moved);
        assert_eq!(job.state, JobState::Confirmed);
    }

    #[test]
    fn an_older_attempt_may_only_say_what_lasts() {
        let mut job = offered();
        assert!(job.requeue(NOW, NOW));
        assert_eq!(
            job.apply(&report(1, 2, Stage::Failed { at: FailedStage::Downloading, code: 1 }), NOW),
            Effect::Late
        );
        assert_eq!(job.kind(), JobKind::Queued);
        let reverted = Stage::RolledBack {
            reason: RollbackReason::SelfTest,
            cause: ResetCause::Software,
            boots: 1,
            failed: FailedProbes::NONE,
        };
        assert_eq!(job.apply(&report(1, 3, reverted), NOW), Effect::Moved);
        assert_eq!(job.kind(), JobKind::RolledBack);
    }

    #[test]
    fn a_repeated_report_is_a_duplicate_and_a_slower_one_is_late() {
        let mut job = offered();
        assert_eq!(job.apply(&report(1, 2, Stage::Downloaded), NOW), Effect::Moved);
        assert_eq!(job.apply(&report(1, 2, Stage::Downloaded), NOW), Effect::Duplicate);
        assert_eq!(job.apply(&report(1, 1, Stage::Accepted), NOW), Effect::Late);
        assert_eq!(job.kind(), JobKind::Downloaded);
    }

    #[test]
    fn a_confirmed_image_that_is_lost_later_is_no_success() {
        let mut job = offered();
        assert_eq!(job.apply(&report(1, 5, Stage::Confirmed), NOW), Effect::Moved);
        let lost = Stage::RolledBack {
            reason: RollbackReason::ConfirmedLost,
            cause: ResetCause::PowerOn,
            boots: 0,
            failed: FailedProbes::NONE,
        };
        assert_eq!(job.apply(&report(1, 9, lost), NOW), Effect::Moved);
        assert_eq!(job.apply(&report(1, 5, Stage::Confirmed), NOW), Effect::Late);
        assert_eq!(job.kind(), JobKind::Failed);
    }

    #[test]
    fn a_device_that_lost_its_numbering_can_still_finish_its_next_attempt() {
        let mut job = offered();
        let failed = Stage::Failed { at: FailedStage::Downloading, code: 1 };
        assert_eq!(job.apply(&report(1, 9, failed), NOW), Effect::Moved);
        assert!(job.requeue(NOW, NOW));
        job.enter(JobState::Offered, NOW);
        assert_eq!(job.apply(&report(2, 9, Stage::Accepted), NOW), Effect::Moved);
        assert_eq!(job.apply(&report(2, 1, Stage::Confirmed), NOW), Effect::Moved);
    }

    #[test]
    fn job_id_round_trips_its_parts() {
        let parts = JobParts { campaign: CampaignNo(7), rank: 513, cohort: 0xA5A5_0000_1234_5678 };
        assert_eq!(JobParts::of(parts.id()), parts);
    }
}
