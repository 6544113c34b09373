//! What a device is told when it asks what time it is and what there is.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use common::fleet::{FRESHNESS_KEY, RELEASE_KEY, Watch, ann, launch, open, parts, public, publish, signer};
use common::{NEW, ONE, RELEASE, Rig, device, plan, poll, release, stop_at_first_rollback};
use ota_manifest::wire::{Down, FailedProbes, Poll, Question, Refusal, ResetCause, RollbackReason, Stage};
use ota_manifest::{DeviceId, Frame, Freshness, ManifestId, Nonce, Order, Role, Thresholds};
use ota_server_core::engine::{QUESTION_EVERY_MS, QUESTIONS};
use ota_server_core::fleet::Reply;
use ota_server_core::store::MemoryStore;
use ota_server_core::{
    Answer, CampaignNo, Command, Event, Fleet, FleetConfig, FleetError, Parts, Plan, ReleaseNo, Target,
    UnixMs, Wave,
};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{FreshnessError, PublicKey, Tbs, Trust, TrustTerms, TrustedKey};

const NOTHING: Order = Order { epoch: 0, sequence: 0 };

const fn order(sequence: u32) -> Order {
    Order { epoch: 0, sequence }
}

/// What a device is told is the latest.
fn latest(rig: &mut Rig, n: u8) -> Order {
    match rig.question(n, 1) {
        Answer::Fresh { latest, .. } => latest,
        other => panic!("{other:?}"),
    }
}

fn back() -> Stage {
    let (reason, cause) = (RollbackReason::SelfTest, ResetCause::Software);
    Stage::RolledBack { reason, cause, boots: 1, failed: FailedProbes::NONE }
}

#[test]
fn draft_is_not_the_latest_before_it_runs() {
    let mut rig = Rig::running(1, plan());
    assert_eq!(latest(&mut rig, 0), order(2), "also for a device that has not asked for work yet");
    rig.author(Command::Publish(Box::new(release(3, ManifestId::new([3; 8]))))).unwrap();
    assert_eq!(latest(&mut rig, 0), order(2), "published is not released");
    let create = Command::Create {
        name: "c".into(),
        release: ReleaseNo(2),
        plan: Box::new(plan()),
        target: Target::All,
        salt: [6; 16],
    };
    rig.author(create).unwrap();
    let two = CampaignNo(2);
    rig.author(Command::Submit(two)).unwrap();
    assert_eq!(latest(&mut rig, 0), order(2), "submitted is not approved");
    rig.approver(Command::Approve(two)).unwrap();
    assert_eq!(latest(&mut rig, 0), order(3));
}

#[test]
fn wave_that_has_not_reached_a_device_is_not_kept_from_it() {
    let mut rig = Rig::running(3, Plan { waves: vec![Wave::Count(1), Wave::Percent(100)], ..plan() });
    let ranked = rig.ranked();
    assert_eq!(latest(&mut rig, ranked[0]), order(2));
    assert_eq!(latest(&mut rig, ranked[1]), NOTHING);
    let job = rig.offered(ranked[0]);
    rig.report(ranked[0], job, 1, Stage::Confirmed);
    rig.tick(1);
    assert_eq!(latest(&mut rig, ranked[1]), order(2), "the second wave has begun");
}

#[test]
fn what_is_paused_halted_aborted_or_withheld_is_not_the_latest() {
    let mut rig = Rig::running(2, Plan { halt: vec![stop_at_first_rollback()], ..plan() });
    rig.author(Command::Pause(ONE)).unwrap();
    assert_eq!(latest(&mut rig, 0), NOTHING);
    rig.author(Command::Resume(ONE)).unwrap();
    assert_eq!(latest(&mut rig, 0), order(2));
    rig.step(Event::Readiness { release: RELEASE, ready: false, detail: "damaged" }).unwrap();
    assert_eq!(latest(&mut rig, 0), NOTHING, "it would not be offered");
    rig.step(Event::Readiness { release: RELEASE, ready: true, detail: "" }).unwrap();

    let (good, bad) = (rig.offered(0), rig.offered(1));
    rig.report(0, good, 1, Stage::Confirmed);
    assert_eq!(latest(&mut rig, 0), order(2));
    rig.report(1, bad, 1, back());
    assert_eq!(rig.state(), "halted");
    assert_eq!([latest(&mut rig, 0), latest(&mut rig, 1)], [NOTHING; 2]);

    let mut rig = Rig::running(1, plan());
    rig.author(Command::Abort(ONE)).unwrap();
    assert_eq!(latest(&mut rig, 0), NOTHING);
}

