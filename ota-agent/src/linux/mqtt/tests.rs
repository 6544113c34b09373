//! Links to a real mosquitto; the server's part is played by a client of it.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use std::{println, vec};

use ota_manifest::wire::topic::SERVER_FILTER;
use ota_manifest::wire::{Fetch, Object, Poll, Question, Report, Stage};
use ota_manifest::{
    DeviceId, JobId, MAX_ENVELOPE_POST_QUANTUM, ManifestId, Nonce, Order, SecurityVersion, Version,
};
use ota_slots::sim::Lab;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rumqttc::{Event, MqttOptions, NetworkOptions, Packet, QoS, TlsConfiguration, Transport};

use super::*;
use crate::linux::{DualLink, HttpLink, Tls};

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
const SERVER: &str = "ota-server";

/// A broker with its authority; `devices` is the folder that a factory would take certificates from.
struct Broker {
    dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
    port: u16,
    child: Option<Child>,
}

impl Broker {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("devices")).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { dir, authority, port, child: None };
        broker.issue(Path::new("broker"), ExtendedKeyUsagePurpose::ServerAuth);
        broker.issue(Path::new(SERVER), ExtendedKeyUsagePurpose::ClientAuth);
        broker.configure();
        broker.start();
        broker
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn issue(&self, name: &Path, usage: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name.file_name().unwrap().to_str().unwrap());
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.path().join(name).with_extension("pem"), certificate.pem()).unwrap();
        fs::write(self.path().join(name).with_extension("key"), key.serialize_pem()).unwrap();
    }

    fn configure(&self) {
        let (port, dir) = (self.port, self.path().display());
        let config = format!(
            "user root\nper_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous false\n\
             require_certificate true\nuse_identity_as_username true\npersistence false\nset_tcp_nodelay true\n\
             max_packet_size 5120\n\
             cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key\nacl_file {dir}/acl\n\
             log_dest stderr\n"
        );
        let acl = format!(
            "pattern read ota/v1/%u/down/#\npattern write ota/v1/%u/up/#\n\n\
             user {SERVER}\ntopic write ota/v1/+/down/#\ntopic read ota/v1/+/up/#\n"
        );
        fs::write(self.path().join("mosquitto.conf"), config).unwrap();
        fs::write(self.path().join("acl"), acl).unwrap();
    }

    fn start(&mut self) {
        let mosquitto = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let mosquitto = mosquitto.iter().find(|path| Path::new(path).exists()).unwrap_or(&"mosquitto");
        let child = Command::new(mosquitto)
            .args(["-c".as_ref(), self.path().join("mosquitto.conf").as_os_str()])
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(match child {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("this test needs a broker: apt-get install mosquitto")
            }
            Err(error) => panic!("mosquitto does not start: {error}"),
        });
        until(|| std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Everything that a factory does for a device.
    fn account(&self, device: DeviceId) -> Account {
        let path = Path::new("devices").join(device.to_string());
        self.issue(&path, ExtendedKeyUsagePurpose::ClientAuth);
        let pem = |path: &Path| fs::read(self.path().join(path)).unwrap();
        let (certificate, key) = (pem(&path.with_extension("pem")), pem(&path.with_extension("key")));
        let tls = Tls::with_certificate(&pem(Path::new("ca.pem")), &certificate, &key).unwrap();
        let url = format!("mqtts://127.0.0.1:{}", self.port);
        Account::new(url.parse().unwrap(), device, &tls).with_backoff_ms(20, 500)
    }

    /// Plays the server: answers each message with what `answer` makes of it and of its correlation data.
    fn serve(&self, answer: impl Fn(Up, Vec<u8>) -> Vec<(Vec<u8>, Vec<u8>)> + Send + 'static) -> AsyncClient {
        let (client, mut events) = AsyncClient::builder(self.options()).build();
        let server = client.clone();
        let (tell, ready) = std::sync::mpsc::channel();
        RUNTIME.as_ref().unwrap().spawn(async move {
            while let Ok(event) = events.poll().await {
                match event {
                    Event::Incoming(Packet::ConnAck(_)) => {
                        server.try_subscribe(SERVER_FILTER, QoS::AtLeastOnce).unwrap();
                    }
                    Event::Incoming(Packet::SubAck(_)) => tell.send(()).unwrap(),
                    Event::Incoming(Packet::Publish(message)) => {
                        let topic = Topic::parse(std::str::from_utf8(&message.topic).unwrap()).unwrap();
                        let asked = decode(&message.payload).unwrap();
                        let correlation = message.properties.unwrap().correlation_data.unwrap().to_vec();
                        for (correlation, payload) in answer(asked, correlation) {
                            let topic = Topic { channel: Channel::Down, ..topic }.to_string();
                            let properties = PublishProperties {
                                correlation_data: Some(correlation.into()),
                                ..PublishProperties::default()
                            };
                            let options = PublishOptions::at_least_once().properties(properties);
                            server.try_publish(topic, payload, options).unwrap();
                        }
                    }
                    _ => {}
                }
            }
        });
        ready.recv_timeout(PATIENCE).unwrap();
        client
    }

    fn options(&self) -> MqttOptions {
        let pem = |file: &str| fs::read(self.path().join(file)).unwrap();
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        let mut options = MqttOptions::new(SERVER, ("127.0.0.1", self.port));
        options
            .set_transport(Transport::tls_with_config(TlsConfiguration::Simple {
                ca: pem("ca.pem"),
                alpn: None,
                client_auth: Some((pem("ota-server.pem"), pem("ota-server.key"))),
            }))
            .set_network_options(network)
            .set_request_channel_capacity(1000)
            .set_outgoing_inflight_upper_limit(100);
        options
    }

    /// Plays the server: rings, or takes the bell back.
    fn bell(&self, server: &AsyncClient, device: DeviceId, payload: &'static [u8]) {
        let topic = Topic { device, channel: Channel::Bell }.to_string();
        let told = async {
            let options = PublishOptions::at_least_once().retained();
            server
                .publish_tracked(topic, payload, options)
                .await
                .unwrap()
                .wait_completion_async()
                .await
                .unwrap();
        };
        RUNTIME.as_ref().unwrap().block_on(told);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn until(mut happens: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happens() {
        assert!(since.elapsed() < PATIENCE, "it does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn device(n: u16) -> DeviceId {
    let mut bytes = [0xCD; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    DeviceId::new(bytes)
}

fn open(account: &Account) -> MqttLink {
    MqttLink::open(account, PATIENCE).unwrap()
}

fn report(seq: u32) -> Up {
    Up::Report(Report { job: JobId::new([1; 16]), attempt: 1, seq, stage: Stage::Accepted })
}

fn seq_of(up: &Up) -> u32 {
    let Up::Report(report) = up else { panic!("no report: {up:?}") };
    report.seq
}

fn ack(seq: u32) -> Vec<u8> {
    encode(&Down::Ack { seq }, &mut [0; 64]).unwrap().to_vec()
}

#[test]
fn bell_is_heard_by_a_device_that_was_away_or_was_just_reset_until_it_is_taken_back() {
    let broker = Broker::new();
    let account = broker.account(device(1));
    let server = broker.serve(|_, _| vec![]);
    broker.bell(&server, device(1), b"ask");
    for _ in 0..5 {
        let since = Instant::now();
        let mut link = open(&account);
        until(|| link.wait(Duration::ZERO));
        println!("heard {:?} after the reset", since.elapsed());
        assert!(!link.wait(Duration::ZERO), "once");
    }
    let mut link = open(&account);
    until(|| link.wait(Duration::ZERO));
    broker.bell(&server, device(1), b"");
    broker.bell(&server, device(2), b"ask");
    std::thread::sleep(Duration::from_millis(200));
    assert!(!link.wait(Duration::ZERO), "taken back, and rung for another device");
    broker.bell(&server, device(1), b"ask");
    until(|| link.wait(Duration::ZERO));
}

#[test]
fn report_gets_its_own_answer_and_no_other() {
    let broker = Broker::new();
    let mut link = MqttLink::open(&broker.account(device(1)), PATIENCE).unwrap();
    until(|| link.is_up());
    let nobody = link.exchange(&report(1)).unwrap_err().to_string();
    assert!(nobody.contains("NoMatchingSubscribers"), "{nobody}");
    let _server = broker.serve(|up, correlation| match seq_of(&up) {
        // As if for the question before the last reset.
        seq @ 1..=50 => vec![(vec![1, 2, 3, 4], ack(77)), (correlation, ack(seq))],
        51 => vec![(correlation, b"nonsense".to_vec())],
        _ => vec![],
    });
    let since = Instant::now();
    for seq in 1..=50 {
        assert_eq!(link.exchange(&report(seq)).unwrap(), Down::Ack { seq });
    }
    println!("a report and its answer take {:?}", since.elapsed() / 50);
    assert!(matches!(link.exchange(&report(51)), Err(LinkError::Malformed)));
    let since = Instant::now();
    link.timeout = Duration::from_millis(300);
    let silent = link.exchange(&report(52)).unwrap_err().to_string();
    assert!(silent.contains("does not answer") && since.elapsed() < PATIENCE, "{silent}");
}

#[test]
fn device_that_waits_for_an_answer_learns_at_once_that_its_broker_died() {
    let mut broker = Broker::new();
    let mut link = MqttLink::open(&broker.account(device(1)), PATIENCE).unwrap();
    until(|| link.is_up());
    let (asked, killer) = std::sync::mpsc::channel();
    let _server = broker.serve(move |_, _| {
        asked.send(()).unwrap();
        vec![]
    });
    let died = std::thread::scope(|scope| {
        let waits = scope.spawn(|| (link.exchange(&report(1)).is_err(), Instant::now()));
        killer.recv_timeout(PATIENCE).unwrap();
        let killed = Instant::now();
        broker.kill();
        let (failed, told) = waits.join().unwrap();
        assert!(failed);
        told - killed
    });
    assert!(died < Duration::from_secs(1), "{died:?}");
    assert!(!link.is_up() && link.exchange(&report(2)).is_err(), "the next one goes over HTTP");
    std::thread::sleep(Duration::from_millis(700));
    // One line for a broker that stays away, however often it was tried.
    assert_eq!(
        core::iter::from_fn(|| link.news()).collect::<Vec<_>>(),
        ["connected", "the connection broke", "nobody listens"].map(|news| format!("broker: {news}"))
    );
    broker.start();
    until(|| link.is_up());
}

#[test]
fn three_hundred_devices_fit_into_one_process() {
    let broker = Broker::new();
    let accounts: Vec<_> = (0..300).map(|n| broker.account(device(n))).collect();
    let server = broker.serve(|up, correlation| vec![(correlation, ack(seq_of(&up)))]);
    let since = Instant::now();
    let mut links: Vec<_> = accounts.iter().map(open).collect();
    until(|| links.iter().all(MqttLink::is_up));
    println!("300 devices connected within {:?}", since.elapsed());
    let since = Instant::now();
    (0..300).for_each(|n| broker.bell(&server, device(n), b"ask"));
    links.iter_mut().for_each(|link| until(|| link.wait(Duration::ZERO)));
    println!("300 bells within {:?}", since.elapsed());
    std::thread::scope(|scope| {
        for link in &mut links {
            scope.spawn(|| assert_eq!(link.exchange(&report(9)).unwrap(), Down::Ack { seq: 9 }));
        }
    });
    // A reset of all of them: nobody stays connected.
    drop(links);
    let again: Vec<_> = accounts.iter().map(open).collect();
    until(|| again.iter().all(MqttLink::is_up));
}

fn poll() -> Up {
    Up::Poll(Poll {
        protocol: 1,
        version: Version::new(1, 0, 0),
        order: Order::default(),
        floor: SecurityVersion(0),
        running: ManifestId::NONE,
        bootloader: 1,
        hardware: 0,
    })
}

/// A server's other side: answers every request over HTTP so, and counts them by their first line.
fn over_http(answer: Vec<u8>) -> (HttpLink, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let mut head =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let _ = tell.send(head.next().unwrap_or_default());
            head.for_each(drop);
            let _ = stream.write_all(&answer);
        }
    });
    (HttpLink::new(&url, "token", PATIENCE).unwrap(), lines)
}

#[test]
fn offer_with_the_longest_post_quantum_envelope_passes_the_broker() {
    let broker = Broker::new();
    let envelope = vec![9; MAX_ENVELOPE_POST_QUANTUM];
    let offer = Down::Offer { job: JobId::new([1; 16]), attempt: 1, envelope: &envelope };
    let said = encode(&offer, &mut [0; 5000]).unwrap().to_vec();
    let _server = broker.serve(move |_, correlation| vec![(correlation, said.clone())]);
    let mut link = open(&broker.account(device(1)));
    until(|| link.is_up());
    for _ in 0..30 {
        assert_eq!(link.exchange(&poll()).unwrap(), offer);
    }
}

#[test]
fn what_is_offered_by_the_broker_is_fetched_over_http_with_the_chunks_of_its_manifest() {
    let broker = Broker::new();
    let (job, envelope) = (JobId::new([1; 16]), Lab::new().release(2, 5000).envelope);
    let offer =
        encode(&Down::Offer { job, attempt: 1, envelope: &envelope }, &mut [0; 2000]).unwrap().to_vec();
    let _server = broker.serve(move |_, correlation| vec![(correlation, offer.clone())]);
    let head = "HTTP/1.1 206 OK\r\ncontent-range: bytes 2048-3071/5000\r\ncontent-length: 1024\r\nconnection: close\r\n\r\n";
    let (http, lines) = over_http([head.as_bytes(), &[7; 1024]].concat());
    let mqtt = open(&broker.account(device(1)));
    until(|| mqtt.is_up());
    let mut link = DualLink::new(mqtt, http);
    assert!(matches!(link.exchange(&poll()), Ok(Down::Offer { .. })));
    assert!(lines.try_recv().is_err(), "the poll went to the broker");
    let fetch = Fetch { job, image: 0, object: Object::Payload, first: 2, count: 1 };
    assert!(
        matches!(link.exchange(&Up::Fetch(fetch)), Ok(Down::Chunk { first: 2, bytes, .. }) if bytes == [7; 1024])
    );
    assert!(lines.recv_timeout(PATIENCE).unwrap().ends_with("/images/0/payload HTTP/1.1"));
    assert!(matches!(link.exchange(&Up::Trust { version: 2 }), Err(LinkError::Status(206))));
    assert!(lines.recv_timeout(PATIENCE).unwrap().starts_with("GET /device/v1/trust/2 "));
}

#[test]
fn message_that_gets_no_answer_by_the_broker_is_followed_by_one_over_http() {
    let mut broker = Broker::new();
    let _silent = broker.serve(|_, _| vec![]);
    let said = ack(7);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len());
    let (http, lines) = over_http([head.as_bytes(), &said].concat());
    let account = broker.account(device(1));
    let mqtt = MqttLink::open(&account, Duration::from_millis(300)).unwrap();
    until(|| mqtt.is_up());
    let mut link = DualLink::new(mqtt, http);
    let ask = Up::Ask(Question { nonce: Nonce::new([3; 16]), trust: 1 });
    let asked = [poll(), report(7), ask].into_iter().cycle().take(8);
    let by_broker: Vec<_> = asked.map(|up| matches!(link.exchange(&up), Err(LinkError::Broker(_)))).collect();
    assert_eq!(by_broker, [true, false, true, false, false, true, false, false]);
    assert_eq!(lines.try_iter().count(), 5);
    broker.kill();
    until(|| matches!(link.exchange(&poll()), Ok(Down::Ack { seq: 7 })));
    assert_eq!(link.exchange(&poll()).unwrap(), Down::Ack { seq: 7 }, "no broker, no attempt at it");
}

#[test]
fn chunks_are_not_asked_of_a_broker() {
    let broker = Broker::new();
    let mut link = open(&broker.account(device(1)));
    let fetch = Fetch { job: JobId::new([1; 16]), image: 0, object: Object::Payload, first: 2, count: 1 };
    for up in [Up::Fetch(fetch), Up::Trust { version: 2 }] {
        assert!(matches!(link.exchange(&up), Err(LinkError::NotHere)));
    }
}
