//! Somebody sits between a device and its server. He has only its HTTP, so all but the bell goes that way.

use std::time::Duration;

use ota_agent::Exchange;
use ota_agent::linux::{Doorbell, HttpLink, LinkError, MqttLink};
use ota_manifest::wire::{Down, Up};

pub(crate) struct Proxied {
    pub(crate) bell: MqttLink,
    pub(crate) http: HttpLink,
}

impl Exchange for Proxied {
    type Error = LinkError;

    fn exchange(&mut self, up: &Up) -> Result<Down<'_>, LinkError> {
        self.http.exchange(up)
    }
}

impl Doorbell for Proxied {
    fn wait(&mut self, longest: Duration) -> bool {
        self.bell.wait(longest)
    }

    fn news(&mut self) -> Option<String> {
        self.bell.news()
    }
}
