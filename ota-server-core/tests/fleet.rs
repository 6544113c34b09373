//! Engine, store, artifacts and signer together: nothing is told before it is committed, nothing offered unproven.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{plan, poll};
use ota_manifest::wire::{Report, Stage};
use ota_manifest::{ClassId, DeviceId, JobId, ManifestDraft, Order, VendorId, Version};
use ota_server_core::artifact::{FsArtifacts, MemoryArtifacts};
use ota_server_core::auth::{BearerAuth, Credential, Operators};
use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
use ota_server_core::notify::{Notifier, NotifyError};
use ota_server_core::signing::SoftwareSigner;
use ota_server_core::store::{BoxFuture, MemoryStore};
use ota_server_core::{
    Actor, Answer, AuditRow, Batch, Clock, Command, Fleet, FleetConfig, FleetError, JobEvent, Parts,
    PublishError, ReleaseNo, Role, Snapshot, Store, StoreError, StoreVersion, Target, UnixMs,
};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs};

/// A store whose disk can fail, and that counts.
#[derive(Default)]
struct Disk {
    rows: MemoryStore,
    full: AtomicBool,
    slow: AtomicBool,
    commits: AtomicUsize,
}

impl Store for Disk {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        self.rows.load()
    }

    fn commit(
        &self,
        batch: Batch,
        expected: StoreVersion,
    ) -> BoxFuture<'_, Result<StoreVersion, StoreError>> {
        Box::pin(async move {
            if self.full.load(Ordering::SeqCst) {
                return Err(StoreError::Failed("disk full".into()));
            }
            if self.slow.load(Ordering::SeqCst) {
                tokio::time::sleep(std::time::Duration::from_millis(30)).await;
            }
            self.commits.fetch_add(1, Ordering::SeqCst);
            self.rows.commit(batch, expected).await
        })
    }

    fn timeline(&self, job: JobId) -> BoxFuture<'_, Result<Vec<JobEvent>, StoreError>> {
        self.rows.timeline(job)
    }

    fn audit(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<AuditRow>, StoreError>> {
        self.rows.audit(after, limit)
    }
}

#[derive(Default)]
struct Bells(Mutex<Vec<DeviceId>>);

impl Notifier for Bells {
    fn notify(&self, device: DeviceId, _job: JobId) -> BoxFuture<'_, Result<(), NotifyError>> {
        self.0.lock().unwrap().push(device);
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Watch(AtomicU64);

impl Clock for Watch {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

/// A token that can be pulled out.
struct Hsm {
    key: SoftwareSigner,
    gone: AtomicBool,
}

impl Signer for Hsm {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(SignerError::Unavailable("no token in slot 0".into()));
        }
        self.key.sign(tbs)
    }
}

struct Rig {
    fleet: Fleet,
    disk: Arc<Disk>,
    bells: Arc<Bells>,
    hsm: Arc<Hsm>,
    ann: Actor,
    bob: Actor,
}

impl Rig {
    async fn new() -> Self {
        let disk = Arc::new(Disk::default());
        let bells = Arc::new(Bells::default());
        let hsm = Arc::new(Hsm { key: SoftwareSigner::from_secret(&[7; 32]), gone: AtomicBool::new(false) });
        let parts = Parts {
            store: disk.clone(),
            artifacts: Arc::new(MemoryArtifacts::new()),
            signer: hsm.clone(),
            notifier: bells.clone(),
            auth: Arc::new(BearerAuth),
            clock: Arc::new(Watch(AtomicU64::new(1_000_000))),
            operators: Operators::new(),
        };
        let fleet = Fleet::open(parts, FleetConfig::default()).await.unwrap();
        let (ann, bob) = (Actor::new("ann", &[Role::Author]), Actor::new("bob", &[Role::Approver]));
        Self { fleet, disk, bells, hsm, ann, bob }
    }

