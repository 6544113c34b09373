//! What can be seen of the engine from outside.

use alloc::vec::Vec;

use ota_manifest::wire::Object;
use ota_manifest::{DeviceId, Digest, JobId};

use super::{Engine, job_row};
use crate::campaign::{Campaign, CampaignNo};
use crate::device::Device;
use crate::job::JobParts;
use crate::release::{Blob, Release, ReleaseNo};
use crate::rollout::Tally;
use crate::store::JobRow;

/// A campaign and its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignView {
    /// The campaign.
    pub campaign: Campaign,
    /// All its jobs.
    pub total: Tally,
    /// Its waves; empty before it is submitted.
    pub waves: Vec<WaveView>,
}

/// One wave of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveView {
    /// Devices up to here, counted from the first of the campaign.
    pub reach: u32,
    /// The jobs that this wave added.
    pub added: Tally,
}

/// A job as it is kept.
pub type JobView = JobRow;

/// An artifact that a device may fetch now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveObject {
    /// The artifact.
    pub blob: Blob,
}

impl Engine {
    /// A campaign and its counters.
    #[must_use]
    pub fn campaign(&self, no: CampaignNo) -> Option<CampaignView> {
        let work = self.works.get(&no)?;
        let waves = u16::try_from(work.campaign.plan.waves.len()).unwrap_or(u16::MAX);
        let waves = if work.jobs().is_empty() { 0 } else { waves };
        let view = |wave| WaveView { reach: work.reach_of(wave), added: work.wave(wave) };
        Some(CampaignView {
            campaign: work.campaign.clone(),
            total: *work.total(),
            waves: (0..waves).map(view).collect(),
        })
    }

    /// The numbers of all campaigns.
    pub fn campaigns(&self) -> impl Iterator<Item = CampaignNo> + '_ {
        self.works.keys().copied()
    }

    /// Jobs of a campaign from rank `first` on, at most `limit`.
    #[must_use]
    pub fn jobs(&self, no: CampaignNo, first: u32, limit: u32) -> Vec<JobView> {
        let Some(work) = self.works.get(&no) else { return Vec::new() };
        let end = first.saturating_add(limit).min(u32::try_from(work.jobs().len()).unwrap_or(u32::MAX));
        (first..end).filter_map(|rank| job_row(&self.devices, work, rank)).collect()
    }

    /// One job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView> {
        let parts = JobParts::of(id);
        let work = self.works.get(&parts.campaign)?;
        if work.parts(parts.rank)? != parts {
            return None;
        }
        job_row(&self.devices, work, parts.rank)
    }

    /// A release.
    #[must_use]
    pub fn release(&self, no: ReleaseNo) -> Option<&Release> {
        self.releases.get(&no)
    }

    /// Whether the artifacts and the envelope of a release were proven since the engine was loaded.
    #[must_use]
    pub fn is_ready(&self, no: ReleaseNo) -> bool {
        self.ready.contains(&no)
    }

    /// All releases, the oldest first.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.releases.values()
    }

    /// A device that is enrolled.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.get(self.known(id)?)
    }

    /// All devices, removed ones too, in the order of their enrolment.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.iter()
    }

    /// SHA-256 of a device's token.
    #[must_use]
    pub fn token_of(&self, id: DeviceId) -> Option<Digest> {
        Some(self.device(id)?.token)
    }

    /// The artifact behind an object of a job, if the job is this device's and in flight.
    #[must_use]
    pub fn object(&self, device: DeviceId, id: JobId, image: u8, object: Object) -> Option<LiveObject> {
        let index = self.known(device)?;
        let parts = JobParts::of(id);
        let work = self.works.get(&parts.campaign)?;
        let job = work.job(parts.rank)?;
        if work.parts(parts.rank)? != parts || job.device != index || !job.kind().is_in_flight() {
            return None;
        }
        let release = self.releases.get(&work.campaign.release)?;
        let blob = release.images.get(usize::from(image))?.blob(object);
        Some(LiveObject { blob })
    }
}
