//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::Parser;
use linux_server::{BellOptions, SigningOptions};

/// The whole flow in one command: a signed firmware to confirmed devices, a bad one to a rollback that stops the rollout.
#[derive(Debug, Clone, Parser)]
#[command(name = "quickstart")]
pub struct Options {
    /// Simulated devices, 1 to 1000. With fewer than 6 the acts share devices.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub devices: u16,
    /// A real firmware file to roll out instead of made-up bytes.
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// Keep server data and devices in this folder, which is empty, not there yet, or holds the same run: one that was killed
    /// or interrupted goes on where it was, one that came to its end is counted again.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Which key signs releases.
    #[command(flatten)]
    pub signing: SigningOptions,
    /// Whether devices are rung. They take the ids in the broker's certificates, and ask by themselves once an hour only.
    #[command(flatten)]
    pub bell: BellOptions,
    /// Seed of everything made up: firmware bytes, device ids, pauses.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object with the figures on standard output.
    #[arg(long)]
    pub json: bool,
}
