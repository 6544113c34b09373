//! A real mosquitto with the configuration and the certificates from here: who gets in, and who reads and writes what.
//!
//! That something is not delivered is proved by what is delivered after it: the broker keeps the order.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use linux_server::pki::broker::{Mosquitto, free_port};
use linux_server::pki::{self, PkiPlan, device_files};
use ota_manifest::wire::{Down, encode};
use ota_manifest::{DeviceId, JobId, MAX_ENVELOPE_POST_QUANTUM};
use rumqttc::mqttbytes::v5::{LastWill, PubAckReason, SubscribeReasonCode};
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, PublishOptions, PublishProperties, QoS,
    TlsConfiguration, Transport,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(10);

/// A folder, its broker, and three devices.
struct Lab {
    folder: TempDir,
    broker: Mosquitto,
    devices: Vec<DeviceId>,
}

impl Lab {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = PkiPlan { devices: 3, port: Some(free_port().unwrap()), ..PkiPlan::default() };
        let devices = pki::init(folder.path(), &plan).unwrap();
        let broker = Mosquitto::start(folder.path()).unwrap();
        Self { folder, broker, devices }
    }

    fn dir(&self) -> &Path {
        self.folder.path()
    }

    async fn server(&self) -> Client {
        Client::connect(self, &self.tls(Some((self.dir(), "server"))), "server").await.unwrap()
    }

    async fn device(&self, number: usize) -> Client {
        let tls = self.device_tls(number);
        Client::connect(self, &tls, "device").await.unwrap()
    }

    fn device_tls(&self, number: usize) -> Arc<ClientConfig> {
        self.tls(Some((self.dir(), &format!("devices/{}", self.devices[number]))))
    }

    /// TLS that believes this lab's broker and shows the certificate that lies in a folder under a name.
    fn tls(&self, shown: Option<(&Path, &str)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.dir().join("ca.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shown {
            None => config.with_no_client_auth(),
            Some((dir, name)) => {
                let certificate = CertificateDer::from_pem_file(dir.join(format!("{name}.pem"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
                config.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        })
    }

    fn topic(&self, number: usize, rest: &str) -> String {
        format!("ota/v1/{}/{rest}", self.devices[number])
    }
}

/// A client that stays connected until it is dropped or thrown out.
struct Client {
    client: AsyncClient,
    packets: UnboundedReceiver<Packet>,
    /// Messages that came while something else was waited for.
    waiting: VecDeque<Publish>,
    pump: JoinHandle<()>,
}

impl Client {
    async fn connect(lab: &Lab, tls: &Arc<ClientConfig>, id: &str) -> Result<Self, String> {
        Self::connect_with(lab, tls, id, None).await
    }

    async fn connect_with(
        lab: &Lab,
        tls: &Arc<ClientConfig>,
        id: &str,
        will: Option<LastWill>,
    ) -> Result<Self, String> {
        let mut options = MqttOptions::new(id, ("127.0.0.1", lab.broker.port()));
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(tls))));
        if let Some(will) = will {
            options.set_last_will(will);
        }
        let (client, mut events) = AsyncClient::builder(options).try_build().unwrap();
        let welcomed = tokio::time::timeout(PATIENCE, events.poll()).await.unwrap();
        match welcomed.map_err(|error| error.to_string())? {
            Event::Incoming(Packet::ConnAck(_)) => {}
            other => return Err(format!("{other:?}")),
        }
        let (sender, packets) = unbounded_channel();
        let pump = tokio::spawn(pump(events, sender));
        Ok(Self { client, packets, waiting: VecDeque::new(), pump })
    }

    async fn packet(&mut self) -> Option<Packet> {
        tokio::time::timeout(PATIENCE, self.packets.recv()).await.expect("nothing came")
    }

    async fn subscribe(&mut self, filter: &str) -> SubscribeReasonCode {
        self.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        loop {
            match self.packet().await.expect("thrown out") {
                Packet::SubAck(ack) => return ack.return_codes[0],
                Packet::Publish(message) => self.waiting.push_back(message),
                _ => {}
            }
        }
    }

    async fn publish(&mut self, topic: &str, payload: &str) -> PubAckReason {
        self.publish_with(topic, payload, PublishProperties::default()).await
    }

    async fn publish_with(&mut self, topic: &str, payload: &str, with: PublishProperties) -> PubAckReason {
        let options = PublishOptions::at_least_once().properties(with);
        self.client.publish(topic, payload, options).await.unwrap();
        loop {
            match self.packet().await.expect("thrown out") {
                Packet::PubAck(ack) => return ack.reason,
                Packet::Publish(message) => self.waiting.push_back(message),
                _ => {}
            }
        }
    }

    /// The next message that is delivered; `None` when the connection has ended.
    async fn message(&mut self) -> Option<String> {
        loop {
            let message = match self.waiting.pop_front() {
                Some(message) => Some(message),
                None => match self.packet().await? {
                    Packet::Publish(message) => Some(message),
                    _ => None,
                },
            };
            if let Some(message) = message {
                return Some(String::from_utf8(message.payload.to_vec()).unwrap());
            }
        }
    }
}

