//! Writing: one transaction for a batch.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;

use super::{ImageJson, failed};
use crate::audit::AuditRow;
use crate::campaign::Campaign;
use crate::clock::UnixMs;
use crate::device::Device;
use crate::release::Release;
use crate::store::{Batch, JobEvent, JobRow, StoreError, StoreVersion};
use crate::trust::TrustRow;

pub(super) async fn commit(
    pool: &SqlitePool,
    batch: Batch,
    expected: StoreVersion,
) -> Result<StoreVersion, StoreError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let claimed = sqlx::query("UPDATE meta SET value = value + 1 WHERE key = 'version' AND value = $1")
        .bind(int(expected.0))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    if claimed.rows_affected() != 1 {
        return Err(StoreError::Conflict); // dropping the transaction undoes it
    }
    write(&mut transaction, batch).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(StoreVersion(expected.0 + 1))
}

async fn write(to: &mut SqliteConnection, batch: Batch) -> Result<(), StoreError> {
    for row in &batch.releases {
        release(to, row).await?;
    }
    for row in &batch.devices {
        device(to, row).await?;
    }
    for row in &batch.campaigns {
        campaign(to, row).await?;
    }
    for row in &batch.jobs {
        job(to, row).await.map_err(failed)?;
    }
    for row in &batch.events {
        event(to, row).await.map_err(failed)?;
    }
    for row in &batch.audit {
        audit(to, row).await.map_err(failed)?;
    }
    for row in &batch.trust {
        trust(to, row).await.map_err(failed)?;
    }
    Ok(())
}

async fn release(to: &mut SqliteConnection, row: &Release) -> Result<(), StoreError> {
    let images: Vec<_> = row
        .images
        .iter()
        .map(|image| ImageJson {
            link_address: image.link_address,
            sha256: image.payload.digest.to_string(),
            size: image.payload.size,
            leaves_sha256: image.leaves.digest.to_string(),
            leaves_size: image.leaves.size,
        })
        .collect();
    sqlx::query(
        "INSERT INTO release (no, version, epoch, sequence, security_version, manifest, vendor, class, hardware, \
         min_bootloader, images, envelope, author, published_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (no) DO NOTHING",
    )
    .bind(row.no.0)
    .bind(row.version.to_string())
    .bind(row.order.epoch)
    .bind(row.order.sequence)
    .bind(row.security_version.0)
    .bind(row.manifest.to_string())
    .bind(&row.vendor)
    .bind(&row.class)
    .bind(json(&row.hardware)?)
    .bind(row.min_bootloader)
    .bind(json(&images)?)
    .bind(&row.envelope)
    .bind(&row.author)
    .bind(ms(row.published))
    .execute(to)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn device(to: &mut SqliteConnection, row: &Device) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO device (id, name, token_sha256, enrolled_ms, removed_ms, last_poll_ms, polls, said, version, \
         running, trust) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, token_sha256 = excluded.token_sha256, \
         enrolled_ms = excluded.enrolled_ms, removed_ms = excluded.removed_ms, \
         last_poll_ms = excluded.last_poll_ms, polls = excluded.polls, said = excluded.said, \
         version = excluded.version, running = excluded.running, trust = excluded.trust",
    )
    .bind(row.id.to_string())
    .bind(&row.name)
    .bind(row.token.to_string())
    .bind(ms(row.enrolled))
    .bind(row.removed.map(ms))
    .bind(row.last_poll.map(ms))
    .bind(int(row.polls))
    .bind(row.said.as_ref().map(json).transpose()?)
    .bind(row.said.map(|said| said.version.to_string()))
    .bind(row.said.map(|said| said.running.to_string()))
    .bind(row.trust)
    .execute(to)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn campaign(to: &mut SqliteConnection, row: &Campaign) -> Result<(), StoreError> {
    let reason = row.state.halt_reason();
    sqlx::query(
        "INSERT INTO campaign (no, name, author, release, plan, target, salt, state, wave, reason, reason_text, \
         approvals, created_ms, changed_ms, halted_ms, gate_since_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ON CONFLICT (no) DO UPDATE SET state = excluded.state, wave = excluded.wave, reason = excluded.reason, \
         reason_text = excluded.reason_text, approvals = excluded.approvals, changed_ms = excluded.changed_ms, \
         halted_ms = excluded.halted_ms, gate_since_ms = excluded.gate_since_ms",
    )
    .bind(row.no.0)
    .bind(&row.name)
    .bind(&row.author)
    .bind(row.release.0)
    .bind(json(&row.plan)?)
    .bind(json(&row.target)?)
    .bind(json(&row.salt)?)
    .bind(row.state.name())
    .bind(row.state.wave())
    .bind(reason.as_ref().map(json).transpose()?)
    .bind(reason.map(|reason| reason.to_string()))
    .bind(json(&row.approvals)?)
    .bind(ms(row.created))
    .bind(ms(row.changed))
    .bind(row.halted.map(ms))
    .bind(row.gate_since.map(ms))
    .execute(to)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn job(to: &mut SqliteConnection, row: &JobRow) -> Result<(), sqlx::Error> {
    let (job, columns) = (&row.job, row.job.state.columns());
    sqlx::query(
        "INSERT INTO job (id, campaign, rank, wave, device, state, reason, cause, boots, code, attempt, failures, \
         seq, word, done, offered_ms, changed_ms, heard_ms, not_before_ms, turned_away, served, events, probes) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
         $23) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason, cause = excluded.cause, \
         boots = excluded.boots, code = excluded.code, attempt = excluded.attempt, failures = excluded.failures, \
         seq = excluded.seq, word = excluded.word, done = excluded.done, offered_ms = excluded.offered_ms, \
         changed_ms = excluded.changed_ms, heard_ms = excluded.heard_ms, not_before_ms = excluded.not_before_ms, \
         turned_away = excluded.turned_away, served = excluded.served, events = excluded.events, \
         probes = excluded.probes",
    )
    .bind(row.id.to_string())
    .bind(row.campaign.0)
    .bind(row.rank)
    .bind(row.wave)
    .bind(row.device.to_string())
    .bind(columns.state)
    .bind(columns.reason)
    .bind(columns.cause)
    .bind(columns.boots)
    .bind(columns.code)
    .bind(job.attempt)
    .bind(job.failures)
    .bind(job.seq)
    .bind(job.word)
    .bind(job.done)
    .bind(job.offered.map(ms))
    .bind(ms(job.changed))
    .bind(ms(job.heard))
    .bind(ms(job.not_before))
    .bind(job.turned_away)
    .bind(int(job.served))
    .bind(job.events)
    .bind(columns.probes)
    .execute(to)
    .await?;
    Ok(())
}

