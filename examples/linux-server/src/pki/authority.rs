//! The authority: made once, opened ever after.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

use super::PkiError;
use super::certificate::{Certificate, Serial};
use super::folder::{CA, Folder, random};
use super::leaf::{self, Leaf};
use super::revocation;

const KEY: &str = "ca.key";

/// How long before its making a certificate is good, seconds: a device's clock may be behind.
const BACKDATE_S: u64 = 24 * 3600;
const YEAR_S: u64 = 31_557_600;

/// An authority without its key: enough to tell whom it signed.
pub(super) struct Authority {
    certificate: Certificate,
}

impl Authority {
    /// Opens the folder's authority.
    pub(super) fn look(folder: &Folder) -> Result<Self, PkiError> {
        let missing = || PkiError::file(&folder.path(CA), "is missing; put it back from a backup");
        let certificate = folder.certificate(CA)?.ok_or_else(missing)?;
        Ok(Self { certificate })
    }

    /// Its certificate.
    pub(super) const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether this authority signed `certificate`, which lies in `file`.
    pub(super) fn check(&self, certificate: &Certificate, file: &Path) -> Result<(), PkiError> {
        let signed = self
            .certificate
            .read(|ca| certificate.read(|leaf| leaf.verify_signature(Some(ca.public_key())).is_ok()));
        match signed.flatten() {
            Some(true) => Ok(()),
            _ => Err(PkiError::file(file, "was not signed by the authority here (ca.pem); take it away")),
        }
    }
}

/// An authority with its key.
pub(super) struct Signer {
    authority: Authority,
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    /// Opens the folder's authority, and makes one if the folder never had any.
    pub(super) fn open_or_create(folder: &Folder, years: u16) -> Result<Self, PkiError> {
        if folder.read(CA)?.is_none() {
            create(folder, years)?;
        }
        Self::open(folder)
    }

    /// Opens the folder's authority.
    pub(super) fn open(folder: &Folder) -> Result<Self, PkiError> {
        let (path, authority) = (folder.path(KEY), Authority::look(folder)?);
        let missing = "is missing; nothing can be made or revoked here until it is put back from a backup";
        let key = folder.key(KEY)?.ok_or_else(|| PkiError::file(&path, missing))?;
        if key.public_key_raw() != authority.certificate.public_key() {
            return Err(PkiError::file(&path, "is not the key of ca.pem; put back the one that is"));
        }
        if authority.certificate.not_after_s() <= now_s()? {
            let why = "has ended, and all it signed with it; take a new folder";
            return Err(PkiError::file(&folder.path(CA), why));
        }
        let pem = folder.read(CA)?.unwrap_or_default();
        Ok(Self { authority, issuer: Issuer::from_ca_cert_pem(&pem, key)? })
    }

    /// Whose signatures these are.
    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What signs lists.
    pub(super) const fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    /// A certificate for `key`, in PEM.
    pub(super) fn sign(&self, leaf: &Leaf, key: &KeyPair) -> Result<String, PkiError> {
        let ends_s = self.authority.certificate.not_after_s();
        let mut params = leaf.params()?;
        params.serial_number = Some(serial(&Serial::random(random()?)));
        params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(backdated_s()?);
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends_s);
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

/// Makes an authority. Its certificate is written last: a folder has an authority when `ca.pem` is there.
fn create(folder: &Folder, years: u16) -> Result<(), PkiError> {
    if !(1..=100).contains(&years) {
        return Err(PkiError::Years(years));
    }
    // Certificates without an authority are what is left of one. A new one would be another: every device in the field
    // would be shut out, and the old key overwritten.
    if leaf::any(folder)? {
        let why = "is missing, though there are certificates it signed; put it back from a backup, or take a new folder";
        return Err(PkiError::file(&folder.path(CA), why));
    }
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    folder.write(KEY, &key.serialize_pem())?;
    let ends_s = now_s()? + u64::from(years) * YEAR_S;
    let ca = CertifiedIssuer::self_signed(params(ends_s)?, key)?;
    folder.write(revocation::FILE, &revocation::empty(&ca, ends_s)?)?;
    folder.write(CA, &ca.pem())
}

fn params(ends_s: u64) -> Result<CertificateParams, PkiError> {
    let number = Serial::random(random()?);
    let mut params = CertificateParams::default();
    // Two authorities of one name in one file of trusted ones would be tried in turn, and the reason of a refusal lost.
    let name = format!("ota authority {:.8}", number.to_string());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial(&number));
    params.not_before = date_time_ymd(1970, 1, 1) + Duration::from_secs(backdated_s()?);
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends_s);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn serial(serial: &Serial) -> SerialNumber {
    SerialNumber::from_slice(serial.as_bytes())
}

/// Seconds since 1970-01-01 UTC.
pub(super) fn now_s() -> Result<u64, PkiError> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    if now <= BACKDATE_S {
        return Err(PkiError::Making("the clock of this machine is not set".into()));
    }
    Ok(now)
}

/// The same a little earlier, for readers whose clocks are behind.
pub(super) fn backdated_s() -> Result<u64, PkiError> {
    Ok(now_s()? - BACKDATE_S)
}
