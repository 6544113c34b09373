//! Reading: rows back into values, nothing believed without a check.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::str::FromStr;

use ota_manifest::wire::FailedProbes;
use ota_manifest::{JobId, Order, SecurityVersion};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use super::{ImageJson, failed};
use crate::audit::{AuditHead, AuditRow};
use crate::campaign::{Campaign, CampaignNo, CampaignState};
use crate::clock::UnixMs;
use crate::device::Device;
use crate::job::Job;
use crate::release::{Blob, Release, ReleaseImage, ReleaseNo};
use crate::state::JobState;
use crate::store::{JobEvent, JobRow, MAX_PAGE, Snapshot, StoreError, StoreVersion};
use crate::trust::TrustRow;

pub(super) async fn load(pool: &SqlitePool) -> Result<Snapshot, StoreError> {
    // One read transaction, so that all tables are seen at the same moment.
    let mut at = pool.begin().await.map_err(failed)?;
    let version: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'version'")
        .fetch_one(&mut *at)
        .await
        .map_err(failed)?;
    let releases =
        sqlx::query("SELECT * FROM release ORDER BY no").fetch_all(&mut *at).await.map_err(failed)?;
    let devices =
        sqlx::query("SELECT * FROM device ORDER BY no").fetch_all(&mut *at).await.map_err(failed)?;
    let campaigns =
        sqlx::query("SELECT * FROM campaign ORDER BY no").fetch_all(&mut *at).await.map_err(failed)?;
    let jobs =
        sqlx::query("SELECT * FROM job ORDER BY campaign, rank").fetch_all(&mut *at).await.map_err(failed)?;
    let chain =
        sqlx::query("SELECT * FROM trust ORDER BY version").fetch_all(&mut *at).await.map_err(failed)?;
    let last = sqlx::query("SELECT * FROM audit ORDER BY seq DESC LIMIT 1")
        .fetch_optional(&mut *at)
        .await
        .map_err(failed)?;
    let last = last.as_ref().map(audit_row).transpose()?;
    Ok(Snapshot {
        version: StoreVersion(u64::try_from(version).unwrap_or_default()),
        releases: releases.iter().map(release).collect::<Result<_, _>>()?,
        devices: devices.iter().map(device).collect::<Result<_, _>>()?,
        campaigns: campaigns.iter().map(campaign).collect::<Result<_, _>>()?,
        jobs: jobs.iter().map(job).collect::<Result<_, _>>()?,
        audit: last.map_or_else(AuditHead::default, |row| AuditHead { seq: row.seq, hash: row.hash }),
        trust: chain.iter().map(trust).collect::<Result<_, _>>()?,
    })
}

pub(super) async fn timeline(pool: &SqlitePool, job: JobId) -> Result<Vec<JobEvent>, StoreError> {
    let rows = sqlx::query("SELECT * FROM job_event WHERE job = $1 ORDER BY no LIMIT $2")
        .bind(job.to_string())
        .bind(MAX_PAGE)
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    rows.iter().map(event).collect()
}

pub(super) async fn audit(pool: &SqlitePool, after: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2")
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit.min(MAX_PAGE))
        .fetch_all(pool)
        .await
        .map_err(failed)?;
    rows.iter().map(audit_row).collect()
}

fn release(row: &SqliteRow) -> Result<Release, StoreError> {
    let images: Vec<ImageJson> = json(row, "images")?;
    let images = images.iter().map(|image| {
        Ok(ReleaseImage {
            link_address: image.link_address,
            payload: Blob { digest: parsed(&image.sha256, "images")?, size: image.size },
            leaves: Blob { digest: parsed(&image.leaves_sha256, "images")?, size: image.leaves_size },
        })
    });
    Ok(Release {
        no: ReleaseNo(get(row, "no")?),
        version: text(row, "version")?,
        order: Order { epoch: get(row, "epoch")?, sequence: get(row, "sequence")? },
        security_version: SecurityVersion(get(row, "security_version")?),
        manifest: text(row, "manifest")?,
        vendor: get(row, "vendor")?,
        class: get(row, "class")?,
        hardware: json(row, "hardware")?,
        min_bootloader: get(row, "min_bootloader")?,
        images: images.collect::<Result<_, StoreError>>()?,
        envelope: get(row, "envelope")?,
        author: get(row, "author")?,
        published: ms(row, "published_ms")?,
    })
}

fn device(row: &SqliteRow) -> Result<Device, StoreError> {
    let said: Option<String> = get(row, "said")?;
    Ok(Device {
        id: text(row, "id")?,
        name: get(row, "name")?,
        token: text(row, "token_sha256")?,
        enrolled: ms(row, "enrolled_ms")?,
        removed: maybe_ms(row, "removed_ms")?,
        last_poll: maybe_ms(row, "last_poll_ms")?,
        polls: unsigned(get(row, "polls")?),
        said: if said.is_some() { Some(json(row, "said")?) } else { None },
        trust: get(row, "trust")?,
    })
}

