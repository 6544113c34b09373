//! Where the broker is, who we are there, and how patient we are.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Port of a broker that takes TLS.
const DEFAULT_PORT: u16 = 8883;

/// How to reach a broker.
#[derive(Debug, Clone)]
pub struct MqttConfig {
    /// The broker.
    pub url: MqttUrl,
    /// Who we are, and whom we believe.
    pub identity: MqttIdentity,
    /// Our name for this connection. No two processes may use the same: the broker ends one when the other comes.
    pub client_id: String,
    /// After how many seconds of silence the broker is asked whether it is still there.
    pub keep_alive_s: u16,
    /// First and longest pause between two attempts to connect, milliseconds. Each pause is drawn evenly from zero to a
    /// limit that doubles, so that a broker that comes back is not met by all its clients at once.
    pub backoff_ms: (u32, u32),
}

impl MqttConfig {
    /// A broker, with the patience that suits a server: 30 s of silence, pauses from 1 s to 60 s.
    #[must_use]
    pub const fn new(url: MqttUrl, identity: MqttIdentity, client_id: String) -> Self {
        Self { url, identity, client_id, keep_alive_s: 30, backoff_ms: (1_000, 60_000) }
    }
}

/// Address of a broker: `mqtts://host` or `mqtts://host:port`; the port is 8883 unless given.
///
/// `mqtt://` means the same. There is no way without TLS and without a client certificate: the certificate is how the
/// broker knows whose topics a client may use.
///
/// ```
/// use ota_server_core::mqtt::MqttUrl;
/// let url: MqttUrl = "mqtts://broker.example".parse()?;
/// assert_eq!((url.host(), url.port()), ("broker.example", 8883));
/// assert!("http://broker.example".parse::<MqttUrl>().is_err());
/// # Ok::<(), ota_server_core::mqtt::MqttConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttUrl {
    host: String,
    port: u16,
}

impl MqttUrl {
    /// Name or address of the broker, as its certificate must have it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for MqttUrl {
    type Err = MqttConfigError;

    fn from_str(text: &str) -> Result<Self, MqttConfigError> {
        let refuse = |why| MqttConfigError::Url { url: text.into(), why };
        let rest = text.strip_prefix("mqtts://").or_else(|| text.strip_prefix("mqtt://"));
        let rest = rest.ok_or_else(|| refuse("it does not begin with mqtts://"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(refuse("a user name has no place in it; who we are is in the certificate"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            // An IPv6 address has colons of its own.
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| refuse("] is missing"))?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(|| refuse("only a port may follow ]"))?),
                };
                (host, port)
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok()).filter(|port| *port != 0);
        let port = port.ok_or_else(|| refuse("the port is not a number from 1 to 65535"))?;
        if ServerName::try_from(host).is_err() {
            return Err(refuse("the host is neither a name nor an address"));
        }
        Ok(Self { host: host.into(), port })
    }
}

impl fmt::Display for MqttUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "mqtts://[{}]:{}", self.host, self.port),
            false => write!(f, "mqtts://{}:{}", self.host, self.port),
        }
    }
}

/// A client certificate with its key, and the authority whose brokers are believed.
#[derive(Clone)]
pub struct MqttIdentity(Arc<ClientConfig>);

impl MqttIdentity {
    /// Reads `ca.pem`, `NAME.pem` and `NAME.key` in `dir`.
    ///
    /// # Errors
    /// [`MqttConfigError`], which names the file.
    pub fn from_folder(dir: &Path, name: &str) -> Result<Self, MqttConfigError> {
        let read = |file: &str| {
            let path = dir.join(file);
            std::fs::read(&path).map_err(|error| MqttConfigError::File {
                file: path.display().to_string(),
                why: error.to_string(),
            })
        };
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        Self::from_pem(&read("ca.pem")?, &read(&certificate)?, &read(&key)?).map_err(|error| match error {
            MqttConfigError::Pem { what, why } => {
                let file = match what {
                    PemPart::Ca => dir.join("ca.pem"),
                    PemPart::Certificate => dir.join(certificate),
                    PemPart::Key => dir.join(key),
                };
                MqttConfigError::File { file: file.display().to_string(), why }
            }
            other => other,
        })
    }