impl Drop for Client {
    /// The connection breaks without a farewell.
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(mut events: EventLoop, packets: tokio::sync::mpsc::UnboundedSender<Packet>) {
    // Polling after an error would connect again.
    while let Ok(event) = events.poll().await {
        if let Event::Incoming(packet) = event {
            let _ = packets.send(packet);
        }
    }
}

#[tokio::test]
async fn a_device_and_the_server_reach_each_other() {
    let lab = Lab::start();
    let (mut server, mut device) = (lab.server().await, lab.device(0).await);
    assert_eq!(
        device.subscribe(&lab.topic(0, "down/#")).await,
        SubscribeReasonCode::Success(QoS::AtLeastOnce)
    );
    server.subscribe("$share/ota/ota/v1/+/up/#").await;
    assert_eq!(server.publish(&lab.topic(0, "down/bell"), "ring").await, PubAckReason::Success);
    assert_eq!(device.message().await.unwrap(), "ring");
    assert_eq!(device.publish(&lab.topic(0, "up/msg"), "hello").await, PubAckReason::Success);
    assert_eq!(server.message().await.unwrap(), "hello");
}

#[tokio::test]
async fn longest_offer_reaches_a_device() {
    let lab = Lab::start();
    let (mut server, mut device) = (lab.server().await, lab.device(0).await);
    device.subscribe(&lab.topic(0, "down/#")).await;
    let envelope = [0; MAX_ENVELOPE_POST_QUANTUM];
    let down = Down::Offer { job: JobId::new([0; 16]), attempt: 1, envelope: &envelope };
    // Its length is all that matters here.
    let offer = "o".repeat(encode(&down, &mut [0; 5000]).unwrap().len());
    let correlated =
        PublishProperties { correlation_data: Some(vec![b'c'; 16].into()), ..PublishProperties::default() };
    server.publish_with(&lab.topic(0, "down/msg"), &offer, correlated).await;
    assert_eq!(device.message().await.unwrap(), offer);
}

#[tokio::test]
async fn longest_packet_of_a_device_does_not_end_the_server_however_it_grows_on_its_way() {
    const LIMIT: usize = 5 * 1024;
    let lab = Lab::start();
    let (mut server, mut device) = (lab.server().await, lab.device(0).await);
    server.subscribe("$share/ota/ota/v1/+/up/#").await;
    let alias = || PublishProperties { topic_alias: Some(1), ..PublishProperties::default() };
    // Header, lengths, packet id and properties: 11 bytes beside topic or payload. The topic is as long as it can be, and the
    // broker puts it back in where the alias stands for it.
    let topic = lab.topic(0, "up/");
    let topic = topic.clone() + &"t".repeat(LIMIT - 11 - topic.len());
    assert_eq!(device.publish_with(&topic, "", alias()).await, PubAckReason::Success);
    let payload = "p".repeat(LIMIT - 11);
    assert_eq!(device.publish_with("", &payload, alias()).await, PubAckReason::Success);
    assert_eq!(server.message().await.unwrap(), "");
    assert_eq!(server.message().await.unwrap(), payload);
    device.publish(&lab.topic(0, "up/msg"), "and on it goes").await;
    assert_eq!(server.message().await.unwrap(), "and on it goes");
}

#[tokio::test]
async fn a_foreign_topic_can_be_subscribed_and_delivers_nothing() {
    let lab = Lab::start();
    let (mut server, mut owner, mut spy) = (lab.server().await, lab.device(0).await, lab.device(1).await);
    owner.subscribe(&lab.topic(0, "down/#")).await;
    let foreign = [
        lab.topic(0, "down/#"),
        lab.topic(0, "down/bell"),
        lab.topic(0, "up/#"),
        "ota/v1/+/down/#".into(),
        "$share/ota/ota/v1/+/up/#".into(),
        "#".into(),
    ];
    for filter in foreign {
        let granted = spy.subscribe(&filter).await;
        assert_eq!(granted, SubscribeReasonCode::Success(QoS::AtLeastOnce), "{filter}: the trap");
    }
    server.publish(&lab.topic(0, "down/bell"), "for the owner").await;
    owner.publish(&lab.topic(0, "up/msg"), "from the owner").await;
    server.publish(&lab.topic(1, "down/bell"), "for the spy").await;
    assert_eq!(owner.message().await.unwrap(), "for the owner");
    assert_eq!(spy.message().await.unwrap(), "for the spy", "and nothing before it");
}

#[tokio::test]
async fn a_foreign_publish_is_not_authorized_and_reaches_nobody() {
    let lab = Lab::start();
    let (mut server, mut owner, mut forger) = (lab.server().await, lab.device(0).await, lab.device(1).await);
    server.subscribe("ota/v1/+/up/#").await;
    owner.subscribe(&lab.topic(0, "down/#")).await;
    let foreign =
        [lab.topic(0, "up/msg"), lab.topic(0, "down/bell"), lab.topic(1, "down/bell"), "ota/v1/x".into()];
    for topic in foreign {
        assert_eq!(forger.publish(&topic, "forged").await, PubAckReason::NotAuthorized, "{topic}");
    }
    forger.publish(&lab.topic(1, "up/msg"), "my own").await;
    assert_eq!(server.message().await.unwrap(), "my own");
    server.publish(&lab.topic(0, "down/bell"), "genuine").await;
    assert_eq!(owner.message().await.unwrap(), "genuine");
    assert_eq!(server.publish(&lab.topic(0, "up/msg"), "as the device").await, PubAckReason::NotAuthorized);
}

#[tokio::test]
async fn a_last_will_on_a_foreign_topic_reaches_nobody() {
    let lab = Lab::start();
    let mut server = lab.server().await;
    server.subscribe("ota/v1/+/up/#").await;
    let will =
        |number, text: &str| LastWill::new(lab.topic(number, "up/will"), text, QoS::AtLeastOnce, false, None);
    let tls = lab.device_tls(1);
    // Whether the broker turns it away or only keeps the will to itself is the broker's affair.
    drop(Client::connect_with(&lab, &tls, "device", Some(will(0, "forged"))).await);
    drop(Client::connect_with(&lab, &tls, "device", Some(will(1, "my own"))).await.unwrap());
    assert_eq!(server.message().await.unwrap(), "my own");
}

#[tokio::test]
async fn another_devices_client_id_ends_no_session() {
    let lab = Lab::start();
    let mut server = lab.server().await;
    let victim_id = lab.devices[0].to_string();
    let mut victim = Client::connect(&lab, &lab.device_tls(0), &victim_id).await.unwrap();
    victim.subscribe(&lab.topic(0, "down/#")).await;
    let mut thief = Client::connect(&lab, &lab.device_tls(1), &victim_id).await.unwrap();
    thief.subscribe(&lab.topic(1, "down/#")).await;
    for (number, text) in [(0, "for the victim"), (1, "for the thief")] {
        server.publish(&lab.topic(number, "down/bell"), text).await;
    }
    assert_eq!(victim.message().await.as_deref(), Some("for the victim"));
    assert_eq!(thief.message().await.as_deref(), Some("for the thief"));
    // The id is the certificate's: the same device again ends its own session, under whatever id.
    let _again = Client::connect(&lab, &lab.device_tls(0), "something else").await.unwrap();
    assert_eq!(victim.message().await, None, "thrown out");
}

#[tokio::test]
async fn without_a_certificate_from_here_nobody_gets_in() {
    let lab = Lab::start();
    let refused = Client::connect(&lab, &lab.tls(None), "nobody").await.err().unwrap();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let other = tempfile::tempdir().unwrap();
    pki::init(other.path(), &PkiPlan { device_ids: lab.devices.clone(), ..PkiPlan::default() }).unwrap();
    for name in ["server".to_owned(), format!("devices/{}", lab.devices[0])] {
        let foreign = lab.tls(Some((other.path(), &name)));
        let refused = Client::connect(&lab, &foreign, "foreign").await.err().unwrap();
        assert!(refused.contains("alert"), "{name}: {refused}");
    }
    let as_client = lab.tls(Some((lab.dir(), "broker")));
    assert!(
        Client::connect(&lab, &as_client, "broker").await.is_err(),
        "a broker's certificate is no client's"
    );
    lab.device(0).await;
}

#[tokio::test]
async fn a_revoked_device_is_out_after_a_restart_and_the_others_come_back() {
    let mut lab = Lab::start();
    let tls = lab.device_tls(0);
    let mut device = Client::connect(&lab, &tls, "device").await.unwrap();
    pki::revoke(lab.dir(), lab.devices[0]).unwrap();
    lab.broker.restart().unwrap();
    assert_eq!(device.message().await, None, "its session has ended");
    // The same TLS again: it would resume its old session if the broker let it.
    let refused = Client::connect(&lab, &tls, "device").await.err().unwrap();
    assert!(refused.contains("Revoked"), "{refused}");
    let (mut server, mut other) = (lab.server().await, lab.device(1).await);
    other.subscribe(&lab.topic(1, "down/#")).await;
    server.publish(&lab.topic(1, "down/bell"), "ring").await;
    assert_eq!(other.message().await.unwrap(), "ring");

    assert!(pki::issue(lab.dir(), lab.devices[0]).unwrap());
    lab.device(0).await;
    assert!(Client::connect(&lab, &tls, "device").await.is_err(), "the old certificate stays revoked");
}

#[tokio::test]
async fn a_signal_keeps_a_revoked_device_from_connecting_and_does_not_disturb_the_others() {
    let lab = Lab::start();
    let mut other = lab.device(1).await;
    other.subscribe(&lab.topic(1, "down/#")).await;
    let tls = lab.device_tls(0);
    drop(Client::connect(&lab, &tls, "device").await.unwrap());
    pki::revoke(lab.dir(), lab.devices[0]).unwrap();
    lab.broker.hang_up().unwrap();
    // The broker answers to a signal in its own time.
    let mut left = 100;
    while Client::connect(&lab, &tls, "device").await.is_ok() {
        left -= 1;
        assert!(left > 0, "still let in: {}", lab.broker.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    lab.server().await.publish(&lab.topic(1, "down/bell"), "ring").await;
    assert_eq!(other.message().await.unwrap(), "ring", "over the signal");
}

#[test]
fn a_broker_does_not_start_with_a_revocation_list_it_cannot_read() {
    let mut lab = Lab::start();
    std::fs::write(lab.dir().join("crl.pem"), "garbage").unwrap();
    let error = lab.broker.restart().unwrap_err().to_string();
    assert!(error.contains("crlfile"), "{error}");
}

#[test]
fn two_brokers_on_one_port_get_a_sentence() {
    let lab = Lab::start();
    let error = Mosquitto::start(lab.dir()).unwrap_err().to_string();
    assert!(error.contains("another program listens"), "{error}");
}

#[test]
fn openssl_takes_each_certificate_for_what_it_is() {
    let lab = Lab::start();
    let verify = |file: &Path, purpose: &str| {
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["verify", "-x509_strict", "-crl_check", "-purpose", purpose]);
        openssl.arg("-CAfile").arg(lab.dir().join("ca.pem"));
        openssl.arg("-CRLfile").arg(lab.dir().join("crl.pem")).arg(file);
        let output = openssl.output().expect("openssl is missing; run: sudo apt-get install openssl");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let device = device_files(lab.dir(), lab.devices[0]).0;
    let (broker, server) = (lab.dir().join("broker.pem"), lab.dir().join("server.pem"));
    for (file, purpose, good) in [
        (&broker, "sslserver", true),
        (&broker, "sslclient", false),
        (&server, "sslclient", true),
        (&server, "sslserver", true),
        (&device, "sslclient", true),
        (&device, "sslserver", false),
    ] {
        let (verified, said) = verify(file, purpose);
        assert_eq!(verified, good, "{} as {purpose}: {said}", file.display());
    }
    pki::revoke(lab.dir(), lab.devices[0]).unwrap();
    let (verified, said) = verify(&device, "sslclient");
    assert!(!verified && said.contains("revoked"), "{said}");
}