fn campaign(row: &SqliteRow) -> Result<Campaign, StoreError> {
    let (state, wave, reason): (String, Option<u16>, Option<String>) =
        (get(row, "state")?, get(row, "wave")?, get(row, "reason")?);
    let reason = if reason.is_some() { Some(json(row, "reason")?) } else { None };
    Ok(Campaign {
        no: CampaignNo(get(row, "no")?),
        name: get(row, "name")?,
        author: get(row, "author")?,
        release: ReleaseNo(get(row, "release")?),
        plan: json(row, "plan")?,
        target: json(row, "target")?,
        salt: json(row, "salt")?,
        state: CampaignState::from_columns(&state, wave, reason)
            .ok_or_else(|| unreadable("campaign.state"))?,
        approvals: json(row, "approvals")?,
        created: ms(row, "created_ms")?,
        changed: ms(row, "changed_ms")?,
        halted: maybe_ms(row, "halted_ms")?,
        gate_since: maybe_ms(row, "gate_since_ms")?,
    })
}

fn job(row: &SqliteRow) -> Result<JobRow, StoreError> {
    let state: String = get(row, "state")?;
    let (reason, cause): (Option<String>, Option<String>) = (get(row, "reason")?, get(row, "cause")?);
    let (boots, code): (Option<u8>, Option<u16>) = (get(row, "boots")?, get(row, "code")?);
    let probes: Option<u32> = get(row, "probes")?;
    let state = JobState::from_columns(
        &state,
        reason.as_deref(),
        cause.as_deref(),
        boots.unwrap_or_default(),
        FailedProbes { probes: probes.unwrap_or_default(), code: code.unwrap_or_default() },
    );
    Ok(JobRow {
        id: text(row, "id")?,
        campaign: CampaignNo(get(row, "campaign")?),
        rank: get(row, "rank")?,
        device: text(row, "device")?,
        wave: get(row, "wave")?,
        job: Job {
            device: 0,
            attempt: get(row, "attempt")?,
            failures: get(row, "failures")?,
            state: state.ok_or_else(|| unreadable("job.state"))?,
            seq: get(row, "seq")?,
            word: get(row, "word")?,
            done: get(row, "done")?,
            offered: maybe_ms(row, "offered_ms")?,
            changed: ms(row, "changed_ms")?,
            heard: ms(row, "heard_ms")?,
            not_before: ms(row, "not_before_ms")?,
            turned_away: get(row, "turned_away")?,
            served: unsigned(get(row, "served")?),
            events: get(row, "events")?,
        },
    })
}

fn event(row: &SqliteRow) -> Result<JobEvent, StoreError> {
    let (reason, cause): (Option<String>, Option<String>) = (get(row, "reason")?, get(row, "cause")?);
    Ok(JobEvent {
        job: text(row, "job")?,
        campaign: CampaignNo(get(row, "campaign")?),
        device: text(row, "device")?,
        at: ms(row, "at_ms")?,
        attempt: get(row, "attempt")?,
        seq: get(row, "seq")?,
        what: Cow::Owned(get(row, "what")?),
        late: get(row, "late")?,
        done: get(row, "done")?,
        total: get(row, "total")?,
        reason: reason.map(Cow::Owned),
        cause: cause.map(Cow::Owned),
        boots: get(row, "boots")?,
        code: get(row, "code")?,
        probes: get(row, "probes")?,
    })
}

fn audit_row(row: &SqliteRow) -> Result<AuditRow, StoreError> {
    Ok(AuditRow {
        seq: unsigned(get(row, "seq")?),
        at: ms(row, "at_ms")?,
        actor: get(row, "actor")?,
        action: get(row, "action")?,
        subject: get(row, "subject")?,
        detail: get(row, "detail")?,
        prev: text(row, "prev")?,
        hash: text(row, "hash")?,
    })
}

fn trust(row: &SqliteRow) -> Result<TrustRow, StoreError> {
    Ok(TrustRow {
        version: get(row, "version")?,
        sha256: text(row, "sha256")?,
        envelope: get(row, "envelope")?,
        author: get(row, "author")?,
        added: ms(row, "added_ms")?,
    })
}

fn get<'r, T>(row: &'r SqliteRow, column: &'static str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(|error| StoreError::Unreadable(error.to_string()))
}

fn text<T: FromStr<Err: Display>>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    parsed(&get::<String>(row, column)?, column)
}

fn parsed<T: FromStr<Err: Display>>(text: &str, column: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Unreadable(format!("{column}: {error}")))
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &'static str) -> Result<T, StoreError> {
    let text: String = get(row, column)?;
    serde_json::from_str(&text).map_err(|error| StoreError::Unreadable(format!("{column}: {error}")))
}

fn ms(row: &SqliteRow, column: &'static str) -> Result<UnixMs, StoreError> {
    Ok(UnixMs(unsigned(get(row, column)?)))
}

fn maybe_ms(row: &SqliteRow, column: &'static str) -> Result<Option<UnixMs>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(|value| UnixMs(unsigned(value))))
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn unreadable(column: &str) -> StoreError {
    StoreError::Unreadable(column.into())
}
