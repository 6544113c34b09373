//! A real mosquitto with certificates, an access list and devices, for tests.
#![allow(unreachable_pub, dead_code, reason = "a toolbox; not every tool is in use at all times")]

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ota_manifest::DeviceId;
use ota_manifest::wire::topic::{Channel, Topic};
use ota_server_core::mqtt::{LinkState, MqttBell, MqttConfig, MqttIdentity};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rumqttc::{
    AsyncClient, Event, MqttOptions, NetworkOptions, Packet, Publish, PublishOptions, PublishProperties, QoS,
    TlsConfiguration, Transport,
};
use tokio::sync::mpsc;

/// Name of the server in its certificate.
pub const SERVER: &str = "ota-server";
/// Somebody who may hear everything.
pub const OBSERVER: &str = "observer";
/// Longest wait for anything that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An authority and a folder for what it signs.
pub struct Pki {
    dir: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let dir = tempfile::tempdir().unwrap();
        params.distinguished_name.push(DnType::CommonName, dir.path().display().to_string());
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
        Self { dir, authority }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Makes `NAME.pem` and `NAME.key`.
    pub fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        fs::write(self.dir().join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.dir().join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// The identity of a client, made when it is asked for first.
    pub fn client(&self, name: &str) -> MqttIdentity {
        if !self.dir().join(format!("{name}.pem")).exists() {
            self.issue(name, ExtendedKeyUsagePurpose::ClientAuth);
        }
        MqttIdentity::from_folder(self.dir(), name).unwrap()
    }
}

/// A broker that can be killed and started again on the same port. It keeps nothing on disk.
pub struct Broker {
    pub pki: Pki,
    pub port: u16,
    child: Option<Child>,
}

impl Broker {
    /// One that runs.
    pub fn new() -> Self {
        let mut broker = Self::absent();
        broker.start();
        broker
    }

    /// One that is yet to be started.
    pub fn absent() -> Self {
        let pki = Pki::new();
        pki.issue("broker", ExtendedKeyUsagePurpose::ServerAuth);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = pki.dir().display();
        let config = format!(
            "user root\nper_listener_settings true\nlistener {port} 127.0.0.1\nallow_anonymous false\n\
             require_certificate true\nuse_identity_as_username true\npersistence false\n\
             set_tcp_nodelay true\n\
             cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key\nacl_file {dir}/acl\n\
             max_queued_messages 2000\nlog_dest stderr\n"
        );
        let acl = format!(
            "pattern read ota/v1/%u/down/#\npattern write ota/v1/%u/up/#\n\n\
             user {SERVER}\ntopic write ota/v1/+/down/#\ntopic read ota/v1/+/up/#\n\
             topic read ota/v1/+/down/bell\n\n\
             user {OBSERVER}\ntopic read ota/v1/#\n"
        );
        fs::write(pki.dir().join("mosquitto.conf"), config).unwrap();
        fs::write(pki.dir().join("acl"), acl).unwrap();
        Self { pki, port, child: None }
    }

    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let mosquitto = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let mosquitto = mosquitto.iter().find(|path| Path::new(path).exists()).unwrap_or(&"mosquitto");
        let child = Command::new(mosquitto)
            .args(["-c".as_ref(), self.pki.dir().join("mosquitto.conf").as_os_str()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(match child {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("this test needs a broker: apt-get install mosquitto")
            }
            Err(error) => panic!("mosquitto does not start: {error}"),
        });
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.log()).unwrap_or_default();
            assert!(since.elapsed() < PATIENCE, "mosquitto does not listen:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A power failure of the broker: it forgets everything.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends it a signal: STOP, and it goes on listening and does nothing; CONT, and it wakes up.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    fn log(&self) -> PathBuf {
        self.pki.dir().join("mosquitto.log")
    }

    pub fn config(&self) -> MqttConfig {
        self.config_at(self.port)
    }

    /// A server's configuration, by way of another port.
    pub fn config_at(&self, port: u16) -> MqttConfig {
        let url = format!("mqtts://127.0.0.1:{port}").parse().unwrap();
        let mut config = MqttConfig::new(url, self.pki.client(SERVER), SERVER.into());
        config.backoff_ms = (50, 500);
        config
    }