    async fn publish(&self, sequence: u32) -> Result<ReleaseNo, FleetError> {
        let image = vec![u8::try_from(sequence).unwrap(); 10_000];
        let blob = self.fleet.upload(&self.ann, image).await.unwrap();
        let mut manifest =
            ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
        manifest.order = Order { epoch: 0, sequence };
        let images = vec![ImageDraftRef { digest: blob.digest, link_address: 0x8000 }];
        self.fleet.publish(&self.ann, ReleaseDraft { manifest, images }).await
    }

    /// A running campaign for one device.
    async fn launch(&self) -> DeviceId {
        let (device, token) = self.fleet.enrol(&self.ann, None, "d".into()).await.unwrap();
        assert_eq!(self.fleet.device(Credential::Bearer(token.expose())), Some(device));
        let release = self.publish(2).await.unwrap();
        let fleet = &self.fleet;
        let no = fleet.create_campaign(&self.ann, "c".into(), release, plan(), Target::All).await.unwrap();
        fleet.command(&self.ann, Command::Submit(no)).await.unwrap();
        fleet.command(&self.bob, Command::Approve(no)).await.unwrap();
        device
    }
}

#[tokio::test]
async fn an_offer_that_cannot_be_committed_is_not_made() {
    let rig = Rig::new().await;
    let device = rig.launch().await;
    rig.disk.full.store(true, Ordering::SeqCst);
    assert!(matches!(rig.fleet.poll(device, &poll()).await, Err(FleetError::Store(_))));
    rig.disk.full.store(false, Ordering::SeqCst);
    let counted = rig.fleet.look(|engine| engine.campaign(common::ONE).unwrap().total.in_flight());
    assert_eq!(counted, 0, "the engine went back to what the store holds");
    let reply = rig.fleet.poll(device, &poll()).await.unwrap();
    assert!(matches!(reply.answer(), Answer::Offer { attempt: 1, .. }));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_tear_a_commit() {
    let rig = Rig::new().await;
    let device = rig.launch().await;
    rig.disk.slow.store(true, Ordering::SeqCst);
    let fleet = rig.fleet.clone();
    let gone = tokio::spawn(async move { fleet.poll(device, &poll()).await });
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    gone.abort();
    let reply = rig.fleet.poll(device, &poll()).await.unwrap();
    let Answer::Offer { job, attempt, .. } = reply.answer() else { panic!("{:?}", reply.answer()) };
    let stored = rig.disk.rows.load().await.unwrap().jobs.remove(0);
    assert_eq!((stored.id, stored.job.attempt, stored.job.kind().name()), (job, attempt, "offered"));
    let told = rig.fleet.timeline(job).await.unwrap();
    assert_eq!(told.iter().map(|event| &*event.what).collect::<Vec<_>>(), ["offered", "resumed"]);
}

#[tokio::test]
async fn many_reports_share_a_commit_and_each_is_stored_before_its_ack() {
    let rig = Rig::new().await;
    let device = rig.launch().await;
    let reply = rig.fleet.poll(device, &poll()).await.unwrap();
    let Answer::Offer { job, attempt, .. } = reply.answer() else { panic!("{:?}", reply.answer()) };
    rig.disk.slow.store(true, Ordering::SeqCst);
    let before = rig.disk.commits.load(Ordering::SeqCst);
    let reports = (1..=50).map(|seq| {
        let (fleet, stage) = (rig.fleet.clone(), Stage::Downloading { done: seq * 100, total: 10_000 });
        tokio::spawn(async move {
            let report = Report { job, attempt, seq, stage };
            assert_eq!(fleet.report(device, &report).await.unwrap().answer(), Answer::Ack { seq });
        })
    });
    for report in reports.collect::<Vec<_>>() {
        report.await.unwrap();
    }
    let commits = rig.disk.commits.load(Ordering::SeqCst) - before;
    assert!(commits < 10, "{commits} commits for 50 reports");
}

#[tokio::test]
async fn polls_that_get_nothing_cost_no_commit_and_are_counted_by_the_next_tick() {
    let rig = Rig::new().await;
    let (device, _) = rig.fleet.enrol(&rig.ann, None, "d".into()).await.unwrap();
    let before = rig.disk.commits.load(Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(rig.fleet.poll(device, &poll()).await.unwrap().answer(), Answer::Idle);
    }
    assert_eq!(rig.disk.commits.load(Ordering::SeqCst), before);
    rig.fleet.tick().await.unwrap();
    assert_eq!(rig.disk.rows.load().await.unwrap().devices[0].polls, 10);
}

#[tokio::test]
async fn a_signer_that_fails_leaves_no_release_behind() {
    let rig = Rig::new().await;
    rig.hsm.gone.store(true, Ordering::SeqCst);
    let error = rig.publish(2).await.unwrap_err();
    assert!(matches!(&error, FleetError::Publish(error) if error.is_signers_fault()), "{error}");
    assert!(error.to_string().contains("no token in slot 0"));
    assert_eq!(rig.fleet.look(|engine| engine.releases().count()), 0);
    rig.hsm.gone.store(false, Ordering::SeqCst);
    assert_eq!(rig.publish(2).await.unwrap(), ReleaseNo(1));
}

#[tokio::test]
async fn a_release_no_device_would_take_is_not_published() {
    let rig = Rig::new().await;
    let blob = rig.fleet.upload(&rig.ann, vec![1; 100]).await.unwrap();
    let mut manifest =
        ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 0, 0));
    let images = vec![ImageDraftRef { digest: blob.digest, link_address: 0x8000 }];
    manifest.trial_attempts = 1;
    let draft = ReleaseDraft { manifest: manifest.clone(), images: images.clone() };
    assert!(matches!(
        rig.fleet.publish(&rig.ann, draft).await,
        Err(FleetError::Publish(PublishError::Seal(_)))
    ));
    manifest.trial_attempts = 2;
    let critical = ota_manifest::ExtensionDraft { id: 900, critical: true, bytes: Default::default() };
    manifest.extensions.push(critical).unwrap();
    let draft = ReleaseDraft { manifest, images };
    let refused = rig.fleet.publish(&rig.ann, draft).await;
    assert!(matches!(refused, Err(FleetError::Publish(PublishError::NotAdmitted(_)))), "{refused:?}");
}

