//! What the authority signs.

use std::net::IpAddr;

use ota_manifest::DeviceId;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Use, KeyPair, KeyUsagePurpose,
};

use super::PkiError;
use super::authority::Signer;
use super::certificate::Certificate;
use super::folder::{DEVICES, Folder};

/// What the broker is called on its own machine.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The name of the server on the broker: what `acl` says.
pub(super) const SERVER_NAME: &str = "ota-server";

/// A certificate as it should be.
#[derive(Clone)]
pub(super) struct Leaf {
    /// Its files' common path below the folder.
    stem: String,
    common_name: String,
    hosts: Vec<String>,
    uses: Vec<Use>,
    /// Its owner takes the key away and leaves the certificate, for its serial number.
    key_leaves: bool,
}

impl Leaf {
    /// For mosquitto. Not good for a client: a broker's key must not be the server's.
    pub(super) fn broker(hosts: &[String]) -> Self {
        Self::host("broker", "ota-broker", hosts, vec![Use::ServerAuth])
    }

    /// For `ota-server`. Good for a broker too, where somebody follows a recipe in which both share one.
    pub(super) fn server(hosts: &[String]) -> Self {
        Self::host("server", SERVER_NAME, hosts, vec![Use::ClientAuth, Use::ServerAuth])
    }

    /// For a device.
    pub(super) fn device(device: DeviceId) -> Self {
        Self {
            stem: format!("{DEVICES}/{device}"),
            common_name: device.to_string(),
            hosts: Vec::new(),
            uses: vec![Use::ClientAuth],
            key_leaves: true,
        }
    }

    fn host(stem: &str, name: &str, hosts: &[String], uses: Vec<Use>) -> Self {
        let local = LOCAL_HOSTS.into_iter().map(str::to_owned);
        let hosts = local.chain(hosts.iter().cloned()).collect();
        Self { stem: stem.into(), common_name: name.into(), hosts, uses, key_leaves: false }
    }

    pub(super) fn certificate_file(&self) -> String {
        format!("{}.pem", self.stem)
    }

    pub(super) fn key_file(&self) -> String {
        format!("{}.key", self.stem)
    }

    /// What is to be signed, without serial number and dates.
    pub(super) fn params(&self) -> Result<CertificateParams, PkiError> {
        let mut params = CertificateParams::new(self.hosts.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name.clone());
        params.is_ca = rcgen::IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages.clone_from(&self.uses);
        Ok(params)
    }
}

/// Makes a certificate if it is not there; returns the one that is there in the end.
///
/// The certificate is written last: with it the pair is complete. A key that lies here alone was left by a kill, and is used.
pub(super) fn ensure(folder: &Folder, signer: &Signer, leaf: &Leaf) -> Result<Certificate, PkiError> {
    let file = leaf.certificate_file();
    let Some(found) = folder.certificate(&file)? else {
        let key = match folder.key(&leaf.key_file())? {
            Some(key) => key,
            None => new_key(folder, leaf)?,
        };
        return make(folder, signer, leaf, &key);
    };
    check(folder, signer, leaf, &found)?;
    let missing = leaf.hosts.iter().any(|host| !found.hosts().contains(host));
    match folder.key(&leaf.key_file())? {
        Some(key) if missing => {
            // Whoever connects under an old name shall not find it gone.
            let mut wider = leaf.clone();
            wider.hosts.extend(found.hosts().iter().filter(|host| !leaf.hosts.contains(host)).cloned());
            make(folder, signer, &wider, &key)
        }
        _ => Ok(found),
    }
}

/// Whether any certificate is here.
pub(super) fn any(folder: &Folder) -> Result<bool, PkiError> {
    for leaf in [Leaf::broker(&[]), Leaf::server(&[])] {
        if folder.read(&leaf.certificate_file())?.is_some() {
            return Ok(true);
        }
    }
    Ok(!folder.devices()?.is_empty())
}

/// A host as a certificate spells it.
pub(super) fn check_host(host: &str) -> Result<String, PkiError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if host.len() <= 253 && host.split('.').all(label) {
        Ok(host.to_ascii_lowercase())
    } else {
        Err(PkiError::Host(host.into()))
    }
}

fn check(folder: &Folder, signer: &Signer, leaf: &Leaf, certificate: &Certificate) -> Result<(), PkiError> {
    let (file, key_file) = (folder.path(&leaf.certificate_file()), folder.path(&leaf.key_file()));
    signer.authority().check(certificate, &file)?;
    if certificate.common_name() != leaf.common_name {
        let why = format!("is made out to {}, not to {}", certificate.common_name(), leaf.common_name);
        return Err(PkiError::file(&file, format!("{why}; put back the right one")));
    }
    match folder.key(&leaf.key_file())? {
        Some(key) if key.public_key_raw() == certificate.public_key() => Ok(()),
        Some(_) => Err(PkiError::file(
            &key_file,
            "is not the key of the certificate beside it; put back the one that is",
        )),
        None if leaf.key_leaves => Ok(()),
        None => Err(PkiError::file(
            &key_file,
            "is missing; put it back, or remove the certificate beside it to have both made anew",
        )),
    }
}

fn new_key(folder: &Folder, leaf: &Leaf) -> Result<KeyPair, PkiError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    folder.write(&leaf.key_file(), &key.serialize_pem())?;
    Ok(key)
}

fn make(folder: &Folder, signer: &Signer, leaf: &Leaf, key: &KeyPair) -> Result<Certificate, PkiError> {
    let (pem, file) = (signer.sign(leaf, key)?, leaf.certificate_file());
    folder.write(&file, &pem)?;
    Certificate::parse(&pem).ok_or_else(|| PkiError::Making("a certificate that cannot be read".into()))
}
