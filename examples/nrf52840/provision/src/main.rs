//! `provision`: from ELF files to a device.
//!
//! ```sh
//! provision image app-a.elf app-a.bin                 # what the server signs, for one slot
//! provision make --bootloader bootloader.elf --keys KEYS --app app-a.elf --envelope first.ota board.hex
//! provision run app.elf                               # what `cargo run` in `app` does
//! ```
#![forbid(unsafe_code)]

mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use emulator::Program;
use provision::{Factory, Image, Keys, Packed, Release, SecretKey, Terms};

#[derive(Parser)]
#[command(about = "Builds, signs and packs the firmware of the nRF52840 example")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take the image out of an ELF file: the bytes that a server signs and devices download.
    Image {
        /// The application.
        elf: PathBuf,
        /// Where to write its bytes.
        out: PathBuf,
    },
    /// Make the one hex file that a factory flashes: bootloader, first image, first record, UICR.
    Make(Make),
    /// Pack and sign an application with the development key, and run it: on a board if `probe-rs` is there, otherwise on the
    /// emulator.
    Run(run::Run),
}

#[derive(Args)]
struct Make {
    /// The bootloader's ELF file.
    #[arg(long)]
    bootloader: PathBuf,
    /// Folder with the keys that it pins: release.pub, and freshness.pub and root.pub if there are any.
    #[arg(long)]
    keys: PathBuf,
    /// The first application's ELF file.
    #[arg(long)]
    app: PathBuf,
    /// Its envelope, signed by the server (`/operator/v1/releases/NO/envelope`).
    #[arg(long, conflicts_with = "key", required_unless_present = "key")]
    envelope: Option<PathBuf>,
    /// Or a key to sign it here: a file with an Ed25519 secret key, 64 hexadecimal digits.
    #[arg(long)]
    key: Option<PathBuf>,
    /// With a key: the number of the release.
    #[arg(long, default_value_t = 1)]
    number: u16,
    /// Where to write the hex file.
    out: PathBuf,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Image { elf, out } => image(&elf, &out),
        Command::Make(args) => make(&args),
        Command::Run(run) => run.obey(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("provision: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn image(elf: &Path, out: &Path) -> Result<()> {
    let image = Image::of(&program(elf)?)?;
    write(out, &image.bytes)?;
    let address = layout::LAYOUT.slot(image.slot).link_address;
    let (vendor, class) = (layout::VENDOR, layout::CLASS);
    println!(
        "{} bytes for slot {:?}, link address {address}, vendor {vendor}, class {class}",
        image.bytes.len(),
        image.slot
    );
    Ok(())
}

fn make(args: &Make) -> Result<()> {
    let image = Image::of(&program(&args.app)?)?;
    let keys = Keys::read(&args.keys)?;
    let key = args.key.as_deref().map(SecretKey::read).transpose()?;
    // Without a key the envelope is the server's, and the leaf list is made of the image.
    let terms = Terms::numbered(args.number);
    let release = Release::sign(vec![image], &terms, key.as_ref().unwrap_or(&SecretKey::new([0; 32])))?;
    let envelope = match &args.envelope {
        Some(file) => fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => release.envelope,
    };
    let first = release.packed.first().context("an image was given")?;
    let factory = Factory::make(&program(&args.bootloader)?, &keys, first, &envelope)?;
    write(&args.out, factory.hex()?.as_bytes())?;
    let Packed { image, .. } = first;
    println!("{}: bootloader, {} bytes in slot {:?}", args.out.display(), image.bytes.len(), image.slot);
    Ok(())
}

fn program(elf: &Path) -> Result<Program> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    Program::read(&bytes).with_context(|| format!("{} is not firmware", elf.display()))
}

fn write(out: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(out, bytes).with_context(|| format!("cannot write {}", out.display()))
}
