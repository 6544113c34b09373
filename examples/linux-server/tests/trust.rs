//! Freshness, trust documents and failed probes over raw HTTP, against a real server.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Device, Rig, Said, blocking, document, image, plan, release, root};
use linux_server::{ClientError, Config, TrustOptions, Verb};
use ota_manifest::wire::path::{ASK, POLL, TRUST};
use ota_manifest::wire::{
    Down, FailedProbes, Question, Refusal, ResetCause, RollbackReason, Stage, Up, decode,
};
use ota_manifest::{Frame, Nonce, Order, Role};
use ota_server_core::http::api::NewCampaign;
use ota_verify::sign::Signer;
use ota_verify::{Ed25519, KeyAlgorithm, PublicKey, Trust, TrustedKey};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519];

fn config(folder: &Path) -> Config {
    let trust = TrustOptions { root_keys: vec![root().public_key()], root_threshold: 1 };
    Config { trust, ..Config::local(folder) }
}

fn ask(nonce: u8, trust: u32) -> Up {
    Up::Ask(Question { nonce: Nonce::new([nonce; 16]), trust })
}

/// The envelope of an answer.
fn fresh(answer: &[u8]) -> Vec<u8> {
    match decode(answer) {
        Ok(Down::Fresh { envelope }) => envelope.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// What a device with this freshness key believes of an answer: time, latest order, newest trust.
fn believed(key: PublicKey, answer: &[u8], nonce: u8) -> (u64, Order, u32) {
    let envelope = fresh(answer);
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let fresh =
        Trust::pinned(&keys).freshness(Frame::parse(&envelope).unwrap(), Nonce::new([nonce; 16])).unwrap();
    (fresh.time().seconds(), fresh.latest(), fresh.trust_version())
}

fn refused(answer: &[u8]) -> Refusal {
    match decode(answer) {
        Ok(Down::Refused { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    }
}

fn problem<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::Refused(problem)) => (problem.status, problem.detail),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn device_hears_of_a_document_fetches_it_and_adopts_it_also_after_a_restart_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(config(folder.path())).await;
    let keys = (rig.server.release_key(), rig.server.freshness_key());
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    let mut device = blocking(move || {
        let device = Device::enrol(&author, &url, "device");
        let (status, answer) = device.post(ASK, &ask(1, 1));
        let (time, latest, newest) = believed(keys.1, &answer, 1);
        assert_eq!((status, latest, newest), (200, Order::default(), 1));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(time) < 60, "{time}");

        let added = author.add_trust(&document(2, keys.0, keys.1)).unwrap();
        assert_eq!((added.document.version, added.is_new, added.is_fresh), (2, true, true));
        assert_eq!(added.document.roles["root"].keys, [root().public_key().to_string()]);
        assert_eq!(believed(keys.1, &device.post(ASK, &ask(2, 1)).1, 2).2, 2);
        let (status, envelope) = device.get(&format!("{TRUST}2"));
        assert_eq!((status, &envelope), (200, &document(2, keys.0, keys.1)));
        let pinned = root().public_key();
        let pinned = [TrustedKey::new(Role::Root, &pinned)];
        let pinned = Trust::pinned(&pinned);
        let adopted = pinned.successor(Frame::parse(&envelope).unwrap(), ALGORITHMS).unwrap();
        let envelope = fresh(&device.post(ASK, &ask(3, 2)).1);
        let frame = Frame::parse(&envelope).unwrap();
        assert!(Trust::documented(&adopted).freshness(frame, Nonce::new([3; 16])).is_ok());

        let uploaded = author.upload(&image(2)).unwrap();
        let no = author.publish(&release("1.1.0", 2, &uploaded.sha256)).unwrap().release;
        let new = NewCampaign { name: "c".into(), release: no, plan: plan(), devices: None };
        let campaign = author.create_campaign(&new).unwrap().campaign;
        author.command(campaign, Verb::Submit).unwrap();
        approver.command(campaign, Verb::Approve).unwrap();
        let latest = believed(keys.1, &device.post(ASK, &ask(4, 2)).1, 4).1;
        assert_eq!(latest, Order { epoch: 0, sequence: 2 });
        device
    })
    .await;
    rig.server.stop().await.unwrap();

    let rig = Rig::start(folder.path()).await; // the roots are needed for the first document alone
    assert_eq!((rig.server.release_key(), rig.server.freshness_key()), keys);
    let (author, url) = (rig.author.clone(), rig.server.url());
    blocking(move || {
        device.move_to(&url);
        assert_eq!(device.get(&format!("{TRUST}2")), (200, document(2, keys.0, keys.1)));
        let chain = author.trust().unwrap();
        assert_eq!((chain.documents.len(), chain.devices[&2], chain.unknown), (1, 1, 0));
        assert_eq!(author.devices().unwrap()[0].trust, Some(2));
        assert_eq!(author.add_trust(&document(3, keys.0, keys.1)).unwrap().document.version, 3);
        assert_eq!(author.trust_envelope(3).unwrap(), document(3, keys.0, keys.1));
        assert!(
            author.audit(0).unwrap().iter().any(|row| row.action == "trust_added" && row.actor == "author")
        );
    })
    .await;
    rig.server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_question_and_no_document_is_turned_away_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(config(folder.path())).await;
    let keys = (rig.server.release_key(), rig.server.freshness_key());
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    blocking(move || {
        let mut device = Device::enrol(&author, &url, "device");
        let poll = Up::Poll(device.poll);
        let mut cut = ota_manifest::wire::encode(&ask(1, 300), &mut [0; 64]).unwrap().to_vec();
        cut.pop();
        for bytes in [vec![], cut, vec![3; 500], vec![0xFF; 20]] {
            let (status, answer) = device.post_bytes(ASK, &bytes);
            assert_eq!((status, refused(&answer)), (400, Refusal::Malformed));
        }
        assert_eq!(device.post(ASK, &poll).0, 400, "a poll is no question");
        assert_eq!(device.post(POLL, &ask(1, 1)).0, 400, "a question is no poll");
        for version in ["0", "1", "3", "4294967295"] {
            let (status, answer) = device.get(&format!("{TRUST}{version}"));
            assert_eq!((status, refused(&answer)), (410, Refusal::Gone), "{version}");
        }
        for version in ["x", "-1", "4294967296", "2.0"] {
            let (status, answer) = device.get(&format!("{TRUST}{version}"));
            assert_eq!((status, refused(&answer)), (400, Refusal::Malformed), "{version}");
        }
        let mut answers = (0..100).map(|_| device.post(ASK, &ask(1, 1)));
        let (status, busy) = answers.find(|(status, _)| *status != 200).expect("it was served without end");
        let Ok(Down::Refused { refusal: Refusal::Busy, retry_after_ms }) = decode(&busy) else { panic!() };
        assert!(status == 429 && (1..=10_000).contains(&retry_after_ms), "{status} {retry_after_ms}");
        assert_eq!(device.ask(), Said::Idle, "polls are not held up");
        device.token = "x".into();
        assert_eq!(device.post(ASK, &ask(1, 1)).0, 401);
        assert_eq!(device.get(&format!("{TRUST}2")).0, 401);

        let good = document(2, keys.0, keys.1);
        assert_eq!(problem(approver.add_trust(&good)).0, 403);
        assert_eq!(problem(author.add_trust(&[])).0, 422);
        assert_eq!(problem(author.add_trust(&vec![0; 8192])).0, 422);
        assert_eq!(problem(author.add_trust(&vec![0; 8193])).0, 413);
        let (status, why) = problem(author.add_trust(&document(3, keys.0, keys.1)));
        assert!(status == 422 && why.contains("those in between come first"), "{why}");
        let (status, why) = problem(author.add_trust(&document(2, PublicKey::ed25519([9; 32]), keys.1)));
        assert!(status == 422 && why.contains("this server signs releases with it"), "{why}");
        author.add_trust(&good).unwrap();
        assert!(!author.add_trust(&good).unwrap().is_new);
        let other = document(2, keys.0, PublicKey::ed25519([9; 32]));
        assert_eq!(
            problem(author.add_trust(&other)),
            (409, "version 2 is there already, with other bytes".into())
        );
        assert_eq!(problem(author.trust_envelope(9)).0, 404);
    })
    .await;
    rig.server.stop().await.unwrap();
}

#[tokio::test]
async fn probes_that_failed_reach_the_operator_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let (author, approver, url) = (rig.author.clone(), rig.approver.clone(), rig.server.url());
    let tokens = folder.path().join("operator.tokens");
    blocking(move || {
        let mut device = Device::enrol(&author, &url, "device");
        let uploaded = author.upload(&image(2)).unwrap();
        let no = author.publish(&release("1.1.0", 2, &uploaded.sha256)).unwrap().release;
        let new = NewCampaign { name: "c".into(), release: no, plan: plan(), devices: None };
        let campaign = author.create_campaign(&new).unwrap().campaign;
        author.command(campaign, Verb::Submit).unwrap();
        approver.command(campaign, Verb::Approve).unwrap();
        assert_eq!(device.ask(), Said::Offer);
        let (reason, cause) = (RollbackReason::SelfTest, ResetCause::Software);
        let failed = FailedProbes { probes: 1 << 31 | 0b10, code: 0x0B02 };
        assert_eq!(device.report(Stage::RolledBack { reason, cause, boots: 1, failed }), Said::Ack(1));
        let job = author.jobs(campaign).unwrap().remove(0);
        assert_eq!(
            (job.state.as_str(), job.probes, job.code),
            ("rolled_back", Some(0x8000_0002), Some(0x0B02))
        );
        let event = author.job(&job.job).unwrap().events.pop().unwrap();
        assert_eq!(
            (event.what.as_str(), event.probes, event.code),
            ("rolled_back", Some(0x8000_0002), Some(0x0B02))
        );
        let shown = Command::new(env!("CARGO_BIN_EXE_otactl"))
            .args(["--server", &url, "--as", "author", "job", "show", &job.job, "--tokens"])
            .arg(tokens)
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert!(shown.contains("0x0B02 nobody answers") && shown.contains("1, 31 failed"), "{shown}");
    })
    .await;
    rig.server.stop().await.unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("ota.sqlite")).read_only(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let row = sqlx::query("SELECT probes, code FROM job").fetch_one(&pool).await.unwrap();
    assert_eq!((row.get::<i64, _>("probes"), row.get::<i64, _>("code")), (0x8000_0002, 0x0B02));
    pool.close().await;
}

