//! Who a device is at its broker, as the factory makes it: an address, a certificate, and the authority.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ota_agent::linux::{Account, BrokerAddress, Tls};
use ota_manifest::DeviceId;
use serde::{Deserialize, Serialize};

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
        url.parse::<BrokerAddress>()?;
        Ok(Self { url: url.to_owned() })
    }

    /// The account of `device`, which lives in `dir`.
    pub(crate) fn account(&self, dir: &Path, device: DeviceId) -> Result<Account> {
        let tls = Certificate::load(dir)?.tls().context("the device's account at its broker")?;
        Ok(Account::new(self.url.parse()?, device, &tls))
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

    fn tls(&self) -> Result<Tls> {
        Ok(Tls::with_certificate(&self.authority, &self.certificate, &self.key)?)
    }
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
        let open = || mqtt.account(home.path(), DeviceId::new([1; 16]));
        let missing = format!("{:#}", open().unwrap_err());
        assert!(missing.contains("mqtt/ca.pem cannot be read"), "{missing}");
        Certificate::issued(pki.path(), "ab").unwrap().install(home.path()).unwrap();
        drop(pki);
        open().unwrap();
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
