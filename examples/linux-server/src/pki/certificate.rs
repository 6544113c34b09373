//! What is read from a certificate.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

/// A certificate that could be read. Whose signature it bears is another question.
pub(super) struct Certificate {
    der: Vec<u8>,
    common_name: String,
    serial: Serial,
    not_after_s: u64,
    public_key: Vec<u8>,
    hosts: Vec<String>,
}

impl Certificate {
    /// Reads PEM; `None` if there is no certificate in it.
    pub(super) fn parse(pem: &str) -> Option<Self> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
        let (_, read) = X509Certificate::from_der(&pem.contents).ok()?;
        let common_name = read.subject().iter_common_name().next()?.as_str().ok()?;
        Some(Self {
            common_name: common_name.to_owned(),
            serial: Serial::new(&read.serial.to_bytes_be()),
            not_after_s: u64::try_from(read.validity().not_after.timestamp()).ok()?,
            public_key: read.public_key().subject_public_key.data.to_vec(),
            hosts: hosts(&read)?,
            der: pem.contents,
        })
    }

    pub(super) fn common_name(&self) -> &str {
        &self.common_name
    }

    pub(super) const fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Until when it is good, seconds since 1970-01-01 UTC.
    pub(super) const fn not_after_s(&self) -> u64 {
        self.not_after_s
    }

    /// The point on the curve, uncompressed.
    pub(super) fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The names and addresses it is made out to.
    pub(super) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Runs `with` on the whole of it.
    pub(super) fn read<T>(&self, with: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
        X509Certificate::from_der(&self.der).ok().map(|(_, certificate)| with(&certificate))
    }
}

fn hosts(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let Some(names) = certificate.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    Some(names.value.general_names.iter().filter_map(host).collect())
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = || Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string());
    let v6 = || Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string());
    v4().or_else(v6)
}

/// A serial number, big-endian, without leading zeros: the form in which two of them can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Serial(Vec<u8>);

impl Serial {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes.iter().skip(zeros).copied().collect())
    }

    /// Of 16 random bytes: positive, and always 16 bytes long.
    pub(super) fn random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x7F | 0x40;
        Self(bytes.to_vec())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