async fn event(to: &mut SqliteConnection, row: &JobEvent) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO job_event (job, campaign, device, at_ms, attempt, seq, what, late, done, total, reason, cause, \
         boots, code, probes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (job, attempt, seq) DO NOTHING",
    )
    .bind(row.job.to_string())
    .bind(row.campaign.0)
    .bind(row.device.to_string())
    .bind(ms(row.at))
    .bind(row.attempt)
    .bind(row.seq)
    .bind(row.what.as_ref())
    .bind(row.late)
    .bind(row.done)
    .bind(row.total)
    .bind(row.reason.as_deref())
    .bind(row.cause.as_deref())
    .bind(row.boots)
    .bind(row.code)
    .bind(row.probes)
    .execute(to)
    .await?;
    Ok(())
}

async fn audit(to: &mut SqliteConnection, row: &AuditRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit (seq, at_ms, actor, action, subject, detail, prev, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(int(row.seq))
    .bind(ms(row.at))
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(&row.detail)
    .bind(row.prev.to_string())
    .bind(row.hash.to_string())
    .execute(to)
    .await?;
    Ok(())
}

async fn trust(to: &mut SqliteConnection, row: &TrustRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO trust (version, sha256, envelope, author, added_ms) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (version) DO NOTHING",
    )
    .bind(row.version)
    .bind(row.sha256.to_string())
    .bind(&row.envelope)
    .bind(&row.author)
    .bind(ms(row.added))
    .execute(to)
    .await?;
    Ok(())
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(error.to_string()))
}

/// SQLite's integers are signed; none of ours comes near the end.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn ms(at: UnixMs) -> i64 {
    int(at.0)
}
