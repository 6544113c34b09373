//! The chain of trust documents: taken in as a device would, kept, delivered, and in force for releases too.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::fleet::{
    FRESHNESS_KEY, RELEASE_KEY, ROOT, ann, draft, launch, open, parts, public, publish, root, sealed, signer,
};
use common::poll;
use ota_manifest::wire::{Down, Question, Refusal};
use ota_manifest::{
    DeviceId, Frame, FrameError, Kind, MAX_TRUST_ENVELOPE, MAX_TRUST_ENVELOPE_POST_QUANTUM, Nonce, Order,
    Role, Roles, Thresholds, TrustDraft,
};
use ota_server_core::artifact::MemoryArtifacts;
use ota_server_core::fleet::{PublishError, TrustAdded};
use ota_server_core::store::{MemoryStore, SqliteStore};
use ota_server_core::{
    Actor, Answer, CommandError, Fleet, FleetConfig, FleetError, Parts, PinnedTrust, TrustRefused, TrustRow,
};
use ota_verify::sign::{
    LmsHeight, LmsSigner, LmsSigningKey, LmsState, LmsWidth, Signer, SignerError, cosign, seal, seal_trust,
};
use ota_verify::{
    AdmitError, Ed25519, KeyAlgorithm, Lms, PublicKey, Trust, TrustError, TrustTerms, TrustedKey,
};

const ALGORITHMS: &[&dyn KeyAlgorithm] = &[&Ed25519, &Lms];

fn document(version: u32) -> Vec<u8> {
    sealed(&draft(version))
}

async fn memory() -> Fleet {
    open(parts(Arc::new(MemoryStore::new()))).await
}

async fn add(fleet: &Fleet, envelope: &[u8]) -> Result<TrustAdded, FleetError> {
    fleet.add_trust(&ann(), envelope.to_vec()).await
}

