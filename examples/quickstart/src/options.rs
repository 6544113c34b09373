//! What can be asked for on the command line.

use std::path::PathBuf;

use clap::Parser;

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
    /// Keep server data and devices in this folder; it must be empty or not there yet.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Seed of everything made up: firmware bytes, device ids, pauses.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON object with the figures on standard output.
    #[arg(long)]
    pub json: bool,
}
