//! `device-sim`: makes and runs a simulated device.
//!
//! ```sh
//! device-sim image --firmware firmware.bin --slot a --version 1.0.0 first.bin
//! device-sim provision DIR --id HEX32 --server http://127.0.0.1:8080 --token TOKEN --key HEX64 \
//!     --image first.bin --envelope first.ota
//! device-sim run DIR
//! ```
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use device_sim::firmware::{self, Behaviour};
use device_sim::{Certificate, Device, Factory, FactoryMqtt, LAYOUT, Timing, class, provision, vendor};
use ota_manifest::{ChunkSize, Version};
use ota_slots::SlotId;

#[derive(Parser)]
#[command(about = "A simulated Linux device of the OTA family")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a device: write the first image, its envelope and what the factory burns in.
    Provision(Box<ProvisionArgs>),
    /// Make an image: firmware bytes and the trailer that decides how they behave.
    Image(ImageArgs),
    /// Run a device until interrupted; prints its log.
    Run {
        /// Folder of the device.
        dir: PathBuf,
        /// How often to ask for work, ms, when the server does not say.
        #[arg(long, default_value_t = 30_000)]
        poll_interval_ms: u32,
        /// How often to ask what time it is and for the next trust document, ms; only with a freshness key, 0 for never.
        #[arg(long, default_value_t = 86_400_000)]
        freshness_interval_ms: u32,
        /// First and longest pause after a failure, ms.
        #[arg(long, value_name = "FIRST,LONGEST", value_parser = pair, default_value = "1000,60000")]
        backoff_ms: (u32, u32),
        /// How long a hanging image keeps the watchdog waiting, ms.
        #[arg(long, default_value_t = 4_000)]
        watchdog_ms: u32,
    },
}

#[derive(Args)]
struct ImageArgs {
    /// Firmware bytes.
    #[arg(long)]
    firmware: PathBuf,
    /// The slot it is linked for.
    #[arg(long, value_enum)]
    slot: Slot,
    /// Its version.
    #[arg(long)]
    version: Version,
    /// What it does when it runs.
    #[arg(long, value_enum, default_value_t = Does::Healthy)]
    behaviour: Does,
    /// Where to write the image.
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Slot {
    A,
    B,
}

#[derive(Clone, Copy, ValueEnum)]
enum Does {
    /// Passes its self-test.
    Healthy,
    /// Fails its self-test and says so.
    FailsSelfTest,
    /// Hangs until the watchdog bites.
    Hangs,
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
    /// Release key: 64 hexadecimal digits (Ed25519), 120 (LMS) or 130 (P-256).
    #[arg(long)]
    key: String,
    /// Freshness key, in hexadecimal: with one the device asks what time it is, and confirms no update before it was told.
    #[arg(long)]
    freshness_key: Option<String>,
    /// A root key, in hexadecimal (may be given more than once); without any the device adopts no trust document.
    #[arg(long = "root-key", value_name = "ROOT_KEY")]
    root_keys: Vec<String>,
    /// How many of the root keys must sign the first trust document.
    #[arg(long, value_name = "N", default_value_t = 1)]
    root_threshold: u8,
    /// First image, linked for slot A, trailer included.
    #[arg(long)]
    image: PathBuf,
    /// Its signed envelope.
    #[arg(long)]
    envelope: PathBuf,
    /// The broker with its bell, mqtts://host:port.
    #[arg(long, requires = "mqtt_pki")]
    mqtt: Option<String>,
    /// Folder of the broker's authority: ca.pem, devices/ID.pem and devices/ID.key are copied from there.
    #[arg(long, requires = "mqtt")]
    mqtt_pki: Option<PathBuf>,
}

fn main() -> ExitCode {
    match obey(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence, also where backtraces are switched on.
            eprintln!("device-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> Result<()> {
    match command {
        Command::Image(args) => image(&args),
        Command::Provision(args) => make(&args),
        Command::Run { dir, poll_interval_ms, freshness_interval_ms, backoff_ms, watchdog_ms } => {
            let timing = Timing {
                poll_interval_ms,
                freshness_interval_ms,
                backoff_ms,
                watchdog_ms,
                ..Timing::default()
            };
            run(&dir, timing)
        }
    }
}

fn image(args: &ImageArgs) -> Result<()> {
    let firmware = read(&args.firmware)?;
    let slot = match args.slot {
        Slot::A => SlotId::A,
        Slot::B => SlotId::B,
    };
    let behaviour = match args.behaviour {
        Does::Healthy => Behaviour::Healthy,
        Does::FailsSelfTest => Behaviour::FailsSelfTest,
        Does::Hangs => Behaviour::Hangs,
    };
    let link_address = LAYOUT.slot(slot).link_address;
    let image = firmware::build(&firmware, link_address, args.version, behaviour);
    fs::write(&args.out, &image).with_context(|| format!("{} cannot be written", args.out.display()))?;
    println!("{} bytes, link address {link_address}, vendor {}, class {}", image.len(), vendor(), class());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn make(args: &ProvisionArgs) -> Result<()> {
    let factory = Factory {
        id: args.id.clone(),
        server: args.server.clone(),
        token: args.token.clone(),
        release_key: args.key.clone(),
        freshness_key: args.freshness_key.clone(),
        root_keys: args.root_keys.clone(),
        root_threshold: args.root_threshold,
        mqtt: args.mqtt.as_deref().map(FactoryMqtt::at).transpose()?,
    };
    // Looked at before the device is made: what fails now leaves nothing behind.
    let certificate = args.mqtt_pki.as_ref().map(|pki| Certificate::issued(pki, &args.id)).transpose()?;
    let (image, envelope) = (read(&args.image)?, read(&args.envelope)?);
    let leaves = firmware::leaves(&image, ChunkSize::KIB4);
    if let Some(certificate) = certificate {
        certificate.install(&args.dir)?;
    }
    provision(&args.dir, &factory, &image, &leaves, &envelope)?;
    println!("{} is a device", args.dir.display());
    Ok(())
}

/// Two numbers with a comma between them, the first not above the second.
fn pair(text: &str) -> Result<(u32, u32), String> {
    let numbers = text.split_once(',').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers
        .filter(|(first, longest)| first <= longest)
        .ok_or("two rising numbers, such as 1000,60000".to_owned())
}

fn run(dir: &Path, timing: Timing) -> Result<()> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random seed: {error}"))?;
    let print: device_sim::Observer = Box::new(|line| println!("{} {:?}", line.at_ms, line.what));
    let mut device = Device::open(dir, timing, u64::from_le_bytes(seed), Some(print))?;
    // Interrupting the process is a power cut: the device is made for that.
    device.run(&AtomicBool::new(false))
}
