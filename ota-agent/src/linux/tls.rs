//! Whom a device believes over TLS, and as whom it shows itself.

use std::sync::Arc;
use std::vec::Vec;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Whom a device believes, and what it shows: an authority's certificates and, where the server asks for one, a certificate of
/// its own. One for all of a device's connections.
///
/// There is no authority by default: a device that takes updates believes those its maker names. Where that is everybody's,
/// name the system's file, such as `/etc/ssl/certs/ca-certificates.crt`.
#[derive(Clone)]
pub struct Tls {
    #[cfg(feature = "mqtt")]
    config: Arc<ClientConfig>,
    ureq: ureq::tls::TlsConfig,
}

/// Why certificates cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The authority's file is damaged, or has no certificate in it that could sign others.
    #[error("the authority's certificates cannot be used")]
    Authority,
    /// The device's certificate is damaged, or there is none.
    #[error("the device's certificate cannot be used")]
    Certificate,
    /// The device's key is damaged, locked, or there is none.
    #[error("the device's key cannot be used")]
    Key,
    /// The key is another's.
    #[error("the device's certificate and key do not belong together")]
    NotAPair,
    /// The cryptography offers no version of TLS.
    #[error("no version of TLS is available")]
    NoVersion,
}

impl Tls {
    /// Believes servers with a certificate of this authority: PEM, one certificate or more. Those of a bundle that cannot be
    /// read are left out.
    ///
    /// # Errors
    /// [`TlsError::Authority`].
    pub fn new(authority: &[u8]) -> Result<Self, TlsError> {
        Self::build(authority, None)
    }

    /// As [`Self::new`], and shows a certificate to servers that ask: the chain, the device's own first, and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn with_certificate(authority: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::build(authority, Some((certificate, key)))
    }

    fn build(authority: &[u8], own: Option<(&[u8], &[u8])>) -> Result<Self, TlsError> {
        // Named, so that it does not matter which other provider the program links.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = certificates(authority).ok_or(TlsError::Authority)?;
        let ureq = ureq::tls::TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::clone(&provider))
            .root_certs(ureq_certificates(&roots).into());
        let mut store = RootCertStore::empty();
        if store.add_parsable_certificates(roots).0 == 0 {
            return Err(TlsError::Authority);
        }
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsError::NoVersion)?
            .with_root_certificates(store);
        let Some((certificate, pem)) = own else {
            return Ok(Self::of(builder.with_no_client_auth(), ureq.build()));
        };
        let chain = certificates(certificate).ok_or(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::Key)?;
        let ureq_key = ureq::tls::PrivateKey::from_pem(pem).map_err(|_| TlsError::Key)?;
        let ureq_own = ureq::tls::ClientCert::new_with_certs(&ureq_certificates(&chain), ureq_key);
        // Looked at here, because the HTTP client takes a pair that is none for a bug, at the first request.
        let config = builder.with_client_auth_cert(chain, key).map_err(|_| TlsError::NotAPair)?;
        Ok(Self::of(config, ureq.client_cert(Some(ureq_own)).build()))
    }

    /// For the HTTP client alone, `_config` has done its work by having been built.
    fn of(_config: ClientConfig, ureq: ureq::tls::TlsConfig) -> Self {
        Self {
            #[cfg(feature = "mqtt")]
            config: Arc::new(_config),
            ureq,
        }
    }

    #[cfg(feature = "mqtt")]
    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    pub(super) fn for_http(&self) -> ureq::tls::TlsConfig {
        self.ureq.clone()
    }
}

/// Says nothing of the key.
impl core::fmt::Debug for Tls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// All certificates of a PEM file; `None` if there are none, or one is cut off.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

fn ureq_certificates(certificates: &[CertificateDer<'_>]) -> Vec<ureq::tls::Certificate<'static>> {
    certificates.iter().map(|der| ureq::tls::Certificate::from_der(der).to_owned()).collect()
}
