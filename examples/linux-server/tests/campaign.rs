//! Whole campaigns against a real server, over raw HTTP, with devices that pretend.

mod common;

use std::path::Path;

use common::{Device, Rig, Said, blocking, image, plan, release};
use linux_server::{ClientError, OperatorClient, Verb};
use ota_manifest::wire::path::{POLL, REPORT};
use ota_manifest::wire::{FailedProbes, Object, Refusal, ResetCause, RollbackReason, Stage, Up};
use ota_server_core::http::api::{CampaignInfo, NewCampaign};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

const ROLLED_BACK: Stage = Stage::RolledBack {
    reason: RollbackReason::SelfTest,
    cause: ResetCause::Software,
    boots: 1,
    failed: FailedProbes::NONE,
};

fn launch(author: &OperatorClient, approver: &OperatorClient, version: &str, sequence: u32) -> CampaignInfo {
    let uploaded = author.upload(&image(u8::try_from(sequence).unwrap())).unwrap();
    let published = author.publish(&release(version, sequence, &uploaded.sha256)).unwrap();
    let new = NewCampaign { name: version.into(), release: published.release, plan: plan(), devices: None };
    let campaign = author.create_campaign(&new).unwrap().campaign;
    assert_eq!(author.command(campaign, Verb::Submit).unwrap().state, "awaiting_approval");
    approver.command(campaign, Verb::Approve).unwrap()
}

/// The devices that were offered something.
fn ask_all(devices: &mut [Device]) -> Vec<usize> {
    (0..devices.len()).filter(|index| devices[*index].ask() == Said::Offer).collect()
}

async fn count(folder: &Path, sql: &'static str) -> i64 {
    let options = SqliteConnectOptions::new().filename(folder.join("ota.sqlite")).read_only(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let count = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
    pool.close().await;
    count
}

#[tokio::test]
async fn a_good_release_reaches_everybody_and_a_bad_one_stops_at_the_canary() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    let mut devices = blocking(move || {
        let mut devices: Vec<_> =
            (0..5).map(|n| Device::enrol(&author, &url, &format!("device {n}"))).collect();
        let good = launch(&author, &approver, "1.1.0", 2);
        assert_eq!((good.state.as_str(), good.wave), ("running", Some(0)));
        let canary = ask_all(&mut devices);
        assert_eq!(canary.len(), 1, "wave 0 is one device");
        devices[canary[0]].install(&image(2));
        assert_eq!(ask_all(&mut devices), Vec::<usize>::new(), "testing is not confirmed");
        devices[canary[0]].confirm();
        let rest = ask_all(&mut devices);
        assert_eq!(rest.len(), 4);
        for index in rest {
            devices[index].install(&image(2));
            devices[index].confirm();
        }
        let done = author.campaign(good.campaign).unwrap();
        assert_eq!((done.state.as_str(), done.counters["confirmed"]), ("completed", 5));

        let bad = launch(&author, &approver, "1.2.0", 3);
        let canary = ask_all(&mut devices);
        devices[canary[0]].install(&image(3));
        assert!(matches!(devices[canary[0]].report(ROLLED_BACK), Said::Ack(_)));
        let halted = author.campaign(bad.campaign).unwrap();
        assert_eq!(halted.state, "halted");
        assert!(halted.halt_reason.unwrap().starts_with("rolled_back: 1 of 1"));
        for _ in 0..3 {
            assert_eq!(ask_all(&mut devices), Vec::<usize>::new(), "nothing is offered after a halt");
        }
        devices
    })
    .await;
    rig.server.stop().await.unwrap();
    assert_rows_tell_the_same(folder.path()).await;

    // A server that starts again knows what the first one knew.
    let rig = Rig::start(folder.path()).await;
    let (author, url) = (rig.author.clone(), rig.server.url());
    blocking(move || {
        assert_eq!(author.campaign(2).unwrap().state, "halted");
        assert_eq!(author.audit(0).unwrap().last().unwrap().action, "campaign_halted");
        assert!(author.devices().unwrap().iter().all(|device| device.polls >= 5));
        devices.iter_mut().for_each(|device| device.move_to(&url));
        assert_eq!(ask_all(&mut devices), Vec::<usize>::new());
    })
    .await;
    rig.server.stop().await.unwrap();
}

/// Counted by SQL from the file, as anybody can.
async fn assert_rows_tell_the_same(folder: &Path) {
    let after_halt = "SELECT count(*) FROM job_event e JOIN campaign c ON c.no = e.campaign \
                      WHERE e.what = 'offered' AND e.at_ms > c.halted_ms";
    assert_eq!(count(folder, after_halt).await, 0);
    assert_eq!(count(folder, "SELECT count(*) FROM campaign WHERE halted_ms > created_ms").await, 1);
    assert_eq!(count(folder, "SELECT sum(turned_away) FROM job WHERE campaign = 2").await, 12);
    assert_eq!(count(folder, "SELECT count(*) FROM job WHERE state = 'confirmed' AND campaign = 1").await, 5);
    let served = "SELECT count(*) FROM job WHERE campaign = 1 AND served = 20000";
    assert_eq!(count(folder, served).await, 5, "the image once for each, counted in bytes");
    let reason =
        "SELECT count(*) FROM job WHERE state = 'rolled_back' AND reason = 'self_test' AND boots = 1";
    assert_eq!(count(folder, reason).await, 1);
    assert_eq!(count(folder, "SELECT count(*) FROM audit WHERE action = 'campaign_halted'").await, 1);
}