#[tokio::test]
async fn release_key_of_a_folder_changes_only_for_one_that_the_newest_document_lists() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(config(folder.path())).await;
    let (old, fresh) = (rig.server.release_key(), rig.server.freshness_key());
    let next =
        ota_server_core::signing::SoftwareSigner::open_or_create(&folder.path().join("next.key")).unwrap();
    let both = {
        let mut draft = ota_manifest::TrustDraft::new(2);
        draft.thresholds.freshness = 1;
        for (role, key) in [
            (Role::Root, root().public_key()),
            (Role::Release, old),
            (Role::Release, next.public_key()),
            (Role::Freshness, fresh),
        ] {
            draft.keys.push(key.draft(role)).unwrap();
        }
        ota_verify::sign::seal_trust(&draft, &[&root()]).unwrap()
    };
    rig.server.stop().await.unwrap();
    let (file, away) = (folder.path().join("release.key"), folder.path().join("old.key"));
    std::fs::rename(&file, &away).unwrap();
    std::fs::rename(folder.path().join("next.key"), &file).unwrap();
    let error = linux_server::start(config(folder.path())).await.err().unwrap().to_string();
    assert!(error.contains("add a trust document that lists the other one first"), "{error}");

    std::fs::rename(&file, folder.path().join("next.key")).unwrap();
    std::fs::rename(&away, &file).unwrap();
    let rig = Rig::start_with(config(folder.path())).await;
    let author = rig.author.clone();
    blocking(move || author.add_trust(&both).unwrap()).await;
    rig.server.stop().await.unwrap();
    std::fs::rename(folder.path().join("next.key"), &file).unwrap();
    for _ in 0..2 {
        let rig = Rig::start(folder.path()).await;
        assert_eq!(rig.server.release_key(), next.public_key());
        rig.server.stop().await.unwrap();
    }
}
