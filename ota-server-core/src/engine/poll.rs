//! A device asks for work.

use alloc::vec::Vec;

use ota_manifest::DeviceId;
use ota_manifest::wire::{Poll, Refusal, is_spoken};

use super::{Answer, Engine};
use crate::campaign::CampaignState;
use crate::clock::UnixMs;
use crate::device::JobRef;
use crate::release::{Fit, ReleaseNo};
use crate::state::{JobKind, JobState};

impl Engine {
    /// The releases that the next poll of `device` might be answered with: whoever drives the engine proves them first.
    #[must_use]
    pub fn candidates(&self, device: DeviceId) -> Vec<ReleaseNo> {
        let Some(index) = self.devices.index(device) else { return Vec::new() };
        let jobs = self.devices.jobs(index).iter();
        let open = jobs.filter_map(|at| {
            let work = self.works.get(&at.campaign)?;
            let running = matches!(work.campaign.state, CampaignState::Running { .. });
            let open = !work.job(at.rank)?.kind().is_terminal();
            (running && open).then_some(work.campaign.release)
        });
        open.collect()
    }

    pub(super) fn on_poll(&mut self, id: DeviceId, poll: &Poll, now: UnixMs) -> Answer {
        let Some(index) = self.known(id) else { return Answer::Refused(Refusal::Gone) };
        self.touch(index, poll, now);
        if !is_spoken(poll.protocol) {
            // Its job stays queued: a server that speaks this version will offer it.
            return Answer::Refused(Refusal::Unsupported);
        }
        let jobs = self.devices.jobs(index).to_vec();
        jobs.iter().for_each(|at| self.release_from_stopped(*at, poll, now));
        let held = jobs.iter().copied().find(|at| self.kind_at(*at).is_some_and(JobKind::is_in_flight));
        let answer = match held {
            Some(at) => self.go_on(at, poll, now),
            None => self.offer_first(&jobs, poll, now),
        };
        if answer == Answer::Idle {
            self.count_turned_away(&jobs);
        }
        answer
    }

    pub(super) fn known(&self, id: DeviceId) -> Option<u32> {
        let index = self.devices.index(id)?;
        self.devices.get(index).filter(|device| device.removed.is_none()).map(|_| index)
    }

    pub(super) fn kind_at(&self, at: JobRef) -> Option<JobKind> {
        Some(self.works.get(&at.campaign)?.job(at.rank)?.kind())
    }

    fn touch(&mut self, index: u32, poll: &Poll, now: UnixMs) {
        if let Some(device) = self.devices.get_mut(index) {
            device.last_poll = Some(now);
            device.polls += 1;
            device.said = Some(*poll);
            self.changed_devices.insert(index);
        }
    }

    /// Takes a job back that a halted or aborted campaign holds, so that the device is free for the fix.
    ///
    /// A device that asks is not working. Its job ends as cancelled; if it does work on it after all, its next report is
    /// answered with [`Answer::Cancel`]. A device that may run the image already answers for it itself.
    fn release_from_stopped(&mut self, at: JobRef, poll: &Poll, now: UnixMs) {
        let Some(work) = self.works.get(&at.campaign) else { return };
        let stopped = matches!(work.campaign.state, CampaignState::Halted { .. } | CampaignState::Aborted);
        let reversible = work.job(at.rank).is_some_and(|job| job.kind().is_reversible());
        let release = self.releases.get(&work.campaign.release);
        if stopped && reversible && release.is_some_and(|release| release.manifest != poll.running) {
            self.close(at, JobState::Cancelled, now);
        }
    }

    /// A device that holds a job asks again: it restarted. It gets the same offer, so that it can go on.
    fn go_on(&mut self, at: JobRef, poll: &Poll, now: UnixMs) -> Answer {
        let Some(work) = self.works.get(&at.campaign) else { return Answer::Idle };
        let (Some(job), Some(parts)) = (work.job(at.rank), work.parts(at.rank)) else { return Answer::Idle };
        let no = work.campaign.release;
        let running = matches!(work.campaign.state, CampaignState::Running { .. });
        let installed = self.releases.get(&no).is_none_or(|release| release.manifest == poll.running);
        // An image that tests itself answers for itself; offering it again would only confuse the story.
        if installed || job.kind() == JobKind::Testing {
            return Answer::Idle;
        }
        if !running || !self.ready.contains(&no) {
            if let Some(work) = self.works.get_mut(&at.campaign) {
                work.put_off(at.rank);
            }
            return Answer::Idle;
        }
        let answer = Answer::Offer { job: parts.id(), attempt: job.attempt, release: no };
        if let Some(work) = self.works.get_mut(&at.campaign) {
            work.tell(at.rank, now);
        }
        self.record(at, "resumed", now);
        answer
    }

