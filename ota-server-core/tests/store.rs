//! What a store must do, asked of every store.

mod common;

use common::{NEW, ONE, Rig, device, plan, stop_at_first_rollback};
use ota_manifest::Digest;
use ota_manifest::wire::{FailedProbes, ResetCause, RollbackReason, Stage};
use ota_server_core::store::{MemoryStore, SqliteStore};
use ota_server_core::{
    Batch, Command, Engine, Plan, Snapshot, Store, StoreError, StoreVersion, TrustRow, UnixMs, Wave,
    first_broken,
};

/// Everything that a campaign with a rollback, a timeout, a pause and a retry writes.
fn history() -> Vec<Batch> {
    let mut rig = Rig::running(6, Plan { halt: vec![stop_at_first_rollback()], max_attempts: 2, ..plan() });
    let jobs: Vec<_> = (0..5).map(|n| rig.offered(n)).collect();
    rig.report(0, jobs[0], 1, Stage::Confirmed);
    rig.report(1, jobs[1], 1, Stage::Downloading { done: 50, total: 100 });
    rig.report(1, jobs[1], 1, Stage::Downloading { done: 50, total: 100 });
    rig.report(1, jobs[1], 3, Stage::Verified);
    rig.report(1, jobs[1], 2, Stage::Downloaded);
    rig.report(1, jobs[1], 2, Stage::Downloaded);
    rig.tick(1500);
    rig.report(
        2,
        jobs[2],
        5,
        Stage::RolledBack {
            reason: RollbackReason::WindowExpired,
            cause: ResetCause::Lockup,
            boots: 2,
            failed: FailedProbes { probes: 1 << 31 | 5, code: 0x0B02 },
        },
    );
    rig.ask(5);
    rig.question(4, 7);
    for version in [2, 3] {
        let row = TrustRow {
            version,
            sha256: Digest::new([9; 32]),
            envelope: vec![7; 8192],
            author: String::new(),
            added: UnixMs(0),
        };
        rig.author(Command::AddTrust { row: Box::new(row), note: "" }).unwrap();
    }
    rig.log
}

async fn fill(store: &dyn Store) -> StoreVersion {
    let mut version = StoreVersion(0);
    for batch in history() {
        version = store.commit(batch, version).await.unwrap();
    }
    version
}

fn rows(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug + use<> {
    let Snapshot { version, releases, devices, campaigns, jobs, audit, trust } = snapshot.clone();
    let jobs: Vec<_> = jobs
        .into_iter()
        .map(|mut row| {
            row.job.device = 0; // an index that means nothing outside an engine
            row
        })
        .collect();
    (version, releases, devices, campaigns, jobs, audit, trust)
}

async fn gives_back_what_was_committed(store: &dyn Store) {
    let version = fill(store).await;
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.version, version);
    let reference = MemoryStore::new();
    fill(&reference).await;
    assert_eq!(rows(&loaded), rows(&reference.load().await.unwrap()));
    let engine = Engine::load(loaded).unwrap();
    assert_eq!(engine.campaign(ONE).unwrap().campaign.state.name(), "halted");
    assert_eq!(engine.releases().next().unwrap().manifest, NEW);
    assert_eq!(engine.newest_trust().map(|row| (row.version, row.envelope.len())), Some((3, 8192)));
    assert_eq!(engine.device(device(4)).unwrap().trust, Some(7));
}

async fn refuses_a_writer_that_did_not_see_the_last_commit(store: &dyn Store) {
    let version = fill(store).await;
    let late = store.commit(history().remove(0), StoreVersion(version.0 - 1)).await;
    assert_eq!(late, Err(StoreError::Conflict));
    let early = store.commit(history().remove(0), StoreVersion(version.0 + 1)).await;
    assert_eq!(early, Err(StoreError::Conflict));
    assert_eq!(store.load().await.unwrap().version, version, "nothing was written");
}