    /// Takes the same from memory: authority, certificate (followed by what lies between it and the authority, if
    /// anything) and key, each in PEM.
    ///
    /// # Errors
    /// [`MqttConfigError::Pem`], or [`MqttConfigError::NoPair`] if the key is not the certificate's.
    pub fn from_pem(ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, MqttConfigError> {
        let pem = |what, why: String| MqttConfigError::Pem { what, why };
        let mut roots = RootCertStore::empty();
        for root in certificates(PemPart::Ca, ca)? {
            roots.add(root).map_err(|error| pem(PemPart::Ca, error.to_string()))?;
        }
        let chain = certificates(PemPart::Certificate, certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key);
        let key = key.map_err(|_| pem(PemPart::Key, "it holds no private key in PEM".into()))?;
        // The provider is named: which one a process has by default, and whether it has one, is not for a library to
        // depend on.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_root_certificates(roots).with_client_auth_cert(chain, key))
            .map_err(|error| MqttConfigError::NoPair(error.to_string()))?;
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for MqttIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MqttIdentity(..)")
    }
}

fn certificates(what: PemPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MqttConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(MqttConfigError::Pem { what, why: "it holds no certificate in PEM".into() }),
    }
}

/// Which of the three parts of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemPart {
    /// The authority.
    Ca,
    /// The client certificate.
    Certificate,
    /// Its key.
    Key,
}

impl fmt::Display for PemPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "the authority",
            Self::Certificate => "the client certificate",
            Self::Key => "the client key",
        })
    }
}

/// Why a broker cannot even be tried. The operator's to change.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MqttConfigError {
    /// Not the address of a broker.
    #[error("{url} is not the address of a broker (mqtts://host:port): {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is the matter with it.
        why: &'static str,
    },
    /// A file of the identity cannot be used.
    #[error("{file} cannot be used: {why}")]
    File {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// A part of the identity cannot be used.
    #[error("{what} cannot be used: {why}")]
    Pem {
        /// Which.
        what: PemPart,
        /// Why.
        why: String,
    },
    /// Key and certificate do not belong together, or are of a kind that TLS here does not know.
    #[error("client certificate and key cannot be used together: {0}")]
    NoPair(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_address_is_read_with_and_without_a_port() {
        for (text, host, port) in [
            ("mqtts://broker.example:1", "broker.example", 1),
            ("mqtt://broker.example/", "broker.example", 8883),
            ("mqtts://127.0.0.1:18883", "127.0.0.1", 18883),
            ("mqtts://[::1]", "::1", 8883),
            ("mqtts://[fe80::1]:9", "fe80::1", 9),
        ] {
            let url: MqttUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
            assert_eq!(url.to_string().parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_no_brokers_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "mqtts://"),
            ("http://broker", "mqtts://"),
            ("ssl://broker", "mqtts://"),
            ("broker:8883", "mqtts://"),
            ("mqtts://", "neither"),
            ("mqtts://bro ker", "neither"),
            ("mqtts://broker/path", "neither"),
            ("mqtts://broker:", "port"),
            ("mqtts://broker:0", "port"),
            ("mqtts://broker:65536", "port"),
            ("mqtts://broker:1/path", "port"),
            ("mqtts://me:secret@broker", "user name"),
            ("mqtts://[::1", "]"),
            ("mqtts://[::1]1", "port"),
            ("mqtts://::1", "port"),
        ] {
            let refused = text.parse::<MqttUrl>().unwrap_err().to_string();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn an_identity_names_the_file_that_is_missing_or_empty() {
        let dir = tempfile::tempdir().unwrap();
        let missing = MqttIdentity::from_folder(dir.path(), "server").unwrap_err().to_string();
        assert!(missing.contains("ca.pem"), "{missing}");
        for file in ["ca.pem", "server.pem", "server.key"] {
            std::fs::write(dir.path().join(file), "nothing").unwrap();
        }
        let empty = MqttIdentity::from_folder(dir.path(), "server").unwrap_err().to_string();
        assert!(empty.contains("ca.pem cannot be used: it holds no certificate"), "{empty}");
    }
}
