//! Where the conversation lives on an MQTT 5 broker.
//!
//! ```text
//!   ota/v1/{device}/down/bell   server -> device   "ask now"; QoS 1, retained until the device has asked
//!   ota/v1/{device}/up/msg      device -> server   Up::Poll, Report or Ask; QoS 1, with correlation data
//!   ota/v1/{device}/down/msg    server -> device   Down; QoS 1, with the correlation data of what it answers
//! ```
//! `{device}` is the device's id in 32 hexadecimal digits, and the common name of its certificate: the broker's access
//! list lets a device read below its own `down` and write below its own `up`, and nothing else. `Up::Fetch` and `Up::Trust`
//! travel over HTTP.
//!
//! What a bell's payload says is for people who watch; devices read nothing into it. An empty payload takes a retained
//! bell back and rings nothing.

use core::fmt;

use crate::DeviceId;

/// What a server subscribes to: everything that devices say, shared between all server processes.
pub const SERVER_FILTER: &str = "$share/ota/ota/v1/+/up/#";

/// A topic of one device; prints itself.
///
/// ```
/// use ota_manifest::{DeviceId, wire::topic::{Channel, Topic}};
/// let topic = Topic { device: DeviceId::new([0xab; 16]), channel: Channel::Bell };
/// let text = topic.to_string();
/// assert_eq!(text, format!("ota/v1/{}/down/bell", "ab".repeat(16)));
/// assert_eq!(Topic::parse(&text), Some(topic));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Whose.
    pub device: DeviceId,
    /// Which of its topics.
    pub channel: Channel,
}

/// The topics of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The doorbell, towards the device.
    Bell,
    /// Messages from the device.
    Up,
    /// Messages to the device.
    Down,
}

impl Channel {
    const ALL: [Self; 3] = [Self::Bell, Self::Up, Self::Down];

    const fn path(self) -> &'static str {
        match self {
            Self::Bell => "down/bell",
            Self::Up => "up/msg",
            Self::Down => "down/msg",
        }
    }
}

impl Topic {
    /// Reads a topic; `None` if it is none of these.
    #[must_use]
    pub fn parse(topic: &str) -> Option<Self> {
        let (device, path) = topic.strip_prefix("ota/v1/")?.split_once('/')?;
        // Upper-case digits name the same device and another topic.
        let lower = !device.bytes().any(|byte| byte.is_ascii_uppercase());
        let device = device.parse().ok().filter(|_| lower)?;
        let channel = Channel::ALL.into_iter().find(|channel| channel.path() == path)?;
        Some(Self { device, channel })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ota/v1/{}/{}", self.device, self.channel.path())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn topics_are_read_back_and_others_are_nobodys() {
        let device = DeviceId::new([0xC4; 16]);
        for channel in Channel::ALL {
            let text = Topic { device, channel }.to_string();
            assert_eq!(Topic::parse(&text), Some(Topic { device, channel }));
            assert_eq!(Topic::parse(&(text + "x")), None);
        }
        let id = "c4".repeat(16);
        for strange in ["", "ota/v1/", "ota/v2/x/up/msg", "ota/v1/+/up/msg", "$SYS/broker"] {
            assert_eq!(Topic::parse(strange), None, "{strange}");
        }
        assert_eq!(Topic::parse(&std::format!("ota/v1/{}/up/msg", id.to_uppercase())), None);
        assert_eq!(Topic::parse(&std::format!("ota/v1/{id}/up")), None);
    }
}
