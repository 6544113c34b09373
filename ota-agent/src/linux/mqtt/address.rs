//! Where a broker is.

use core::str::FromStr;
use std::sync::Arc;

use rustls::pki_types::ServerName;

use crate::linux::AddressError;

/// Port of a broker that takes TLS.
const DEFAULT_PORT: u16 = 8883;

/// Where a broker is: `mqtts://host` or `mqtts://host:port`. `mqtt://` is taken for the same, since there is no connection
/// without TLS.
///
/// ```
/// use ota_agent::linux::BrokerAddress;
/// assert!("mqtts://broker.example".parse::<BrokerAddress>().is_ok());
/// assert!("broker.example".parse::<BrokerAddress>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

impl FromStr for BrokerAddress {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let (host, port) = host_and_port(url).ok_or_else(|| AddressError::Broker(url.into()))?;
        Ok(Self { host: host.into(), port })
    }
}

fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let rest = url.strip_prefix("mqtts://").or_else(|| url.strip_prefix("mqtt://"))?;
    // An IPv6 address stands in brackets, because of its colons.
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
        None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())?;
    (port > 0 && ServerName::try_from(host).is_ok()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_brokers_are_told_from_others() {
        assert_eq!(host_and_port("mqtts://broker.example"), Some(("broker.example", 8883)));
        assert_eq!(host_and_port("mqtt://127.0.0.1:1"), Some(("127.0.0.1", 1)));
        assert_eq!(host_and_port("mqtts://[::1]:2"), Some(("::1", 2)));
        for bad in [
            "",
            "http://broker",
            "mqtts://",
            "mqtts://a b",
            "mqtts://a:0",
            "mqtts://a:65536",
            "mqtts://[::1]2",
        ] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }
}