#[test]
fn device_that_would_refuse_a_release_or_rolled_it_back_does_not_miss_it() {
    let mut rig = Rig::running(4, plan());
    rig.ask_as(0, &Poll { protocol: 99, ..poll() });
    assert_eq!(latest(&mut rig, 0), NOTHING, "a protocol nobody speaks is offered nothing");
    let job = rig.offered(1);
    rig.report(1, job, 1, back());
    assert_eq!(latest(&mut rig, 1), NOTHING);
    rig.launch(RELEASE, plan());
    assert_eq!(latest(&mut rig, 1), NOTHING, "nor in another campaign with the same release");
    let job = rig.offered(2);
    rig.report(2, job, 1, Stage::Rejected { refusal: Refusal::NotForThisDevice });
    let mut unfit = release(4, ManifestId::new([4; 8]));
    unfit.min_bootloader = 9;
    rig.author(Command::Publish(Box::new(unfit))).unwrap();
    rig.ask(3);
    rig.launch(ReleaseNo(2), plan());
    assert_eq!(latest(&mut rig, 3), order(2), "its bootloader is too old for order 4");
}

#[test]
fn what_a_device_confirmed_stays_its_latest_until_it_runs_something_older() {
    let mut rig = Rig::running(1, plan());
    let job = rig.offered(0);
    assert_eq!(latest(&mut rig, 0), order(2), "in flight");
    rig.report(0, job, 1, Stage::Confirmed);
    assert_eq!((rig.state(), latest(&mut rig, 0)), ("completed", order(2)), "it has not asked since");
    rig.now += 1;
    rig.ask_as(0, &Poll { running: NEW, order: order(2), ..poll() });
    assert_eq!(latest(&mut rig, 0), order(2));
    rig.now += 1;
    rig.ask(0);
    assert_eq!(latest(&mut rig, 0), NOTHING, "put back by hand: it is not offered again");
}

#[test]
fn trust_of_a_device_is_remembered_counted_and_forgotten_with_it() {
    let mut rig = Rig::new(3);
    rig.question(0, 1);
    rig.question(1, 3);
    let writes = rig.log.iter().filter(|batch| !batch.is_empty()).count();
    rig.question(1, 3);
    assert_eq!(
        rig.log.iter().filter(|batch| !batch.is_empty()).count(),
        writes,
        "nothing new, nothing written"
    );
    rig.restart();
    assert_eq!(rig.engine.device(device(1)).unwrap().trust, Some(3));
    let census: Vec<_> = rig.engine.trust_census().into_iter().collect();
    assert_eq!(census, [(None, 1), (Some(1), 1), (Some(3), 1)]);
    rig.author(Command::Remove(device(1))).unwrap();
    assert_eq!(rig.engine.trust_census().get(&Some(3)), None);
    assert_eq!(rig.question(1, 3), Answer::Refused(Refusal::Gone));
    assert_eq!(rig.question(77, 1), Answer::Refused(Refusal::Gone));
}

#[test]
fn device_that_asks_without_end_has_to_wait_and_others_do_not() {
    let mut rig = Rig::new(2);
    let asked = (0..1000).filter(|_| matches!(rig.question(0, 1), Answer::Fresh { .. })).count();
    assert_eq!(asked, QUESTIONS as usize);
    assert_eq!(rig.question(0, 2), Answer::Busy { retry_after_ms: 10_000 });
    assert_eq!(
        rig.engine.device(device(0)).unwrap().trust,
        Some(1),
        "nothing is written for a refused question"
    );
    assert!(matches!(rig.question(1, 1), Answer::Fresh { .. }));
    rig.now += QUESTION_EVERY_MS - 1;
    assert_eq!(rig.question(0, 1), Answer::Busy { retry_after_ms: 1 });
    rig.now += 1;
    assert!(matches!(rig.question(0, 1), Answer::Fresh { .. }));
    assert!(matches!(rig.question(0, 1), Answer::Busy { .. }));
    rig.now -= 900_000;
    assert!(matches!(rig.question(0, 1), Answer::Fresh { .. }), "a clock that was set back holds nobody up");
}

