//! A store in memory: for tests, and to say what the others must do.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ota_manifest::{DeviceId, JobId};

use super::{Batch, BoxFuture, JobEvent, JobRow, MAX_PAGE, Snapshot, Store, StoreError, StoreVersion};
use crate::audit::{AuditHead, AuditRow};
use crate::campaign::{Campaign, CampaignNo};
use crate::device::Device;
use crate::release::{Release, ReleaseNo};
use crate::trust::TrustRow;

/// Keeps rows until it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    version: StoreVersion,
    releases: BTreeMap<ReleaseNo, Release>,
    devices: BTreeMap<DeviceId, Device>,
    enrolled: Vec<DeviceId>,
    campaigns: BTreeMap<CampaignNo, Campaign>,
    jobs: BTreeMap<(CampaignNo, u32), JobRow>,
    events: Vec<JobEvent>,
    seen: BTreeSet<(JobId, u8, u32)>,
    audit: Vec<AuditRow>,
    trust: BTreeMap<u32, TrustRow>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every writer leaves the tables whole, so a poisoned lock guards nothing broken.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn write(&mut self, batch: Batch) {
        self.releases.extend(batch.releases.into_iter().map(|row| (row.no, row)));
        for device in batch.devices {
            if !self.devices.contains_key(&device.id) {
                self.enrolled.push(device.id);
            }
            self.devices.insert(device.id, device);
        }
        self.campaigns.extend(batch.campaigns.into_iter().map(|row| (row.no, row)));
        self.jobs.extend(batch.jobs.into_iter().map(|row| ((row.campaign, row.rank), row)));
        for event in batch.events {
            if event.seq.is_none_or(|seq| self.seen.insert((event.job, event.attempt, seq))) {
                self.events.push(event);
            }
        }
        self.audit.extend(batch.audit);
        for row in batch.trust {
            self.trust.entry(row.version).or_insert(row);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let head = self.audit.last();
        Snapshot {
            version: self.version,
            releases: self.releases.values().cloned().collect(),
            devices: self.enrolled.iter().filter_map(|id| self.devices.get(id).cloned()).collect(),
            campaigns: self.campaigns.values().cloned().collect(),
            jobs: self.jobs.values().cloned().collect(),
            audit: head.map_or_else(AuditHead::default, |row| AuditHead { seq: row.seq, hash: row.hash }),
            trust: self.trust.values().cloned().collect(),
        }
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        Box::pin(async { Ok(self.tables().snapshot()) })
    }

    fn commit(
        &self,
        batch: Batch,
        expected: StoreVersion,
    ) -> BoxFuture<'_, Result<StoreVersion, StoreError>> {
        Box::pin(async move {
            let mut tables = self.tables();
            if tables.version != expected {
                return Err(StoreError::Conflict);
            }
            tables.write(batch);
            tables.version = StoreVersion(expected.0 + 1);
            Ok(tables.version)
        })
    }

    fn timeline(&self, job: JobId) -> BoxFuture<'_, Result<Vec<JobEvent>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let rows = tables.events.iter().filter(|event| event.job == job);
            Ok(rows.take(MAX_PAGE as usize).cloned().collect())
        })
    }

    fn audit(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<AuditRow>, StoreError>> {
        Box::pin(async move {
            let tables = self.tables();
            let rows = tables.audit.iter().filter(|row| row.seq > after);
            Ok(rows.take(limit.min(MAX_PAGE) as usize).cloned().collect())
        })
    }
}