#[tokio::test]
async fn a_device_that_restarts_gets_the_same_job_again_and_nobody_else_gets_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    blocking(move || {
        let mut devices: Vec<_> =
            (0..2).map(|n| Device::enrol(&author, &url, &format!("device {n}"))).collect();
        launch(&author, &approver, "1.1.0", 2);
        let canary = ask_all(&mut devices)[0];
        let job = devices[canary].job;
        devices[canary].report(Stage::Accepted);
        assert_eq!(devices[canary].ask(), Said::Offer);
        assert_eq!(devices[canary].job, job, "job and attempt are the same");

        let whole = image(2);
        assert_eq!(devices[canary].fetch(Object::Payload, None), (200, whole.clone()));
        let tail = devices[canary].fetch(Object::Payload, Some("bytes=19999-".into()));
        assert_eq!(tail, (206, whole[19_999..].to_vec()));
        assert_eq!(devices[canary].fetch(Object::Payload, Some("bytes=20000-".into())).0, 416);
        assert_eq!(devices[canary].fetch(Object::Leaves, None).1.len(), 5 * 32);

        let other = 1 - canary;
        devices[other].job = job;
        let (status, bytes) = devices[other].fetch(Object::Payload, None);
        assert_eq!((status, devices[other].take(&bytes)), (410, Said::Refused(Refusal::Gone)));
        assert_eq!(devices[other].report(Stage::Confirmed), Said::Refused(Refusal::Gone));

        devices[canary].report(Stage::Confirmed);
        assert_eq!(devices[canary].fetch(Object::Payload, None).0, 410, "the job is closed");
        assert_eq!(
            devices[canary].repeat(Stage::Confirmed),
            Said::Ack(2),
            "a repeated report is acknowledged"
        );
    })
    .await;
    rig.server.stop().await.unwrap();
}

#[tokio::test]
async fn strangers_and_garbage_are_turned_away_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    blocking(move || {
        let mut device = Device::enrol(&author, &url, "device");
        let poll = Up::Poll(device.poll);
        for (path, bytes) in [(POLL, vec![]), (REPORT, vec![0; 40]), (POLL, vec![0xFF; 200])] {
            let (status, answer) = device.post_bytes(path, &bytes);
            assert_eq!((status, device.take(&answer)), (400, Said::Refused(Refusal::Malformed)));
        }
        assert_eq!(device.post(REPORT, &poll).0, 400, "a poll is no report");
        let token = std::mem::take(&mut device.token);
        for stranger in ["", "x", &token[..token.len() - 1], author_token_like()] {
            device.token = stranger.into();
            let (status, answer) = device.post(POLL, &poll);
            assert_eq!((status, device.take(&answer)), (401, Said::Refused(Refusal::Unauthentic)));
        }

        let problem = |error| match error {
            ClientError::Refused(problem) => (problem.status, problem.fault),
            other => panic!("{other}"),
        };
        let stranger = OperatorClient::new(&url, &token);
        assert_eq!(problem(stranger.devices().unwrap_err()), (401, "operator".into()));
        assert_eq!(problem(author.upload(&[]).unwrap_err()).0, 422);
        assert_eq!(problem(approver.upload(b"image").unwrap_err()).0, 403);
        let missing = release("1.0.0", 2, &"ab".repeat(32));
        assert_eq!(problem(author.publish(&missing).unwrap_err()), (422, "operator".into()));
        let campaign = launch(&author, &approver, "1.1.0", 2).campaign;
        assert_eq!(problem(author.command(campaign, Verb::Approve).unwrap_err()).0, 403);
        assert_eq!(problem(author.command(campaign, Verb::Resume).unwrap_err()).0, 409);
        assert_eq!(problem(author.campaign(99).unwrap_err()).0, 404);
        let uploaded = author.upload(&image(9)).unwrap();
        assert_eq!(problem(author.publish(&release("1.0.1", 2, &uploaded.sha256)).unwrap_err()).0, 409);
    })
    .await;
    rig.server.stop().await.unwrap();
}

fn author_token_like() -> &'static str {
    "00000000000000000000000000000000.00"
}

#[tokio::test]
async fn a_release_whose_artifact_was_touched_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    let artifacts = folder.path().join("artifacts/sha256");
    blocking(move || {
        let mut device = Device::enrol(&author, &url, "device");
        launch(&author, &approver, "1.1.0", 2);
        assert_eq!(device.ask(), Said::Offer);
        let digest = author.releases().unwrap()[0].images[0].sha256.clone();
        let file = artifacts.join(&digest[..2]).join(&digest);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(device.ask(), Said::Idle);
        assert_eq!(device.ask(), Said::Idle);
        let withheld = author.audit(0).unwrap().into_iter().filter(|row| row.action == "release_withheld");
        assert_eq!(withheld.count(), 1, "said once");
        author.upload(&image(2)).unwrap(); // uploading again repairs it
        assert_eq!(device.ask(), Said::Offer);
    })
    .await;
    rig.server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let second = linux_server::start(linux_server::Config::local(folder.path())).await;
    assert!(second.err().unwrap().to_string().contains("another server runs"));
    rig.server.stop().await.unwrap();
}
