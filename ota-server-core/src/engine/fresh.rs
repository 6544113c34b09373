//! A device asks what time it is, and what there is.

use ota_manifest::wire::{Poll, Question, Refusal, is_spoken};
use ota_manifest::{DeviceId, Order};

use super::{Answer, Engine};
use crate::campaign::CampaignState;
use crate::clock::UnixMs;
use crate::device::{Device, JobRef};
use crate::job::Job;
use crate::state::{JobKind, JobState};

/// Questions that a device may ask in a row. Each costs a signature.
pub const QUESTIONS: u32 = 30;
/// After how many milliseconds it may ask one more.
pub const QUESTION_EVERY_MS: u64 = 10_000;

impl Engine {
    pub(super) fn on_ask(&mut self, id: DeviceId, question: &Question, now: UnixMs) -> Answer {
        let Some(index) = self.known(id) else { return Answer::Refused(Refusal::Gone) };
        if let Err(retry_after_ms) = self.grant(index, now) {
            return Answer::Busy { retry_after_ms };
        }
        if let Some(device) =
            self.devices.get_mut(index).filter(|device| device.trust != Some(question.trust))
        {
            device.trust = Some(question.trust);
            self.changed_devices.insert(index);
        }
        let trust = self.newest_trust().map(|newest| newest.version);
        Answer::Fresh { latest: self.latest(index), trust }
    }

    /// Grants one of the questions that a device has, or says how long it has to wait for one.
    ///
    /// What is kept is the moment at which it will have all of them again.
    fn grant(&mut self, index: u32, now: UnixMs) -> Result<(), u32> {
        let limit = now.after(u64::from(QUESTIONS) * QUESTION_EVERY_MS);
        // Later than the limit only if the clock was set back: nobody waits for the time that it used to show.
        let used_until = self.asked.get(&index).copied().filter(|until| *until <= limit);
        let until = used_until.unwrap_or(now).max(now).after(QUESTION_EVERY_MS);
        if until > limit {
            return Err(u32::try_from(until.since(limit)).unwrap_or(u32::MAX));
        }
        self.asked.insert(index, until);
        Ok(())
    }

    /// The highest order released for a device: of what it would be offered now or as soon as there is room, and of what it
    /// took and has not lost.
    ///
    /// A device that runs a lower order for long believes that somebody keeps it from the higher one. So nothing counts that
    /// this server itself keeps from it: drafts, waves to come, what is paused, halted, aborted or withheld, what the
    /// device would refuse or has rolled back.
    fn latest(&self, index: u32) -> Order {
        let Some(device) = self.devices.get(index) else { return Order::default() };
        let released = self.devices.jobs(index).iter().filter_map(|at| self.released(*at, device));
        released.max().unwrap_or_default()
    }

    /// The order of a job's release, if the release is out for the job's device.
    fn released(&self, at: JobRef, device: &Device) -> Option<Order> {
        let work = self.works.get(&at.campaign)?;
        let release = self.releases.get(&work.campaign.release)?;
        let job = work.job(at.rank)?;
        let out = match (work.campaign.state, job.kind()) {
            (CampaignState::Running { wave }, JobKind::Queued) => {
                at.rank < work.reach_of(wave) && self.would_take(at, device)
            }
            (CampaignState::Running { .. }, kind) if kind.is_in_flight() => true,
            (
                CampaignState::Running { .. } | CampaignState::Paused { .. } | CampaignState::Completed,
                JobKind::Confirmed,
            ) => return still_has(device, job, release.order).then_some(release.order),
            _ => false,
        };
        (out && !self.withheld.contains(&release.no)).then_some(release.order)
    }

    /// Whether the device would be offered the release, by what it last said of itself. One that never said anything would.
    fn would_take(&self, at: JobRef, device: &Device) -> bool {
        let Some(said) = device.said else { return true };
        let Some(work) = self.works.get(&at.campaign) else { return false };
        let verdict = self.verdict(at, work.campaign.release, &said);
        is_spoken(said.protocol) && !matches!(verdict, Some(JobState::Rejected { .. }))
    }
}

/// Whether a device that confirmed an order has not said since that it runs a lower one: another image was put there by hand.
fn still_has(device: &Device, job: &Job, order: Order) -> bool {
    let said_since = device.said.filter(|_| device.last_poll > Some(job.changed));
    said_since.is_none_or(|Poll { order: running, .. }| running >= order)
}
