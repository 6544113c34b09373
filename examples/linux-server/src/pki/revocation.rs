//! The revocation list.
//!
//! It is good for as long as the authority: a broker whose list has expired refuses everybody, and nobody is there to sign a
//! new one in time.

use std::time::Duration;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::PkiError;
use super::authority::{Authority, Signer, backdated_s, now_s};
use super::certificate::Serial;
use super::folder::Folder;

pub(super) const FILE: &str = "crl.pem";

/// What is revoked.
pub(super) struct Revoked {
    /// Rises with each list.
    number: u64,
    /// Serial numbers and when they were revoked, seconds since 1970-01-01 UTC.
    entries: Vec<(Serial, u64)>,
}

impl Revoked {
    /// Reads the list. One that is missing or damaged is never taken for an empty one.
    pub(super) fn read(folder: &Folder, authority: &Authority) -> Result<Self, PkiError> {
        let why = "is missing; put it back from a backup, or every revoked certificate will be good again";
        let text = folder.read(FILE)?.ok_or_else(|| PkiError::file(&folder.path(FILE), why))?;
        let why = "is damaged, or not of the authority here (ca.pem); put it back from a backup";
        parse(&text, authority).ok_or_else(|| PkiError::file(&folder.path(FILE), why))
    }

    pub(super) fn names(&self, serial: &Serial) -> bool {
        self.entries.iter().any(|(revoked, _)| revoked == serial)
    }

    /// Adds a certificate; false if it is on the list.
    pub(super) fn add(&mut self, serial: &Serial) -> Result<bool, PkiError> {
        if self.names(serial) {
            return Ok(false);
        }
        self.entries.push((serial.clone(), now_s()?));
        Ok(true)
    }

    /// Signs and writes the list.
    pub(super) fn write(&self, folder: &Folder, signer: &Signer) -> Result<(), PkiError> {
        let ends_s = signer.authority().certificate().not_after_s();
        folder.write(FILE, &sign(signer.issuer(), self.number + 1, &self.entries, ends_s)?)
    }
}

/// The first list of an authority, in PEM.
pub(super) fn empty(issuer: &Issuer<'_, KeyPair>, ends_s: u64) -> Result<String, PkiError> {
    sign(issuer, 1, &[], ends_s)
}

fn sign(
    issuer: &Issuer<'_, KeyPair>,
    number: u64,
    entries: &[(Serial, u64)],
    ends_s: u64,
) -> Result<String, PkiError> {
    let revoked = |(serial, at_s): &(Serial, u64)| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial.as_bytes()),
        revocation_time: date_time_ymd(1970, 1, 1) + Duration::from_secs(*at_s),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(1970, 1, 1) + Duration::from_secs(backdated_s()?),
        next_update: date_time_ymd(1970, 1, 1) + Duration::from_secs(ends_s),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: entries.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(issuer)?.pem()?)
}

fn parse(text: &str, authority: &Authority) -> Option<Revoked> {
    let (_, pem) = parse_x509_pem(text.as_bytes()).ok()?;
    let (_, list) = CertificateRevocationList::from_der(&pem.contents).ok()?;
    let signed = authority.certificate().read(|ca| list.verify_signature(ca.public_key()).is_ok())?;
    let entries = list.iter_revoked_certificates().map(|entry| {
        let at_s = u64::try_from(entry.revocation_date.timestamp()).ok()?;
        Some((Serial::new(&entry.serial().to_bytes_be()), at_s))
    });
    let number = list.crl_number().and_then(|number| number.to_string().parse().ok())?;
    let entries = entries.collect::<Option<Vec<_>>>()?;
    signed.then_some(Revoked { number, entries })
}
