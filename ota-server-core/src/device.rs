//! What the server knows of a device.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use ota_manifest::wire::Poll;
use ota_manifest::{DeviceId, Digest};

use crate::campaign::CampaignNo;
use crate::clock::UnixMs;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which one.
    pub id: DeviceId,
    /// A name for people.
    pub name: String,
    /// SHA-256 of its bearer token; the token itself is nowhere.
    pub token: Digest,
    /// When it was enrolled.
    pub enrolled: UnixMs,
    /// When it was removed, if it was.
    pub removed: Option<UnixMs>,
    /// When it last asked.
    pub last_poll: Option<UnixMs>,
    /// How often it asked.
    pub polls: u64,
    /// What it last said of itself.
    pub said: Option<Poll>,
    /// Version of the trust in force on it, as it said when it last asked for freshness.
    pub trust: Option<u32>,
}

impl Device {
    /// A newly enrolled device.
    #[must_use]
    pub fn enrolled(id: DeviceId, name: String, token: Digest, now: UnixMs) -> Self {
        Self {
            id,
            name,
            token,
            enrolled: now,
            removed: None,
            last_poll: None,
            polls: 0,
            said: None,
            trust: None,
        }
    }
}

/// Where a device's job is: campaign and rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct JobRef {
    pub(crate) campaign: CampaignNo,
    pub(crate) rank: u32,
}

/// All devices, by index and by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Devices {
    rows: Vec<Device>,
    jobs: Vec<Vec<JobRef>>,
    by_id: BTreeMap<DeviceId, u32>,
}

impl Devices {
    pub(crate) fn index(&self, id: DeviceId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Device> {
        self.rows.get(index as usize)
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Device> {
        self.rows.get_mut(index as usize)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Device> {
        self.rows.iter()
    }

    /// Adds a device; one that was there is replaced and keeps its index.
    pub(crate) fn put(&mut self, device: Device) -> u32 {
        if let Some(index) = self.index(device.id) {
            if let Some(row) = self.get_mut(index) {
                *row = device;
            }
            return index;
        }
        let index = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        self.by_id.insert(device.id, index);
        self.rows.push(device);
        self.jobs.push(Vec::new());
        index
    }

    pub(crate) fn jobs(&self, index: u32) -> &[JobRef] {
        self.jobs.get(index as usize).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn add_job(&mut self, index: u32, job: JobRef) {
        if let Some(jobs) = self.jobs.get_mut(index as usize) {
            jobs.push(job);
        }
    }
}