fn fresh_parts() -> Parts {
    parts(Arc::new(MemoryStore::new()))
}

async fn enrolled(fleet: &Fleet) -> DeviceId {
    fleet.enrol(&ann(), None, "d".into()).await.unwrap().0
}

fn question(nonce: u8) -> Question {
    Question { nonce: Nonce::new([nonce; 16]), trust: 1 }
}

fn envelope(reply: &Reply) -> Vec<u8> {
    match reply.down() {
        Down::Fresh { envelope } => envelope.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// What a device with these freshness keys makes of an envelope.
fn believed(
    keys: &[PublicKey],
    threshold: u8,
    envelope: &[u8],
    nonce: u8,
) -> Result<Freshness, FreshnessError> {
    let terms = TrustTerms {
        thresholds: Thresholds { freshness: threshold, ..Thresholds::ONE },
        ..TrustTerms::FIRST
    };
    let keys: Vec<_> = keys.iter().map(|key| TrustedKey::new(Role::Freshness, key)).collect();
    let nonce = Nonce::new([nonce; 16]);
    let fresh = Trust::pinned_on(&terms, &keys).freshness(Frame::parse(envelope).unwrap(), nonce)?;
    Ok(Freshness {
        nonce: fresh.nonce(),
        time: fresh.time().seconds(),
        latest: fresh.latest(),
        trust_version: fresh.trust_version(),
    })
}

#[tokio::test]
async fn device_believes_the_answer_to_its_own_question_and_no_other() {
    let fleet = open(fresh_parts()).await;
    let device = enrolled(&fleet).await;
    let no = publish(&fleet, 2).await.unwrap();
    launch(&fleet, no).await;
    let keys = fleet.freshness_keys();
    assert_eq!(keys, [public(FRESHNESS_KEY)]);
    for _ in 0..2 {
        let told = envelope(&fleet.ask(device, &question(9)).await.unwrap());
        let fresh = believed(&keys, 1, &told, 9).unwrap();
        assert_eq!((fresh.time, fresh.latest, fresh.trust_version), (1_790_000_000, order(2), 1));
        assert_eq!(believed(&keys, 1, &told, 8), Err(FreshnessError::WrongNonce));
        assert!(believed(&[public(RELEASE_KEY)], 1, &told, 9).is_err(), "it is no word of the release key");
    }
    let stranger = fleet.ask(DeviceId::new([0xEE; 16]), &question(1)).await.unwrap();
    assert_eq!(stranger.answer(), Answer::Refused(Refusal::Gone));
}

#[tokio::test]
async fn several_keys_sign_together_for_devices_that_want_several() {
    let all: Vec<Arc<dyn Signer>> = vec![Arc::new(signer(4)), Arc::new(signer(5)), Arc::new(signer(6))];
    let fleet = open(Parts { freshness: all, ..fresh_parts() }).await;
    let device = enrolled(&fleet).await;
    let told = envelope(&fleet.ask(device, &question(9)).await.unwrap());
    assert!(believed(&fleet.freshness_keys(), 3, &told, 9).is_ok());
    assert!(believed(&[public(5)], 1, &told, 9).is_ok());
    assert!(believed(&[public(5)], 2, &told, 9).is_err());
}

#[tokio::test]
async fn fleet_without_a_freshness_key_says_so_and_still_hears_the_trust() {
    let fleet = open(Parts { freshness: vec![], ..fresh_parts() }).await;
    let device = enrolled(&fleet).await;
    let reply = fleet.ask(device, &Question { trust: 5, ..question(9) }).await.unwrap();
    assert_eq!(reply.down(), Down::Refused { refusal: Refusal::Unsupported, retry_after_ms: 0 });
    assert_eq!(fleet.look(|engine| engine.device(device).unwrap().trust), Some(5));
}

#[tokio::test]
async fn key_serves_one_role_and_signs_once() {
    for seeds in [&[RELEASE_KEY][..], &[4, RELEASE_KEY], &[4, 4], &[10, 11, 12, 13, 14, 15, 16, 17, 18]] {
        let freshness = seeds.iter().map(|seed| Arc::new(signer(*seed)) as Arc<dyn Signer>).collect();
        let opened = Fleet::open(Parts { freshness, ..fresh_parts() }, FleetConfig::default()).await;
        assert!(matches!(opened.err(), Some(FleetError::Keys(_))), "{seeds:?}");
    }
}

#[tokio::test]
async fn clock_that_was_set_back_is_told_as_it_is() {
    let clock = Watch::at(4_000_000_000);
    let fleet = open(Parts { clock: clock.clone(), ..fresh_parts() }).await;
    let device = enrolled(&fleet).await;
    for seconds in [4_000_000_000, 1_790_000_000, 0] {
        clock.set(seconds);
        let told = envelope(&fleet.ask(device, &question(9)).await.unwrap());
        assert_eq!(believed(&fleet.freshness_keys(), 1, &told, 9).unwrap().time, seconds);
    }
    assert_eq!(fleet.time(), UnixMs(0));
}

/// A token that signs nothing until it is told to, or fails.
struct Token {
    key: ota_server_core::signing::SoftwareSigner,
    gate: (Mutex<Option<bool>>, Condvar),
    busy: AtomicUsize,
    most: AtomicUsize,
}

impl Token {
    fn shut() -> Arc<Self> {
        let (busy, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { key: signer(FRESHNESS_KEY), gate: (Mutex::new(None), Condvar::new()), busy, most })
    }

    fn open(&self, works: bool) {
        *self.gate.0.lock().unwrap() = Some(works);
        self.gate.1.notify_all();
    }
}

impl Signer for Token {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        self.most.fetch_max(self.busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let gate = self.gate.1.wait_while(self.gate.0.lock().unwrap(), |gate| gate.is_none()).unwrap();
        self.busy.fetch_sub(1, Ordering::SeqCst);
        if *gate == Some(true) { self.key.sign(tbs) } else { Err(SignerError::Unavailable("pulled".into())) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_signs_slowly_is_asked_by_few_at_a_time_and_holds_up_nothing_else() {
    let token = Token::shut();
    let fleet = open(Parts { freshness: vec![token.clone()], ..fresh_parts() }).await;
    let mut asking = Vec::new();
    for n in 0..40 {
        let (device, fleet) = (enrolled(&fleet).await, fleet.clone());
        asking.push(tokio::spawn(async move {
            fleet.ask(device, &question(n)).await.unwrap().down().into_busy()
        }));
    }
    let since = Instant::now();
    let device = enrolled(&fleet).await;
    assert_eq!(fleet.poll(device, &poll()).await.unwrap().answer(), Answer::Idle);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    tokio::time::sleep(Duration::from_millis(2500)).await;
    token.open(true);
    let mut pauses = Vec::new();
    for task in asking {
        pauses.extend(task.await.unwrap());
    }
    assert_eq!((pauses.len(), token.most.load(Ordering::SeqCst)), (32, 8));
    assert!(pauses.iter().all(|pause| (5_000..=30_500).contains(pause)), "{pauses:?}");
    pauses.sort_unstable();
    pauses.dedup();
    assert_eq!(pauses.len(), 32, "they do not come back together");
}

trait IntoBusy {
    fn into_busy(self) -> Option<u32>;
}

impl IntoBusy for Down<'_> {
    fn into_busy(self) -> Option<u32> {
        match self {
            Down::Refused { refusal: Refusal::Busy, retry_after_ms } => Some(retry_after_ms),
            Down::Fresh { .. } => None,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn token_that_was_pulled_out_is_an_error_and_works_when_it_is_back() {
    let token = Token::shut();
    let fleet = open(Parts { freshness: vec![token.clone()], ..fresh_parts() }).await;
    let device = enrolled(&fleet).await;
    token.open(false);
    assert!(matches!(fleet.ask(device, &question(1)).await, Err(FleetError::Freshness(_))));
    token.open(true);
    assert!(fleet.ask(device, &question(1)).await.is_ok());
}
