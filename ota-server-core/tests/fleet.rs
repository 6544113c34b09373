//! Engine, store, artifacts and signer together: nothing is told before it is committed, nothing offered unproven.

mod common;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{plan, poll};
use ota_manifest::wire::{Report, Stage};
use ota_manifest::{ClassId, DeviceId, Digest, JobId, ManifestDraft, Order, VendorId, Version};
use ota_server_core::artifact::{ArtifactError, ArtifactStore, FsArtifacts, MemoryArtifacts, Stamp};
use ota_server_core::auth::{BearerAuth, Credential, Operators};
use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
use ota_server_core::notify::{Notifier, NotifyError};
use ota_server_core::signing::SoftwareSigner;
use ota_server_core::store::{BoxFuture, MemoryStore};
use ota_server_core::{
    Actor, Answer, AuditRow, Batch, Blob, Clock, Command, Fleet, FleetConfig, FleetError, JobEvent, Parts,
    PinnedTrust, PublishError, ReleaseNo, Role, Snapshot, Store, StoreError, StoreVersion, Target, UnixMs,
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

/// A folder of artifacts whose reads can be slow and wrong, and that counts them.
#[derive(Default)]
struct Shelf {
    files: MemoryArtifacts,
    slow: AtomicBool,
    damaged: AtomicBool,
    touched: AtomicUsize,
    reads: AtomicUsize,
    /// Reads that were under way at the same time, now and at most.
    busy: (AtomicUsize, AtomicUsize),
}

impl ArtifactStore for Shelf {
    fn put(&self, bytes: Vec<u8>) -> BoxFuture<'_, Result<Blob, ArtifactError>> {
        self.files.put(bytes)
    }

    fn read(&self, digest: Digest, range: Range<u64>) -> BoxFuture<'_, Result<Vec<u8>, ArtifactError>> {
        Box::pin(async move {
            self.reads.fetch_add(1, Ordering::SeqCst);
            let busy = self.busy.0.fetch_add(1, Ordering::SeqCst) + 1;
            self.busy.1.fetch_max(busy, Ordering::SeqCst);
            if self.slow.load(Ordering::SeqCst) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            self.busy.0.fetch_sub(1, Ordering::SeqCst);
            let mut bytes = self.files.read(digest, range).await?;
            bytes[0] ^= u8::from(self.damaged.load(Ordering::SeqCst));
            Ok(bytes)
        })
    }

    fn stamp(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Stamp>, ArtifactError>> {
        Box::pin(async move {
            let tag = self.touched.load(Ordering::SeqCst).to_string();
            Ok(self.files.stamp(digest).await?.map(|stamp| Stamp { tag, ..stamp }))
        })
    }
}

#[derive(Default)]
struct Bells(Mutex<Vec<DeviceId>>);

impl Notifier for Bells {
    fn notify(&self, device: DeviceId, _job: Option<JobId>) -> BoxFuture<'_, Result<(), NotifyError>> {
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
    shelf: Arc<Shelf>,
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
        let shelf = Arc::new(Shelf::default());
        let fleet = open(&disk, &shelf, &hsm, &bells).await;
        let (ann, bob) = (Actor::new("ann", &[Role::Author]), Actor::new("bob", &[Role::Approver]));
        Self { fleet, disk, shelf, bells, hsm, ann, bob }
    }

    /// Forgets everything but the disks, which are slow and count from now on.
    async fn restart(&mut self) {
        self.fleet = open(&self.disk, &self.shelf, &self.hsm, &self.bells).await;
        self.shelf.slow.store(true, Ordering::SeqCst);
        self.shelf.reads.store(0, Ordering::SeqCst);
        self.shelf.busy.1.store(0, Ordering::SeqCst);
    }

    fn reads(&self) -> usize {
        self.shelf.reads.load(Ordering::SeqCst)
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

async fn open(disk: &Arc<Disk>, shelf: &Arc<Shelf>, hsm: &Arc<Hsm>, bells: &Arc<Bells>) -> Fleet {
    let parts = Parts {
        store: disk.clone(),
        artifacts: shelf.clone(),
        signer: hsm.clone(),
        freshness: vec![],
        pinned: PinnedTrust::default(),
        notifier: bells.clone(),
        auth: Arc::new(BearerAuth),
        clock: Arc::new(Watch(AtomicU64::new(1_000_000))),
        operators: Operators::new(),
    };
    Fleet::open(parts, FleetConfig::default()).await.unwrap()
}

/// Image and leaf list.
const FILES: usize = 2;

#[tokio::test]
async fn devices_that_ask_together_after_a_restart_cost_one_proof() {
    let mut rig = Rig::new().await;
    let device = rig.launch().await;
    rig.restart().await;
    let polls = (0..100).map(|_| {
        let fleet = rig.fleet.clone();
        tokio::spawn(async move { fleet.poll(device, &poll()).await.unwrap().answer() })
    });
    for poll in polls.collect::<Vec<_>>() {
        assert!(matches!(poll.await.unwrap(), Answer::Offer { .. }));
    }
    assert_eq!((rig.reads(), rig.shelf.busy.1.load(Ordering::SeqCst)), (FILES, 1));
}

#[tokio::test]
async fn a_damaged_file_of_the_right_size_is_read_once_until_somebody_touches_it() {
    let mut rig = Rig::new().await;
    let device = rig.launch().await;
    rig.shelf.damaged.store(true, Ordering::SeqCst);
    rig.restart().await;
    for _ in 0..10 {
        assert_eq!(rig.fleet.poll(device, &poll()).await.unwrap().answer(), Answer::Idle);
    }
    assert_eq!(rig.reads(), FILES);
    rig.shelf.damaged.store(false, Ordering::SeqCst);
    rig.shelf.touched.store(1, Ordering::SeqCst);
    let reply = rig.fleet.poll(device, &poll()).await.unwrap();
    assert!(matches!(reply.answer(), Answer::Offer { .. }));
    assert_eq!(rig.reads(), 2 * FILES);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_proof_for_the_others() {
    let mut rig = Rig::new().await;
    let device = rig.launch().await;
    rig.restart().await;
    let fleet = rig.fleet.clone();
    let gone = tokio::spawn(async move { fleet.poll(device, &poll()).await });
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    gone.abort();
    let reply = rig.fleet.poll(device, &poll()).await.unwrap();
    assert!(matches!(reply.answer(), Answer::Offer { .. }));
    assert!(rig.reads() <= 2 * FILES);
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
    let missing = Digest::new([0; 32]);
    assert_eq!(artifacts.stamp(missing).await.unwrap(), None);
    assert_eq!(artifacts.read(missing, 0..1).await, Err(ArtifactError::Missing(missing)));
    std::fs::write(&file, b"damaged").unwrap();
    artifacts.put(vec![5; 1000]).await.unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), vec![5; 1000], "keeping the same bytes repairs a damaged file");
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "no draft is left");
}
