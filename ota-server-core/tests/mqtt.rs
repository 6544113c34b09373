//! Bell and reports through a real broker: nothing that rings is lost, nothing that was heard rings again.
//!
//! ```sh
//! cargo test -p ota-server-core --features real-parts --test mqtt
//! ```
#![cfg(feature = "real-parts")]

mod broker;
mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use broker::{Broker, Client, OBSERVER, PATIENCE, Pki, SERVER, connected, down};
use common::{plan, poll};
use futures::future::join_all;
use ota_manifest::wire::topic::{Channel, Topic};
use ota_manifest::wire::{Down, Fetch, Object, Question, Refusal, Report, Stage, Up, decode, encode};
use ota_manifest::{ClassId, DeviceId, Frame, JobId, ManifestDraft, Nonce, Order, VendorId, Version};
use ota_server_core::artifact::MemoryArtifacts;
use ota_server_core::auth::{BearerAuth, Operators};
use ota_server_core::fleet::{ImageDraftRef, ReleaseDraft};
use ota_server_core::mqtt::{LinkState, MqttBell, MqttConfig};
use ota_server_core::notify::Notifier;
use ota_server_core::signing::SoftwareSigner;
use ota_server_core::store::{BoxFuture, MemoryStore};
use ota_server_core::{
    Actor, AuditRow, Batch, Command, Fleet, FleetConfig, JobEvent, JobKind, Parts, PinnedTrust, Role,
    Snapshot, Store, StoreError, StoreVersion, SystemClock, Target,
};
use ota_verify::sign::{Signature, Signer, SignerError};
use ota_verify::{PublicKey, Tbs, Trust, TrustedKey};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

const JOB: JobId = JobId::new([9; 16]);

