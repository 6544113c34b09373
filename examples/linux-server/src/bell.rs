//! The doorbell: an MQTT 5 broker, if there is one.

use std::path::PathBuf;

use clap::Args;
use ota_server_core::mqtt::{MqttBell, MqttConfig, MqttConfigError, MqttIdentity, MqttUrl};

/// Whether and how devices are rung.
#[derive(Debug, Clone, Args)]
pub struct BellOptions {
    /// Ring devices through this MQTT 5 broker, mqtts://host:port, and take their reports there, too.
    #[arg(long, value_name = "URL", requires = "mqtt_pki")]
    pub mqtt: Option<MqttUrl>,
    /// Folder with ca.pem, server.pem and server.key, as `otactl pki init` makes it.
    #[arg(long, value_name = "DIR", requires = "mqtt")]
    pub mqtt_pki: Option<PathBuf>,
    /// First and longest pause between two attempts to connect, milliseconds.
    #[arg(skip = (1_000, 60_000))]
    pub backoff_ms: (u32, u32),
}

impl Default for BellOptions {
    /// No bell: devices ask by themselves.
    fn default() -> Self {
        Self { mqtt: None, mqtt_pki: None, backoff_ms: (1_000, 60_000) }
    }
}

impl BellOptions {
    /// Begins to connect, if a broker was named.
    pub(crate) fn start(&self) -> Result<Option<MqttBell>, MqttConfigError> {
        let (Some(url), Some(pki)) = (&self.mqtt, &self.mqtt_pki) else { return Ok(None) };
        let identity = MqttIdentity::from_folder(pki, "server")?;
        let config = MqttConfig {
            backoff_ms: self.backoff_ms,
            ..MqttConfig::new(url.clone(), identity, "ota-server".into())
        };
        Ok(Some(MqttBell::start(config)))
    }
}
