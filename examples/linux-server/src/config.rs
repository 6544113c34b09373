//! What can be set from the command line.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::{BellOptions, SigningOptions, TrustOptions};

/// An OTA server: campaigns, artifacts and device delivery over HTTP.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Folder for everything the server keeps; made if it is not there.
    #[arg(long, default_value = "ota-data")]
    pub data: PathBuf,
    /// After how many milliseconds a device that got nothing shall ask again; 0 leaves it to the device.
    #[arg(long, default_value_t = 60_000)]
    pub poll_interval_ms: u32,
    /// How often timeouts, gates and statistics are looked after, milliseconds.
    #[arg(long, default_value_t = 500)]
    pub tick_ms: u64,
    /// Longest image, MiB.
    #[arg(long, default_value_t = 64)]
    pub max_image_mib: u32,
    /// Which key signs releases.
    #[command(flatten)]
    pub signing: SigningOptions,
    /// Which roots the devices were made with.
    #[command(flatten)]
    pub trust: TrustOptions,
    /// Whether and how devices are rung.
    #[command(flatten)]
    pub bell: BellOptions,
}

impl Config {
    /// A server on a free loopback port, quick enough for demonstrations and tests.
    #[must_use]
    pub fn local(data: &Path) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            data: data.to_owned(),
            poll_interval_ms: 0,
            tick_ms: 50,
            max_image_mib: 64,
            signing: SigningOptions::default(),
            trust: TrustOptions::default(),
            bell: BellOptions { backoff_ms: (50, 1_000), ..BellOptions::default() },
        }
    }
}
