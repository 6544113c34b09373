//! From the engine's values to the API's shapes.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use ota_manifest::{DocumentKey, Role, TrustDocument};

use super::api::{
    AuditInfo, CampaignInfo, DeviceInfo, ImageInfo, JobEventInfo, JobInfo, ReleaseInfo, RoleInfo, TrustInfo,
    WaveInfo,
};
use crate::audit::AuditRow;
use crate::clock::UnixMs;
use crate::device::Device;
use crate::engine::CampaignView;
use crate::names::Named;
use crate::release::Release;
use crate::rollout::Tally;
use crate::state::JobKind;
use crate::store::{JobEvent, JobRow};
use crate::trust::TrustRow;

impl From<&Release> for ReleaseInfo {
    fn from(release: &Release) -> Self {
        let images = release.images.iter().map(|image| ImageInfo {
            link_address: image.link_address,
            sha256: image.payload.digest.to_string(),
            size: image.payload.size,
            leaves_sha256: image.leaves.digest.to_string(),
            leaves_size: image.leaves.size,
        });
        Self {
            release: release.no.0,
            version: release.version.to_string(),
            epoch: release.order.epoch,
            sequence: release.order.sequence,
            security_version: release.security_version.0,
            manifest: release.manifest.to_string(),
            vendor: release.vendor.clone(),
            class: release.class.clone(),
            images: images.collect(),
            author: release.author.clone(),
            published_ms: release.published.0,
        }
    }
}

impl From<CampaignView> for CampaignInfo {
    fn from(view: CampaignView) -> Self {
        let CampaignView { campaign, total, waves } = view;
        let waves =
            waves.iter().map(|wave| WaveInfo { reach: wave.reach, counters: counters(&wave.added, false) });
        Self {
            campaign: campaign.no.0,
            release: campaign.release.0,
            state: campaign.state.name().into(),
            wave: campaign.state.wave(),
            halt_reason: campaign.state.halt_reason().map(|reason| reason.to_string()),
            created_ms: campaign.created.0,
            changed_ms: campaign.changed.0,
            halted_ms: campaign.halted.map(|at| at.0),
            gate_since_ms: campaign.gate_since.map(|at| at.0),
            counters: counters(&total, true),
            waves: waves.collect(),
            name: campaign.name,
            author: campaign.author,
            approvals: campaign.approvals,
            plan: campaign.plan,
        }
    }
}

fn counters(tally: &Tally, all: bool) -> BTreeMap<String, u32> {
    let counted = JobKind::ALL.into_iter().map(|kind| (kind.name().into(), tally.get(kind)));
    counted.filter(|(_, count)| all || *count > 0).collect()
}

impl From<JobRow> for JobInfo {
    fn from(row: JobRow) -> Self {
        let columns = row.job.state.columns();
        Self {
            job: row.id.to_string(),
            campaign: row.campaign.0,
            device: row.device.to_string(),
            rank: row.rank,
            wave: row.wave,
            state: columns.state.into(),
            reason: columns.reason.map(Into::into),
            cause: columns.cause.map(Into::into),
            boots: columns.boots,
            code: columns.code,
            probes: columns.probes,
            attempt: row.job.attempt,
            done: row.job.done,
            offered_ms: row.job.offered.map(|at| at.0),
            changed_ms: row.job.changed.0,
            installed_before: row.job.was_installed_before(),
            turned_away: row.job.turned_away,
            served: row.job.served,
        }
    }
}

impl From<JobEvent> for JobEventInfo {
    fn from(event: JobEvent) -> Self {
        Self {
            at_ms: event.at.0,
            attempt: event.attempt,
            seq: event.seq,
            what: event.what.into_owned(),
            late: event.late,
            done: event.done,
            total: event.total,
            reason: event.reason.map(Into::into),
            cause: event.cause.map(Into::into),
            boots: event.boots,
            code: event.code,
            probes: event.probes,
        }
    }
}

impl From<&Device> for DeviceInfo {
    fn from(device: &Device) -> Self {
        let ms = |at: Option<UnixMs>| at.map(|at| at.0);
        Self {
            device: device.id.to_string(),
            name: device.name.clone(),
            enrolled_ms: device.enrolled.0,
            removed_ms: ms(device.removed),
            last_poll_ms: ms(device.last_poll),
            polls: device.polls,
            protocol: device.said.map(|said| said.protocol),
            version: device.said.map(|said| said.version.to_string()),
            running: device.said.map(|said| said.running.to_string()),
            trust: device.trust,
        }
    }
}

impl TrustInfo {
    /// `None` if the store has not kept the document whole.
    pub(super) fn of(row: &TrustRow) -> Option<Self> {
        let document = row.document()?;
        let roles = Role::ALL.into_iter().map(|role| (Named::name(role).into(), role_info(&document, role)));
        Some(Self {
            version: row.version,
            sha256: row.sha256.to_string(),
            size: row.envelope.len() as u64,
            epoch: document.epoch,
            min_epoch: document.min_order.epoch,
            min_sequence: document.min_order.sequence,
            roles: roles.filter(|(_, role)| !role.keys.is_empty()).collect(),
            author: row.author.clone(),
            added_ms: row.added.0,
        })
    }
}

fn role_info(document: &TrustDocument<'_>, role: Role) -> RoleInfo {
    let hex = |key: DocumentKey<'_>| key.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    RoleInfo {
        threshold: document.thresholds.of(role),
        hybrid: document.hybrid.contains(role),
        keys: document.keys.iter().filter(|key| key.role == role).map(hex).collect(),
    }
}

impl From<AuditRow> for AuditInfo {
    fn from(row: AuditRow) -> Self {
        Self {
            seq: row.seq,
            at_ms: row.at.0,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
            prev: row.prev.to_string(),
            hash: row.hash.to_string(),
        }
    }
}
