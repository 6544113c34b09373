//! Where the engine's rows are kept.
//!
//! The engine hands over whole rows; a store writes a [`Batch`] of them at once or not at all and never computes.

#[cfg(feature = "std")]
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "std")]
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SCHEMA, SqliteStore};

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;

use ota_manifest::{DeviceId, JobId};
use thiserror::Error;

use crate::audit::{AuditHead, AuditRow};
use crate::campaign::{Campaign, CampaignNo};
use crate::clock::UnixMs;
use crate::device::Device;
use crate::job::Job;
use crate::release::Release;
use crate::trust::TrustRow;

/// A future behind a seam: boxed, so that the seam can be a trait object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Most rows that one read returns.
pub const MAX_PAGE: u32 = 1000;

/// How often the store has been written: whoever commits says which state the rows were computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StoreVersion(pub u64);

/// Keeps rows. One store has one writer; a second one is found out by its version.
pub trait Store: Send + Sync {
    /// Everything the engine needs to go on where it was.
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>>;

    /// Writes all rows of `batch` or none, if nobody has written since `expected`. On return they survive a crash.
    ///
    /// Releases, devices, campaigns and jobs replace the row of the same key; of trust documents the first of a version stays. Of events with the same job, attempt and
    /// device sequence the first stays.
    fn commit(&self, batch: Batch, expected: StoreVersion)
    -> BoxFuture<'_, Result<StoreVersion, StoreError>>;

    /// What happened to a job, oldest first, at most [`MAX_PAGE`] rows.
    fn timeline(&self, job: JobId) -> BoxFuture<'_, Result<Vec<JobEvent>, StoreError>>;

    /// Audit rows after number `after`, at most `limit` and [`MAX_PAGE`].
    fn audit(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<AuditRow>, StoreError>>;

    /// Lets go of files and connections; nothing is asked of the store afterwards.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(core::future::ready(()))
    }
}

/// Rows to be written together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// New releases.
    pub releases: Vec<Release>,
    /// New and changed devices.
    pub devices: Vec<Device>,
    /// New and changed campaigns.
    pub campaigns: Vec<Campaign>,
    /// New and changed jobs.
    pub jobs: Vec<JobRow>,
    /// What happened to jobs.
    pub events: Vec<JobEvent>,
    /// What operators and the engine decided.
    pub audit: Vec<AuditRow>,
    /// New trust documents.
    pub trust: Vec<TrustRow>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.releases.is_empty()
            && self.devices.is_empty()
            && self.campaigns.is_empty()
            && self.jobs.is_empty()
            && self.events.is_empty()
            && self.audit.is_empty()
            && self.trust.is_empty()
    }

    /// Drops devices and jobs that a later row of the same key replaces.
    pub fn squeeze(&mut self) {
        let mut seen = BTreeSet::new();
        self.devices.reverse();
        self.devices.retain(|row| seen.insert(row.id));
        self.devices.reverse();
        let mut seen = BTreeSet::new();
        self.jobs.reverse();
        self.jobs.retain(|row| seen.insert(row.id));
        self.jobs.reverse();
    }

    /// Appends `later`, whose rows win.
    pub fn append(&mut self, later: Self) {
        self.releases.extend(later.releases);
        self.devices.extend(later.devices);
        self.campaigns.extend(later.campaigns);
        self.jobs.extend(later.jobs);
        self.events.extend(later.events);
        self.audit.extend(later.audit);
        self.trust.extend(later.trust);
    }
}

/// A job and the names under which it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Its campaign.
    pub campaign: CampaignNo,
    /// Its place in the campaign's order, from 0.
    pub rank: u32,
    /// Its device.
    pub device: DeviceId,
    /// The wave that reaches it, from 0.
    pub wave: u16,
    /// The job; its device index means nothing outside the engine.
    pub job: Job,
}

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// Which job.
    pub job: JobId,
    /// Its campaign.
    pub campaign: CampaignNo,
    /// Its device.
    pub device: DeviceId,
    /// When the server saw it.
    pub at: UnixMs,
    /// At which attempt.
    pub attempt: u8,
    /// The device's sequence number; `None` for what the server did.
    pub seq: Option<u32>,
    /// What: a state's name, or `resumed`, `withdrawn`, `retried`, `installed_before`.
    pub what: Cow<'static, str>,
    /// It came after something that made it say nothing new.
    pub late: bool,
    /// Bytes proven and in flash.
    pub done: Option<u32>,
    /// Bytes in all.
    pub total: Option<u32>,
    /// Rollback reason, refusal, failed stage or silent stage, by name.
    pub reason: Option<Cow<'static, str>>,
    /// Reset cause by name.
    pub cause: Option<Cow<'static, str>>,
    /// Boots the image got.
    pub boots: Option<u8>,
    /// The device's code, of a failure or of the probe that decided.
    pub code: Option<u16>,
    /// Bit n: probe n of the self-test failed. Absent if none did.
    pub probes: Option<u32>,
}

/// All rows but the histories.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The state that was read.
    pub version: StoreVersion,
    /// Releases.
    pub releases: Vec<Release>,
    /// Devices, in the order of their enrolment.
    pub devices: Vec<Device>,
    /// Campaigns.
    pub campaigns: Vec<Campaign>,
    /// Jobs.
    pub jobs: Vec<JobRow>,
    /// End of the audit chain.
    pub audit: AuditHead,
    /// Trust documents, the oldest first.
    pub trust: Vec<TrustRow>,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has written: load again. Two servers on one store, or a misconfiguration.
    #[error("the store was written by another server")]
    Conflict,
    /// Disk or database; nothing was written.
    #[error("storage failed: {0}")]
    Failed(String),
    /// A row is not what this version writes. An older or newer program, or damage.
    #[error("storage holds a row that cannot be read: {0}")]
    Unreadable(String),
}
