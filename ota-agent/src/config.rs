//! What a device decides once.

use ota_manifest::Version;

use crate::Gates;

/// Settings of an agent. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Version of the running firmware, as it tells the server.
    pub version: Version,
    /// Hardware revision, as it tells the server.
    pub hardware: u16,
    /// Version of the bootloader, as it tells the server.
    pub bootloader: u16,
    /// How often to ask for work when the server does not say.
    pub poll_interval_ms: u32,
    /// How often to ask for freshness, and for the next trust document if there is one: before the first poll after a boot,
    /// and before the first that is so much later. Only devices with freshness keys do
    /// ([`BootReport::asks`](crate::BootReport::asks)); 0 for never.
    pub freshness_interval_ms: u32,
    /// Whether to ask for work right after a boot. A device with a doorbell need not: it asks when it is rung, or after
    /// an interval, so that a region whose power comes back does not fall upon its server. An update that is under way
    /// is gone on with at once in any case.
    pub ask_at_boot: bool,
    /// How long to wait for an answer.
    pub request_timeout_ms: u32,
    /// First and longest pause after a failure; each pause is drawn evenly from zero to twice the last limit.
    pub backoff_ms: (u32, u32),
    /// Whether a trial needs the server's answer to pass. A trial without it ends in a reset, never in a false rollback
    /// before its attempts are used up.
    pub confirm_needs_server: bool,
    /// What must be open before anything is erased or fetched, and stay open while it is. A chunk that has arrived is
    /// written all the same.
    pub download_gates: Gates,
    /// What must be open before the bootloader is asked for the new image, and the device restarts.
    pub restart_gates: Gates,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: Version::new(0, 0, 0),
            hardware: 0,
            bootloader: 1,
            poll_interval_ms: 300_000,
            freshness_interval_ms: 24 * 3600 * 1000,
            ask_at_boot: true,
            request_timeout_ms: 30_000,
            backoff_ms: (1_000, 300_000),
            confirm_needs_server: true,
            download_gates: Gates::NONE,
            restart_gates: Gates::NONE,
        }
    }
}