    /// Tries the queued jobs of a device, the newest release first.
    fn offer_first(&mut self, jobs: &[JobRef], poll: &Poll, now: UnixMs) -> Answer {
        let mut queued: Vec<_> =
            jobs.iter().copied().filter(|at| self.kind_at(*at) == Some(JobKind::Queued)).collect();
        queued.sort_by_key(|at| core::cmp::Reverse((self.order_of(*at), at.campaign)));
        for at in queued {
            if let Some(answer) = self.try_offer(at, poll, now) {
                return answer;
            }
        }
        Answer::Idle
    }

    fn order_of(&self, at: JobRef) -> Option<ota_manifest::Order> {
        let work = self.works.get(&at.campaign)?;
        Some(self.releases.get(&work.campaign.release)?.order)
    }

    fn try_offer(&mut self, at: JobRef, poll: &Poll, now: UnixMs) -> Option<Answer> {
        let work = self.works.get(&at.campaign)?;
        let CampaignState::Running { wave } = work.campaign.state else { return None };
        if at.rank >= work.reach_of(wave) || work.job(at.rank)?.not_before > now {
            return None;
        }
        let no = work.campaign.release;
        if let Some(verdict) = self.verdict(at, no, poll) {
            self.close(at, verdict, now);
            return None;
        }
        let work = self.works.get_mut(&at.campaign)?;
        if work.room() == 0 || !self.ready.contains(&no) {
            return None;
        }
        let job = work.parts(at.rank)?.id();
        let attempt = work.change(at.rank, |job| {
            job.enter(JobState::Offered, now);
            job.offered = Some(now);
            job.attempt
        })?;
        work.tell(at.rank, now);
        self.record(at, JobKind::Offered.name(), now);
        Some(Answer::Offer { job, attempt, release: no })
    }

    /// How a job ends without an offer, if what the device says of itself ends it.
    pub(super) fn verdict(&self, at: JobRef, no: ReleaseNo, poll: &Poll) -> Option<JobState> {
        match self.releases.get(&no)?.fit(poll) {
            // Asked first: a device with nothing to go back to still runs what failed, and that is no success.
            Fit::Installed | Fit::Applies if self.rolled_back_before(at, no) => {
                Some(JobState::Rejected { refusal: Refusal::RejectedBefore })
            }
            Fit::Installed => Some(JobState::Confirmed),
            Fit::Outdated => Some(JobState::Superseded),
            Fit::Refused(refusal) => Some(JobState::Rejected { refusal }),
            Fit::Applies => None,
        }
    }

    /// Whether the device rolled this very release back in another campaign.
    fn rolled_back_before(&self, at: JobRef, no: ReleaseNo) -> bool {
        let device = self.works.get(&at.campaign).and_then(|work| work.job(at.rank)).map(|job| job.device);
        let Some(device) = device else { return false };
        self.devices.jobs(device).iter().any(|other| {
            let same = self.works.get(&other.campaign).is_some_and(|work| work.campaign.release == no);
            same && self.kind_at(*other) == Some(JobKind::RolledBack)
        })
    }

    fn close(&mut self, at: JobRef, state: JobState, now: UnixMs) {
        let Some(work) = self.works.get_mut(&at.campaign) else { return };
        work.change(at.rank, |job| job.enter(state, now));
        let what = if state == JobState::Confirmed { "installed_before" } else { state.kind().name() };
        self.record(at, what, now);
        self.look_after(at.campaign, now);
    }

    /// Counts that a device asked and its queued job was held back because the campaign is stopped: the reach of a stop.
    fn count_turned_away(&mut self, jobs: &[JobRef]) {
        for at in jobs {
            let Some(work) = self.works.get_mut(&at.campaign) else { continue };
            let stopped =
                matches!(work.campaign.state, CampaignState::Paused { .. } | CampaignState::Halted { .. });
            if stopped && work.job(at.rank).is_some_and(|job| job.kind() == JobKind::Queued) {
                work.change(at.rank, |job| job.turned_away = job.turned_away.saturating_add(1));
            }
        }
    }
}
