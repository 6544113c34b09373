//! Who a device is at its broker: an address, a certificate, and the authority whose brokers it believes.

use std::sync::Arc;

use ota_manifest::DeviceId;
use rustls::ClientConfig;

use super::BrokerAddress;
use crate::linux::Tls;

/// All that it takes to connect to a broker.
///
/// ```
/// # let made = rcgen::generate_simple_self_signed(vec!["device".into()])?;
/// # let (ca, certificate, key) = (made.cert.pem(), made.cert.pem(), made.signing_key.serialize_pem());
/// use ota_agent::linux::{Account, MqttLink, Tls};
/// use ota_manifest::DeviceId;
/// use std::time::Duration;
///
/// let tls = Tls::with_certificate(ca.as_bytes(), certificate.as_bytes(), key.as_bytes())?;
/// let device: DeviceId = "cd".repeat(16).parse()?; // the common name of the certificate
/// let account = Account::new("mqtts://localhost:18883".parse()?, device, &tls).with_backoff_ms(1_000, 60_000);
/// let link = MqttLink::open(&account, Duration::from_secs(30))?;
/// assert!(!link.is_up(), "not yet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Account {
    pub(super) device: DeviceId,
    pub(super) broker: BrokerAddress,
    pub(super) tls: Arc<ClientConfig>,
    /// First and longest pause between two attempts, ms.
    pub(super) backoff_ms: (u32, u32),
}

impl Account {
    /// The account of `device` at a broker.
    #[must_use]
    pub fn new(broker: BrokerAddress, device: DeviceId, tls: &Tls) -> Self {
        Self { device, broker, tls: tls.config(), backoff_ms: (1_000, 300_000) }
    }

    /// Pauses between two attempts to connect are drawn evenly from zero to a limit, which doubles from `first` to `longest`,
    /// ms. 1,000 and 300,000 unless said otherwise.
    #[must_use]
    pub fn with_backoff_ms(self, first: u32, longest: u32) -> Self {
        Self { backoff_ms: (first, longest), ..self }
    }
}

impl core::fmt::Debug for Account {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Account").field("broker", &self.broker).finish_non_exhaustive()
    }
}