async fn refused(fleet: &Fleet, envelope: &[u8]) -> TrustRefused {
    match add(fleet, envelope).await {
        Err(FleetError::Trust(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

/// A device with the pinned trust that follows what the server delivers; returns the version it comes to.
fn follow(fleet: &Fleet, device: DeviceId, roots: &[PublicKey], threshold: u8) -> u32 {
    let terms =
        TrustTerms { thresholds: Thresholds { root: threshold, ..Thresholds::ONE }, ..TrustTerms::FIRST };
    let keys: Vec<_> = roots.iter().map(|key| TrustedKey::new(Role::Root, key)).collect();
    adopt(fleet, device, &Trust::pinned_on(&terms, &keys))
}

fn adopt(fleet: &Fleet, device: DeviceId, trust: &Trust<'_>) -> u32 {
    let reply = fleet.trust(device, trust.version() + 1);
    let Down::Trust { envelope } = reply.down() else {
        assert_eq!(reply.answer(), Answer::Refused(Refusal::Gone));
        return trust.version();
    };
    let adopted = trust.successor(Frame::parse(envelope).unwrap(), ALGORITHMS).unwrap();
    adopt(fleet, device, &Trust::documented(&adopted))
}

async fn freshness_says(fleet: &Fleet, device: DeviceId, trust: u32) -> u32 {
    let question = Question { nonce: Nonce::new([9; 16]), trust };
    let reply = fleet.ask(device, &question).await.unwrap();
    let Down::Fresh { envelope } = reply.down() else { panic!("{reply:?}") };
    let key = public(FRESHNESS_KEY);
    let keys = [TrustedKey::new(Role::Freshness, &key)];
    let fresh = Trust::pinned(&keys).freshness(Frame::parse(envelope).unwrap(), question.nonce).unwrap();
    fresh.trust_version()
}

#[tokio::test]
async fn device_follows_the_chain_and_a_server_that_starts_again_still_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ota.sqlite");
    let fleet = open(parts(Arc::new(SqliteStore::open(&file).await.unwrap()))).await;
    let device = fleet.enrol(&ann(), None, "d".into()).await.unwrap().0;
    assert_eq!(freshness_says(&fleet, device, 1).await, 1, "the pinned one");
    assert_eq!(follow(&fleet, device, &[public(ROOT)], 1), 1);
    for version in 2..=4 {
        let added = add(&fleet, &document(version)).await.unwrap();
        assert_eq!(added, TrustAdded { version, is_new: true, is_fresh: true });
        assert_eq!(freshness_says(&fleet, device, version - 1).await, version);
        assert_eq!(follow(&fleet, device, &[public(ROOT)], 1), version);
    }
    let audit = fleet.audit(0, 100).await.unwrap();
    let added: Vec<_> = audit.iter().filter(|row| row.action == "trust_added").collect();
    assert_eq!((added.len(), added[2].actor.as_str(), added[2].subject.as_str()), (3, "ann", "trust 4"));
    let row = fleet.look(|engine| engine.trust(4).unwrap().clone());
    assert_eq!(added[2].detail, format!("sha256 {}", row.sha256));
    assert_eq!(row.envelope, document(4));
    fleet.close().await.unwrap();

    let fleet = open(parts(Arc::new(SqliteStore::open(&file).await.unwrap()))).await;
    assert_eq!(fleet.look(|engine| engine.trust(4).unwrap().clone()), row);
    assert_eq!(fleet.look(|engine| engine.device(device).unwrap().trust), Some(3));
    assert_eq!(follow(&fleet, device, &[public(ROOT)], 1), 4);
    assert_eq!(freshness_says(&fleet, device, 4).await, 4);
    assert_eq!(add(&fleet, &document(5)).await.unwrap().version, 5);
}

#[tokio::test]
async fn document_once_more_changes_nothing_and_another_of_its_version_is_refused() {
    let fleet = memory().await;
    add(&fleet, &document(2)).await.unwrap();
    add(&fleet, &document(3)).await.unwrap();
    let before = fleet.audit(0, 100).await.unwrap().len();
    for version in [2, 3] {
        let again = add(&fleet, &document(version)).await.unwrap();
        assert_eq!(again, TrustAdded { version, is_new: false, is_fresh: true });
    }
    let mut other = draft(2);
    other.min_order = Order { epoch: 0, sequence: 1 };
    assert_eq!(refused(&fleet, &sealed(&other)).await, TrustRefused::Contradicts(2));
    let cosigned = cosign(&document(3), &signer(99), Role::Root).unwrap();
    assert_eq!(refused(&fleet, &cosigned).await, TrustRefused::Contradicts(3), "the bytes are what counts");
    let forged = seal_trust(&other, &[&signer(99)]).unwrap();
    assert_eq!(refused(&fleet, &forged).await, TrustRefused::Contradicts(2), "whoever has signed it");
    let old = TrustError::Replay { current: 3, found: 1 };
    assert_eq!(refused(&fleet, &document(1)).await, TrustRefused::NotAdopted(old));
    assert_eq!(fleet.audit(0, 100).await.unwrap().len(), before);
    assert_eq!(fleet.look(|engine| engine.trust(2).unwrap().envelope.clone()), document(2));
}

#[tokio::test]
async fn what_a_device_would_refuse_is_refused_with_the_same_reason() {
    let fleet = memory().await;
    let good = document(2);
    for len in 0..good.len() {
        assert!(add(&fleet, &good[..len]).await.is_err(), "{len} bytes");
    }
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1;
        assert!(add(&fleet, &bad).await.is_err(), "byte {index}");
    }
    let behind = [good.clone(), vec![0]].concat();
    assert_eq!(refused(&fleet, &behind).await, TrustRefused::NotAnEnvelope(FrameError::Trailing(1)));
    let manifest = seal(Kind::Manifest, b"...", &[(&signer(ROOT), Role::Root)]).unwrap();
    let not_adopted = TrustRefused::NotAdopted;
    assert_eq!(refused(&fleet, &manifest).await, not_adopted(TrustError::WrongKind(Kind::Manifest)));
    let gap = TrustError::Gap { current: 1, found: 3 };
    assert_eq!(refused(&fleet, &document(3)).await, not_adopted(gap));
    let stranger = seal_trust(&draft(2), &[&signer(99)]).unwrap();
    let nobody = TrustError::NotByOldRoots { found: 0, needed: 1 };
    assert_eq!(refused(&fleet, &stranger).await, not_adopted(nobody));
    let mut unproven = draft(2);
    unproven.keys[0] = public(9).draft(Role::Root);
    let unproven_roots = TrustError::NotByNewRoots { found: 0, needed: 1 };
    assert_eq!(refused(&fleet, &sealed(&unproven)).await, not_adopted(unproven_roots));
    assert_eq!(fleet.look(|engine| engine.trust_chain().count()), 0);
    add(&fleet, &good).await.unwrap();

    let mut opened = draft(3);
    opened.epoch = 2;
    add(&fleet, &sealed(&opened)).await.unwrap();
    assert_eq!(refused(&fleet, &document(4)).await, not_adopted(TrustError::Lowered));
}

#[tokio::test]
async fn document_needs_an_author_and_a_server_that_knows_the_roots() {
    let fleet = memory().await;
    let viewer = Actor::new("bob", &[ota_server_core::Role::Approver, ota_server_core::Role::Viewer]);
    let turned_away = fleet.add_trust(&viewer, document(2)).await;
    assert_eq!(turned_away, Err(FleetError::Command(CommandError::NeedsRole("author"))));
    let base = parts(Arc::new(MemoryStore::new()));
    let fleet = open(Parts { pinned: PinnedTrust::default(), ..base }).await;
    assert_eq!(refused(&fleet, &document(2)).await, TrustRefused::NoRoots);
    let base = parts(Arc::new(MemoryStore::new()));
    let fleet = open(Parts { pinned: PinnedTrust::roots(vec![public(ROOT), public(2)], 2), ..base }).await;
    let too_few = TrustError::NotByOldRoots { found: 1, needed: 2 };
    assert_eq!(refused(&fleet, &document(2)).await, TrustRefused::NotAdopted(too_few));
    let both = cosign(&document(2), &signer(2), Role::Root).unwrap();
    assert_eq!(add(&fleet, &both).await.unwrap().version, 2);
}

#[tokio::test]
async fn two_documents_of_one_version_at_the_same_time_leave_one() {
    let fleet = memory().await;
    let mut other = draft(2);
    other.epoch = 1;
    let (one, two) = (document(2), sealed(&other));
    let (a, b) = tokio::join!(add(&fleet, &one), add(&fleet, &two));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!(fleet.look(|engine| engine.trust_chain().count()), 1);
}

#[tokio::test]
async fn document_under_which_this_server_could_release_nothing_is_refused() {
    let fleet = memory().await;
    let mut without = draft(2);
    without.keys[1] = public(8).draft(Role::Release);
    let left_out = TrustRefused::SignerLeftOut { version: 2, key: public(RELEASE_KEY) };
    assert_eq!(refused(&fleet, &sealed(&without)).await, left_out);
    let mut as_approver = without.clone();
    as_approver.keys.push(public(RELEASE_KEY).draft(Role::Approval)).unwrap();
    as_approver.thresholds.approval = 1;
    assert_eq!(refused(&fleet, &sealed(&as_approver)).await, left_out, "in another role it is another key");
    let mut two = draft(2);
    two.keys.push(public(8).draft(Role::Release)).unwrap();
    two.thresholds.release = 2;
    assert_eq!(refused(&fleet, &sealed(&two)).await, TrustRefused::NotAlone(2));
    let mut approved = draft(2);
    approved.keys.push(public(8).draft(Role::Approval)).unwrap();
    approved.thresholds.approval = 1;
    assert_eq!(refused(&fleet, &sealed(&approved)).await, TrustRefused::NotAlone(2));
}

#[tokio::test]
async fn document_without_the_freshness_key_is_taken_and_told_of() {
    let fleet = memory().await;
    let mut silent = draft(2);
    silent.keys.pop();
    silent.thresholds.freshness = 0;
    let added = add(&fleet, &sealed(&silent)).await.unwrap();
    assert_eq!(added, TrustAdded { version: 2, is_new: true, is_fresh: false });
    let audit = fleet.audit(0, 100).await.unwrap();
    assert!(audit.last().unwrap().detail.ends_with("do not believe this server's freshness replies"));
    let mut two_of_them = draft(3);
    two_of_them.keys.push(public(5).draft(Role::Freshness)).unwrap();
    two_of_them.thresholds.freshness = 2;
    assert!(!add(&fleet, &sealed(&two_of_them)).await.unwrap().is_fresh);
    assert!(add(&fleet, &document(4)).await.unwrap().is_fresh);
    let fleet = open(Parts { freshness: vec![], ..parts(Arc::new(MemoryStore::new())) }).await;
    assert!(add(&fleet, &sealed(&silent)).await.unwrap().is_fresh, "it has no replies to be believed");
}

/// The same release key, and another one beside it or in its place.
fn with_release_keys(version: u32, seeds: &[u8]) -> Vec<u8> {
    let mut draft = TrustDraft::new(version);
    draft.thresholds.freshness = 1;
    draft.keys.push(root()).unwrap();
    draft.keys.push(public(FRESHNESS_KEY).draft(Role::Freshness)).unwrap();
    for seed in seeds {
        draft.keys.push(public(*seed).draft(Role::Release)).unwrap();
    }
    sealed(&draft)
}

#[tokio::test]
async fn release_key_moves_on_through_a_document_that_lists_both() {
    let (store, artifacts) = (Arc::new(MemoryStore::new()), Arc::new(MemoryArtifacts::default()));
    let with =
        |seed| Parts { signer: Arc::new(signer(seed)), artifacts: artifacts.clone(), ..parts(store.clone()) };
    let fleet = open(with(RELEASE_KEY)).await;
    let device = fleet.enrol(&ann(), None, "d".into()).await.unwrap().0;
    let old = publish(&fleet, 2).await.unwrap();
    launch(&fleet, old).await;
    add(&fleet, &with_release_keys(2, &[RELEASE_KEY, 8])).await.unwrap();

    let fleet = open(with(8)).await;
    let offered = |reply: ota_server_core::fleet::Reply| match reply.answer() {
        Answer::Offer { release, .. } => Some(release),
        _ => None,
    };
    assert_eq!(offered(fleet.poll(device, &poll()).await.unwrap()), Some(old), "the old key still counts");
    add(&fleet, &with_release_keys(3, &[8])).await.unwrap();
    assert_eq!(offered(fleet.poll(device, &poll()).await.unwrap()), None, "and now it does not");
    let audit = fleet.audit(0, 100).await.unwrap();
    assert!(audit.iter().any(|row| row.action == "release_withheld"));
    publish(&fleet, 3).await.unwrap();

    let opened = Fleet::open(with(RELEASE_KEY), FleetConfig::default()).await;
    let left_out = TrustRefused::SignerLeftOut { version: 3, key: public(RELEASE_KEY) };
    assert_eq!(opened.err(), Some(FleetError::Trust(left_out)));
}

#[tokio::test]
async fn order_that_a_document_withdraws_is_neither_offered_nor_published_nor_the_latest() {
    let fleet = memory().await;
    let device = fleet.enrol(&ann(), None, "d".into()).await.unwrap().0;
    let no = publish(&fleet, 2).await.unwrap();
    launch(&fleet, no).await;
    assert!(matches!(fleet.poll(device, &poll()).await.unwrap().answer(), Answer::Offer { .. }));
    let mut withdrawing = draft(2);
    withdrawing.min_order = Order { epoch: 0, sequence: 9 };
    add(&fleet, &sealed(&withdrawing)).await.unwrap();
    let question = Question { nonce: Nonce::new([9; 16]), trust: 1 };
    let Answer::Fresh { latest, .. } = fleet.ask(device, &question).await.unwrap().answer() else { panic!() };
    assert_eq!(latest, Order::default());
    assert_eq!(fleet.poll(device, &poll()).await.unwrap().answer(), Answer::Idle);
    let below = publish(&fleet, 3).await;
    assert_eq!(below, Err(FleetError::Publish(PublishError::NotAdmitted(AdmitError::BelowMinOrder))));
    publish(&fleet, 9).await.unwrap();
}

#[tokio::test]
async fn version_that_is_not_there_and_stranger_are_told_that_it_is_gone() {
    let fleet = memory().await;
    let device = fleet.enrol(&ann(), None, "d".into()).await.unwrap().0;
    add(&fleet, &document(2)).await.unwrap();
    for version in [0, 1, 3, u32::MAX] {
        assert_eq!(fleet.trust(device, version).answer(), Answer::Refused(Refusal::Gone), "{version}");
    }
    assert_eq!(fleet.trust(DeviceId::new([0xEE; 16]), 2).answer(), Answer::Refused(Refusal::Gone));
    assert_eq!(fleet.trust(device, 2).answer(), Answer::Trust { version: 2 });
}

struct Leaf(AtomicU32);

impl LmsState for Leaf {
    fn claim(&self) -> Result<u32, SignerError> {
        Ok(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn lms(seed: u8) -> LmsSigner<Leaf> {
    LmsSigner::new(
        LmsSigningKey::generate(LmsHeight::H10, LmsWidth::W4, &[seed; 32]),
        Leaf(AtomicU32::new(0)),
    )
}

#[tokio::test]
async fn document_of_hash_based_roots_near_the_longest_there_is_goes_all_the_way() {
    let roots = [lms(1), lms(2), lms(3)];
    let keys: Vec<_> = roots.iter().map(Signer::public_key).collect();
    let base = parts(Arc::new(MemoryStore::new()));
    let fleet = open(Parts { pinned: PinnedTrust::roots(keys.clone(), 3), ..base }).await;
    let device = fleet.enrol(&ann(), None, "d".into()).await.unwrap().0;
    let mut draft = draft(2);
    draft.keys.remove(0);
    for key in &keys {
        draft.keys.push(key.draft(Role::Root)).unwrap();
    }
    draft.thresholds.root = 3;
    let signers: Vec<&dyn Signer> = roots.iter().map(|root| root as &dyn Signer).collect();
    let envelope = seal_trust(&draft, &signers).unwrap();
    let len = envelope.len();
    assert!((7_500..=MAX_TRUST_ENVELOPE_POST_QUANTUM).contains(&len) && len > MAX_TRUST_ENVELOPE, "{len}");
    assert_eq!(add(&fleet, &envelope).await.unwrap().version, 2);
    assert_eq!(follow(&fleet, device, &keys, 3), 2);
    let reply = fleet.trust(device, 2);
    let bytes = reply.bytes();
    assert_eq!(ota_manifest::wire::decode(&bytes), Ok(Down::Trust { envelope: &envelope }));
    let row: TrustRow = fleet.look(|engine| engine.trust(2).unwrap().clone());
    assert_eq!(row.document().unwrap().hybrid, Roles::NONE);
}