fn device(n: u16) -> DeviceId {
    let mut bytes = [0xAB; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    DeviceId::new(bytes)
}

fn bell_of(device: DeviceId) -> String {
    Topic { device, channel: Channel::Bell }.to_string()
}

async fn ring(bell: &MqttBell, device: DeviceId) {
    bell.notify(device, Some(JOB)).await.unwrap();
}

/// Waits until the broker holds a bell for the device, or none.
async fn broker_holds(broker: &Broker, device: DeviceId, holds: bool) {
    let since = Instant::now();
    loop {
        let mut watcher = Client::connect(broker, OBSERVER, &[&bell_of(device)]).await;
        // The observer hears its own retained messages before anything else, or nothing.
        let found = tokio::time::timeout(Duration::from_millis(200), watcher.hear()).await;
        watcher.leave();
        let found = found.is_ok_and(|message| !message.payload.is_empty());
        if found == holds {
            return;
        }
        assert!(since.elapsed() < PATIENCE, "the broker holds a bell: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bell_reaches_a_device_that_comes_later_and_says_why() {
    let broker = Broker::new();
    let bell = broker.bell().await;
    ring(&bell, device(1)).await;
    bell.notify(device(2), None).await.unwrap();
    broker_holds(&broker, device(1), true).await;
    broker_holds(&broker, device(2), true).await;
    let heard = broker.device(device(1)).await.hear().await;
    assert_eq!((heard.topic.as_ref(), heard.retain), (bell_of(device(1)).as_bytes(), true));
    assert_eq!(heard.payload, JOB.to_string());
    let left = heard.properties.unwrap().message_expiry_interval.unwrap();
    assert!((86_000..=86_400).contains(&left), "a bell ends after a day, not after {left} s");
    assert_eq!(broker.device(device(2)).await.hear().await.payload, "ask");
    assert_eq!(bell.ringing(), 2);
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bell_is_gone_once_its_device_was_heard() {
    let broker = Broker::new();
    let bell = broker.bell().await;
    ring(&bell, device(1)).await;
    broker_holds(&broker, device(1), true).await;
    bell.heard(device(1));
    broker_holds(&broker, device(1), false).await;
    broker.device(device(1)).await.hear_nothing(300).await;
    // Ring, heard, ring ends ringing, however fast.
    for _ in 0..20 {
        ring(&bell, device(1)).await;
        bell.heard(device(1));
    }
    ring(&bell, device(1)).await;
    broker_holds(&broker, device(1), true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker_holds(&broker, device(1), true).await;
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgot_everything_rings_again_by_itself_but_not_for_who_was_heard() {
    let mut broker = Broker::new();
    let bell = broker.bell().await;
    for n in 1..=3 {
        ring(&bell, device(n)).await;
        broker_holds(&broker, device(n), true).await;
    }
    bell.heard(device(1));
    broker_holds(&broker, device(1), false).await;
    broker.kill();
    assert_eq!(down(&bell).await, "the broker closed the connection");
    bell.heard(device(2)); // while nobody can be told
    ring(&bell, device(4)).await;
    ring(&bell, device(5)).await;
    bell.heard(device(5)); // before its bell ever went out
    broker.start();
    connected(&bell).await;
    broker_holds(&broker, device(3), true).await;
    broker_holds(&broker, device(4), true).await;
    for n in [1, 2, 5] {
        broker_holds(&broker, device(n), false).await;
    }
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_bells_at_once_all_arrive() {
    let broker = Broker::new();
    let bell = broker.bell().await;
    let mut observer = Client::connect(&broker, OBSERVER, &["ota/v1/+/down/bell"]).await;
    let since = Instant::now();
    for n in 0..1000 {
        ring(&bell, device(n)).await;
    }
    assert!(since.elapsed() < Duration::from_secs(1), "ringing waits for nobody");
    let mut heard = HashSet::new();
    while heard.len() < 1000 {
        let message = observer.hear().await;
        heard.insert(message.topic);
    }
    println!("1000 bells rang within {:?}", since.elapsed());
    for n in 0..1000 {
        bell.heard(device(n));
    }
    for _ in 0..1000 {
        assert!(observer.hear().await.payload.is_empty());
    }
    println!("and were taken down within {:?} in all", since.elapsed());
    assert_eq!(bell.ringing(), 0);
    broker.device(device(999)).await.hear_nothing(300).await;
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_comes_later_is_found_without_haste() {
    let mut broker = Broker::absent();
    let bell = MqttBell::start(broker.config());
    assert_eq!(down(&bell).await, format!("nobody listens at 127.0.0.1, port {}", broker.port));
    ring(&bell, device(1)).await;
    broker.start();
    connected(&bell).await;
    broker_holds(&broker, device(1), true).await;
    bell.stop().await;

    let mut config = broker.config();
    config.url = "mqtts://no-such-broker.invalid".parse().unwrap();
    let bell = MqttBell::start(config);
    let why = down(&bell).await;
    assert!(why.starts_with("the name no-such-broker.invalid cannot be resolved"), "{why}");
    bell.stop().await;
}

/// Passes connections on to the broker and counts them.
async fn counted(at: &str, to: u16) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                let _ = copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    (port, count)
}

/// Lets a bell try for a second; returns its last sentence and how often it tried.
async fn tries(mut config: MqttConfig, broker: u16) -> (String, usize) {
    let (port, count) = counted(config.url.host(), broker).await;
    config.url = format!("mqtts://{}:{port}", config.url.host()).parse().unwrap();
    let bell = MqttBell::start(config);
    let why = down(&bell).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bell.stop().await;
    (why, count.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_says_why_in_a_sentence_and_is_not_tried_in_haste() {
    let broker = Broker::new();
    let stranger = Pki::new();
    let (ours, theirs) = (broker.config(), stranger.client(SERVER));

    // Pauses of 0 to 50, 100, 200, 400, 500 ... ms: some five attempts, and never dozens.
    let wrong_ca = MqttConfig { identity: theirs, ..ours.clone() };
    let (why, tried) = tries(wrong_ca, broker.port).await;
    assert_eq!(why, "the broker's certificate is not from the authority that we believe (ca.pem)");
    assert!((2..=15).contains(&tried), "{tried}");

    let pem = |pki: &Pki, file: &str| std::fs::read(pki.dir().join(file)).unwrap();
    let refused = ota_server_core::mqtt::MqttIdentity::from_pem(
        &pem(&broker.pki, "ca.pem"),
        &pem(&stranger, "ota-server.pem"),
        &pem(&stranger, "ota-server.key"),
    );
    let (why, tried) = tries(MqttConfig { identity: refused.unwrap(), ..ours.clone() }, broker.port).await;
    assert!(why.contains("refuses our certificate"), "{why}");
    assert!((2..=15).contains(&tried), "{tried}");

    // The broker's certificate says localhost and 127.0.0.1.
    let elsewhere = MqttConfig { url: "mqtts://127.0.0.2".parse().unwrap(), ..ours.clone() };
    let (why, tried) = tries(elsewhere, broker.port).await;
    assert_eq!(why, "the broker's certificate is not made out to 127.0.0.2");
    assert!((2..=15).contains(&tried), "{tried}");

    // Somebody else's client id: let in, thrown out, and again.
    let rival = MqttBell::start(ours.clone());
    connected(&rival).await;
    let (port, count) = counted("127.0.0.1", broker.port).await;
    let url = format!("mqtts://127.0.0.1:{port}").parse().unwrap();
    let bell = MqttBell::start(MqttConfig { url, ..ours });
    let why = down(&bell).await;
    assert!(why.ends_with("another process may use our client id"), "{why}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(count.load(Ordering::SeqCst) <= 15, "{count:?}");
    bell.stop().await;
    rival.stop().await;
}

#[test]
fn key_of_another_certificate_is_refused_before_anything_is_tried() {
    let pki = Pki::new();
    for name in ["a", "b"] {
        let _ = pki.client(name);
    }
    std::fs::copy(pki.dir().join("b.key"), pki.dir().join("a.key")).unwrap();
    let refused = ota_server_core::mqtt::MqttIdentity::from_folder(pki.dir(), "a").unwrap_err();
    assert!(refused.to_string().contains("cannot be used together"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_acknowledges_nothing_is_left_and_tried_again() {
    let broker = Broker::new();
    // Long before it would be missed for its silence.
    let bell = MqttBell::start(MqttConfig { keep_alive_s: 600, ..broker.config() });
    connected(&bell).await;
    broker.signal("STOP");
    ring(&bell, device(1)).await;
    let why = down(&bell).await;
    broker.signal("CONT");
    assert_eq!(why, "the broker does not acknowledge what we say");
    connected(&bell).await;
    broker_holds(&broker, device(1), true).await;
    bell.stop().await;
}

/// A fleet with a bell that is connected, and the hands that operate it.
struct Rig {
    broker: Broker,
    bell: MqttBell,
    fleet: Fleet,
    store: Arc<Gate>,
    ann: Actor,
    bob: Actor,
}

impl Rig {
    async fn new() -> Self {
        let broker = Broker::new();
        let bell = broker.bell().await;
        let store = Arc::new(Gate::default());
        let parts = Parts {
            store: store.clone(),
            artifacts: Arc::new(MemoryArtifacts::default()),
            signer: Arc::new(SoftwareSigner::from_secret(&[7; 32])),
            freshness: vec![Arc::new(SlowKey)],
            pinned: PinnedTrust::default(),
            notifier: Arc::new(bell.clone()),
            auth: Arc::new(BearerAuth),
            clock: Arc::new(SystemClock),
            operators: Operators::new(),
        };
        let fleet = Fleet::open(parts, FleetConfig::default()).await.unwrap();
        bell.serve(fleet.clone());
        let (ann, bob) = (Actor::new("ann", &[Role::Author]), Actor::new("bob", &[Role::Approver]));
        Self { broker, bell, fleet, store, ann, bob }
    }

    /// A running campaign for these devices.
    async fn launch(&self, devices: &[DeviceId]) {
        let (fleet, ann) = (&self.fleet, &self.ann);
        for device in devices {
            fleet.enrol(ann, Some(*device), "d".into()).await.unwrap();
        }
        let blob = fleet.upload(ann, vec![2; 10_000]).await.unwrap();
        let mut manifest =
            ManifestDraft::new(VendorId::new([1; 16]), ClassId::new([2; 16]), Version::new(1, 1, 0));
        manifest.order = Order { epoch: 0, sequence: 2 };
        let images = vec![ImageDraftRef { digest: blob.digest, link_address: 0x8000 }];
        let release = fleet.publish(ann, ReleaseDraft { manifest, images }).await.unwrap();
        let no = fleet.create_campaign(ann, "c".into(), release, plan(), Target::All).await.unwrap();
        fleet.command(ann, Command::Submit(no)).await.unwrap();
        fleet.command(&self.bob, Command::Approve(no)).await.unwrap();
    }

    /// Asks over MQTT until there is an answer: the server may still be subscribing.
    async fn ask(&self, device: DeviceId, client: &mut Client, up: &Up, correlation: &[u8]) -> Vec<u8> {
        let since = Instant::now();
        loop {
            client.up(device, &bytes(up), correlation).await;
            match tokio::time::timeout(Duration::from_secs(1), client.answer()).await {
                Ok(heard) => {
                    let echoed = heard.properties.unwrap_or_default().correlation_data;
                    assert_eq!((echoed.as_deref(), heard.retain), (Some(correlation), false));
                    return heard.payload.to_vec();
                }
                Err(_) => assert!(since.elapsed() < PATIENCE, "no answer"),
            }
        }
    }
}

/// A freshness key in a token that takes its time.
struct SlowKey;

impl Signer for SlowKey {
    fn public_key(&self) -> PublicKey {
        common::fleet::public(common::fleet::FRESHNESS_KEY)
    }

    fn sign(&self, tbs: &Tbs) -> Result<Signature, SignerError> {
        std::thread::sleep(Duration::from_millis(300));
        common::fleet::signer(common::fleet::FRESHNESS_KEY).sign(tbs)
    }
}

fn bytes(up: &Up) -> Vec<u8> {
    encode(up, &mut [0; 128]).unwrap().to_vec()
}

/// A store that can be stuck.
struct Gate {
    rows: MemoryStore,
    open: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self { rows: MemoryStore::new(), open: Semaphore::new(1) }
    }
}

impl Store for Gate {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StoreError>> {
        self.rows.load()
    }

    fn commit(
        &self,
        batch: Batch,
        expected: StoreVersion,
    ) -> BoxFuture<'_, Result<StoreVersion, StoreError>> {
        Box::pin(async move {
            let _open = self.open.acquire().await;
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

#[tokio::test(flavor = "multi_thread")]
async fn bells_of_an_earlier_process_ring_on_if_a_job_waits_and_are_taken_down_if_none_does() {
    let rig = Rig::new().await;
    rig.launch(&[device(1), device(2)]).await;
    ring(&rig.bell, device(3)).await; // for a job that this server does not know
    rig.bell.notify(device(4), None).await.unwrap();
    for n in 1..=4 {
        broker_holds(&rig.broker, device(n), true).await;
    }
    rig.bell.stop().await;
    assert!(matches!(&*rig.bell.link().borrow(), LinkState::Down { why } if why.contains("stopped")));
    assert!(rig.bell.notify(device(1), None).await.is_err());

    let bell = rig.broker.bell().await;
    bell.serve(rig.fleet.clone());
    broker_holds(&rig.broker, device(3), false).await;
    broker_holds(&rig.broker, device(4), false).await;
    broker_holds(&rig.broker, device(1), true).await;
    bell.heard(device(1));
    bell.heard(device(5)); // nobody ever rang for it
    broker_holds(&rig.broker, device(1), false).await;
    broker_holds(&rig.broker, device(2), true).await;
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_store_costs_requests_and_neither_memory_nor_bells() {
    let rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    let mut client = rig.broker.device(device(1)).await;
    let (job, attempt) = offered(&rig, device(1), &mut client).await;
    let gate = rig.store.open.acquire().await.unwrap();
    let since = Instant::now();
    let mut seq = 0;
    while rig.bell.dropped() == 0 {
        seq += 1;
        let report = Report { job, attempt, seq, stage: Stage::Downloading { done: seq, total: 10_000 } };
        client.up(device(1), &bytes(&Up::Report(report)), b"d").await;
        assert!(since.elapsed() < PATIENCE, "{seq} requests and none was dropped");
    }
    assert!(seq > 1000, "{seq}");
    ring(&rig.bell, device(2)).await;
    broker_holds(&rig.broker, device(2), true).await;
    drop(gate);
    let mut answered = 0;
    while tokio::time::timeout(Duration::from_millis(500), client.answer()).await.is_ok() {
        answered += 1;
    }
    assert!(answered > 1000, "{answered} of {seq} were answered");
    println!("{answered} of {seq} requests were kept by a stuck store and answered later");
    rig.bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_no_device_has_reason_to_send_keep_nobody_else_from_being_heard() {
    let rig = Rig::new().await;
    rig.launch(&[device(1), device(2)]).await;
    let mut honest = rig.broker.device(device(2)).await;
    let _ = offered(&rig, device(2), &mut honest).await;
    let hostile = rig.broker.device(device(1)).await;
    // More than a broker lets be under way to one client, which is 20 for mosquitto.
    for _ in 0..50 {
        hostile.up(device(1), &[0x7A; 4000], b"long").await;
    }
    let _ = offered(&rig, device(2), &mut honest).await;
    rig.bell.stop().await;
}

/// Asks for work and insists on an offer.
async fn offered(rig: &Rig, device: DeviceId, client: &mut Client) -> (JobId, u8) {
    let answer = rig.ask(device, client, &Up::Poll(poll()), b"poll").await;
    match decode(&answer).unwrap() {
        Down::Offer { job, attempt, .. } => (job, attempt),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_says_over_the_broker_is_stored_and_answered_with_its_correlation() {
    let mut rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    rig.fleet.tick().await.unwrap();
    broker_holds(&rig.broker, device(1), true).await;
    let mut client = rig.broker.device(device(1)).await;
    assert_eq!(client.hear().await.payload.len(), 32, "the campaign rings");

    let (job, attempt) = offered(&rig, device(1), &mut client).await;
    assert_eq!(rig.bell.ringing(), 0, "who asks over MQTT is heard");
    broker_holds(&rig.broker, device(1), false).await;
    let report = Report { job, attempt, seq: 5, stage: Stage::Accepted };
    let answer = rig.ask(device(1), &mut client, &Up::Report(report), &[1, 2, 3, 4]).await;
    assert_eq!(decode(&answer), Ok(Down::Ack { seq: 5 }));
    let told = rig.fleet.timeline(job).await.unwrap();
    assert_eq!(told.last().unwrap().what, "accepted");

    // A server that lost its broker for a while is found again by who comes later.
    rig.broker.kill();
    let _ = down(&rig.bell).await;
    rig.broker.start();
    connected(&rig.bell).await;
    let mut client = rig.broker.device(device(1)).await;
    let report = Report { job, attempt, seq: 6, stage: Stage::Downloaded };
    let answer = rig.ask(device(1), &mut client, &Up::Report(report), b"again").await;
    assert_eq!(decode(&answer), Ok(Down::Ack { seq: 6 }));
    rig.bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bells_of_an_earlier_process_ring_on_for_what_waits_and_are_taken_down_otherwise() {
    let rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    rig.fleet.tick().await.unwrap();
    ring(&rig.bell, device(2)).await; // for a job that the fleet does not know
    for n in 1..=2 {
        broker_holds(&rig.broker, device(n), true).await;
    }
    rig.bell.stop().await;
    assert!(matches!(&*rig.bell.link().borrow(), LinkState::Down { why } if why.contains("stopped")));
    assert!(rig.bell.notify(device(1), None).await.is_err());

    let bell = rig.broker.bell().await;
    bell.serve(rig.fleet.clone());
    broker_holds(&rig.broker, device(2), false).await;
    broker_holds(&rig.broker, device(1), true).await;
    let since = Instant::now();
    while bell.ringing() != 1 {
        assert!(since.elapsed() < PATIENCE, "{} bells were found", bell.ringing());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bell.heard(device(1));
    bell.heard(device(3)); // nobody ever rang for it
    broker_holds(&rig.broker, device(1), false).await;
    bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_many_devices_at_once_are_all_stored() {
    const DEVICES: u16 = 300;
    let rig = Rig::new().await;
    let devices: Vec<_> = (0..DEVICES).map(device).collect();
    rig.launch(&devices).await;
    let _ = offered(&rig, devices[0], &mut rig.broker.device(devices[0]).await).await; // the server listens
    let since = Instant::now();
    let clients = join_all(devices.iter().map(|device| rig.broker.device(*device))).await;
    println!("{DEVICES} devices connected within {:?}", since.elapsed());
    let mut jobs = Vec::new();
    for device in &devices {
        let reply = rig.fleet.poll(*device, &poll()).await.unwrap();
        let Down::Offer { job, attempt, .. } = reply.down() else { panic!("{reply:?}") };
        jobs.push((job, attempt));
    }
    let since = Instant::now();
    let reported =
        clients.into_iter().zip(devices).zip(jobs).map(async |((mut client, device), (job, attempt))| {
            let report = Report { job, attempt, seq: 1, stage: Stage::Accepted };
            client.up(device, &bytes(&Up::Report(report)), b"1").await;
            assert_eq!(decode(&client.answer().await.payload), Ok(Down::Ack { seq: 1 }));
        });
    join_all(reported).await;
    println!("{DEVICES} devices reported and were answered within {:?}", since.elapsed());
    let accepted =
        rig.fleet.look(|engine| engine.campaign(common::ONE).unwrap().total.get(JobKind::Accepted));
    assert_eq!((accepted, rig.bell.dropped()), (u32::from(DEVICES), 0));
    rig.bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn question_over_the_broker_is_answered_with_what_the_device_believes() {
    let rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    let mut client = rig.broker.device(device(1)).await;
    let question = Question { nonce: Nonce::new([9; 16]), trust: 3 };
    let answer = rig.ask(device(1), &mut client, &Up::Ask(question), b"q").await;
    let Ok(Down::Fresh { envelope }) = decode(&answer) else { panic!("{answer:?}") };
    let key = SlowKey.public_key();
    let keys = [TrustedKey::new(ota_manifest::Role::Freshness, &key)];
    let fresh = Trust::pinned(&keys).freshness(Frame::parse(envelope).unwrap(), question.nonce).unwrap();
    assert_eq!((fresh.latest(), fresh.trust_version()), (Order { epoch: 0, sequence: 2 }, 1));
    let late = rig.fleet.time().0 / 1000 - fresh.time().seconds();
    assert!(late < 10, "{late} s");
    assert_eq!(rig.fleet.look(|engine| engine.device(device(1)).unwrap().trust), Some(3));
    rig.bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_wait_for_a_slow_key_do_not_hold_up_polls() {
    let rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    let mut client = rig.broker.device(device(1)).await;
    offered(&rig, device(1), &mut client).await;
    let question = bytes(&Up::Ask(Question { nonce: Nonce::new([9; 16]), trust: 1 }));
    // More than there are turns, and more than the key signs in a second.
    for n in 2..7 {
        rig.fleet.enrol(&rig.ann, Some(device(n)), "d".into()).await.unwrap();
        let asking = rig.broker.device(device(n)).await;
        for _ in 0..20 {
            asking.up(device(n), &question, b"q").await;
        }
    }
    let since = Instant::now();
    let answer = rig.ask(device(1), &mut client, &Up::Poll(poll()), b"p").await;
    assert!(matches!(decode(&answer), Ok(Down::Offer { .. })), "{answer:?}");
    assert!(since.elapsed() < Duration::from_millis(700), "{:?}", since.elapsed());
    rig.bell.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_strangers_and_what_does_not_travel_here_are_refused_and_do_no_harm() {
    let rig = Rig::new().await;
    rig.launch(&[device(1)]).await;
    let mut client = rig.broker.device(device(1)).await;
    let (job, attempt) = offered(&rig, device(1), &mut client).await;
    let refused = |refusal| Down::Refused { refusal, retry_after_ms: 0 };

    let fetch = Fetch { job, image: 0, object: Object::Payload, first: 0, count: 1 };
    let answer = rig.ask(device(1), &mut client, &Up::Fetch(fetch), b"f").await;
    assert_eq!(decode(&answer), Ok(refused(Refusal::Unsupported)));
    let answer = rig.ask(device(1), &mut client, &Up::Trust { version: 2 }, b"t").await;
    assert_eq!(decode(&answer), Ok(refused(Refusal::Unsupported)), "documents travel over HTTP");
    for garbage in [vec![], vec![0xFF; 40], vec![0; 97], vec![0; 5000]] {
        client.up(device(1), &garbage, b"g").await;
        assert_eq!(decode(&client.answer().await.payload), Ok(refused(Refusal::Malformed)));
    }
    // Below its own `up`, but nothing we know.
    client.say(&format!("ota/v1/{}/up/other", device(1)), b"x", b"").await;
    client.say(&format!("ota/v1/{}/up/msg/more", device(1)), b"x", b"").await;
    // In another device's name, and as the server: the broker does not take these.
    let report = bytes(&Up::Report(Report { job, attempt, seq: 1, stage: Stage::Confirmed }));
    client.up(device(2), &report, b"forged").await;
    client.say(&bell_of(device(2)), b"forged", b"").await;
    client.hear_nothing(300).await;
    broker_holds(&rig.broker, device(2), false).await;

    // More correlation data than a counter needs is not handed back.
    client.up(device(1), &bytes(&Up::Poll(poll())), &[7; 17]).await;
    let heard = client.answer().await;
    assert_eq!(heard.properties.and_then(|properties| properties.correlation_data), None);

    let stranger = device(77);
    let mut unknown = rig.broker.device(stranger).await;
    let answer = rig.ask(stranger, &mut unknown, &Up::Poll(poll()), b"s").await;
    assert_eq!(decode(&answer), Ok(refused(Refusal::Unauthentic)));
    rig.fleet.command(&rig.ann, Command::Remove(device(1))).await.unwrap();
    let answer = rig.ask(device(1), &mut client, &Up::Poll(poll()), b"r").await;
    assert_eq!(decode(&answer), Ok(refused(Refusal::Unauthentic)), "a removed device is a stranger");
    assert_eq!(*rig.bell.link().borrow(), LinkState::Connected);
    rig.bell.stop().await;
}