#[tokio::test]
async fn the_bell_rings_for_a_device_that_a_job_waits_for() {
    let rig = Rig::new().await;
    let device = rig.launch().await;
    assert_eq!(*rig.bells.0.lock().unwrap(), [device]);
}

#[tokio::test]
async fn files_are_named_by_their_contents_and_nothing_half_written_has_a_name() {
    use ota_server_core::artifact::{ArtifactError, ArtifactStore};
    let folder = tempfile::tempdir().unwrap();
    let artifacts = FsArtifacts::open(folder.path()).unwrap();
    let blob = artifacts.put(vec![5; 1000]).await.unwrap();
    assert_eq!(artifacts.put(vec![5; 1000]).await.unwrap(), blob);
    let name = blob.digest.to_string();
    let file = folder.path().join("sha256").join(&name[..2]).join(&name);
    assert_eq!(std::fs::read(&file).unwrap(), vec![5; 1000]);
    assert_eq!(artifacts.read(blob.digest, 990..1000).await.unwrap(), vec![5; 10]);
    for range in [0..1001, 1000..1001, 5..5] {
        assert_eq!(artifacts.read(blob.digest, range).await, Err(ArtifactError::OutOfRange));
    }
    let missing = ota_manifest::Digest::new([0; 32]);
    assert_eq!(artifacts.stamp(missing).await.unwrap(), None);
    assert_eq!(artifacts.read(missing, 0..1).await, Err(ArtifactError::Missing(missing)));
    std::fs::write(&file, b"damaged").unwrap();
    artifacts.put(vec![5; 1000]).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), vec![5; 1000], "keeping the same bytes repairs a damaged file");
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft is left");
}
