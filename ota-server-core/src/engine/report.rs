//! A device reports.

use ota_manifest::wire::{Refusal, Report, Stage};
use ota_manifest::{DeviceId, JobId};

use super::{Answer, Engine};
use crate::campaign::CampaignState;
use crate::clock::UnixMs;
use crate::device::JobRef;
use crate::job::{Effect, Job, JobParts};

impl Engine {
    pub(super) fn on_report(&mut self, id: DeviceId, report: &Report, now: UnixMs) -> Answer {
        let Some(at) = self.locate(id, report.job) else { return Answer::Refused(Refusal::Gone) };
        let Some(work) = self.works.get_mut(&at.campaign) else { return Answer::Refused(Refusal::Gone) };
        work.heard(at.rank);
        let before = work.job(at.rank).map_or(0, |job| job.done);
        let Some(effect) = work.change(at.rank, |job| job.apply(report, now)) else {
            return Answer::Refused(Refusal::Gone);
        };
        match effect {
            Effect::Duplicate => {}
            Effect::Progress if !passes_sixteenth(before, report.stage) => {}
            Effect::Moved | Effect::Progress => self.record_report(at, report, false, now),
            Effect::Late => self.record_report(at, report, true, now),
        }
        if effect == Effect::Moved {
            self.after_move(at, now);
        }
        self.reply(at, report)
    }

    pub(super) fn on_served(&mut self, id: DeviceId, job: JobId, bytes: u64) -> Answer {
        let work = self.locate(id, job).and_then(|at| Some((at.rank, self.works.get_mut(&at.campaign)?)));
        if let Some((rank, work)) = work {
            work.change(rank, |job| job.served = job.served.saturating_add(bytes));
        }
        Answer::Done
    }

    /// The job of this id, if it is this device's.
    fn locate(&self, id: DeviceId, job: JobId) -> Option<JobRef> {
        let device = self.known(id)?;
        let parts = JobParts::of(job);
        let work = self.works.get(&parts.campaign)?;
        let theirs = work.job(parts.rank)?.device == device && work.parts(parts.rank)? == parts;
        theirs.then_some(JobRef { campaign: parts.campaign, rank: parts.rank })
    }

    /// A failure may be tried again; everything that ends may open a gate or break a rule.
    pub(super) fn after_move(&mut self, at: JobRef, now: UnixMs) {
        self.retry(at, now);
        self.look_after(at.campaign, now);
    }

    fn retry(&mut self, at: JobRef, now: UnixMs) {
        let Some(work) = self.works.get_mut(&at.campaign) else { return };
        let plan = &work.campaign.plan;
        let (allowed, pause) = (plan.max_attempts, plan.retry_after_ms);
        let goes_on =
            matches!(work.campaign.state, CampaignState::Running { .. } | CampaignState::Paused { .. });
        let retried = work.change(at.rank, |job| {
            if !job.may_be_retried() {
                return false;
            }
            job.failures = job.failures.saturating_add(1);
            goes_on && job.failures < allowed && job.requeue(now, now.after(pause))
        });
        if retried == Some(true) {
            self.record(at, "retried", now);
        }
    }

    /// A device that works on what the server has closed is told so, as long as it can still turn back.
    fn reply(&self, at: JobRef, report: &Report) -> Answer {
        let reversible = matches!(
            report.stage,
            Stage::Accepted | Stage::Downloading { .. } | Stage::Downloaded | Stage::Verified
        );
        let job = self.works.get(&at.campaign).and_then(|work| work.job(at.rank));
        let closed = |job: &Job| !job.kind().is_in_flight() && job.word.is_none();
        if reversible && job.is_some_and(closed) {
            Answer::Cancel { job: report.job }
        } else {
            Answer::Ack { seq: report.seq }
        }
    }
}

/// Whether a download passed another sixteenth of its length: progress is shown, not logged byte by byte.
fn passes_sixteenth(before: u32, stage: Stage) -> bool {
    let Stage::Downloading { done, total } = stage else { return true };
    let step = (total / 16).max(1);
    before / step != done / step
}