    /// A bell that is connected.
    pub async fn bell(&self) -> MqttBell {
        let bell = MqttBell::start(self.config());
        connected(&bell).await;
        bell
    }

    /// A device that has subscribed to its topics.
    pub async fn device(&self, device: DeviceId) -> Client {
        let below = format!("ota/v1/{device}/down/#");
        Client::connect(self, &device.to_string(), &[&below]).await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

pub async fn connected(bell: &MqttBell) {
    let mut link = bell.link();
    let state = tokio::time::timeout(PATIENCE, link.wait_for(|state| *state == LinkState::Connected)).await;
    assert!(state.is_ok_and(|state| state.is_ok()), "{:?}", bell.link().borrow());
}

/// The sentence of a link that is down.
pub async fn down(bell: &MqttBell) -> String {
    let mut link = bell.link();
    let down = link.wait_for(|state| matches!(state, LinkState::Down { .. }));
    match &*tokio::time::timeout(PATIENCE, down).await.expect("the link goes down").unwrap() {
        LinkState::Down { why } => why.clone(),
        other => panic!("{other:?}"),
    }
}

/// A client of the broker that collects what it hears.
pub struct Client {
    pub client: AsyncClient,
    heard: mpsc::UnboundedReceiver<Publish>,
}

impl Client {
    pub async fn connect(broker: &Broker, name: &str, filters: &[&str]) -> Self {
        let mut options = MqttOptions::new(name, ("127.0.0.1", broker.port));
        let _ = broker.pki.client(name);
        let pem = |file: &str| fs::read(broker.pki.dir().join(file)).unwrap();
        let tls = TlsConfiguration::Simple {
            ca: pem("ca.pem"),
            alpn: None,
            client_auth: Some((pem(&format!("{name}.pem")), pem(&format!("{name}.key")))),
        };
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        options
            .set_transport(Transport::tls_with_config(tls))
            .set_max_packet_size(Some(100_000))
            .set_outgoing_inflight_upper_limit(16); // 20 MB of tables for each client otherwise
        let (client, mut events) = AsyncClient::builder(options).capacity(1000).build();
        let (tell, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                if let Event::Incoming(Packet::Publish(message)) = event {
                    let _ = tell.send(message);
                }
            }
        });
        for filter in filters {
            let subscribed = client.subscribe_tracked(*filter, QoS::AtLeastOnce).await.unwrap();
            subscribed.wait_completion_async().await.unwrap();
        }
        Self { client, heard }
    }

    /// The next message.
    pub async fn hear(&mut self) -> Publish {
        tokio::time::timeout(PATIENCE, self.heard.recv()).await.expect("a message comes").unwrap()
    }

    /// The next message that is not about a bell.
    pub async fn answer(&mut self) -> Publish {
        loop {
            let heard = self.hear().await;
            if !heard.topic.ends_with(b"/bell") {
                return heard;
            }
        }
    }

    /// Insists that nothing comes for a while.
    pub async fn hear_nothing(&mut self, ms: u64) {
        let heard = tokio::time::timeout(Duration::from_millis(ms), self.heard.recv()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    /// Says something and waits until the broker has it.
    pub async fn say(&self, topic: &str, payload: &[u8], correlation: &[u8]) {
        let properties = PublishProperties {
            correlation_data: Some(correlation.to_vec().into()),
            ..PublishProperties::default()
        };
        let options = PublishOptions::at_least_once().properties(properties);
        let notice = self.client.publish_tracked(topic, payload, options).await.unwrap();
        let _ = notice.wait_async().await.unwrap();
    }

    /// Says something to the server, as `device`.
    pub async fn up(&self, device: DeviceId, payload: &[u8], correlation: &[u8]) {
        self.say(&Topic { device, channel: Channel::Up }.to_string(), payload, correlation).await;
    }

    pub fn leave(self) {
        let _ = self.client.try_disconnect_now();
    }
}
