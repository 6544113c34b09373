//! Who a device is at its broker: an address, a certificate, and the authority whose brokers it believes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use ota_manifest::DeviceId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

/// Port of a broker that takes TLS.
const DEFAULT_PORT: u16 = 8883;

/// What the factory burns in about the broker. The certificate lies beside it, in `DIR/mqtt`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FactoryMqtt {
    /// The broker, `mqtts://host:port`.
    pub url: String,
}

impl FactoryMqtt {
    /// A broker that can be one.
    ///
    /// # Errors
    /// If `url` is not `mqtts://host` or `mqtts://host:port`.
    pub fn at(url: &str) -> Result<Self> {
        host_and_port(url)?;
        Ok(Self { url: url.to_owned() })
    }
}

/// A device's certificate and key, and the authority, in PEM.
pub struct Certificate {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificate {
    /// Takes a device's from the folder of the authority: `ca.pem`, `devices/ID.pem` and `devices/ID.key`.
    ///
    /// # Errors
    /// If the device has no certificate there, or one that cannot be used.
    pub fn issued(pki: &Path, id: &str) -> Result<Self> {
        let devices = pki.join("devices");
        let (certificate, key) = (devices.join(format!("{id}.pem")), devices.join(format!("{id}.key")));
        ensure!(
            certificate.exists() && key.exists(),
            "device {id} has no certificate in {}: {id}.pem and {id}.key must be issued first",
            devices.display()
        );
        let issued = Self {
            authority: read(&pki.join("ca.pem"))?,
            certificate: read(&certificate)?,
            key: read(&key)?,
        };
        issued.tls()?;
        Ok(issued)
    }

    /// Copies it into a device, the key readable by its owner only.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn install(&self, dir: &Path) -> Result<()> {
        let dir = dir.join("mqtt");
        fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let write = |file: &str, mode, bytes: &[u8]| {
            let path = dir.join(file);
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            private(&mut options, mode);
            let written = options.open(&path).and_then(|mut open| open.write_all(bytes));
            written.with_context(|| format!("{} cannot be written", path.display()))
        };
        write("ca.pem", 0o644, &self.authority)?;
        write("device.pem", 0o644, &self.certificate)?;
        write("device.key", 0o600, &self.key)
    }

    fn load(dir: &Path) -> Result<Self> {
        let dir = dir.join("mqtt");
        Ok(Self {
            authority: read(&dir.join("ca.pem"))?,
            certificate: read(&dir.join("device.pem"))?,
            key: read(&dir.join("device.key"))?,
        })
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&self.authority) {
            roots.add(root.context("ca.pem is damaged")?).context("ca.pem is no authority")?;
        }
        ensure!(!roots.is_empty(), "ca.pem holds no certificate");
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.context("the device's certificate is damaged")?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("the device's key is damaged")?;
        // Named, so that it does not matter which other provider the program links.
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .context("the device's certificate and key do not belong together")
    }
}

/// All that it takes to connect.
pub(crate) struct Account {
    pub(super) device: DeviceId,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Arc<ClientConfig>,
    /// First and longest pause between two attempts, ms.
    pub(super) backoff_ms: (u32, u32),
}

impl Account {
    /// Reads the account of the device in `dir`.
    pub(crate) fn open(
        dir: &Path,
        mqtt: &FactoryMqtt,
        device: DeviceId,
        backoff_ms: (u32, u32),
    ) -> Result<Arc<Self>> {
        let (host, port) = host_and_port(&mqtt.url)?;
        let tls = Certificate::load(dir)?.tls().context("the device's account at its broker")?;
        Ok(Arc::new(Self { device, host: host.to_owned(), port, tls: Arc::new(tls), backoff_ms }))
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

fn host_and_port(url: &str) -> Result<(&str, u16)> {
    let why = || format!("{url} is not the address of a broker, mqtts://host:port");
    let rest = url.strip_prefix("mqtts://").or_else(|| url.strip_prefix("mqtt://")).with_context(why)?;
    // An IPv6 address stands in brackets, because of its colons.
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').with_context(why)?)),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(DEFAULT_PORT), str::parse).with_context(why)?;
    if port == 0 || ServerName::try_from(host).is_err() {
        bail!(why());
    }
    Ok((host, port))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(unix)]
fn private(options: &mut OpenOptions, mode: u32) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(mode);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions, _: u32) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_brokers_are_told_from_others() {
        assert_eq!(host_and_port("mqtts://broker.example").unwrap(), ("broker.example", 8883));
        assert_eq!(host_and_port("mqtt://127.0.0.1:1").unwrap(), ("127.0.0.1", 1));
        assert_eq!(host_and_port("mqtts://[::1]:2").unwrap(), ("::1", 2));
        for bad in [
            "",
            "http://broker",
            "mqtts://",
            "mqtts://a b",
            "mqtts://a:0",
            "mqtts://a:65536",
            "mqtts://[::1]2",
        ] {
            let refused = FactoryMqtt::at(bad).unwrap_err().to_string();
            assert!(refused.contains("mqtts://host:port"), "{refused}");
        }
    }

    /// An authority's folder with one device in it.
    fn pki(id: &str) -> tempfile::TempDir {
        let made = rcgen::generate_simple_self_signed(vec![id.to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let pki = tempfile::tempdir().unwrap();
        fs::create_dir(pki.path().join("devices")).unwrap();
        for (file, text) in [
            ("ca.pem".into(), &pem),
            (format!("devices/{id}.pem"), &pem),
            (format!("devices/{id}.key"), &key),
        ] {
            fs::write(pki.path().join(file), text).unwrap();
        }
        pki
    }

    #[test]
    fn a_device_without_a_certificate_is_told_where_one_was_looked_for() {
        let pki = pki("ab");
        let missing = Certificate::issued(pki.path(), "cd").err().unwrap().to_string();
        assert!(
            missing.contains("device cd has no certificate in") && missing.contains("cd.pem"),
            "{missing}"
        );
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        fs::write(pki.path().join("devices/ab.key"), other).unwrap();
        let wrong = Certificate::issued(pki.path(), "ab").err().unwrap().to_string();
        assert!(wrong.contains("do not belong together"), "{wrong}");
    }

    #[test]
    fn a_device_takes_its_certificate_with_it_and_keeps_its_key_to_itself() {
        let (pki, home) = (pki("ab"), tempfile::tempdir().unwrap());
        let mqtt = FactoryMqtt::at("mqtts://broker").unwrap();
        let open = || Account::open(home.path(), &mqtt, DeviceId::new([1; 16]), (1, 2));
        let missing = format!("{:#}", open().unwrap_err());
        assert!(missing.contains("mqtt/ca.pem cannot be read"), "{missing}");
        Certificate::issued(pki.path(), "ab").unwrap().install(home.path()).unwrap();
        drop(pki);
        assert_eq!((open().unwrap().host.as_str(), open().unwrap().port), ("broker", 8883));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(home.path().join("mqtt/device.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn devices_made_before_there_were_brokers_are_read() {
        let old = r#"{ "id": "00", "server": "http://s", "token": "t", "release_key": "11" }"#;
        let factory: crate::Factory = serde_json::from_str(old).unwrap();
        assert!(factory.mqtt.is_none());
        assert!(!serde_json::to_string(&factory).unwrap().contains("mqtt"));
    }
}
