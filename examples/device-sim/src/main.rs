//! `device-sim`: makes and runs a simulated device.
//!
//! ```sh
//! device-sim provision DIR --id HEX32 --server http://127.0.0.1:8080 --token TOKEN --key HEX64 \
//!     --image first.bin --envelope first.ota
//! device-sim run DIR
//! ```
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use device_sim::{Device, Factory, Timing, provision};
use ota_manifest::ChunkSize;

#[derive(Parser)]
#[command(about = "A simulated Linux device of the OTA family")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a device: write the first image, its envelope and what the factory burns in.
    Provision(ProvisionArgs),
    /// Run a device until interrupted; prints its log.
    Run {
        /// Folder of the device.
        dir: PathBuf,
        /// How often to ask for work, ms, when the server does not say.
        #[arg(long, default_value_t = 30_000)]
        poll_interval_ms: u32,
    },
}

#[derive(Args)]
struct ProvisionArgs {
    /// Folder of the device; must not hold one.
    dir: PathBuf,
    /// Device id, 32 hexadecimal digits.
    #[arg(long)]
    id: String,
    /// The server, http://host:port.
    #[arg(long)]
    server: String,
    /// Bearer token of the device.
    #[arg(long)]
    token: String,
    /// Release key, 64 hexadecimal digits.
    #[arg(long)]
    key: String,
    /// First image, linked for slot A, trailer included.
    #[arg(long)]
    image: PathBuf,
    /// Its signed envelope.
    #[arg(long)]
    envelope: PathBuf,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Provision(args) => make(&args),
        Command::Run { dir, poll_interval_ms } => run(&dir, poll_interval_ms),
    }
}

fn make(args: &ProvisionArgs) -> Result<()> {
    let factory = Factory {
        id: args.id.clone(),
        server: args.server.clone(),
        token: args.token.clone(),
        release_key: args.key.clone(),
    };
    let image = fs::read(&args.image).with_context(|| format!("{} cannot be read", args.image.display()))?;
    let envelope =
        fs::read(&args.envelope).with_context(|| format!("{} cannot be read", args.envelope.display()))?;
    let leaves = device_sim::firmware::leaves(&image, ChunkSize::KIB4);
    provision(&args.dir, &factory, &image, &leaves, &envelope)?;
    println!("{} is a device", args.dir.display());
    Ok(())
}

fn run(dir: &Path, poll_interval_ms: u32) -> Result<()> {
    let timing = Timing { poll_interval_ms, ..Timing::default() };
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random seed: {error}"))?;
    let print: device_sim::Observer = Box::new(|line| println!("{} {:?}", line.at_ms, line.what));
    let mut device = Device::open(dir, timing, u64::from_le_bytes(seed), Some(print))?;
    // Interrupting the process is a power cut: the device is made for that.
    device.run(&AtomicBool::new(false))
}
