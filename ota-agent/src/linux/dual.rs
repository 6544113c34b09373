//! A broker and a server, side by side.

use std::string::String;
use std::time::Duration;

use ota_manifest::wire::{Down, Up};

use super::mqtt::is_carried;
use super::{Doorbell, HttpLink, LinkError, MqttLink};
use crate::Exchange;

/// MQTT for what it carries, HTTP for everything else: for images always, for the rest while the broker is away.
///
/// A message that got no answer over MQTT is followed by one over HTTP, since it may be the server that has lost its broker;
/// by two if that happens again, and so on, up to 64.
///
/// ```no_run
/// # fn f(account: ota_agent::linux::Account, tls: ota_agent::linux::Tls) -> Result<(), ota_agent::linux::AddressError> {
/// use ota_agent::linux::{DualLink, HttpLink, MqttLink};
/// use std::time::Duration;
///
/// let timeout = Duration::from_secs(30);
/// let http = HttpLink::with_tls("https://updates.example", "token", timeout, &tls)?;
/// let link = DualLink::new(MqttLink::open(&account, timeout)?, http);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DualLink {
    mqtt: MqttLink,
    http: HttpLink,
    /// How many messages go over HTTP after one that got no answer over MQTT, and how many of them are left.
    rest: u8,
    left: u8,
}

/// Most messages that go over HTTP before the broker is tried again.
const LONGEST_REST: u8 = 64;

impl DualLink {
    /// Joins the two. They are the same device at the same server.
    #[must_use]
    pub const fn new(mqtt: MqttLink, http: HttpLink) -> Self {
        Self { mqtt, http, rest: 1, left: 0 }
    }
}

impl Exchange for DualLink {
    type Error = LinkError;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, LinkError> {
        if !is_carried(up) {
            return self.http.exchange(up);
        }
        if self.left > 0 || !self.mqtt.is_up() {
            self.left = self.left.saturating_sub(1);
            return self.http.exchange(up);
        }
        let answer = self.mqtt.exchange(up);
        match &answer {
            Ok(down) => {
                self.rest = 1;
                // What is offered here is fetched there.
                self.http.hear(down);
            }
            Err(_) => {
                self.left = self.rest;
                self.rest = self.rest.saturating_mul(2).min(LONGEST_REST);
            }
        }
        answer
    }
}

impl Doorbell for DualLink {
    fn wait(&mut self, longest: Duration) -> bool {
        self.mqtt.wait(longest)
    }

    fn news(&mut self) -> Option<String> {
        self.mqtt.news()
    }
}
