//! A fleet with keys that tests know: release 7, freshness 4, root 1.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ota_manifest::{ClassId, KeyDraft, ManifestDraft, Order, Role as KeyRole, TrustDraft, VendorId, Version};
use ota_server_core::artifact::MemoryArtifacts;
use ota_server_core::auth::{BearerAuth, Operators};
use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
use ota_server_core::notify::NoBell;
use ota_server_core::signing::SoftwareSigner;
use ota_server_core::{
    Actor, Clock, Command, Fleet, FleetConfig, FleetError, Parts, PinnedTrust, ReleaseNo, Role, Store,
    Target, UnixMs,
};
use ota_verify::PublicKey;
use ota_verify::sign::{Signer, seal_trust};

pub const RELEASE_KEY: u8 = 7;
pub const FRESHNESS_KEY: u8 = 4;
pub const ROOT: u8 = 1;

pub fn signer(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_secret(&[seed; 32])
}

pub fn public(seed: u8) -> PublicKey {
    signer(seed).public_key()
}

/// A clock that tests set.
pub struct Watch(pub AtomicU64);

impl Watch {
    pub fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seconds * 1000)))
    }

    pub fn set(&self, seconds: u64) {
        self.0.store(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Watch {
    fn now(&self) -> UnixMs {
        UnixMs(self.0.load(Ordering::SeqCst))
    }
}

pub fn parts(store: Arc<dyn Store>) -> Parts {
    Parts {
        store,
        artifacts: Arc::new(MemoryArtifacts::default()),
        signer: Arc::new(signer(RELEASE_KEY)),
        freshness: vec![Arc::new(signer(FRESHNESS_KEY))],
        pinned: PinnedTrust::roots(vec![public(ROOT)], 1),
        notifier: Arc::new(NoBell),
        auth: Arc::new(BearerAuth),
        clock: Watch::at(1_790_000_000),
        operators: Operators::new(),
    }
}

pub async fn open(parts: Parts) -> Fleet {
    Fleet::open(parts, FleetConfig::default()).await.unwrap()
}

pub fn ann() -> Actor {
    Actor::new("ann", &[Role::Author])
}

pub async fn publish(fleet: &Fleet, sequence: u32) -> Result<ReleaseNo, FleetError> {
    let image = vec![u8::try_from(sequence).unwrap(); 10_000];
    let blob = fleet.upload(&ann(), image).await.unwrap();
    let mut manifest =
        ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
    manifest.order = Order { epoch: 0, sequence };
    let images = vec![ImageDraftRef { digest: blob.digest, link_address: 0x8000 }];
    fleet.publish(&ann(), ReleaseDraft { manifest, images }).await
}

/// Starts a campaign for everybody.
pub async fn launch(fleet: &Fleet, release: ReleaseNo) {
    let no = fleet.create_campaign(&ann(), "c".into(), release, super::plan(), Target::All).await.unwrap();
    fleet.command(&ann(), Command::Submit(no)).await.unwrap();
    fleet.command(&Actor::new("bob", &[Role::Approver]), Command::Approve(no)).await.unwrap();
}

/// A document as the server's devices can use it: root 1, its release key, its freshness key.
pub fn draft(version: u32) -> TrustDraft {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.freshness = 1;
    draft.keys.push(root()).unwrap();
    draft.keys.push(public(RELEASE_KEY).draft(KeyRole::Release)).unwrap();
    draft.keys.push(public(FRESHNESS_KEY).draft(KeyRole::Freshness)).unwrap();
    draft
}

pub fn root() -> KeyDraft {
    public(ROOT).draft(KeyRole::Root)
}

/// Signed by root 1 alone.
pub fn sealed(draft: &TrustDraft) -> Vec<u8> {
    seal_trust(draft, &[&signer(ROOT)]).unwrap()
}