async fn keeps_the_first_of_repeated_reports(store: &dyn Store) {
    fill(store).await;
    let jobs = store.load().await.unwrap().jobs;
    let mut told = Vec::new();
    for row in &jobs {
        for event in store.timeline(row.id).await.unwrap() {
            told.extend(event.seq.map(|seq| (event.job, event.attempt, seq)));
        }
    }
    let all = told.len();
    told.sort_unstable();
    told.dedup();
    assert_eq!((told.len(), all), (5, 5), "five different reports, each once");
}

async fn keeps_what_changes_in_a_campaign(store: &dyn Store) {
    let waves = vec![Wave::Count(1), Wave::Percent(100)];
    let mut rig = Rig::running(3, Plan { soak_ms: 5000, waves, ..plan() });
    let canary = rig.ranked()[0];
    let job = rig.offered(canary);
    rig.report(canary, job, 1, Stage::Confirmed);
    let mut version = StoreVersion(0);
    for batch in &rig.log {
        version = store.commit(batch.clone(), version).await.unwrap();
    }
    let campaign = store.load().await.unwrap().campaigns.remove(0);
    assert!(campaign.gate_since.is_some() && campaign.approvals.len() == 1);
    assert_eq!(campaign, rig.view(ONE).campaign);
}

async fn returns_the_audit_log_in_pages_and_unbroken(store: &dyn Store) {
    fill(store).await;
    let mut rows = store.audit(0, 3).await.unwrap();
    assert_eq!(rows.len(), 3);
    rows.extend(store.audit(3, u32::MAX).await.unwrap());
    assert_eq!(first_broken(&rows), None);
    assert!(
        rows.iter().any(|row| row.action == "campaign_halted" && row.detail.starts_with("rolled_back: 1"))
    );
}

macro_rules! conformance {
    ($($claim:ident),+) => {
        mod memory {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::MemoryStore::new()).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test]
            async fn $claim() {
                let folder = tempfile::tempdir().unwrap();
                let store = super::SqliteStore::open(&folder.path().join("ota.sqlite")).await.unwrap();
                super::$claim(&store).await;
            })+
        }
    };
}

conformance!(
    gives_back_what_was_committed,
    refuses_a_writer_that_did_not_see_the_last_commit,
    keeps_the_first_of_repeated_reports,
    keeps_what_changes_in_a_campaign,
    returns_the_audit_log_in_pages_and_unbroken
);

#[tokio::test]
async fn sqlite_file_survives_closing_and_refuses_another_schema() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ota.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let version = fill(&store).await;
    store.close().await;
    let store = SqliteStore::open(&file).await.unwrap();
    assert_eq!(store.load().await.unwrap().version, version);
    store.close().await;

    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("UPDATE meta SET value = 2 WHERE key = 'schema'").execute(&pool).await.unwrap();
    pool.close().await;
    assert!(matches!(SqliteStore::open(&file).await, Err(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn sqlite_file_from_before_trust_and_probes_is_read_and_gets_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ota.sqlite");
    SqliteStore::open(&file).await.unwrap().close().await;
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&file))
        .await
        .unwrap();
    for old in [
        "DROP TABLE trust",
        "ALTER TABLE device DROP COLUMN trust",
        "ALTER TABLE job DROP COLUMN probes",
        "ALTER TABLE job_event DROP COLUMN probes",
    ] {
        sqlx::query(old).execute(&pool).await.unwrap();
    }
    pool.close().await;
    gives_back_what_was_committed(&SqliteStore::open(&file).await.unwrap()).await;
}

#[tokio::test]
async fn sqlite_commit_that_fails_halfway_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("ota.sqlite")).await.unwrap();
    let version = fill(&store).await;
    let mut batch = history().remove(0);
    batch.devices[0].polls = 77; // written first; the audit row after it has a number that is taken
    assert!(matches!(store.commit(batch, version).await, Err(StoreError::Failed(_))));
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.version, version);
    assert!(loaded.devices.iter().all(|device| device.polls != 77));
}
